package rawjson

import (
	"bytes"
	"iter"
	"unicode/utf8"
)

// IsObject reports whether v is an object.
func IsObject(v []byte) bool { return len(v) > 0 && v[0] == '{' }

// IsArray reports whether v is an array.
func IsArray(v []byte) bool { return len(v) > 0 && v[0] == '[' }

// IsString reports whether v is a string.
func IsString(v []byte) bool { return len(v) > 0 && v[0] == '"' }

// IsNull reports whether v is null or absent.
func IsNull(v []byte) bool { return len(v) == 0 || v[0] == 'n' }

// end returns the offset behind the value that begins at v[i].
func end(v []byte, i int) int {
	switch v[i] {
	case '"':
		return endString(v, i)
	case '{', '[':
		for depth := 0; ; {
			switch v[i] {
			case '"':
				i = endString(v, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(v) && v[i] != ',' && v[i] != ']' && v[i] != '}' {
		i++
	}
	return i
}

// endString returns the offset behind the string that begins at v[i].
func endString(v []byte, i int) int {
	i++
	for {
		n := bytes.IndexByte(v[i:], '"')
		i += n
		slashes := 0
		for v[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i
		}
	}
}

// Members yields the names (raw, in quotes) and values of an object, in order.
// It yields nothing for any other value.
func Members(v []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if !IsObject(v) || len(v) < 3 {
			return
		}
		for i := 1; i < len(v); {
			colon := endString(v, i)
			e := end(v, colon+1)
			if !yield(v[i:colon:colon], v[colon+1:e:e]) {
				return
			}
			i = e + 1 // behind the comma or the closing brace
		}
	}
}

// Elements yields the values of an array, in order, and nothing for any other
// value.
func Elements(v []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !IsArray(v) || len(v) < 3 {
			return
		}
		for i := 1; i < len(v); {
			e := end(v, i)
			if !yield(v[i:e:e]) {
				return
			}
			i = e + 1
		}
	}
}

// Get returns the value of the object's member called name, or nil. Of members
// with the same name the last one counts, as in JavaScript. name is compared
// with the decoded names.
func Get(v []byte, name string) []byte {
	var found []byte
	for n, value := range Members(v) {
		if nameIs(n, name) {
			found = value
		}
	}
	return found
}

// Path follows names from object to object.
func Path(v []byte, names ...string) []byte {
	for _, name := range names {
		v = Get(v, name)
	}
	return v
}

// nameIs reports whether the raw name in quotes is that of the Go string.
func nameIs(raw []byte, name string) bool {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner) == name
	}
	text, _ := Text(raw)
	return text == name
}

// Text decodes a string value; ok is false for any other value. A surrogate
// without its other half, which UTF-8 cannot hold, becomes the three bytes
// that UTF-8's scheme would give it (WTF-8), so that different strings stay
// different; make it printable with strings.ToValidUTF8.
func Text(v []byte) (text string, ok bool) {
	if !IsString(v) {
		return "", false
	}
	inner := v[1 : len(v)-1]
	at := bytes.IndexByte(inner, '\\')
	if at < 0 {
		return string(inner), true
	}
	out := make([]byte, 0, len(inner))
	for ; at >= 0; at = bytes.IndexByte(inner, '\\') {
		out = append(out, inner[:at]...)
		var n int
		out, n = unescape(out, inner[at:])
		inner = inner[at+n:]
	}
	return string(append(out, inner...)), true
}

// unescape appends what the escape at the start of b stands for, and returns
// its length.
func unescape(out, b []byte) ([]byte, int) {
	switch b[1] {
	case 'b':
		return append(out, '\b'), 2
	case 'f':
		return append(out, '\f'), 2
	case 'n':
		return append(out, '\n'), 2
	case 'r':
		return append(out, '\r'), 2
	case 't':
		return append(out, '\t'), 2
	case 'u':
	default:
		return append(out, b[1]), 2
	}
	r := hex4(b[2:])
	if r < 0xD800 || r > 0xDFFF {
		return utf8.AppendRune(out, r), 6
	}
	if r <= 0xDBFF && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if low := hex4(b[8:]); 0xDC00 <= low && low <= 0xDFFF {
			return utf8.AppendRune(out, 0x10000+(r-0xD800)<<10+(low-0xDC00)), 12
		}
	}
	return append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF), 6
}

// AppendString appends s as a JSON string, escaping only what must be. Bytes
// of s that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		b := s[i]
		if plain[b] {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, `\n`...)
		case b == '\r':
			dst = append(dst, `\r`...)
		case b == '\t':
			dst = append(dst, `\t`...)
		case b < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		default:
			dst = append(dst, "\uFFFD"...)
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
