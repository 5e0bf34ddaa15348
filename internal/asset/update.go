package asset

import (
	"bytes"
	"slices"
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
	if err := checkPatch(patch); err != nil {
		return nil, false, err
	}
	base := normalize(doc)
	folded, patch := foldReferences(base, withoutEmptyList(base, patch))
	if rawjson.IsString(rawjson.Get(base, "id")) {
		patch = rawjson.Replace(patch, "id", nil) // it is what the document was found by
	}
	next := rawjson.Merge(folded, withoutShown(base, patch))
	if list := rawjson.Path(next, "formats", "iterable"); !rawjson.IsArray(list) && !rawjson.IsNull(rawjson.Get(patch, "formats")) {
		return nil, false, invalid("The asset's formats are no list.", "Send formats as {\"iterable\":[...]}, or leave it out.")
	}
	if rawjson.Same(next, base) {
		return doc, false, nil
	}
	next = normalize(refreshFormats(base, next, now))
	return touch(next, now), true, nil
}

// withoutShown returns the patch without the members that a document which hides
// collections from its readers shows like that: in a list whose items have no
// ids, the null in the place of a collection would count as a change of it.
func withoutShown(base, patch []byte) []byte {
	shown := readable(base)
	if bytes.Equal(shown, base) {
		return patch
	}
	fields := rawjson.FieldsOf(shown)
	return rawjson.Rewrite(patch, func(name string, v []byte) []byte {
		if !rawjson.IsNull(v) && unchanged(fields.Get(name), v) {
			return nil
		}
		return v
	})
}

// checkPatch refuses a patch that cannot be told what it means.
func checkPatch(patch []byte) error {
	if !rawjson.IsObject(patch) {
		return invalid("The asset is no object.", `Send an asset as {"id":"...",...}.`)
	}
	for f := range formats(patch) {
		if _, ok := rawjson.Text(rawjson.Get(f, "id")); !ok {
			return invalid("A format of the asset has no id.", "Send each format with its id, or leave formats out to keep them as they are.")
		}
	}
	return nil
}

// withoutEmptyList returns the patch without the empty list of formats that
// [Render] fills in for an asset that has none.
func withoutEmptyList(base, patch []byte) []byte {
	sent := rawjson.Get(patch, "formats")
	if rawjson.IsArray(rawjson.Path(base, "formats", "iterable")) || string(rawjson.Get(sent, "iterable")) != "[]" {
		return patch
	}
	rest := rawjson.Merge([]byte("{}"), rawjson.Replace(sent, "iterable", nil)) // without nulls
	return rawjson.Replace(patch, "formats", orNil(rest))
}

// UpdateFormat returns the stored form of the asset with the content of one of
// its formats, of several with the id the first, changed to that of format, a
// Format as a client sends it. Content, size and time of the format are set,
// nothing else but the time of the asset. ok is false when the asset has no
// such format.
func UpdateFormat(doc []byte, id string, format []byte, now time.Time) (updated []byte, changed, ok bool) {
	change := only(format, contentKinds...)
	base := normalize(doc)
	next := editFormats(base, func(f []byte) []byte {
		if got, isText := rawjson.Text(rawjson.Get(f, "id")); ok || !isText || got != id {
			return f
		}
		ok = true
		return rawjson.Merge(supersede(f, change), change)
	})
	if !ok || rawjson.Same(next, base) {
		return doc, false, ok
	}
	next = refreshFormats(base, next, now)
	return touch(next, now), true, true
}

// supersede returns a format without the content that change replaces: where it
// brings a text or bytes, no other form of the old ones may stay, since clients
// would go on reading it.
func supersede(format, change []byte) []byte {
	if !hasContent(content(change)) {
		return format
	}
	for _, kind := range contentKinds {
		stored, sent := rawjson.Get(format, kind), rawjson.Get(change, kind)
		if !rawjson.IsObject(stored) {
			continue
		}
		kept := rawjson.Rewrite(stored, func(name string, v []byte) []byte {
			if name != "string" && name != "bytes" {
				return v
			}
			return orNil(withoutForms(v, rawjson.Get(sent, name)))
		})
		format = rawjson.Replace(format, kind, orNil(kept))
	}
	return format
}

// withoutForms returns a TransferableString or TransferableBytes without the
// forms of its content that sent does not bring anew.
func withoutForms(stored, sent []byte) []byte {
	return rawjson.Rewrite(stored, func(form string, v []byte) []byte {
		if (rawjson.IsString(v) || rawjson.IsArray(v)) && rawjson.IsNull(rawjson.Get(sent, form)) {
			return nil
		}
		return v
	})
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

// formatsByID returns the asset's formats by their ids; of several with one id
// it is the first that references mean.
func formatsByID(doc []byte) map[string][]byte {
	byID := map[string][]byte{}
	for f := range formats(doc) {
		if id, ok := rawjson.Text(rawjson.Get(f, "id")); ok && byID[id] == nil {
			byID[id] = f
		}
	}
	return byID
}

// editByID returns the asset with what changes has for an id put into the
// format that has it, by put.
func editByID(doc []byte, changes map[string][]byte, put func(format, change []byte) []byte) []byte {
	done := map[string]bool{}
	return editFormats(doc, func(f []byte) []byte {
		id, ok := rawjson.Text(rawjson.Get(f, "id"))
		if change := changes[id]; ok && change != nil && !done[id] {
			done[id] = true
			return put(f, change)
		}
		return f
	})
}

// places are where an asset holds ReferencedFormats.
var places = [][]string{{"original"}, {"preview", "base"}, {"preview", "overlay"}}

// editHolders returns the asset with each of its ReferencedFormats replaced by
// what edit makes of it.
func editHolders(doc []byte, edit func(place []string, holder []byte) []byte) []byte {
	for _, place := range places {
		holder := rawjson.Path(doc, place...)
		if !rawjson.IsObject(holder) {
			continue
		}
		value := edit(place, holder)
		if len(place) == 2 {
			value = rawjson.Replace(rawjson.Get(doc, place[0]), place[1], value)
		}
		doc = rawjson.Replace(doc, place[0], value)
	}
	return doc
}

// normalize returns the asset in the stored form: what its references and
// flattened assets repeat is taken out, what they alone say stays.
func normalize(doc []byte) []byte {
	byID, assetID := formatsByID(doc), rawjson.Get(doc, "id")
	moved := map[string][]byte{}
	doc = editHolders(doc, func(_ []string, holder []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(holder, "id"))
		format, reference := byID[id], rawjson.Get(holder, "reference")
		if format == nil || !rawjson.IsObject(reference) {
			return holder
		}
		if withoutContent(format) && hasContent(content(reference)) {
			moved[id] = only(reference, contentKinds...)
			format = rawjson.Overlay(format, moved[id])
			byID[id] = format
		}
		return rawjson.Replace(holder, "reference", difference(reference, format, assetID))
	})
	doc = editByID(doc, moved, rawjson.Overlay)
	flat, fields := flatten(doc), rawjson.FieldsOf(doc)
	drop := slices.DeleteFunc(slices.Clone(stale), func(name string) bool { return rawjson.IsNull(fields.Get(name)) })
	return editFormats(doc, func(f []byte) []byte {
		stored := rawjson.Get(f, "asset")
		if !rawjson.IsObject(stored) {
			return f
		}
		stored = rawjson.Rewrite(stored, func(name string, v []byte) []byte {
			if slices.Contains(drop, name) {
				return nil
			}
			return v
		})
		return rawjson.Replace(f, "asset", difference(stored, flat.of(rawjson.Get(f, "id")), nil))
	})
}

// withoutContent reports whether a format has neither a fragment nor a file.
func withoutContent(format []byte) bool {
	return !slices.ContainsFunc(contentKinds, func(kind string) bool { return !rawjson.IsNull(rawjson.Get(format, kind)) })
}

// only returns the object with the named members alone, those that are objects.
func only(v []byte, names ...string) []byte {
	return rawjson.Rewrite(v, func(name string, value []byte) []byte {
		if slices.Contains(names, name) && rawjson.IsObject(value) {
			return value
		}
		return nil
	})
}

// difference returns the members of a reference that neither its format says
// too, nor, of its asset, the asset's id; nil when there are none.
func difference(reference, format, assetID []byte) []byte {
	said := map[string][]byte{}
	for raw, v := range rawjson.Members(format) {
		name, _ := rawjson.Text(raw)
		said[name] = v
	}
	if assetID != nil {
		said["asset"] = assetID
	}
	return orNil(rawjson.Rewrite(reference, func(name string, v []byte) []byte {
		if rawjson.IsNull(v) || rawjson.Equal(v, said[name]) {
			return nil
		}
		return v
	}))
}

// orNil returns the object, or nil for one without members.
func orNil(object []byte) []byte {
	if len(object) == len("{}") {
		return nil
	}
	return object
}

// foldable are the members of a reference that clients change there.
var foldable = []string{"fragment", "file", "classification", "icon", "role"}

// foldReferences returns base with the changes applied that patch makes to a
// format in a reference, but not in the format itself; and patch without these
// members and without what we fill in on output. Where the document's reference
// says something else than its format, the change stays one of the reference.
func foldReferences(base, patch []byte) (folded, rest []byte) {
	sent, stored := formatsByID(patch), formatsByID(base)
	changes := map[string][]byte{}
	rest = editHolders(patch, func(place []string, holder []byte) []byte {
		id, own := storedReference(base, holder, place)
		format := stored[id]
		if format == nil {
			return holder
		}
		reference, shown := rawjson.Get(holder, "reference"), rendered(format, own, nil)
		var rest rawjson.Object
		for _, name := range foldable {
			is := rawjson.Get(reference, name)
			switch {
			case unchanged(rawjson.Get(shown, name), is):
			case !rawjson.IsNull(rawjson.Get(own, name)):
				rest.Set(name, is)
			case unchanged(rawjson.Get(format, name), rawjson.Get(sent[id], name)):
				changes[id] = rawjson.Replace(changes[id], name, is)
			}
		}
		return rawjson.Replace(holder, "reference", orNil(rest.JSON()))
	})
	rest = editByID(rest, changes, func(f, change []byte) []byte {
		return rawjson.Rewrite(f, func(name string, v []byte) []byte {
			if rawjson.Get(change, name) != nil {
				return nil
			}
			return v
		})
	})
	rest = editFormats(rest, func(f []byte) []byte { return rawjson.Replace(f, "asset", nil) })
	return editByID(base, changes, rawjson.Merge), rest
}

// storedReference returns the id of the format that a holder sent for a place
// means, and what the document stores there as the reference to it.
func storedReference(doc, sent []byte, place []string) (formatID string, reference []byte) {
	holder := rawjson.Path(doc, place...)
	was, _ := rawjson.Text(rawjson.Get(holder, "id"))
	formatID, ok := rawjson.Text(rawjson.Get(sent, "id"))
	if !ok {
		formatID = was
	}
	if formatID == was {
		reference = rawjson.Get(holder, "reference")
	}
	return formatID, reference
}

// unchanged reports whether merging is into was changes nothing.
func unchanged(was, is []byte) bool {
	return rawjson.IsNull(is) || !rawjson.IsNull(was) && rawjson.Same(was, rawjson.Merge(was, is))
}

// refreshFormats sets size and time of the formats whose content is not that
// of base any more, and drops what references still say of what changed.
func refreshFormats(base, next []byte, now time.Time) []byte {
	old := map[string][][]byte{}
	for f := range formats(base) {
		if id, ok := rawjson.Text(rawjson.Get(f, "id")); ok {
			old[id] = append(old[id], f)
		}
	}
	changed := map[string][]string{} // names of members by the id of their format
	next = editFormats(next, func(f []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		var was []byte
		if same := old[id]; len(same) > 0 {
			was, old[id] = same[0], same[1:]
			if rawjson.Same(f, was) {
				return f
			}
		}
		for _, name := range foldable {
			if !slices.Contains(contentKinds, name) && !rawjson.Same(rawjson.Get(was, name), rawjson.Get(f, name)) {
				changed[id] = append(changed[id], name)
			}
		}
		f = withoutOldEncodings(was, f)
		if was == nil || !sameContent(was, f) {
			changed[id] = append(changed[id], "fragment", "file", "bytes")
			f = resize(f)
		}
		if was == nil {
			delete(changed, id) // what came with it
		}
		return touch(f, now)
	})
	return editHolders(next, func(_ []string, holder []byte) []byte {
		id, _ := rawjson.Text(rawjson.Get(holder, "id"))
		reference := rawjson.Get(holder, "reference")
		if len(changed[id]) == 0 || !rawjson.IsObject(reference) {
			return holder
		}
		return rawjson.Replace(holder, "reference", orNil(rawjson.Rewrite(reference, func(name string, v []byte) []byte {
			if slices.Contains(changed[id], name) {
				return nil
			}
			return v
		})))
	})
}

// sameContent reports whether two formats hold the same text or bytes.
func sameContent(a, b []byte) bool {
	for _, kind := range []string{"string", "bytes"} {
		if !rawjson.Same(rawjson.Get(content(a), kind), rawjson.Get(content(b), kind)) {
			return false
		}
	}
	return true
}

// withoutOldEncodings returns a format without the encodings of its text that
// are still those of the text that it was.
func withoutOldEncodings(was, format []byte) []byte {
	for _, kind := range contentKinds {
		old, c := rawjson.Path(was, kind, "string"), rawjson.Get(format, kind)
		str := rawjson.Get(c, "string")
		if raw := rawjson.Get(str, "raw"); !rawjson.IsString(raw) || rawjson.Same(raw, rawjson.Get(old, "raw")) {
			continue
		}
		fresh := rawjson.Rewrite(str, func(name string, v []byte) []byte {
			if slices.Contains(encodings, name) && rawjson.Same(v, rawjson.Get(old, name)) {
				return nil
			}
			return v
		})
		format = rawjson.Replace(format, kind, rawjson.Replace(c, "string", fresh))
	}
	return format
}
