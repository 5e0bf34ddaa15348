package asset

import (
	"strings"
	"unicode/utf8"

	"cairn/internal/rawjson"
)

// Browse returns what a person looks for an asset by, each "" when the document
// does not say: its name, its language (a ClassificationSpecificEnum) and when
// it was created. It passes over the text once: a backup asks this of every
// asset.
func Browse(doc []byte) (name, language, created string) {
	h := headsOf(doc)
	name = utf8Text(h.name)
	created = utf8Text(rawjson.Get(h.created, "value"))
	if language = utf8Text(rawjson.Path(h.original, "reference", "classification", "specific")); language != "" {
		return name, language, created
	}
	id := utf8Text(rawjson.Get(h.original, "id"))
	for _, f := range h.formats {
		if id == "" || utf8Text(f.id) == id {
			return name, utf8Text(rawjson.Get(f.class, "specific")), created
		}
	}
	return name, "", created
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
}

// A formatHead is that of a format.
type formatHead struct{ id, class []byte }

// headsOf finds the heads of an asset. Of members with the same name the last
// one counts.
func headsOf(doc []byte) (h heads) {
	if !rawjson.IsObject(doc) {
		return h
	}
	rawjson.Walk(doc, func(name string, rest []byte) int {
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
				return rawjson.Walk(rest, h.walkFormats)
			}
		}
		return rawjson.Length(rest)
	})
	return h
}

// walkFormats looks at a member of the asset's formats.
func (h *heads) walkFormats(name string, rest []byte) int {
	if name != "iterable" {
		return rawjson.Length(rest)
	}
	h.formats = nil
	if !rawjson.IsArray(rest) {
		return rawjson.Length(rest)
	}
	return rawjson.WalkArray(rest, func(rest []byte) int {
		if !rawjson.IsObject(rest) {
			return rawjson.Length(rest)
		}
		var f formatHead
		n := rawjson.Walk(rest, func(name string, rest []byte) int {
			switch name {
			case "id":
				f.id = rawjson.First(rest)
				return len(f.id)
			case "classification":
				f.class = rawjson.First(rest)
				return len(f.class)
			}
			return rawjson.Length(rest)
		})
		h.formats = append(h.formats, f)
		return n
	})
}
