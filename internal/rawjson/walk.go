package rawjson

// Walk passes over an object once, for those who look for something deep in a
// large one. visit gets each name, decoded, which may share the memory of the
// text, with the text from the beginning of its value on, which does not end
// with the value, and returns how long the value is: [Length] knows, and so does
// a Walk of its own. Walk returns the length of the object. rest must begin with
// one.
func Walk(rest []byte, visit func(name string, rest []byte) int) int {
	i := 1
	for rest[i] != '}' {
		colon := endString(rest, i)
		name := sharedText(rest[i:colon:colon])
		i = colon + 1
		i += visit(name, rest[i:])
		if rest[i] == ',' {
			i++
		}
	}
	return i + 1
}

// WalkArray is Walk for an array, whose values have no names.
func WalkArray(rest []byte, visit func(rest []byte) int) int {
	i := 1
	for rest[i] != ']' {
		i += visit(rest[i:])
		if rest[i] == ',' {
			i++
		}
	}
	return i + 1
}

// Length returns the length of the value that the text begins with.
func Length(rest []byte) int { return end(rest, 0) }

// First returns the value that the text begins with.
func First(rest []byte) []byte {
	n := end(rest, 0)
	return rest[:n:n]
}
