package asset

import "cairn/internal/rawjson"

// flattened holds what the FlattenedAsset inside each format repeats of its
// asset.
type flattened struct {
	idText  []byte // the asset's id, in quotes
	members []member
	formats []byte // all formats as {"iterable":[{"id":..}]}, nil when too many
	most    int    // bytes of a member
}

type member struct {
	name  string
	value []byte
}

// What each format repeats must be short where the formats are many, or else an
// asset of 32 MiB could be one of terabytes for its readers.
const (
	fewFormats    = 100     // up to which each lists the ids of all, and
	fewBytes      = 4 << 10 // the bytes of a member then
	manyBytes     = 256     // and for more formats
	fullListBytes = 8 << 10 // of all ids
)

// stale are the members of a stored FlattenedAsset that follow from the asset
// and change with it.
var stale = []string{"id", "name", "updated", "formats", "preview", "original"}

// flatten prepares the flattened assets of an asset's formats.
func flatten(doc []byte) flattened {
	var a arena
	fields := a.fieldsOf(doc)
	return flattenFields(fields, parseFormats(&a, nil, rawjson.Get(fields.Get("formats"), "iterable")))
}

// flattenFields is flatten for an asset that was parsed before.
func flattenFields(doc rawjson.Fields, formats []format) flattened {
	f := flattened{idText: []byte(`""`), most: fewBytes, members: make([]member, 0, 8)}
	if id := doc.Get("id"); rawjson.IsString(id) {
		f.idText = id
	}
	if ids, ok := formatReferences(formats); ok {
		f.formats = iterable(ids...)
	} else {
		f.most = manyBytes
	}
	f.add("id", f.idText)
	for _, name := range []string{"name", "creator", "created", "updated"} {
		f.add(name, doc.Get(name))
	}
	var preview rawjson.Object
	for _, side := range []string{"base", "overlay"} {
		if id := rawjson.Path(doc.Get("preview"), side, "id"); rawjson.IsString(id) {
			preview.Set(side, id)
		}
	}
	if !preview.Empty() {
		f.add("preview", preview.JSON())
	}
	f.add("original", rawjson.Get(doc.Get("original"), "id"))
	f.add("mechanism", doc.Get("mechanism"))
	return f
}

// formatReferences returns a ReferencedFormat for each format that has an id;
// ok is false when they are too many for each format to list them.
func formatReferences(formats []format) (ids [][]byte, ok bool) {
	size := 0
	for _, f := range formats {
		if rawjson.IsString(f.id) {
			ids = append(ids, reference(f.id))
			size += len(f.id)
		}
	}
	return ids, len(formats) <= fewFormats && size <= fullListBytes
}

// format is one item of an asset's list of formats, parsed once.
type format struct {
	raw    []byte
	fields rawjson.Fields // none when it is no object
	id     []byte         // in quotes; nil when there is none
	text   string         // of the id, when that is a string
}

// parseFormats appends the items of a list of formats.
func parseFormats(a *arena, formats []format, list []byte) []format {
	for raw := range rawjson.Elements(list) {
		fields := a.fieldsOf(raw)
		id := fields.Get("id")
		text, _ := rawjson.Text(id)
		formats = append(formats, format{raw, fields, id, text})
	}
	return formats
}

// arena holds the members of many objects in one piece of memory.
type arena struct{ fields rawjson.Fields }

func (a *arena) fieldsOf(v []byte) rawjson.Fields {
	if a.fields == nil {
		a.fields = make(rawjson.Fields, 0, 64) // an asset of one format has some fifty
	}
	start := len(a.fields)
	a.fields = rawjson.AppendFields(a.fields, v)
	return a.fields[start:len(a.fields):len(a.fields)]
}

func (f *flattened) add(name string, value []byte) {
	if !rawjson.IsNull(value) && len(value) <= f.most {
		f.members = append(f.members, member{name, value})
	}
}

// of returns the FlattenedAsset inside the format with the raw id.
func (f flattened) of(id []byte) []byte {
	size := len(f.formats) + 64
	for _, m := range f.members {
		size += len(m.name) + len(m.value) + len(`"":,`)
	}
	var o rawjson.Object
	o.Grow(size)
	for _, m := range f.members {
		o.Set(m.name, m.value)
	}
	switch {
	case f.formats != nil:
		return o.Set("formats", f.formats).JSON()
	case rawjson.IsString(id):
		return o.Set("formats", iterable(reference(id))).JSON()
	}
	return o.Set("formats", iterable()).JSON()
}

// inside returns the FlattenedAsset inside a format, with what the document
// stores there itself over it. A stored one with an id is whole, as another
// server gave it; only the list that clients need is filled in.
func (f flattened) inside(in format) []byte {
	flat, stored := f.of(in.id), in.fields.Get("asset")
	if !rawjson.IsObject(stored) {
		return flat
	}
	if !rawjson.IsArray(rawjson.Path(stored, "formats", "iterable")) {
		stored = rawjson.Replace(stored, "formats", rawjson.Get(flat, "formats"))
	}
	if rawjson.IsString(rawjson.Get(stored, "id")) {
		return stored
	}
	return rawjson.Overlay(flat, stored)
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
