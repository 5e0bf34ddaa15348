package cloud

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"cairn"
)

// The names of objects:
//
//	cairn.json
//	keys/<32 hexadecimal digits>.age
//	backups/<backup id>.json.age
//	parts/<xx>/<32 hexadecimal digits>.jsonl.zst.age
//	indexes/<xx>/<32 hexadecimal digits>.jsonl.zst.age
//	trash/<backup id>.<32 hexadecimal digits>
//	trash/<backup id>.<32 hexadecimal digits>.gone
//	trash/<backup id>.<32 hexadecimal digits>.using
//	trash/probe.<32 hexadecimal digits>
//
// The digits are random, and xx is the first two of them.
const (
	descriptionName = "cairn.json"
	slotFolder      = "keys/"
	backupFolder    = "backups/"
	partFolder      = "parts/"
	indexFolder     = "indexes/"
	trashFolder     = "trash/"

	slotSuffix   = ".age"
	backupSuffix = ".json.age"
	linesSuffix  = ".jsonl.zst.age"

	receiptSuffix    = ".gone"
	checkpointSuffix = ".using"
	probePrefix      = trashFolder + "probe."
)

// randomBytes is how many random bytes are in a name.
const randomBytes = 16

// PartName returns a name for a new part.
func (c *Cloud) PartName() string { return c.linesName(partFolder) }

// IndexName returns a name for a new index.
func (c *Cloud) IndexName() string { return c.linesName(indexFolder) }

func (c *Cloud) linesName(folder string) string {
	return linesNameOf(folder, c.randomKey())
}

// trashName returns a name for the copy of a manifest that is deleted.
func (c *Cloud) trashName(id string) string {
	return trashFolder + id + "." + c.randomDigits()
}

// A trashKind is what an object of trash/ is.
type trashKind int

const (
	trashForeign    trashKind = iota // not ours
	trashCopy                        // of a manifest: of a backup that is deleted or was
	trashReceipt                     // says when the backup of a copy was gone
	trashCheckpoint                  // a manifest of what a creation uses
	trashProbe                       // tells the time of the bucket
)

// trashOf returns what the name of an object of trash/ says: the id of the backup,
// but for a probe, and the name of the copy that a receipt is of.
func trashOf(name string) (kind trashKind, id, copied string) {
	if digits, ok := strings.CutPrefix(name, probePrefix); ok && isDigits(digits) {
		return trashProbe, "", ""
	}
	kind, copied = trashCopy, name
	if rest, ok := strings.CutSuffix(name, receiptSuffix); ok {
		kind, copied = trashReceipt, rest
	} else if rest, ok := strings.CutSuffix(name, checkpointSuffix); ok {
		kind, copied = trashCheckpoint, rest
	}
	rest, inside := strings.CutPrefix(copied, trashFolder)
	i := strings.LastIndexByte(rest, '.')
	if !inside || i < 0 || !isDigits(rest[i+1:]) {
		return trashForeign, "", ""
	}
	if _, ok := cairn.ParseBackupID(rest[:i]); !ok {
		return trashForeign, "", ""
	}
	return kind, rest[:i], copied
}

// SlotObject returns the name of the object of a slot whose random part is known.
func SlotObject(random string) string { return slotFolder + random + slotSuffix }

// isSlotName reports whether name is one of a slot.
func isSlotName(name string) bool {
	digits, inside := strings.CutPrefix(name, slotFolder)
	digits, suffixed := strings.CutSuffix(digits, slotSuffix)
	return inside && suffixed && isDigits(digits)
}

// randomDigits returns 32 hexadecimal digits.
func (c *Cloud) randomDigits() string {
	key := c.randomKey()
	return hex.EncodeToString(key[:])
}

// randomKey draws what they stand for.
func (c *Cloud) randomKey() (key [randomBytes]byte) {
	if _, err := io.ReadFull(c.cfg.Rand, key[:]); err != nil {
		panic(fmt.Sprintf("cloud: the source of random bytes fails: %v", err)) // as crypto/rand has it
	}
	return key
}

// backupName returns the name of the manifest of a backup, or false for an id
// that no backup can have.
func backupName(id string) (name string, ok bool) {
	if _, ok := cairn.ParseBackupID(id); !ok {
		return "", false
	}
	return backupFolder + id + backupSuffix, true
}

// backupOf returns the id in the name of a manifest.
func backupOf(name string) (id string, ok bool) {
	id, ok = strings.CutPrefix(name, backupFolder)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(id, backupSuffix)
	if !ok {
		return "", false
	}
	_, ok = cairn.ParseBackupID(id)
	return id, ok
}

// isLinesName reports whether name is one of a part or of an index, as the
// folder says.
func isLinesName(folder, name string) bool {
	rest, inside := strings.CutPrefix(name, folder)
	rest, suffixed := strings.CutSuffix(rest, linesSuffix)
	xx, digits, cut := strings.Cut(rest, "/")
	return inside && suffixed && cut && len(xx) == 2 && strings.HasPrefix(digits, xx) && isDigits(digits)
}

// linesKey returns the random bytes in the name of a part or of an index, which
// tell it from all others of its folder.
func linesKey(folder, name string) (key [randomBytes]byte, ok bool) {
	if !isLinesName(folder, name) {
		return key, false
	}
	digits := strings.TrimSuffix(name[len(folder)+len("xx/"):], linesSuffix)
	_, err := hex.Decode(key[:], []byte(digits))
	return key, err == nil
}

// linesNameOf returns the name of linesKey.
func linesNameOf(folder string, key [randomBytes]byte) string {
	digits := hex.EncodeToString(key[:])
	return folder + digits[:2] + "/" + digits + linesSuffix
}

// isDigits reports whether s is 32 lower-case hexadecimal digits.
func isDigits(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == randomBytes && hex.EncodeToString(b) == s
}

// isOurs reports whether cairn could have given this name to an object other
// than cairn.json.
func isOurs(name string) bool {
	if kind, _, _ := trashOf(name); kind != trashForeign {
		return true
	}
	_, manifest := backupOf(name)
	return manifest || isSlotName(name) || isLinesName(partFolder, name) || isLinesName(indexFolder, name)
}

// isIncidental reports whether desktops put something of this name into folders
// by themselves. Names that begin with a dot are no names of objects at all.
func isIncidental(name string) bool {
	return strings.EqualFold(name, "desktop.ini") || strings.EqualFold(name, "Thumbs.db")
}
