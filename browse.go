package cairn

import "strings"

// A DocumentName names a document.
type DocumentName struct{ Collection, ID string }

// String returns the collection and the id with a slash between them, which
// neither can hold.
func (n DocumentName) String() string { return n.Collection + "/" + n.ID }

// Validate returns an error of [CodeInvalid] unless a document can be called
// that.
func (n DocumentName) Validate() error {
	return Document{Collection: n.Collection, ID: n.ID}.Validate()
}

// A BackupDocument is what a backup says of a document that it holds, beside its
// text.
type BackupDocument struct {
	DocumentName
	Revision int64
	Bytes    int64 // of compacted JSON
	// What a person looks for an asset by; empty where there is none. Longer
	// texts than 512 bytes are cut.
	Name     string
	Language string // as a file extension
	Created  string
}

// A DocumentFilter chooses documents of a backup. The zero value is all of them.
type DocumentFilter struct {
	Collection string // "" is all
	Name       string // a part of the name, in upper or lower case; "" is any
	Limit      int64  // how many there are at most; 0 is no limit
}

// Matches reports whether a document is one of those, whatever the limit.
func (f DocumentFilter) Matches(d BackupDocument) bool {
	return (f.Collection == "" || d.Collection == f.Collection) &&
		(f.Name == "" || strings.Contains(strings.ToLower(d.Name), strings.ToLower(f.Name)))
}
