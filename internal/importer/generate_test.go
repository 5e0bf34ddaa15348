package importer_test

import (
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"strings"
)

// A generator makes trees and rules that have to do with each other.
type generator struct{ *rand.Rand }

// pick returns one of s.
func (g generator) pick(s ...string) string { return s[g.IntN(len(s))] }

// one reports true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

// name returns the name of a file or folder. Few are so many that the same name
// is found in several folders.
func (g generator) name() string {
	names := []string{"a", "b", "c", "ab", "abc", "a.o", "b.o", "x.log", "foo", "bar", "foobar", "a b", "-", "a-b", "]", "[a]", "!y", "#x", " s", "^", "z9"}
	if runtime.GOOS != "windows" {
		names = append(names, "s ", `a\b`, "a*", "?", "t\t", "x ")
	}
	if runtime.GOOS == "linux" {
		names = append(names, "\xff", "é", "A", "a\r")
	}
	return g.pick(names...)
}

// tree adds the names of files below folder, "" or with a slash at the end.
func (g generator) tree(files map[string]string, folder string, depth int) {
	taken := make(map[string]bool)
	for range 1 + g.IntN(6) {
		name := g.name()
		if taken[name] {
			continue
		}
		taken[name] = true
		if depth > 0 && g.one(2) {
			g.tree(files, folder+name+"/", depth-1)
		} else {
			files[folder+name] = ""
		}
	}
}

// places returns the top and a few folders of paths.
func (g generator) places(paths []string) []string {
	folders := []string{""}
	for range g.IntN(4) {
		p := g.pick(paths...)
		if f := p[:strings.LastIndexByte(p, '/')+1]; !slices.Contains(folders, f) {
			folders = append(folders, f)
		}
	}
	return folders
}

// rules returns the text of a .gitignore file in folder.
func (g generator) rules(paths []string, folder string) string {
	var b strings.Builder
	if g.one(20) {
		b.WriteString("\ufeff")
	}
	for range 1 + g.IntN(7) {
		b.WriteString(g.line(paths, folder))
		if g.one(20) {
			b.WriteString("\r")
		}
		b.WriteString("\n")
	}
	text := b.String()
	if g.one(10) {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

// line returns one line of rules.
func (g generator) line(paths []string, folder string) string {
	if g.one(15) {
		return g.pick("", "#a", "# comment", "   ", "/", "!", "//", `\`, "#", "!#x", `\#x`, `\!y`, "!!y")
	}
	var line string
	switch g.IntN(10) {
	case 0, 1:
		line = g.pick("*", "**", "*/*", "**/*", "*/**", "***", "*.o", "*.*", "a*", "a**", "*b", "a**/b", "**a/b", "**/**",
			"a/**/b", "**/a", "a/**", "?", "[a-c]", "[!a-c]*", "[[:alpha:]]", "*[[:punct:]]*", `\a`, `**\/a`, "*a*b*")
	case 2, 3:
		line = g.soup()
	default:
		line = g.like(g.pick(paths...), folder)
	}
	if g.one(8) {
		line = "/" + line
	}
	if g.one(6) {
		line += "/"
	}
	if g.one(4) {
		line = "!" + line
	}
	if g.one(8) {
		line += g.pick(" ", "  ", `\ `, ` \ `, `\  `, `\\ `, "\t", " \t", "\r", `\`)
	}
	if g.one(100) {
		line += "\x00more"
	}
	return line
}

// soup returns a pattern of any characters, mostly special ones.
func (g generator) soup() string {
	var b strings.Builder
	for range 1 + g.IntN(8) {
		b.WriteString(g.pick("a", "b", "o", "x", ".", "*", "**", "*", "?", "/", "/", "[", "]", "[a-", "[!", "[^",
			"-", `\`, "[]", "[:alpha:]", "[[:lower:]", "[:", ":]", " ", "#", "!", "z", "\xff"))
	}
	return b.String()
}

// like returns a pattern made from path, so that it often matches.
func (g generator) like(name, folder string) string {
	name = strings.TrimPrefix(name, folder)
	for g.one(3) && path.Dir(name) != "." {
		name = path.Dir(name)
	}
	elems := strings.Split(name, "/")
	if g.one(2) {
		elems = elems[g.IntN(len(elems)):]
	}
	for i, elem := range elems {
		elems[i] = g.bend(elem)
	}
	if g.one(4) {
		i := g.IntN(len(elems) + 1)
		elems = append(elems[:i:i], append([]string{"**"}, elems[i:]...)...)
	}
	slash := "/"
	if g.one(20) {
		slash = g.pick("?", "*", "[/]", "[!a]", "[+-9]", `\/`, "//")
	}
	return strings.Join(elems, slash)
}

// bend returns a pattern that matches elem, or nearly so.
func (g generator) bend(elem string) string {
	i := g.IntN(len(elem))
	before, at, after := elem[:i], elem[i:i+1], elem[i+1:]
	switch g.IntN(14) {
	case 0:
		return "*"
	case 1:
		return g.pick("**", "***")
	case 2:
		return before + g.pick("*", "**", "***")
	case 3:
		return g.pick("*", "**") + at + after
	case 4:
		return before + "?" + after
	case 5:
		return before + "[" + at + "]" + after
	case 6:
		return before + g.pick("[a-z]", "[!q]", "[^a]", `[\`+at+"]", "[]-a]", "[a-]", "[--/]", "[+--]", "[/]",
			"[[:alnum:]]", "[[:space:]]", "[^[:alpha:]]", "[[:alpha:][:punct:]]", "[[:foo:]]", "[z-a]", `[\]]`) + after
	case 7:
		return before + `\` + at + after
	case 8:
		return before + "*" + at + "*" + after
	case 9:
		return strings.NewReplacer("[", `\[`, "*", `\*`, "?", `\?`, `\`, `\\`, "#", `\#`, "!", `\!`).Replace(elem)
	}
	return elem
}
