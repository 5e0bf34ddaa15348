package device

import (
	"crypto/sha256"
	"encoding/hex"
)

// A machine is what a device records about the computer that it runs on.
type machine struct {
	hash string // of its id, or "" where it has none
	name string
}

// hashMachine returns what is stored for a machine id: enough to compare it,
// too little to tell it. The id itself never leaves the process. An empty id
// stays empty.
func hashMachine(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("cairn machine\x00" + id))
	return hex.EncodeToString(sum[:])
}
