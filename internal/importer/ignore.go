package importer

import (
	"slices"
	"strings"
)

// This file and glob.go are a matcher of our own, because what a wrong one
// leaves in is secrets. github.com/git-pkgs/gitignore v1.1.0 has every pattern
// match what is below a folder, too, so that "*.log" and "!logs" together bring
// logs/x.log back, which git hides. Here a pattern is matched against one path
// only, and a folder that is ignored is not entered.

// rules are the patterns of one file, and, by above, those of the weaker ones.
// A nil *rules has none. They do not change once made.
type rules struct {
	above    *rules
	base     string // path of the folder that the patterns count from: "" or with a slash at the end
	patterns []pattern
}

// with returns r, followed by the patterns of a file in the folder at base.
func (r *rules) with(base string, text []byte) *rules {
	var patterns []pattern
	for line := range strings.SplitSeq(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		if p, ok := parsePattern(line); ok {
			patterns = append(patterns, p)
		}
	}
	if patterns == nil {
		return r
	}
	return &rules{above: r, base: base, patterns: patterns}
}

// ignored reports whether the file or folder at path, which lies below the base
// of r, is ignored, provided that none of its parents is: the last pattern that
// matches decides, in the deepest file that has one.
func (r *rules) ignored(path string, isDir bool) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	for ; r != nil; r = r.above {
		rel := path[len(r.base):]
		for _, p := range slices.Backward(r.patterns) {
			if p.match(rel, name, isDir) {
				return !p.negated
			}
		}
	}
	return false
}

// A pattern is one line of a .gitignore file:
//
//	line   = ["!"] ["/"] prefix tail ["/"]
//	prefix = what comes before the first special character
//	tail   = the rest, a glob
type pattern struct {
	negated  bool // "!": what it matches is not ignored
	dirOnly  bool // "/" at the end: matches folders only
	nameOnly bool // no other "/": matches the last element of a path at any depth
	prefix   string
	tail     glob // empty if the pattern has no special character
}

// parsePattern reports false for lines that match nothing: empty lines,
// comments, and malformed patterns.
func parsePattern(line string) (p pattern, ok bool) {
	if strings.HasPrefix(line, "#") {
		return p, false
	}
	line = strings.TrimSuffix(line, "\r")
	line, _, _ = strings.Cut(line, "\x00") // where git's strings end
	line = trimSpaces(line)
	line, p.negated = strings.CutPrefix(line, "!")
	line, p.dirOnly = strings.CutSuffix(line, "/")
	p.nameOnly = !strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return p, false
	}
	special := strings.IndexAny(line, `*?[\`)
	if special < 0 {
		special = len(line)
	}
	p.prefix = line[:special]
	// A "**" at the start of the tail counts as if a slash came before it,
	// even after a prefix that ends otherwise. That is not in git's manual, but
	// what git does: "a**/b" matches ab.
	p.tail, ok = parseGlob(line[special:])
	return p, ok
}

// trimSpaces cuts the spaces at the end of line, but no escaped one.
func trimSpaces(line string) string {
	end := 0 // of the last thing that is not a space
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = i + 1
	}
	return line[:min(end, len(line))]
}

// match reports whether p matches the path rel, counted from the folder of the
// pattern's file, whose last element is name.
func (p *pattern) match(rel, name string, isDir bool) bool {
	if p.dirOnly && !isDir {
		return false
	}
	if p.nameOnly {
		rel = name
	}
	rest, ok := strings.CutPrefix(rel, p.prefix)
	return ok && p.tail.match(rest)
}
