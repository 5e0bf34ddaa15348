package asset

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"cairn/internal/rawjson"
)

// Browse returns what a person looks for an asset by, each "" when the document
// does not say: its name, its language (a ClassificationSpecificEnum) and when
// it was created. Of members with the same name the last one counts, but in an
// asset with a long text it may be another one: a backup asks this of every
// asset, and a text need not be passed over to see what comes behind it.
func Browse(doc []byte) (name, language, created string) {
	h, whole := glance(doc)
	language, ok := h.language()
	if !ok && !whole {
		h = headsOf(doc)
		language, _ = h.language()
	}
	return utf8Text(h.name), language, utf8Text(rawjson.Get(h.created, "value"))
}

// utf8Text returns a string as UTF-8, and "" for any other value.
func utf8Text(v []byte) string {
	s, _ := rawjson.Text(v)
	if utf8.ValidString(s) {
		return s // which is quick to see
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// heads are the small values of an asset, nil where there is none.
type heads struct {
	name, created, original []byte
	formats                 []formatHead
	first                   bool // walking ends with the first format that says what it is
}

// A formatHead is that of a format.
type formatHead struct{ id, class []byte }

// language returns the language of the original; ok is false when it is that of
// a format that was not found.
func (h *heads) language() (language string, ok bool) {
	var id, reference []byte
	if rawjson.IsObject(h.original) {
		rawjson.Walk(h.original, func(name string, rest []byte) int {
			value := rawjson.First(rest)
			switch name {
			case "id":
				id = value
			case "reference":
				reference = value
			}
			return len(value)
		})
	}
	if language = utf8Text(rawjson.Path(reference, "classification", "specific")); language != "" {
		return language, true
	}
	for _, f := range h.formats {
		if bytes.Equal(f.id, id) || utf8Text(id) == "" || utf8Text(f.id) == utf8Text(id) {
			return utf8Text(rawjson.Get(f.class, "specific")), true
		}
	}
	return "", false
}

// tailBytes is where glance looks for the last members of an asset.
const tailBytes = 256

// glance finds the heads of an asset at the beginning of its text, up to the
// first format, and among its last members. whole says that it has seen all
// formats.
func glance(doc []byte) (h heads, whole bool) {
	if len(doc) < 4*tailBytes || !rawjson.IsObject(doc) {
		return headsOf(doc), true
	}
	tail := doc[len(doc)-tailBytes:]
	i := bytes.LastIndex(tail, []byte(`,"original":{`))
	h.first = i >= 0
	if rawjson.Walk(doc, h.member) != rawjson.Stop {
		return h, true
	}
	// A quote inside of a string has a backslash before it, so the one behind the
	// comma begins the name of a member: of the asset itself, if with the members
	// that follow it the document ends.
	if h.name == nil || h.created == nil || rawjson.Walk(tail[i:], h.member) != len(tail)-i {
		return headsOf(doc), true
	}
	return h, false
}

// headsOf finds the heads of an asset.
func headsOf(doc []byte) (h heads) {
	if rawjson.IsObject(doc) {
		rawjson.Walk(doc, h.member)
	}
	return h
}

// member looks at a member of the asset.
func (h *heads) member(name string, rest []byte) int {
	switch name {
	case "name":
		h.name = rawjson.First(rest)
		return len(h.name)
	case "created":
		h.created = rawjson.First(rest)
		return len(h.created)
	case "original":
		h.original = rawjson.First(rest)
		return len(h.original)
	case "formats":
		h.formats = nil
		if rawjson.IsObject(rest) {
			return rawjson.Walk(rest, h.memberOfFormats)
		}
	}
	return rawjson.Length(rest)
}

// memberOfFormats looks at a member of the asset's formats.
func (h *heads) memberOfFormats(name string, rest []byte) int {
	if name != "iterable" {
		return rawjson.Length(rest)
	}
	h.formats = nil
	if !rawjson.IsArray(rest) {
		return rawjson.Length(rest)
	}
	return rawjson.WalkArray(rest, h.format)
}

// format looks at a format.
func (h *heads) format(rest []byte) int {
	if !rawjson.IsObject(rest) {
		return rawjson.Length(rest)
	}
	var f formatHead
	n := rawjson.Walk(rest, func(name string, rest []byte) int {
		switch name {
		case "id":
			f.id = rawjson.First(rest)
		case "classification":
			f.class = rawjson.First(rest)
		}
		if h.first && f.id != nil && f.class != nil {
			return rawjson.Stop
		}
		return rawjson.Length(rest)
	})
	h.formats = append(h.formats, f)
	return n
}
