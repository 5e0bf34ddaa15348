package segment

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"

	"cairn"
)

// A line has exactly one form, and a deletion ends after the revision:
//
//	{"collection":"assets","id":"...","revision":7,"document":{...}}
//	{"collection":"assets","id":"...","revision":8}
//
// The names hold no character that JSON escapes, and the compacted text of a
// document no line break.
const (
	lineCollection = `{"collection":"`
	lineID         = `","id":"`
	lineRevision   = `","revision":`
	lineDocument   = `,"document":`
	lineEnd        = `}`
)

// maxNamesBytes is more than a line has beside its document.
const maxNamesBytes = 512

// maxLineBytes is the longest line.
const maxLineBytes = cairn.MaxDocumentBytes + maxNamesBytes

// MinLineBytes is the shortest line, which is that of a deletion, with its line
// break, and minDocumentBytes the shortest one of a document.
const (
	MinLineBytes     = int64(len(lineCollection + "a" + lineID + "a" + lineRevision + "1" + lineEnd + "\n"))
	minDocumentBytes = MinLineBytes + int64(len(lineDocument+"{}"))
)

// AppendLine appends the line of a document or a deletion to dst, with the line
// break. The document must be as a database holds it: valid, its revision
// positive, its text compacted.
func AppendLine(dst []byte, d cairn.Document) []byte {
	dst = append(dst, lineCollection...)
	dst = append(dst, d.Collection...)
	dst = append(dst, lineID...)
	dst = append(dst, d.ID...)
	dst = append(dst, lineRevision...)
	dst = strconv.AppendInt(dst, d.Revision, 10)
	if !d.Deleted() {
		dst = append(dst, lineDocument...)
		dst = append(dst, d.JSON...)
	}
	return append(dst, lineEnd+"\n"...)
}

// ParseLine reads a line without its line break, as AppendLine wrote it, and
// refuses anything else. The text of the document, which is not looked into,
// shares the memory of the line.
func ParseLine(line []byte) (cairn.Document, error) {
	if bytes.IndexByte(line, '\n') >= 0 {
		return cairn.Document{}, errors.New("a line break within a line")
	}
	return parseLine(line, nil)
}

// parseLine is ParseLine for a line that is known to be one.
func parseLine(line []byte, known collections) (d cairn.Document, err error) {
	name, rest, ok := quoted(line, lineCollection)
	if !ok {
		return d, misfit(line, lineCollection)
	}
	if d.Collection, err = known.name(name); err != nil {
		return d, err
	}
	id, after, ok := quoted(rest, lineID)
	if !ok {
		return d, misfit(rest, lineID)
	}
	d.ID = string(id)
	if err := cairn.ValidateID(d.ID); err != nil {
		return d, err
	}
	if d.Revision, rest, err = number(after, lineRevision); err != nil {
		return d, err
	}
	if d.Revision == 0 {
		return d, errors.New("a revision of 0")
	}
	if string(rest) == lineEnd {
		return d, nil
	}
	text, ok := bytes.CutPrefix(rest, []byte(lineDocument))
	if !ok {
		return d, misfit(rest, lineDocument)
	}
	text, ok = bytes.CutSuffix(text, []byte(lineEnd))
	if !ok || len(text) < len(`{}`) || text[0] != '{' || text[len(text)-1] != '}' {
		return d, errors.New("a document that is not an object to the end of the line")
	}
	if len(text) > cairn.MaxDocumentBytes {
		return d, fmt.Errorf("a document of %d bytes; at most %d are possible", len(text), cairn.MaxDocumentBytes)
	}
	d.JSON = text[:len(text):len(text)]
	return d, nil
}

// quoted returns what stands between a prefix that ends in a quote and the next
// quote, and the rest from that quote on.
func quoted(text []byte, prefix string) (value, rest []byte, ok bool) {
	if len(text) < len(prefix) || string(text[:len(prefix)]) != prefix {
		return nil, nil, false
	}
	rest = text[len(prefix):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return nil, nil, false
	}
	return rest[:end], rest[end:], true
}

// number reads the digits after a prefix, without leading zeros, as AppendInt
// writes them.
func number(text []byte, prefix string) (n int64, rest []byte, err error) {
	if len(text) < len(prefix) || string(text[:len(prefix)]) != prefix {
		return 0, nil, misfit(text, prefix)
	}
	text = text[len(prefix):]
	end := 0
	for ; end < len(text) && '0' <= text[end] && text[end] <= '9'; end++ {
		digit := int64(text[end] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, nil, errors.New("a number of more than 63 bits")
		}
		n = n*10 + digit
	}
	if end == 0 || end > 1 && text[0] == '0' {
		return 0, nil, fmt.Errorf("%s is not a number in its only form", cairn.Quote(string(text[:min(len(text), end+1)])))
	}
	return n, text[end:], nil
}

// misfit says what stands in the place of something.
func misfit(text []byte, want string) error {
	return fmt.Errorf("%s where %q should begin", cairn.Quote(string(text[:min(len(text), 40)])), want)
}

// collections are the names that were found valid, so that the documents of one
// collection share its name.
type collections map[string]string

// name returns a valid name as a string.
func (c collections) name(name []byte) (string, error) {
	if s, ok := c[string(name)]; ok {
		return s, nil
	}
	s := string(name)
	if err := cairn.ValidateCollection(s); err != nil {
		return "", err
	}
	if c != nil {
		c[s] = s
	}
	return s, nil
}

// Lines yields what the lines of a part say, in order of revision; an ErrDamaged
// ends it. Texts share the memory of plain.
func Lines(plain []byte) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		known := collections{}
		last := int64(0)
		for n := 1; len(plain) > 0; n++ {
			end := bytes.IndexByte(plain, '\n')
			if end < 0 {
				yield(cairn.Document{}, damaged("line %d is cut off", n))
				return
			}
			d, err := parseLine(plain[:end], known)
			if err == nil && d.Revision <= last {
				err = fmt.Errorf("revision %d after %d", d.Revision, last)
			}
			if err != nil {
				yield(cairn.Document{}, damaged("line %d: %w", n, err))
				return
			}
			if !yield(d, nil) {
				return
			}
			plain, last = plain[end+1:], d.Revision
		}
	}
}

// Lines yields what the lines of this part say, as the function of that name
// does, and an ErrDamaged unless they are what the part says of itself: so many
// bytes, documents and deletions, all in its range of revisions.
func (p Part) Lines(plain []byte) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		if int64(len(plain)) != p.Plain {
			yield(cairn.Document{}, damaged("its lines have %d bytes, not %d", len(plain), p.Plain))
			return
		}
		var documents, deletions int64
		for d, err := range Lines(plain) {
			if err == nil && (d.Revision <= p.From || d.Revision > p.To) {
				err = damaged("revision %d is not in its range (%d, %d]", d.Revision, p.From, p.To)
			}
			if err != nil {
				yield(cairn.Document{}, err)
				return
			}
			if d.Deleted() {
				deletions++
			} else {
				documents++
			}
			if !yield(d, nil) {
				return
			}
		}
		if documents != p.Documents || deletions != p.Deletions {
			yield(cairn.Document{}, damaged("it holds %d documents and %d deletions, not %d and %d", documents, deletions, p.Documents, p.Deletions))
		}
	}
}
