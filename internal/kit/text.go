package kit

import (
	"bytes"
	_ "embed"
	"strings"
	"text/template"
)

//go:embed kit.txt
var textSource string

// width is that of the text in characters. A URL may be longer, since it cannot be
// broken.
const width = 80

// view is what the templates see.
type view struct {
	Kit
	Place    place
	Commands commands
	Made     string // when and where
	Check    string
	KeyFile  string
	Groups   []string
}

// viewOf returns what the templates see of k, with nothing in it that could be
// taken for a line of theirs.
func (k Kit) viewOf() view {
	k.Cloud, k.URL, k.PublicKey, k.Device = printable(k.Cloud), printable(k.URL), printable(k.PublicKey), printable(k.Device)
	p := placeOf(k.URL)
	made := k.Created.UTC().Format("2 January 2006")
	if k.Device != "" {
		made += " on " + k.Device
	}
	return view{Kit: k, Place: p, Commands: k.commandsOf(p), Made: made, Check: k.Check(), KeyFile: k.KeyFile().Reveal(), Groups: k.groups()}
}

// Text returns the kit as plain text in lines of at most 80 characters, but for
// names and URLs that are longer. It holds the key.
func (k Kit) Text() []byte {
	funcs := template.FuncMap{"code": indent, "wrap": wrap, "rows": rows}
	var b bytes.Buffer
	if err := template.Must(template.New("kit").Funcs(funcs).Parse(textSource)).Execute(&b, k.viewOf()); err != nil {
		panic("kit: " + err.Error()) // of the template, which the tests run
	}
	return b.Bytes()
}

// indent puts commands apart from what is said about them.
func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// wrap breaks prose at blanks.
func wrap(text string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch n := len([]rune(word)); {
		case column == 0:
			column = n
		case column+1+n > width:
			b.WriteByte('\n')
			column = n
		default:
			b.WriteByte(' ')
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// rows joins the groups of a key in rows that fit the text.
func rows(groups []string) string {
	const each = 7
	var lines []string
	for len(groups) > each {
		lines = append(lines, strings.Join(groups[:each], " "))
		groups = groups[each:]
	}
	return strings.Join(append(lines, strings.Join(groups, " ")), "\n")
}
