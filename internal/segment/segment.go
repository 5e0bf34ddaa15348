// Package segment is the codec of what a backup stores: parts, which hold
// documents, and indexes, which list the parts of a segment and its documents.
// Both are JSON Lines, compressed by zstd and encrypted by age, so that public
// tools can read them. docs/format.md describes every byte.
//
// To write a part, gather lines with [AppendLine] until there are [PartBytes]
// of them, and encode them:
//
//	plain = segment.AppendLine(plain, doc)
//	object, sum, err := encoder.Encode(object[:0], plain)
//
// To read it, [Decoder.Decode] it and range over [Part.Lines]. A segment of
// several parts has an index: rows go to a [Catalog] while the parts are
// written, and [WriteIndex] joins the two at the end; [ReadIndex] returns the
// parts, and [Rows] what the catalog says of the documents.
package segment

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Errors that a caller can tell by errors.Is. Of what cannot be read, most is
// ErrDamaged; the text says what is wrong with it.
var (
	ErrDamaged = errors.New("damaged")
	ErrKey     = errors.New("encrypted for another key")
	ErrFormat  = errors.New("of a newer format")
)

// ErrSpoiled says that a file of a [Catalog] is not what was written to it: the
// disk is bad, or somebody else writes there. It comes in a *fs.PathError, which
// names the file.
var ErrSpoiled = errors.New("the disk gives back something else than what was written")

// damaged returns an ErrDamaged with a text.
func damaged(format string, a ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, a...))
}

// PartBytes is the plain text at which a part ends: 8 MiB. A single document
// may exceed it.
const PartBytes = 8 << 20

// A Sum is a SHA-256, in JSON as hexadecimal digits.
type Sum [sha256.Size]byte

// String returns 64 hexadecimal digits.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText returns the digits of String.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote, and nothing else.
func (s *Sum) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(s) || hex.EncodeToString(b) != string(text) {
		return fmt.Errorf("%q is not a SHA-256 in hexadecimal digits", text)
	}
	copy(s[:], b)
	return nil
}

// An Object is one object in the bucket, as it was written.
type Object struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 Sum    `json:"sha256"`
}

// A Part is an object that holds a run of a segment: the documents and
// deletions whose latest change is in its range of revisions, in their order.
type Part struct {
	Object
	From      int64 `json:"from"` // exclusive
	To        int64 `json:"to"`   // inclusive
	Documents int64 `json:"documents"`
	Deletions int64 `json:"deletions"`
	Plain     int64 `json:"plain"` // bytes of its lines
}

// A Segment is what a manifest says of one segment. A segment of one part has
// no index, one of several has an Index and no Part; one without rows has
// neither.
type Segment struct {
	From      int64   `json:"from"` // exclusive
	To        int64   `json:"to"`   // inclusive
	Documents int64   `json:"documents"`
	Deletions int64   `json:"deletions"`
	Plain     int64   `json:"plain"`  // bytes of its lines
	Stored    int64   `json:"stored"` // bytes of its objects
	Parts     int     `json:"parts"`  // how many
	Part      *Part   `json:"part,omitempty"`
	Index     *Object `json:"index,omitempty"`
}
