package cairn

import (
	"fmt"
	"strings"
)

// MaxDocumentBytes is the largest document, counted in bytes of its compacted
// JSON text: 32 MiB.
const MaxDocumentBytes = 32 << 20

// CollectionAssets is the collection of snippets.
const CollectionAssets = "assets"

// maxIDBytes is the longest id of a document.
const maxIDBytes = 128

// maxCollectionBytes is the longest collection name. The wire contract sets no
// bound; 64 is twice the longest name of the original product.
const maxCollectionBytes = 64

// A Document is a JSON object with an id in a collection.
type Document struct {
	// Revision is the number of the change that wrote the document. A
	// database gives each change the next number and never reuses one.
	Revision int64
	// Collection matches [a-z][a-z0-9_]*, at most 64 bytes.
	Collection string
	// ID matches [A-Za-z0-9._-]{1,128} and is neither "." nor "..".
	ID string
	// JSON is the compacted text of the object: key order, number forms,
	// escapes and unknown fields as they were received. It is nil for a
	// deletion. It belongs to whoever got the document.
	JSON []byte
}

// Deleted reports whether d tells of a deletion.
func (d Document) Deleted() bool { return d.JSON == nil }

// Validate checks the names and the size, not the JSON text. It returns an
// error of [CodeInvalid] or [CodeTooLarge].
func (d Document) Validate() error {
	if err := ValidateCollection(d.Collection); err != nil {
		return err
	}
	if err := ValidateID(d.ID); err != nil {
		return err
	}
	if len(d.JSON) > MaxDocumentBytes {
		return &Error{
			Code:    CodeTooLarge,
			Message: fmt.Sprintf("The document is %d bytes of compacted JSON; at most %d bytes (32 MiB) are kept.", len(d.JSON), MaxDocumentBytes),
			Hint:    "Split it into smaller documents.",
		}
	}
	return nil
}

// ValidateCollection returns an error of [CodeInvalid] unless name is a
// collection name.
func ValidateCollection(name string) error {
	ok := name != "" && len(name) <= maxCollectionBytes && 'a' <= name[0] && name[0] <= 'z'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_'
	}
	if ok {
		return nil
	}
	return &Error{
		Code:    CodeInvalid,
		Message: fmt.Sprintf("%s is not a collection name.", Quote(name)),
		Hint:    "A collection is a lower-case word such as assets or tags: a letter, then letters, digits and underscores, at most 64.",
	}
}

// ValidateID returns an error of [CodeInvalid] unless id can be the id of a
// document.
func ValidateID(id string) error {
	ok := id != "" && len(id) <= maxIDBytes && id != "." && id != ".."
	for i := 0; ok && i < len(id); i++ {
		c := id[i]
		ok = 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
	}
	if ok {
		return nil
	}
	return &Error{
		Code:    CodeInvalid,
		Message: fmt.Sprintf("%s is not an id.", Quote(id)),
		Hint:    "An id has 1 to 128 of the characters A-Z a-z 0-9 . _ - and is neither . nor .. ; a UUID is a good one.",
	}
}

// Quote returns s in quotes for use in a message, shortened when long, so that
// a hostile name cannot fill a log.
func Quote(s string) string {
	const most = 64
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q (%d bytes)", strings.ToValidUTF8(s[:most], "")+"...", len(s))
}
