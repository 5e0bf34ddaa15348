package asset

import "cairn/internal/rawjson"

// flattened holds what the FlattenedAsset inside each format repeats of its
// asset.
type flattened struct {
	idText  []byte // the asset's id, in quotes
	members []member
	formats []byte // all formats as {"iterable":[{"id":..}]}, nil when too many
}

type member struct {
	name  string
	value []byte
}

// derived are the members of a FlattenedAsset that follow from the asset.
var derived = []string{"id", "name", "creator", "created", "updated", "formats", "preview", "original", "mechanism"}

// flatten prepares the flattened assets of an asset's formats.
func flatten(doc []byte) flattened {
	f := flattened{idText: []byte(`""`)}
	if id := rawjson.Get(doc, "id"); rawjson.IsString(id) {
		f.idText = id
	}
	f.add("id", f.idText)
	for _, name := range []string{"name", "creator", "created", "updated"} {
		f.add(name, rawjson.Get(doc, name))
	}
	var preview rawjson.Object
	for _, side := range []string{"base", "overlay"} {
		if id := rawjson.Path(doc, "preview", side, "id"); rawjson.IsString(id) {
			preview.Set(side, id)
		}
	}
	if !preview.Empty() {
		f.add("preview", preview.JSON())
	}
	f.add("original", rawjson.Path(doc, "original", "id"))
	f.add("mechanism", rawjson.Get(doc, "mechanism"))

	var ids [][]byte
	for format := range formats(doc) {
		if len(ids) > fullListMost {
			return f
		}
		if id := rawjson.Get(format, "id"); rawjson.IsString(id) {
			ids = append(ids, reference(id))
		}
	}
	f.formats = iterable(ids...)
	return f
}

func (f *flattened) add(name string, value []byte) {
	if !rawjson.IsNull(value) {
		f.members = append(f.members, member{name, value})
	}
}

// of returns the FlattenedAsset inside the format with the id.
func (f flattened) of(formatID string) []byte {
	var o rawjson.Object
	for _, m := range f.members {
		o.Set(m.name, m.value)
	}
	if f.formats != nil {
		return o.Set("formats", f.formats).JSON()
	}
	return o.Set("formats", iterable(reference(rawjson.AppendString(nil, formatID)))).JSON()
}

// over returns the FlattenedAsset inside the format with the id, with what the
// document stores there itself over it.
func (f flattened) over(stored []byte, formatID string) []byte {
	if !rawjson.IsObject(stored) {
		return f.of(formatID)
	}
	if !rawjson.IsArray(rawjson.Path(stored, "formats", "iterable")) {
		stored = rawjson.Replace(stored, "formats", nil)
	}
	return rawjson.Overlay(f.of(formatID), stored)
}

// reference returns a ReferencedFormat without its reference.
func reference(id []byte) []byte {
	var o rawjson.Object
	return o.Set("id", id).JSON()
}

func iterable(items ...[]byte) []byte {
	var o rawjson.Object
	return o.Set("iterable", rawjson.Array(items...)).JSON()
}
