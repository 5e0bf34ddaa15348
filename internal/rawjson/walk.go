package rawjson

// Stop is what a visit returns that has seen enough, in the place of a length.
const Stop = -1

// Walk passes over an object once, for those who look for something deep in a
// large one. visit gets each name, decoded, which may share the memory of the
// text, with the text from the beginning of its value on, which does not end
// with the value, and returns how long the value is: [Length] knows, and so does
// a Walk of its own. Walk returns the length of the object, or [Stop] when visit
// did. rest must begin with one; of the brace that opens it only the place counts.
func Walk(rest []byte, visit func(name string, rest []byte) int) int {
	i := 1
	for rest[i] != '}' {
		colon := endString(rest, i)
		name := sharedText(rest[i:colon:colon])
		i = colon + 1
		n := visit(name, rest[i:])
		if n == Stop {
			return Stop
		}
		i += n
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
		n := visit(rest[i:])
		if n == Stop {
			return Stop
		}
		i += n
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
