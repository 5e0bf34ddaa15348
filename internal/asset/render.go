package asset

import (
	"bufio"
	"iter"
	"slices"

	"cairn/internal/rawjson"
)

// formats yields the format objects of an asset.
func formats(doc []byte) iter.Seq[[]byte] {
	return rawjson.Elements(rawjson.Path(doc, "formats", "iterable"))
}

// Render writes the form of an asset that clients read: its stored form with
// the references of original and preview, and each format's flattened asset,
// filled in; lists without which the generated clients throw are there even if
// the document lacks them. With transferables false the raw contents are left
// out. Errors are those of w, which keeps the first.
func Render(w *bufio.Writer, doc []byte, transferables bool) {
	r := newRenderer(w, doc, transferables)
	m := members{w: w}
	listed := false
	for _, f := range r.doc {
		m.name(f.Raw)
		switch f.Name {
		case "formats":
			listed = true
			r.list(f.Value)
		case "original":
			r.holder(f.Value)
		case "preview":
			r.preview(f.Value)
		default:
			w.Write(f.Value)
		}
	}
	if !listed {
		m.put([]byte(`"formats"`), []byte(`{"iterable":[]}`))
	}
	m.end()
}

// RenderFormat writes the form of one of the asset's formats that clients
// read; ok is false, and nothing written, when the asset has no such format.
func RenderFormat(w *bufio.Writer, doc []byte, id string, transferables bool) (ok bool) {
	r := newRenderer(w, doc, transferables)
	f := r.find(id)
	if f == nil {
		return false
	}
	r.format(*f)
	return true
}

// renderer holds an asset that was parsed once: its texts are long, and each
// look at them would cost as much as writing them.
type renderer struct {
	w       *bufio.Writer
	doc     rawjson.Fields
	formats []format
	flat    flattened
}

func newRenderer(w *bufio.Writer, doc []byte, transferables bool) *renderer {
	if !transferables {
		doc = rawjson.Prune(doc, func(parent, name string) bool {
			return slices.Contains(contentKinds, parent) && (name == "string" || name == "bytes")
		})
	}
	r := &renderer{w: w, doc: rawjson.FieldsOf(doc)}
	r.formats = parseFormats(rawjson.Get(r.doc.Get("formats"), "iterable"))
	r.flat = flattenFields(r.doc, r.formats)
	return r
}

// find returns the first format with the id, or nil.
func (r *renderer) find(id string) *format {
	for i, f := range r.formats {
		if got, ok := rawjson.Text(f.id); ok && got == id {
			return &r.formats[i]
		}
	}
	return nil
}

// list writes the Formats of the asset, v; what is none is written as an empty
// list.
func (r *renderer) list(v []byte) {
	m := members{w: r.w}
	listed := false
	for _, f := range rawjson.FieldsOf(v) {
		if f.Name != "iterable" {
			m.put(f.Raw, f.Value)
		} else if !listed {
			listed = true
			m.name(f.Raw)
			r.items()
		}
	}
	if !listed {
		m.put([]byte(`"iterable"`), []byte("[]"))
	}
	m.end()
}

// items writes the list of the formats.
func (r *renderer) items() {
	r.w.WriteByte('[')
	for i, f := range r.formats {
		if i > 0 {
			r.w.WriteByte(',')
		}
		r.format(f)
	}
	r.w.WriteByte(']')
}

// format writes one Format.
func (r *renderer) format(f format) {
	if !rawjson.IsObject(f.raw) {
		r.w.Write(f.raw)
		return
	}
	asset := rawjson.Field{Raw: []byte(`"asset"`), Name: "asset", Value: r.flat.inside(f)}
	r.overlay(f.fields, rawjson.Fields{asset})
}

// overlay writes base with the members of over in their place, and the others
// of over, which are not null, behind them: rawjson.Overlay, without gathering
// the text.
func (r *renderer) overlay(base, over rawjson.Fields) {
	m := members{w: r.w}
	for _, f := range base {
		if v := over.Get(f.Name); v != nil {
			f.Value = v
		}
		m.put(f.Raw, f.Value)
	}
	for i, f := range over {
		if base.Get(f.Name) == nil && over[:i].Get(f.Name) == nil {
			m.put(f.Raw, over.Get(f.Name))
		}
	}
	m.end()
}

// preview writes the Preview of the asset.
func (r *renderer) preview(v []byte) {
	if !rawjson.IsObject(v) {
		r.w.Write(v)
		return
	}
	m := members{w: r.w}
	for _, f := range rawjson.FieldsOf(v) {
		m.name(f.Raw)
		if f.Name == "base" || f.Name == "overlay" {
			r.holder(f.Value)
		} else {
			r.w.Write(f.Value)
		}
	}
	m.end()
}

// holder writes a ReferencedFormat with its reference filled in.
func (r *renderer) holder(v []byte) {
	fields := rawjson.FieldsOf(v)
	id, ok := rawjson.Text(fields.Get("id"))
	if !ok || r.find(id) == nil {
		r.w.Write(v)
		return
	}
	m := members{w: r.w}
	for _, f := range fields {
		if f.Name != "reference" {
			m.put(f.Raw, f.Value)
		}
	}
	m.name([]byte(`"reference"`))
	over := rawjson.Fields{{Raw: []byte(`"asset"`), Name: "asset", Value: r.flat.idText}}
	for _, f := range rawjson.FieldsOf(fields.Get("reference")) {
		if !rawjson.IsNull(f.Value) {
			over = append(over, f)
		}
	}
	r.overlay(r.find(id).fields, over)
	m.end()
}

// rendered returns the FlattenedFormat that refers to a format, as holder
// writes it: the format's members with those over them that the reference
// stores itself.
func rendered(format, stored, assetID []byte) []byte {
	var asset rawjson.Object
	return rawjson.Overlay(format, rawjson.Overlay(asset.Set("asset", assetID).JSON(), stored))
}

// members writes an object member by member.
type members struct {
	w    *bufio.Writer
	some bool
}

// name writes a raw name; the value must follow.
func (m *members) name(raw []byte) {
	if m.some {
		m.w.WriteByte(',')
	} else {
		m.w.WriteByte('{')
	}
	m.some = true
	m.w.Write(raw)
	m.w.WriteByte(':')
}

func (m *members) put(name, value []byte) {
	m.name(name)
	m.w.Write(value)
}

// end closes the object.
func (m *members) end() {
	if !m.some {
		m.w.WriteByte('{')
	}
	m.w.WriteByte('}')
}
