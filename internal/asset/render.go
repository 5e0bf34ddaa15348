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

// Render writes the form of an asset that clients read, as a new [Renderer]
// does.
func Render(w *bufio.Writer, doc []byte, transferables bool) {
	NewRenderer(w, transferables).Render(doc)
}

// RenderFormat writes the form of one of the asset's formats that clients
// read; ok is false, and nothing written, when the asset has no such format.
func RenderFormat(w *bufio.Writer, doc []byte, id string, transferables bool) (ok bool) {
	r := NewRenderer(w, transferables)
	r.parse(doc)
	f := r.find(id)
	if f == nil {
		return false
	}
	r.format(*f)
	return true
}

// A Renderer writes assets one after the other. It takes each apart once, since
// the texts are long and each look at them would cost as much as writing them,
// and keeps its memory for the next.
type Renderer struct {
	w             *bufio.Writer
	transferables bool

	arena   arena
	doc     rawjson.Fields
	list    rawjson.Fields // the members of its formats
	formats []format       // its items
	flat    flattened
}

// NewRenderer returns a Renderer of assets with their raw contents, or without
// where transferables is false.
func NewRenderer(w *bufio.Writer, transferables bool) *Renderer {
	return &Renderer{w: w, transferables: transferables}
}

// Render writes the form of an asset that clients read: its stored form with
// the references of original and preview, and each format's flattened asset,
// filled in; the list of formats, without which the generated clients throw, is
// there even if the document lacks it, and other collections without a list are
// null. Of members with the same name only the last, which is the one that
// counts, is filled in: a document of many must not become one of as many
// copies. Errors are those of the writer, which keeps the first.
func (r *Renderer) Render(doc []byte) {
	r.parse(doc)
	m := members{w: r.w}
	formats, original, preview := r.doc.Last("formats"), r.doc.Last("original"), r.doc.Last("preview")
	for i, f := range r.doc {
		m.name(f.Raw)
		switch i {
		case formats:
			r.formatList()
		case original:
			r.holder(f.Value)
		case preview:
			r.preview(f.Value)
		default:
			r.w.Write(f.Value)
		}
	}
	if formats < 0 {
		m.put([]byte(`"formats"`), []byte(`{"iterable":[]}`))
	}
	m.end()
}

// parse takes an asset apart.
func (r *Renderer) parse(doc []byte) {
	if !r.transferables {
		doc = rawjson.Prune(doc, func(parent, name string) bool {
			return slices.Contains(contentKinds, parent) && (name == "string" || name == "bytes")
		})
	}
	r.arena.fields = r.arena.fields[:0]
	r.doc = r.arena.fieldsOf(readable(doc))
	r.list = r.arena.fieldsOf(r.doc.Get("formats"))
	r.formats = parseFormats(&r.arena, r.formats[:0], r.list.Get("iterable"))
	r.flat = flattenFields(r.doc, r.formats)
}

// find returns the first format with the id, or nil.
func (r *Renderer) find(id string) *format {
	for i, f := range r.formats {
		if rawjson.IsString(f.id) && f.text == id {
			return &r.formats[i]
		}
	}
	return nil
}

// formatList writes the Formats of the asset; what is none is written as an empty
// list.
func (r *Renderer) formatList() {
	m := members{w: r.w}
	iterable := r.list.Last("iterable")
	for i, f := range r.list {
		if i == iterable {
			m.name(f.Raw)
			r.items()
		} else {
			m.put(f.Raw, f.Value)
		}
	}
	if iterable < 0 {
		m.put([]byte(`"iterable"`), []byte("[]"))
	}
	m.end()
}

// items writes the list of the formats.
func (r *Renderer) items() {
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
func (r *Renderer) format(f format) {
	if !rawjson.IsObject(f.raw) {
		r.w.Write(f.raw)
		return
	}
	asset := rawjson.Field{Raw: []byte(`"asset"`), Name: "asset", Value: r.flat.inside(f)}
	r.overlay(f.fields, rawjson.Fields{asset})
}

// overlay writes base with the members of over, which are not null, in their
// place, and the others of over behind them: rawjson.Overlay, without gathering
// the text.
func (r *Renderer) overlay(base, over rawjson.Fields) {
	m := members{w: r.w}
	values := map[string][]byte{} // of over, nil for those that are written
	for _, f := range over {
		values[f.Name] = f.Value
	}
	for _, fields := range []rawjson.Fields{base, over} {
		for _, f := range fields {
			v, replaced := values[f.Name]
			if !replaced {
				v = f.Value
			} else {
				values[f.Name] = nil
			}
			if v != nil {
				m.put(f.Raw, v)
			}
		}
	}
	m.end()
}

// preview writes the Preview of the asset.
func (r *Renderer) preview(v []byte) {
	if !rawjson.IsObject(v) {
		r.w.Write(v)
		return
	}
	m := members{w: r.w}
	fields := r.arena.fieldsOf(v)
	base, overlay := fields.Last("base"), fields.Last("overlay")
	for i, f := range fields {
		m.name(f.Raw)
		if i == base || i == overlay {
			r.holder(f.Value)
		} else {
			r.w.Write(f.Value)
		}
	}
	m.end()
}

// holder writes a ReferencedFormat with its reference filled in.
func (r *Renderer) holder(v []byte) {
	fields := r.arena.fieldsOf(v)
	id, ok := rawjson.Text(fields.Get("id"))
	format := r.find(id)
	if !ok || format == nil {
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
	for _, f := range r.arena.fieldsOf(fields.Get("reference")) {
		if !rawjson.IsNull(f.Value) {
			over = append(over, f)
		}
	}
	r.overlay(format.fields, over)
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
