package rawjson

import (
	"bytes"
	"unsafe"
)

// Fields are the members of an object as one pass over its text found them, for
// those who look at several. The zero value has none.
type Fields []Field

// A Field is a member of an object.
type Field struct {
	Raw   []byte // the name as it stands, in quotes
	Name  string // decoded; it may share the memory of the text, as Raw does
	Value []byte
}

// FieldsOf returns the members of an object, in order, and none for any other
// value.
func FieldsOf(v []byte) Fields { return AppendFields(nil, v) }

// AppendFields appends what [FieldsOf] returns.
func AppendFields(dst Fields, v []byte) Fields {
	for raw, value := range Members(v) {
		dst = append(dst, Field{raw, sharedText(raw), value})
	}
	return dst
}

// sharedText is Text without a copy where that is possible.
func sharedText(v []byte) string {
	if !IsString(v) || len(v) == len(`""`) || bytes.IndexByte(v, '\\') >= 0 {
		text, _ := Text(v)
		return text
	}
	return unsafe.String(&v[1], len(v)-len(`""`))
}

// Get returns the value of the member called name, or nil; of several the last
// one, like [Get].
func (f Fields) Get(name string) []byte {
	if i := f.Last(name); i >= 0 {
		return f[i].Value
	}
	return nil
}

// Last returns where the last of the members called name is, or -1.
func (f Fields) Last(name string) int {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Name == name {
			return i
		}
	}
	return -1
}
