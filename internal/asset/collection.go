package asset

import (
	"slices"
	"strings"

	"cairn/internal/rawjson"
)

// collections are the members in which the generated clients find a list called
// iterable, or throw: in an asset, in what its collections list, and below
// holders. Assets alone may lack it. No collection is required but formats, which
// [Render] makes.
// Source: @pieces.app/pieces-os-client 4.1.0, dist/models.
var collections = nameSet(`
accessors activities anchors annotations applications assets classifications contributors
conversations diagnostics distributions edges embeddings events formats hints messages modules
persons points providers ranges recipients selections sensitives shares source_windows sources
summaries tabs tags values websites workstream_events workstreams
`)

// holders are the members below which the clients go on to read collections.
var holders = nameSet(`
analysis anchor annotation asset base browser context conversation explanation format gist github
grounding hocr ide image lsp mailgun message ocr original overlay person platform preview raw
reference relationship sensitive share summary tag temporal type website
`)

func nameSet(names string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(names) {
		set[name] = true
	}
	return set
}

// readable returns an asset with null in the place of each collection that has
// no list: to the generated clients it is not there then, where else one such
// collection would keep them from reading any asset. It passes over the text
// once. What is below members that they do not know stays as it is.
func readable(doc []byte) []byte {
	if !rawjson.IsObject(doc) {
		return doc
	}
	s := search{size: len(doc)}
	s.object(doc)
	if s.found == nil {
		return doc
	}
	out := make([]byte, 0, len(doc)+len("null")*len(s.found))
	from := 0
	for _, f := range s.found {
		out = append(append(out, doc[from:f.start]...), "null"...)
		from = f.end
	}
	return append(out, doc[from:]...)
}

// A search finds the collections without a list, outermost and in order.
type search struct {
	size  int // of the text
	found []struct{ start, end int }
}

// object passes over an asset, a part of one or an item, with which rest begins,
// and returns its length.
func (s *search) object(rest []byte) int {
	return rawjson.Walk(rest, func(name string, rest []byte) int {
		switch {
		case rawjson.IsNull(rest):
		case collections[name]:
			return s.collection(rest, name == "assets")
		case !rawjson.IsObject(rest):
		case holders[name]:
			return s.object(rest)
		case name == "models": // of a person, by the ids of assets
			return rawjson.Walk(rest, func(_ string, rest []byte) int { return s.item(rest) })
		}
		return rawjson.Length(rest)
	})
}

// collection is object for what should be a collection, which may lack its list
// where that is optional.
func (s *search) collection(rest []byte, optional bool) (n int) {
	start, inside, readable := s.size-len(rest), len(s.found), optional
	if rawjson.IsObject(rest) {
		n = rawjson.Walk(rest, func(name string, rest []byte) int {
			if name != "iterable" {
				return rawjson.Length(rest)
			}
			list := rawjson.IsArray(rest)
			readable = list || optional && rawjson.IsNull(rest) // of several the last counts
			if list {
				return rawjson.WalkArray(rest, s.item)
			}
			return rawjson.Length(rest)
		})
	} else {
		n = rawjson.Length(rest)
	}
	if !readable {
		s.found = append(slices.Delete(s.found, inside, len(s.found)), struct{ start, end int }{start, start + n})
	}
	return n
}

// item is object for any value.
func (s *search) item(rest []byte) int {
	if rawjson.IsObject(rest) {
		return s.object(rest)
	}
	return rawjson.Length(rest)
}
