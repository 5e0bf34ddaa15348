package asset

import (
	"bufio"
	"iter"

	"cairn/internal/rawjson"
)

// fullListMost is up to how many formats an asset may have for each of them to
// carry the ids of all in its flattened asset. Beyond, each carries its own id
// alone: ten thousand formats would make a hundred million ids.
const fullListMost = 100

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
	r := renderer{w: w, doc: doc, flat: flatten(doc), transferables: transferables}
	m := members{w: w}
	listed := false
	for name, v := range rawjson.Members(doc) {
		switch string(name) {
		case `"formats"`:
			listed = true
			m.name(name)
			r.formats(v)
		case `"original"`:
			m.name(name)
			r.holder(v)
		case `"preview"`:
			m.name(name)
			r.preview(v)
		default:
			m.put(name, v)
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
	r := renderer{w: w, doc: doc, flat: flatten(doc), transferables: transferables}
	f := r.find(id)
	if f == nil {
		return false
	}
	r.format(f)
	return true
}

type renderer struct {
	w             *bufio.Writer
	doc           []byte
	flat          flattened
	transferables bool
}

// find returns the format with the id, or nil.
func (r *renderer) find(id string) []byte {
	for f := range formats(r.doc) {
		if got, ok := rawjson.Text(rawjson.Get(f, "id")); ok && got == id {
			return f
		}
	}
	return nil
}

// formats writes the Formats of the asset.
func (r *renderer) formats(v []byte) {
	m := members{w: r.w}
	for name, member := range rawjson.Members(v) {
		if string(name) != `"iterable"` {
			m.put(name, member)
		}
	}
	m.name([]byte(`"iterable"`))
	r.w.WriteByte('[')
	first := true
	for f := range rawjson.Elements(rawjson.Get(v, "iterable")) {
		if !first {
			r.w.WriteByte(',')
		}
		first = false
		r.format(f)
	}
	r.w.WriteByte(']')
	m.end()
}

// format writes one Format.
func (r *renderer) format(f []byte) {
	if !rawjson.IsObject(f) {
		r.w.Write(f)
		return
	}
	id, _ := rawjson.Text(rawjson.Get(f, "id"))
	r.object(f, nil, r.flat.over(rawjson.Get(f, "asset"), id))
}

// object writes a Format or FlattenedFormat: the members of format, those of
// stored over them, and asset. Contents that are not wanted are left out.
func (r *renderer) object(format, stored, asset []byte) {
	over := map[string][]byte{"asset": asset}
	var names [][]byte
	for name, v := range rawjson.Members(stored) {
		if n, _ := rawjson.Text(name); !rawjson.IsNull(v) {
			over[n] = v
			names = append(names, name)
		}
	}
	m := members{w: r.w}
	for name, v := range rawjson.Members(format) {
		n, _ := rawjson.Text(name)
		if o, ok := over[n]; ok {
			v = o
			delete(over, n)
		}
		m.put(name, r.content(n, v))
	}
	for _, name := range append(names, []byte(`"asset"`)) {
		n, _ := rawjson.Text(name)
		if v, ok := over[n]; ok {
			m.put(name, r.content(n, v))
			delete(over, n)
		}
	}
	m.end()
}

// content returns the member of a format as it is to be shown.
func (r *renderer) content(name string, v []byte) []byte {
	if r.transferables || name != "fragment" && name != "file" || !rawjson.IsObject(v) {
		return v
	}
	return rawjson.Replace(rawjson.Replace(v, "string", nil), "bytes", nil)
}

// preview writes the Preview of the asset.
func (r *renderer) preview(v []byte) {
	if !rawjson.IsObject(v) {
		r.w.Write(v)
		return
	}
	m := members{w: r.w}
	for name, member := range rawjson.Members(v) {
		if n := string(name); n == `"base"` || n == `"overlay"` {
			m.name(name)
			r.holder(member)
		} else {
			m.put(name, member)
		}
	}
	m.end()
}

// holder writes a ReferencedFormat with its reference filled in.
func (r *renderer) holder(v []byte) {
	if !rawjson.IsObject(v) {
		r.w.Write(v)
		return
	}
	m := members{w: r.w}
	for name, member := range rawjson.Members(v) {
		if string(name) != `"reference"` {
			m.put(name, member)
		}
	}
	id, _ := rawjson.Text(rawjson.Get(v, "id"))
	stored := rawjson.Get(v, "reference")
	if f := r.find(id); f != nil {
		m.name([]byte(`"reference"`))
		r.object(f, stored, r.flat.idText)
	} else if rawjson.IsObject(stored) {
		m.put([]byte(`"reference"`), stored)
	}
	m.end()
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
