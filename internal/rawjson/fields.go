package rawjson

// Fields are the members of an object as one pass over its text found them, for
// those who look at several. The zero value has none.
type Fields []Field

// A Field is a member of an object.
type Field struct {
	Raw   []byte // the name as it stands, in quotes
	Name  string // decoded
	Value []byte
}

// FieldsOf returns the members of an object, in order, and none for any other
// value.
func FieldsOf(v []byte) Fields {
	var f Fields
	for raw, value := range Members(v) {
		name, _ := Text(raw)
		f = append(f, Field{raw, name, value})
	}
	return f
}

// Get returns the value of the member called name, or nil; of several the last
// one, like [Get].
func (f Fields) Get(name string) []byte {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Name == name {
			return f[i].Value
		}
	}
	return nil
}
