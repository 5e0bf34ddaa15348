package segment

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cairn"
)

// A Row is what a catalog says of a document. Deletions have none.
//
//	{"collection":"assets","id":"...","revision":7,"bytes":1234,"hash":"0123456789abcdef","name":"...","language":"...","created":"..."}
//
// The last three are left out when they are empty. As the line of a document, it
// has exactly one form: of the escapes, strings have \" and \\ and \u00xx for
// control characters.
type Row struct {
	Collection string
	ID         string
	Revision   int64
	Bytes      int64   // of the document's text
	Hash       [8]byte // the first bytes of its cairn.ContentHash

	// What a person looks for; a [Browse] found it.
	Name     string
	Language string
	Created  string
}

// A Browse finds in a document what a person looks for. It returns decoded
// text, empty for what is not there.
type Browse func(collection string, json []byte) (name, language, created string)

// MaxTextBytes is the longest name, language or time of creation in a Row; it
// keeps rows short whatever documents hold.
const MaxTextBytes = 512

// maxRowBytes is more than the longest row has: all of its text can be escapes.
const maxRowBytes = maxNamesBytes + 3*MaxTextBytes*len(`\u0000`)

const (
	rowBytes    = `,"bytes":`
	rowHash     = `,"hash":"`
	rowName     = `,"name":"`
	rowLanguage = `,"language":"`
	rowCreated  = `,"created":"`
)

// NewRow returns the row of a document whose cairn.ContentHash is known. Longer
// texts than MaxTextBytes are cut, at a character. A nil Browse finds nothing.
func NewRow(d cairn.Document, content [32]byte, browse Browse) Row {
	r := Row{Collection: d.Collection, ID: d.ID, Revision: d.Revision, Bytes: int64(len(d.JSON)), Hash: [8]byte(content[:8])}
	if browse != nil {
		name, language, created := browse(d.Collection, d.JSON)
		r.Name, r.Language, r.Created = shorten(name), shorten(language), shorten(created)
	}
	return r
}

// shorten makes a text valid UTF-8 of at most MaxTextBytes. What is left of a
// character that was cut is not valid.
func shorten(s string) string { return strings.ToValidUTF8(s[:min(len(s), MaxTextBytes)], "") }

// AppendRow appends the line of a row to dst, with the line break. The row must
// be as NewRow makes it.
func AppendRow(dst []byte, r Row) []byte {
	dst = append(dst, lineCollection...)
	dst = append(dst, r.Collection...)
	dst = append(dst, lineID...)
	dst = append(dst, r.ID...)
	dst = append(dst, lineRevision...)
	dst = strconv.AppendInt(dst, r.Revision, 10)
	dst = append(dst, rowBytes...)
	dst = strconv.AppendInt(dst, r.Bytes, 10)
	dst = append(dst, rowHash...)
	dst = hex.AppendEncode(dst, r.Hash[:])
	dst = append(dst, '"')
	dst = appendText(dst, rowName, r.Name)
	dst = appendText(dst, rowLanguage, r.Language)
	dst = appendText(dst, rowCreated, r.Created)
	return append(dst, lineEnd+"\n"...)
}

// appendText appends a member of a row, unless it is empty. The prefix ends in
// a quote.
func appendText(dst []byte, prefix, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, prefix...)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = hex.AppendEncode(dst, []byte{c})
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// ParseRow reads a line without its line break, as AppendRow wrote it, and
// refuses anything else.
func ParseRow(line []byte) (Row, error) {
	r, err := parseRow(line)
	if err != nil {
		return Row{}, err
	}
	if r.Name != shorten(r.Name) || r.Language != shorten(r.Language) || r.Created != shorten(r.Created) {
		return Row{}, fmt.Errorf("a text that is not UTF-8, or has more than %d bytes", MaxTextBytes)
	}
	// What it left unchecked, such as the form of escapes, shows here.
	var space [512]byte
	if again := AppendRow(space[:0], r); string(again[:len(again)-1]) != string(line) {
		return Row{}, fmt.Errorf("%s is not in the only form of a row", cairn.Quote(string(line)))
	}
	return r, nil
}

// parseRow reads the members of a row by their places. What it takes for texts
// may have other forms too.
func parseRow(line []byte) (r Row, err error) {
	name, rest, ok := quoted(line, lineCollection)
	if !ok {
		return r, misfit(line, lineCollection)
	}
	if r.Collection, err = collections(nil).name(name); err != nil {
		return r, err
	}
	id, after, ok := quoted(rest, lineID)
	if !ok {
		return r, misfit(rest, lineID)
	}
	r.ID = string(id)
	if err := cairn.ValidateID(r.ID); err != nil {
		return r, err
	}
	if r.Revision, rest, err = number(after, lineRevision); err != nil {
		return r, err
	}
	if r.Bytes, after, err = number(rest, rowBytes); err != nil {
		return r, err
	}
	hash, rest, ok := quoted(after, rowHash)
	if !ok || len(hash) != hex.EncodedLen(len(r.Hash)) {
		return r, misfit(after, rowHash)
	}
	if _, err := hex.Decode(r.Hash[:], hash); err != nil {
		return r, fmt.Errorf("hash: %w", err)
	}
	rest = rest[1:] // the quote
	for _, member := range []struct {
		prefix string
		text   *string
	}{{rowName, &r.Name}, {rowLanguage, &r.Language}, {rowCreated, &r.Created}} {
		if *member.text, rest, err = text(rest, member.prefix); err != nil {
			return r, err
		}
	}
	if string(rest) != lineEnd {
		return r, misfit(rest, lineEnd)
	}
	return r, nil
}

// text reads a string that begins after a prefix; it is empty when something
// else begins there. It returns what comes after the closing quote.
func text(line []byte, prefix string) (s string, rest []byte, err error) {
	after, ok := bytes.CutPrefix(line, []byte(prefix))
	if !ok {
		return "", line, nil
	}
	end, escaped := 0, false
	for ; end < len(after) && after[end] != '"'; end++ {
		if after[end] == '\\' {
			escaped = true
			end++
		}
	}
	if end >= len(after) {
		return "", line, errors.New("a string without an end")
	}
	if !escaped {
		return string(after[:end]), after[end+1:], nil
	}
	quotedText := line[len(prefix)-1 : len(prefix)+end+1]
	if err := json.Unmarshal(quotedText, &s); err != nil {
		return "", line, fmt.Errorf("a string: %w", err)
	}
	return s, after[end+1:], nil
}

// A Batch gathers rows for a [Catalog]. Each worker has one of its own; the
// zero value is empty.
type Batch struct {
	lines []byte
	rows  int
}

// Add appends a row that NewRow made.
func (b *Batch) Add(r Row) {
	b.lines = AppendRow(b.lines, r)
	b.rows++
}
