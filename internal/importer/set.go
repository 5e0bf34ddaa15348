package importer

import "strings"

// parseSet reads the bracket expression at the start of s, such as [a-z_],
// [!0-9] or [[:alpha:]], and returns how many bytes it takes. It reports false
// if the closing bracket is missing or a class is unknown.
func parseSet(s string) (set *byteSet, n int, ok bool) {
	set = new(byteSet)
	i := 1
	negated := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negated {
		i++
	}
	start := byte(0) // what a "-" would count from; 0 if it would stand for itself
	for first := i; i < len(s); {
		switch c := s[i]; {
		case c == ']' && i > first:
			if negated {
				set.negate()
			}
			set['/'] = false
			return set, i + 1, true
		case c == '-' && start != 0 && i+1 < len(s) && s[i+1] != ']':
			end, n := unescape(s[i+1:])
			set.addRange(start, end)
			start = 0
			i += 1 + n
		case strings.HasPrefix(s[i:], "[:"):
			// Only what ends in ":]" at the next bracket is a class.
			name, _, _ := strings.Cut(s[i+2:], "]")
			class, isClass := strings.CutSuffix(name, ":")
			if isClass && !set.addClass(class) {
				return nil, 0, false
			}
			start = 0
			if isClass {
				i += len("[:") + len(name) + len("]")
			} else {
				set['['] = true
				i++ // to the colon
			}
		default:
			var n int
			start, n = unescape(s[i:])
			set[start] = true
			i += n
		}
	}
	return nil, 0, false
}

// unescape returns the first byte of s, or the one after a backslash, and how
// many bytes that takes: more than there are if the backslash is the last.
func unescape(s string) (c byte, n int) {
	switch {
	case s[0] != '\\':
		return s[0], 1
	case len(s) == 1:
		return 0, 2
	}
	return s[1], 2
}

// negate turns set into all bytes that it did not hold, but the slash, and
// returns it.
func (set *byteSet) negate() *byteSet {
	for c := range set {
		set[c] = !set[c] && c != '/'
	}
	return set
}

// addRange adds the bytes from first to last: none if last is smaller.
func (set *byteSet) addRange(first, last byte) {
	for c := int(first); c <= int(last); c++ {
		set[c] = true
	}
}

// addClass adds the ASCII characters of a class of POSIX as git has them: its
// space is without vertical tab and form feed. It reports false if there is no
// such class.
func (set *byteSet) addClass(name string) bool {
	in, ok := map[string]func(c byte) bool{
		"alnum":  func(c byte) bool { return isAlpha(c) || isDigit(c) },
		"alpha":  isAlpha,
		"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
		"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
		"digit":  isDigit,
		"graph":  func(c byte) bool { return '!' <= c && c <= '~' },
		"lower":  func(c byte) bool { return 'a' <= c && c <= 'z' },
		"print":  func(c byte) bool { return ' ' <= c && c <= '~' },
		"punct":  func(c byte) bool { return '!' <= c && c <= '~' && !isAlpha(c) && !isDigit(c) },
		"space":  func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' },
		"upper":  func(c byte) bool { return 'A' <= c && c <= 'Z' },
		"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
	}[name]
	for c := 0; ok && c < len(set); c++ {
		set[c] = set[c] || in(byte(c))
	}
	return ok
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
