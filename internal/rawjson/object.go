package rawjson

import "slices"

// An Object builds the text of a JSON object, member by member. The zero
// Object is ready to use.
type Object struct{ buf []byte }

// Set appends a member whose value is compacted JSON text; an absent value
// (nil) appends nothing. Names must differ.
func (o *Object) Set(name string, value []byte) *Object {
	if value != nil {
		o.open()
		o.buf = append(AppendString(o.buf, name), ':')
		o.buf = append(o.buf, value...)
	}
	return o
}

// SetText appends a member whose value is a string.
func (o *Object) SetText(name, value string) *Object {
	o.open()
	o.buf = append(AppendString(o.buf, name), ':')
	o.buf = AppendString(o.buf, value)
	return o
}

// Grow makes room for an object of about n bytes.
func (o *Object) Grow(n int) *Object {
	o.buf = slices.Grow(o.buf, n)
	return o
}

// setRaw appends a member whose name is raw, in quotes.
func (o *Object) setRaw(name, value []byte) {
	o.open()
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, ':')
	o.buf = append(o.buf, value...)
}

// open writes what stands before a name.
func (o *Object) open() {
	if len(o.buf) == 0 {
		o.buf = append(o.buf, '{')
	} else {
		o.buf = append(o.buf, ',')
	}
}

// Empty reports whether the object has no members yet.
func (o *Object) Empty() bool { return len(o.buf) == 0 }

// JSON returns the text of the object.
func (o *Object) JSON() []byte {
	if o.Empty() {
		return []byte("{}")
	}
	return append(o.buf[:len(o.buf):len(o.buf)], '}')
}

// Replace returns object v with the member called name set to value: in its
// place when v has it, at the end otherwise; a nil value removes it. A value
// that is no object counts as an empty one.
func Replace(v []byte, name string, value []byte) []byte {
	var o Object
	done := value == nil
	for n, old := range Members(v) {
		switch {
		case !nameIs(n, name):
			o.setRaw(n, old)
		case !done:
			o.setRaw(n, value)
			done = true
		}
	}
	if !done {
		o.Set(name, value)
	}
	return o.JSON()
}

// Rewrite returns object v with the value of each member replaced by what edit
// makes of it; nil removes the member. A value that is no object counts as an
// empty one.
func Rewrite(v []byte, edit func(name string, value []byte) []byte) []byte {
	o := Object{buf: make([]byte, 0, len(v))}
	for n, old := range Members(v) {
		name, _ := Text(n)
		if value := edit(name, old); value != nil {
			o.setRaw(n, value)
		}
	}
	return o.JSON()
}

// Prune returns v without the members that drop chooses, at any depth, by their
// names and the name of the member whose value is the object that they are in,
// "" for other objects.
func Prune(v []byte, drop func(parent, name string) bool) []byte {
	if IsNull(v) {
		return v
	}
	return prune(make([]byte, 0, len(v)), parse(v), "", drop)
}

func prune(dst []byte, v value, parent string, drop func(parent, name string) bool) []byte {
	raw := v.raw()
	switch {
	case IsObject(raw):
		o := object{dst: append(dst, '{')}
		for n, member := range v.members() {
			if name := n.name(); !drop(parent, name) {
				o.name(n.raw())
				o.dst = prune(o.dst, member, name, drop)
			}
		}
		return append(o.dst, '}')
	case IsArray(raw):
		return appendList(dst, v, func(dst []byte, e value) []byte { return prune(dst, e, "", drop) })
	}
	return append(dst, raw...)
}

// Overlay returns the members of base with those of over in their place, and
// the other members of over behind them. Members of over that are null do not
// count; of members with the same name the last one does.
func Overlay(base, over []byte) []byte {
	values := map[string][]byte{}
	for n, v := range Members(over) {
		name, _ := Text(n)
		values[name] = v
	}
	done := map[string]bool{}
	var o Object
	for n, v := range Members(base) {
		name, _ := Text(n)
		if value := values[name]; !IsNull(value) {
			if done[name] {
				continue
			}
			v, done[name] = value, true
		}
		o.setRaw(n, v)
	}
	for n := range Members(over) {
		name, _ := Text(n)
		if value := values[name]; !IsNull(value) && !done[name] {
			o.setRaw(n, value)
			done[name] = true
		}
	}
	return o.JSON()
}

// Array returns the text of an array of the given values.
func Array(values ...[]byte) []byte {
	size := len("[]") + len(values)
	for _, v := range values {
		size += len(v)
	}
	out := append(make([]byte, 0, size), '[')
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v...)
	}
	return append(out, ']')
}
