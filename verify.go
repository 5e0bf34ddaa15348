package cairn

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Verification says what looking at a backup, or at all that is in a cloud, has
// found. Damaged and Unchecked are empty when all is well.
type Verification struct {
	Backups int64 // that were looked into
	Objects int64 // of them: manifests, indexes and parts, each once
	Bytes   int64 // that these objects take in the bucket
	// Read counts the parts whose content was read, ReadBytes their bytes. Of the
	// others it is known that they are there and how long they are.
	Read, ReadBytes int64

	// Unreferenced counts the parts and indexes that no backup names: those of
	// deleted backups, and of creations that were cut off or go on. Foreign counts
	// the objects in the folders of a cloud that cairn names none like. Both are 0
	// when one backup was looked at.
	Unreferenced, UnreferencedBytes int64
	Foreign                         int64

	// Damaged are the objects that are not what was written, or are missing, and
	// Unchecked those of which nobody knows: the store did not give them, or they
	// are of a newer format. Each is in the order of names. MoreDamaged and
	// MoreUnchecked count what came beyond MaxFindings.
	Damaged, Unchecked         []Finding
	MoreDamaged, MoreUnchecked int64
	// Affected are the backups that need a damaged object, newest first.
	Affected []AffectedBackup
}

// A Finding is an object that is damaged or could not be looked at.
type Finding struct {
	Object  string // its name
	Problem *Error
	// Backups are the ids of the backups that need it, newest first, at most
	// MaxFindingBackups; MoreBackups counts the others.
	Backups     []string
	MoreBackups int64
}

// An AffectedBackup is one that a damaged object belongs to. If it is its manifest
// that is damaged, no more than the ID is known, and what that says.
type AffectedBackup struct {
	ID         string
	Created    time.Time
	DeviceName string
	Objects    int64 // of it that are damaged
}

// Bounds of what a Verification names one by one.
const (
	MaxFindings       = 1000
	MaxFindingBackups = 100
)

// A Subset says which parts a check of a cloud reads. The zero value is none.
type Subset struct {
	// Percent of the parts are drawn at random: by number, rounded up. 100 are all.
	Percent float64
	// Turn and Turns, unless they are 0, choose otherwise: the parts whose names
	// fall to this turn of so many, from 1. Each part falls to exactly one of them.
	Turn, Turns int
}

// maxTurns bounds the turns in which everything is read.
const maxTurns = 10000

// ParseSubset reads a subset as a person writes it: a percentage, such as 5% or
// 2.5%, or a turn, such as 1/5. Anything else is CodeInvalid.
func ParseSubset(text string) (Subset, error) {
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		percent, err := strconv.ParseFloat(digits, 64)
		if err == nil && percent > 0 && percent <= 100 {
			return Subset{Percent: percent}, nil
		}
	}
	if turn, turns, ok := strings.Cut(text, "/"); ok {
		n, err := strconv.Atoi(turn)
		of, err2 := strconv.Atoi(turns)
		if err == nil && err2 == nil && 1 <= n && n <= of && of <= maxTurns {
			return Subset{Turn: n, Turns: of}, nil
		}
	}
	return Subset{}, &Error{
		Code:    CodeInvalid,
		Message: Quote(text) + " does not say which part of the data to read.",
		Hint:    fmt.Sprintf("Write a percentage above 0 up to 100, such as 5%%, or a turn, such as 1/5; there are at most %d turns.", maxTurns),
	}
}

// Draw returns how many of so many parts a percentage is.
func (s Subset) Draw(parts int) int {
	return min(parts, int(math.Ceil(float64(parts)*s.Percent/100)))
}

// Falls reports whether the object of this name falls to the turn.
func (s Subset) Falls(name string) bool {
	h := fnv.New64a()
	h.Write([]byte(name))
	return s.Turns > 0 && h.Sum64()%uint64(s.Turns) == uint64(s.Turn-1)
}
