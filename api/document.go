package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"cairn"
)

// A DocumentLine is one line of GET and POST /v1/documents.
type DocumentLine struct {
	Collection string          `json:"collection"`
	ID         string          `json:"id"`
	Revision   int64           `json:"revision,omitempty"` // answers only; ignored in requests
	Document   json.RawMessage `json:"document,omitempty"` // absent for a deletion
}

// EntityTag returns the ETag of a stored document, for If-Match: 128 bits of the
// SHA-256 of its text.
func EntityTag(stored []byte) string {
	sum := sha256.Sum256(stored)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// A RefusedLine tells why a line of POST /v1/documents was not stored.
type RefusedLine struct {
	Line       int64      `json:"line"` // counted from 1
	Collection string     `json:"collection,omitempty"`
	ID         string     `json:"id,omitempty"`
	Code       cairn.Code `json:"code"`
	Detail     string     `json:"detail"`
}

// MaxRefusedLines is how many refused lines an answer names; it counts all.
const MaxRefusedLines = 1000

// DocumentsWritten is the answer of POST /v1/documents.
type DocumentsWritten struct {
	Added        int64         `json:"added"`
	Changed      int64         `json:"changed"`
	Unchanged    int64         `json:"unchanged"`
	RefusedCount int64         `json:"refused_count"`
	Refused      []RefusedLine `json:"refused"`  // the first MaxRefusedLines
	Revision     int64         `json:"revision"` // of the database afterwards
}
