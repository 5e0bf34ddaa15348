package importer

import "strings"

// A glob is a pattern with special characters, as a list of steps. An empty
// glob matches the empty text.
type glob []step

// A step takes bytes of the text.
type step struct {
	kind    stepKind
	literal byte
	set     *byteSet
}

type stepKind byte

const (
	oneByte  stepKind = iota // literal
	oneOf                    // a byte of set, which is never a slash
	anyName                  // "*": any number of bytes without a slash
	anyPath                  // "**": any number of bytes
	skipNext                 // before the two steps of "**/", which may be left out
)

// A byteSet holds the bytes for which it is true.
type byteSet [256]bool

// parseGlob reports false if the pattern is malformed and so matches nothing:
// it ends in a backslash, a bracket is not closed or names an unknown class.
func parseGlob(s string) (glob, bool) {
	var g glob
	for i := 0; i < len(s); {
		switch s[i] {
		case '\\':
			if i+1 == len(s) {
				return nil, false
			}
			g = append(g, step{literal: s[i+1]})
			i += 2
		case '?':
			g = append(g, step{kind: oneOf, set: new(byteSet).negate()})
			i++
		case '[':
			set, n, ok := parseSet(s[i:])
			if !ok {
				return nil, false
			}
			g = append(g, step{kind: oneOf, set: set})
			i += n
		case '*':
			steps, n := parseStars(s, i)
			g = append(g, steps...)
			i += n
		default:
			g = append(g, step{literal: s[i]})
			i++
		}
	}
	return g, true
}

// parseStars reads the stars at s[i:] and returns how many bytes they take. Two
// or more cross slashes if they are a whole element of the path; "**/" stands
// for no folder as well.
func parseStars(s string, i int) (steps []step, n int) {
	rest := strings.TrimLeft(s[i:], "*")
	n = len(s) - i - len(rest)
	starts := i == 0 || s[i-1] == '/'
	switch {
	case n >= 2 && starts && strings.HasPrefix(rest, "/"):
		return []step{{kind: skipNext}, {kind: anyPath}, {literal: '/'}}, n + 1
	case n >= 2 && starts && (rest == "" || strings.HasPrefix(rest, `\/`)):
		return []step{{kind: anyPath}}, n
	}
	return []step{{kind: anyName}}, n
}

// match reports whether g matches the whole text. It follows all ways through g
// at once, so that no pattern takes more than len(g)*len(text) steps.
func (g glob) match(text string) bool {
	if len(g) == 0 {
		return text == ""
	}
	now, next := make([]bool, len(g)+1), make([]bool, len(g)+1)
	g.enter(now, 0)
	for i := range len(text) {
		clear(next)
		stuck := true
		for k, s := range g {
			if !now[k] {
				continue
			}
			if to, ok := s.take(k, text[i]); ok {
				g.enter(next, to)
				stuck = false
			}
		}
		if stuck {
			return false
		}
		now, next = next, now
	}
	return now[len(g)]
}

// enter marks step k, and the steps that can come in its place without taking
// a byte. The step after the last stands for the end.
func (g glob) enter(marks []bool, k int) {
	for !marks[k] {
		marks[k] = true
		if k == len(g) {
			return
		}
		switch g[k].kind {
		case anyName, anyPath:
		case skipNext:
			g.enter(marks, k+3)
		default:
			return
		}
		k++
	}
}

// take reports whether s, the step k, takes the byte c, and which step is next.
func (s step) take(k int, c byte) (next int, ok bool) {
	switch s.kind {
	case oneByte:
		return k + 1, c == s.literal
	case oneOf:
		return k + 1, s.set[c]
	case anyName:
		return k, c != '/'
	case anyPath:
		return k, true
	}
	return k, false
}
