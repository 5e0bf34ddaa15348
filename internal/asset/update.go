package asset

import (
	"bytes"
	"time"

	"cairn/internal/rawjson"
)

// Update returns the stored form of the asset changed by patch, an Asset as a
// client sends it, under the merge rules of [rawjson.Merge], and whether
// anything changed. A text or language that was changed in one of the copies
// of a format alone, in original.reference or preview.base.reference, counts
// as a change of that format. Sizes and times of what changed are set.
//
// An error is of cairn.CodeInvalid and leaves the document as it is.
func Update(doc, patch []byte, now time.Time) (updated []byte, changed bool, err error) {
	for f := range formats(patch) {
		if _, ok := rawjson.Text(rawjson.Get(f, "id")); !ok {
			return nil, false, invalid("A format of the asset has no id.", "Send each format with its id, or leave formats out to keep them as they are.")
		}
	}
	base := normalize(doc)
	folded, patch := foldReferences(base, patch)
	next := rawjson.Merge(folded, patch)
	if list := rawjson.Path(next, "formats", "iterable"); !rawjson.IsArray(list) {
		return nil, false, invalid("The asset's formats are no list.", "Send formats as {\"iterable\":[...]}, or leave it out.")
	}
	if bytes.Equal(next, base) || rawjson.Same(next, base) {
		return doc, false, nil
	}
	next = normalize(refreshFormats(base, next, now))
	return rawjson.Replace(next, "updated", timestamp(now)), true, nil
}

// UpdateFormat returns the stored form of the asset with the content of one of
// its formats changed to that of format, a Format as a client sends it.
// Content, size and time of the format are set, nothing else. ok is false when
// the asset has no such format.
func UpdateFormat(doc []byte, id string, format []byte, now time.Time) (updated []byte, changed, ok bool) {
	var change rawjson.Object
	change.SetText("id", id)
	for _, kind := range []string{"fragment", "file"} {
		if c := rawjson.Get(format, kind); rawjson.IsObject(c) {
			change.Set(kind, c)
		}
	}
	base := normalize(doc)
	next := editFormats(base, func(f []byte) []byte {
		if got, _ := rawjson.Text(rawjson.Get(f, "id")); got != id {
			return f
		}
		ok = true
		return rawjson.Merge(f, change.JSON())
	})
	if !ok || rawjson.Same(next, base) {
		return doc, false, ok
	}
	next = refreshFormats(base, next, now)
	return rawjson.Replace(next, "updated", timestamp(now)), true, true
}

// editFormats returns the asset with each format object replaced by what edit
// makes of it.
func editFormats(doc []byte, edit func([]byte) []byte) []byte {
	list := rawjson.Get(doc, "formats")
	if !rawjson.IsArray(rawjson.Get(list, "iterable")) {
		return doc
	}
	var out [][]byte
	for f := range formats(doc) {
		if rawjson.IsObject(f) {
			f = edit(f)
		}
		out = append(out, f)
	}
	return rawjson.Replace(doc, "formats", rawjson.Replace(list, "iterable", rawjson.Array(out...)))
}

// formatsByID returns the asset's formats by their ids.
func formatsByID(doc []byte) map[string][]byte {
	byID := map[string][]byte{}
	for f := range formats(doc) {
		if id, ok := rawjson.Text(rawjson.Get(f, "id")); ok {
			byID[id] = f
		}
	}
	return byID
}

// editHolders returns the asset with each of its ReferencedFormats (original,
// preview.base, preview.overlay) replaced by what edit makes of it.
func editHolders(doc []byte, edit func([]byte) []byte) []byte {
	if original := rawjson.Get(doc, "original"); rawjson.IsObject(original) {
		doc = rawjson.Replace(doc, "original", edit(original))
	}
	preview := rawjson.Get(doc, "preview")
	for _, side := range []string{"base", "overlay"} {
		if holder := rawjson.Get(preview, side); rawjson.IsObject(holder) {
			preview = rawjson.Replace(preview, side, edit(holder))
		}
	}
	if rawjson.IsObject(preview) {
		doc = rawjson.Replace(doc, "preview", preview)
	}
	return doc
}

// normalize returns the asset in the stored form: what its references and
// flattened assets repeat is taken out, what they alone say stays.
func normalize(doc []byte) []byte {
	byID := formatsByID(doc)
	moved := map[string][]byte{}
	doc = editHolders(doc, func(holder []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(holder, "id"))
		format, reference := byID[id], rawjson.Get(holder, "reference")
		if format == nil || !rawjson.IsObject(reference) {
			return holder
		}
		if content(format) == nil && content(reference) != nil {
			format = rawjson.Overlay(format, only(reference, "fragment", "file"))
			byID[id], moved[id] = format, format
		}
		return rawjson.Replace(holder, "reference", difference(reference, format))
	})
	flat := flatten(doc)
	return editFormats(doc, func(f []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		if m := moved[id]; m != nil {
			f = m
		}
		if stored := rawjson.Get(f, "asset"); rawjson.IsObject(stored) {
			for _, name := range derived {
				stored = rawjson.Replace(stored, name, nil)
			}
			f = rawjson.Replace(f, "asset", difference(stored, flat.of(id)))
		}
		return f
	})
}

// only returns the object with the named members alone.
func only(v []byte, names ...string) []byte {
	var o rawjson.Object
	for _, name := range names {
		o.Set(name, rawjson.Get(v, name))
	}
	return o.JSON()
}

// difference returns the members of a reference that its format does not say
// too, or nil when there are none.
func difference(reference, format []byte) []byte {
	out := reference
	for name, v := range rawjson.Members(reference) {
		n, _ := rawjson.Text(name)
		if n == "asset" && rawjson.IsString(v) || rawjson.IsNull(v) || rawjson.Same(v, rawjson.Get(format, n)) {
			out = rawjson.Replace(out, n, nil)
		}
	}
	if len(out) == len("{}") {
		return nil
	}
	return out
}

// foldable are the members of a reference that clients change there.
var foldable = []string{"fragment", "file", "classification", "icon", "role"}

// foldReferences returns base with the changes applied that patch makes to a
// format in a reference, but not in the format itself; and patch without these
// members and without what we fill in on output.
func foldReferences(base, patch []byte) (folded, rest []byte) {
	sent, stored := formatsByID(patch), formatsByID(base)
	changes := map[string][]byte{}
	rest = editHolders(patch, func(holder []byte) []byte {
		reference := rawjson.Get(holder, "reference")
		id, _ := rawjson.Text(rawjson.Get(holder, "id"))
		old := stored[id]
		if old == nil {
			return holder
		}
		for _, name := range foldable {
			was, is := rawjson.Get(old, name), rawjson.Get(reference, name)
			if unchanged(was, is) || !unchanged(was, rawjson.Get(sent[id], name)) {
				continue
			}
			if changes[id] == nil {
				changes[id] = []byte("{}")
			}
			changes[id] = rawjson.Replace(changes[id], name, is)
		}
		return rawjson.Replace(holder, "reference", nil)
	})
	rest = editFormats(rest, func(f []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		for name := range rawjson.Members(changes[id]) {
			n, _ := rawjson.Text(name)
			f = rawjson.Replace(f, n, nil)
		}
		return rawjson.Replace(f, "asset", nil)
	})
	if len(changes) == 0 {
		return base, rest
	}
	folded = editFormats(base, func(f []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		return rawjson.Merge(f, changes[id])
	})
	return folded, rest
}

// unchanged reports whether merging is into was changes nothing.
func unchanged(was, is []byte) bool {
	return rawjson.IsNull(is) || !rawjson.IsNull(was) && rawjson.Same(was, rawjson.Merge(was, is))
}

// refreshFormats sets size and time of the formats whose content is not that
// of base any more, and drops what references still say of their content.
func refreshFormats(base, next []byte, now time.Time) []byte {
	old := formatsByID(base)
	fresh := map[string]bool{}
	next = editFormats(next, func(f []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		was := old[id]
		if was != nil && rawjson.Same(f, was) {
			return f
		}
		if now := content(f); was == nil || !bytes.Equal(content(was), now) {
			fresh[id] = true
			f = rawjson.Replace(f, "bytes", byteDescriptor(contentBytes(now)))
		}
		return rawjson.Replace(f, "updated", timestamp(now))
	})
	return editHolders(next, func(holder []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(holder, "id"))
		reference := rawjson.Get(holder, "reference")
		if !fresh[id] || !rawjson.IsObject(reference) {
			return holder
		}
		for _, name := range []string{"fragment", "file", "bytes"} {
			reference = rawjson.Replace(reference, name, nil)
		}
		if len(reference) == len("{}") {
			reference = nil
		}
		return rawjson.Replace(holder, "reference", reference)
	})
}
