package asset_test

import (
	"bufio"
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cairn/internal/asset"
)

// oddNames are the names that the package looks at.
var oddNames = []string{
	`"id"`, `"formats"`, `"iterable"`, `"form\u0061ts"`, `"original"`, `"preview"`, `"base"`, `"overlay"`, `"reference"`, `"asset"`, `"fragment"`, `"file"`,
	`"string"`, `"bytes"`, `"raw"`, `"base64"`, `"classification"`, `"updated"`, `"name"`, `"value"`, `"x"`, `"\u0000"`, `"tags"`, `"t\u0061gs"`, `"models"`,
}

var oddScalars = []string{`null`, `true`, `5`, `-0.0`, `1e400`, `""`, `"f1"`, `"f2"`, `"\ud800"`, `"f\u0031"`, `"data:,x"`, `[]`, `{}`, `[[]]`, `[null]`}

// odd generates JSON in which any name may have a value of any type, and some
// come twice.
func odd(levels int) *rapid.Generator[string] {
	if levels == 0 {
		return rapid.SampledFrom(oddScalars)
	}
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.SampledFrom([]string{"scalar", "object", "object", "object", "list"}).Draw(t, "kind") {
		case "object":
			var members []string
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(oddNames), 0, 4).Draw(t, "names") {
				members = append(members, name+":"+odd(levels-1).Draw(t, "value"))
			}
			return "{" + strings.Join(members, ",") + "}"
		case "list":
			return "[" + strings.Join(rapid.SliceOfN(odd(levels-1), 0, 3).Draw(t, "list"), ",") + "]"
		}
		return rapid.SampledFrom(oddScalars).Draw(t, "scalar")
	})
}

// oddAssets are objects that look a little like assets.
var oddAssets = rapid.Custom(func(t *rapid.T) []byte {
	member := func(name string, of ...string) string {
		if rapid.Bool().Draw(t, "odd") {
			return `"` + name + `":` + odd(3).Draw(t, name)
		}
		return `"` + name + `":` + strings.Join(of, "")
	}
	format := func() string {
		if rapid.Bool().Draw(t, "odd") {
			return odd(4).Draw(t, "format")
		}
		return `{` + member("id", `"f1"`) + `,` + member("fragment", `{`, member("string", `{`, member("raw", `"x"`), `}`), `}`) + `,` + member("asset", `{`, member("formats", `{"iterable":[]}`), `}`) + `}`
	}
	list := rapid.SliceOfN(rapid.Custom(func(*rapid.T) string { return format() }), 0, 3).Draw(t, "formats")
	reference := func() string { return `{` + member("id", `"f1"`) + `,` + member("reference", format()) + `}` }
	return []byte(`{` + strings.Join([]string{
		member("formats", `{`, member("iterable", `[`, strings.Join(list, ","), `]`), `}`),
		member("original", reference()), member("preview", `{`, member("base", reference()), `}`), member("id", `"a"`),
		member("tags", `{`, member("iterable", `[`, reference(), `]`), `}`),
	}, ",") + `}`)
})

// checkLists fails unless the lists are there without which clients throw.
func checkLists(t fataler, rendered string) {
	v := decode(t, rendered)
	for _, part := range []any{v, at(v, "original"), at(v, "preview", "base"), at(v, "preview", "overlay")} {
		if where := unlisted(part, ""); where != "" {
			t.Fatalf("%s has no list in %s", where, rendered)
		}
	}
	formats, ok := at(v, "formats", "iterable").([]any)
	if !ok {
		t.Fatalf("formats.iterable is no list in %s", rendered)
	}
	for _, f := range formats {
		if _, isObject := f.(map[string]any); !isObject {
			continue
		}
		if _, ok := at(f, "asset", "formats", "iterable").([]any); !ok {
			t.Fatalf("a format's asset.formats.iterable is no list in %s", rendered)
		}
	}
}

// unlisted returns where an object has a collection without a list which the
// clients read, or "".
func unlisted(v any, where string) string {
	object, _ := v.(map[string]any)
	for name, member := range object {
		place, below := where+"."+name, []any{member}
		switch name {
		case "formats", "tags":
			list, ok := at(member, "iterable").([]any)
			if member != nil && !ok {
				return place
			}
			below = list
		case "models":
			models, _ := member.(map[string]any)
			below = slices.Collect(maps.Values(models))
		case "reference", "asset":
		default:
			continue
		}
		for _, v := range below {
			if found := unlisted(v, place); found != "" {
				return found
			}
		}
	}
	return ""
}

// Whatever a document and a patch hold, nothing panics, what comes out is JSON,
// and the arguments stay as they are.
func TestOddTypes(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		either := rapid.OneOf(oddAssets, rapid.Map(odd(4), func(s string) []byte { return []byte(s) }))
		doc, patch := either.Draw(t, "doc"), either.Draw(t, "patch")
		before := [2][]byte{bytes.Clone(doc), bytes.Clone(patch)}
		checkCompacted(t, doc)
		for _, transferables := range []bool{true, false} {
			checkLists(t, render(t, doc, transferables))
			for _, id := range append(asset.FormatIDs(doc), "f1", "") {
				written(t, func(w *bufio.Writer) {
					if !asset.RenderFormat(w, doc, id, transferables) {
						w.WriteString("null")
					}
				})
			}
		}
		asset.OriginalText(doc)
		if seed, err := asset.FromSeed(patch, stamp()); err == nil {
			checkCompacted(t, seed)
		}
		got, _, _ := asset.UpdateFormat(doc, "f1", patch, now)
		checkCompacted(t, got)
		checkLists(t, render(t, got, true))
		if got, _, err := asset.Update(doc, patch, now); err == nil {
			accepted++
			checkCompacted(t, got)
			checkLists(t, render(t, got, true))
			asset.FormatIDs(got)
			asset.OriginalText(got)
		}
		if !bytes.Equal(doc, before[0]) || !bytes.Equal(patch, before[1]) {
			t.Fatalf("the arguments became %s and %s", doc, patch)
		}
	})
	if accepted == 0 {
		t.Error("no update was accepted: the test tests little")
	}
}

// Odd documents too survive another name, and their own rendering.
func TestOddTypesAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := oddAssets.Draw(t, "doc")
		before := render(t, doc, true)
		sent, changed, err := asset.Update(doc, []byte(before), now)
		if err == nil && (changed || !bytes.Equal(sent, doc)) {
			t.Fatalf("its own rendering %s\nchanged %s\nto      %s", before, doc, sent)
		}
	})
}
