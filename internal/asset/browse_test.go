package asset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// browsed is what a person looks for an asset by, and the ids of its formats.
type browsed struct {
	Name, Language, Created string
	IDs                     []string
}

func browse(doc []byte) (b browsed) {
	b.Name, b.Language, b.Created = asset.Browse(doc)
	for _, id := range asset.FormatIDs(doc) {
		b.IDs = append(b.IDs, strings.ToValidUTF8(id, "\uFFFD"))
	}
	return b
}

// slowly does the same with package json, which decodes everything.
func slowly(t fataler, doc []byte) (b browsed) {
	v := decode(t, string(doc))
	text := func(v any, path ...any) string {
		s, _ := at(v, path...).(string)
		return s
	}
	b.Name, b.Created = text(v, "name"), text(v, "created", "value")
	b.Language = text(v, "original", "reference", "classification", "specific")
	original, found := text(v, "original", "id"), b.Language != ""
	list, _ := at(v, "formats", "iterable").([]any)
	for _, f := range list {
		if _, isObject := f.(map[string]any); !isObject {
			continue
		}
		if id, ok := at(f, "id").(string); ok {
			b.IDs = append(b.IDs, id)
		}
		if !found && (original == "" || text(f, "id") == original) {
			b.Language, found = text(f, "classification", "specific"), true
		}
	}
	return b
}

func TestBrowse(t *testing.T) {
	for _, test := range []struct {
		doc  string
		want browsed
	}{
		{`{}`, browsed{}},
		{`null`, browsed{}},
		{`[]`, browsed{}},
		{`[{"name":"x"}]`, browsed{}},
		{`"name"`, browsed{}},
		{`{"name":"a","created":{"value":"2026"}}`, browsed{Name: "a", Created: "2026"}},
		{`{"name":5,"created":"2026"}`, browsed{}},
		{`{"name":"a","name":"b"}`, browsed{Name: "b"}},
		{`{"name":"a","n\u0061me":"b","name":null}`, browsed{}},
		{`{"x":{"name":"a"},"Name":"b"}`, browsed{}},
		{`{"name":"\ud800x\udc00"}`, browsed{Name: "\uFFFDx\uFFFD"}},
		{`{"name":"\ud83d\ude00\u0000\"\\"}`, browsed{Name: "😀\x00\"\\"}},
		{`{"created":{"value":"1","value":"2"},"created":{"value":"3","value":"4"}}`, browsed{Created: "4"}},
		{`{"formats":null}`, browsed{}},
		{`{"formats":[]}`, browsed{}},
		{`{"formats":{}}`, browsed{}},
		{`{"formats":{"iterable":null}}`, browsed{}},
		{`{"formats":{"iterable":{"id":"x"}}}`, browsed{}},
		{`{"formats":{"iterable":[]}}`, browsed{}},
		{`{"formats":{"iterable":[null,5,"x",[],[{"id":"x"}]]}}`, browsed{}},
		{`{"formats":{"iterable":[{}]}}`, browsed{}},
		{`{"formats":{"iterable":[{"id":5},{"id":null},{"id":"x"},{"id":"y","id":"z"},{"\u0069d":"w"}]}}`, browsed{IDs: []string{"x", "z", "w"}}},
		{`{"formats":{"iterable":[{"id":"x"}],"iterable":[{"id":"y"}]},"formats":{"iterable":[{"id":"z"}]}}`, browsed{IDs: []string{"z"}}},
		{`{"formats":{"iterable":[{"id":"x"}],"iterable":null}}`, browsed{}},
		{`{"formats":{"iterable":[{"id":"x"}]},"formats":null}`, browsed{}},
		{`{"formats":{"iterable":[{"id":"x","classification":{"specific":"go"}}]}}`, browsed{Language: "go", IDs: []string{"x"}}},
		{`{"original":{"id":"y"},"formats":{"iterable":[{"id":"x","classification":{"specific":"go"}},{"id":"y","classification":{"specific":"rs"}}]}}`, browsed{Language: "rs", IDs: []string{"x", "y"}}},
		{`{"original":{"id":"y","reference":{"classification":{"specific":"ts"}}},"formats":{"iterable":[{"id":"y","classification":{"specific":"rs"}}]}}`, browsed{Language: "ts", IDs: []string{"y"}}},
		{`{"original":{"id":"nowhere"},"formats":{"iterable":[{"id":"x","classification":{"specific":"go"}}]}}`, browsed{IDs: []string{"x"}}},
		{`{"original":5,"formats":{"iterable":[{"classification":{"specific":"go"}}]}}`, browsed{Language: "go"}},
	} {
		if diff := cmp.Diff(test.want, browse([]byte(test.doc))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.doc, diff)
		}
		if diff := cmp.Diff(slowly(t, []byte(test.doc)), browse([]byte(test.doc))); diff != "" {
			t.Errorf("%s (-slowly +got):\n%s", test.doc, diff)
		}
	}
}

// nearAssets are objects with the members that are looked at, some of them
// several times, in other forms, or of other types.
var nearAssets = rapid.Custom(func(t *rapid.T) string {
	// either returns a text, or once in a while anything.
	either := func(text func() string) string {
		if rapid.IntRange(0, 5).Draw(t, "odd") == 5 {
			return odd(3).Draw(t, "value")
		}
		return text()
	}
	pick := func(of ...string) func() string {
		return func() string { return rapid.SampledFrom(of).Draw(t, "text") }
	}
	object := func(members map[string]func() string) func() string {
		names := []string{}
		for name := range members {
			names = append(names, name)
		}
		slices.Sort(names)
		return func() string {
			var all []string
			chosen := rapid.Permutation(names).Draw(t, "names")
			if rapid.IntRange(0, 3).Draw(t, "twice") == 3 {
				chosen = append(chosen, rapid.SampledFrom(names).Draw(t, "again"))
			}
			for _, name := range chosen {
				if rapid.IntRange(0, 5).Draw(t, "missing") == 5 {
					continue
				}
				raw := `"` + name + `"`
				if rapid.IntRange(0, 5).Draw(t, "escaped") == 5 {
					raw = fmt.Sprintf(`"\u%04x%s"`, name[0], name[1:])
				}
				all = append(all, raw+":"+either(members[name]))
			}
			return "{" + strings.Join(all, ",") + "}"
		}
	}
	id := pick(`"f1"`, `"f2"`, `"f\u0031"`, `""`, `"\ud800"`)
	class := object(map[string]func() string{"specific": pick(`"go"`, `"rs"`, `"\udfff"`, `""`), "generic": pick(`"CODE"`)})
	format := object(map[string]func() string{"id": id, "classification": class, "fragment": pick(`{"string":{"raw":"x"}}`)})
	list := func() string {
		var all []string
		for range rapid.IntRange(0, 4).Draw(t, "formats") {
			all = append(all, either(format))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	return object(map[string]func() string{
		"name": pick(`"a"`, `"é😀"`, `"\ud83d\ude00\""`, `"x\ud800"`), "created": object(map[string]func() string{"value": pick(`"2026"`)}),
		"original": object(map[string]func() string{"id": id, "reference": format}), "formats": object(map[string]func() string{"iterable": list}),
		"id": pick(`"a"`), "x": format,
	})()
})

// Whatever an asset looks like, one pass over it finds what decoding it does.
func TestBrowseAgainstJSON(t *testing.T) {
	found := map[string]int{"a name": 0, "a language": 0, "a time": 0, "two formats": 0}
	rapid.Check(t, func(t *rapid.T) {
		doc := []byte(rapid.OneOf(nearAssets, nearAssets, rapid.Map(oddAssets, func(b []byte) string { return string(b) }), odd(4)).Draw(t, "doc"))
		checkCompacted(t, doc)
		got := browse(doc)
		if diff := cmp.Diff(slowly(t, doc), got); diff != "" {
			t.Fatalf("%s (-slowly +got):\n%s", doc, diff)
		}
		if !utf8.ValidString(got.Name + got.Language + got.Created) {
			t.Fatalf("%s: %+q is not UTF-8", doc, got)
		}
		if got.Name != "" {
			found["a name"]++
		}
		if got.Language != "" {
			found["a language"]++
		}
		if got.Created != "" {
			found["a time"]++
		}
		if len(got.IDs) > 1 {
			found["two formats"]++
		}
	})
	for what, times := range found {
		if times == 0 {
			t.Errorf("no asset had %s: the test tests little", what)
		}
	}
}

// longAssets are assets with a long text, whose members come in any order, each
// once; more than one of their objects has a member called original.
var longAssets = rapid.Custom(func(t *rapid.T) string {
	pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "of") }
	object := func(members ...string) string {
		return "{" + strings.Join(rapid.Permutation(members).Draw(t, "members"), ",") + "}"
	}
	id := func() string { return `"id":` + pick(`"f1"`, `"f2"`, `"f\u0032"`, `""`, `5`) }
	class := func() string {
		return `"classification":` + pick(`{"generic":"CODE","specific":"go"}`, `{"specific":"rs"}`, `{}`, `null`)
	}
	text := func() string {
		return `"fragment":{"string":{"raw":"` + strings.Repeat(pick("x", `\"`, `,\"original\":{\"id\":\"f1\"}`), 1500) + `"}}`
	}
	original := func() string {
		return `"original":` + pick(object(id()), object(id(), `"reference":`+object(id(), class())), `{}`, `null`)
	}
	var formats []string
	for range rapid.IntRange(0, 3).Draw(t, "formats") {
		formats = append(formats, pick(object(id(), class(), text()), object(id(), class(), text()), object(class(), text()), `null`))
	}
	list := `"formats":` + object(`"iterable":[`+strings.Join(formats, ",")+`]`, `"x":1`)
	var members []string
	for _, member := range []string{id(), `"name":"a"`, `"created":{"value":"2026"}`, list, original(), `"preview":` + object(`"a":1`, original()), `"mechanism":"MANUAL"`} {
		if rapid.IntRange(0, 5).Draw(t, "there") > 0 {
			members = append(members, member)
		}
	}
	switch rapid.IntRange(0, 2).Draw(t, "order") {
	case 0: // the usual one
		return "{" + strings.Join(members, ",") + "}"
	case 1:
		return strings.TrimSuffix(object(append(members, `"z":0`)...), "}") + `,` + original() + "}"
	}
	return object(members...)
})

// What is behind a long text is found too, whatever the order.
func TestBrowseLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := []byte(longAssets.Draw(t, "doc"))
		checkCompacted(t, doc)
		if diff := cmp.Diff(slowly(t, doc), browse(doc)); diff != "" {
			t.Fatalf("%s (-slowly +got):\n%s", doc, diff)
		}
	})
}

// The formats are those that a list of them, found the slow way, has; and those
// of an asset that we make are found.
func TestBrowseSeeded(t *testing.T) {
	doc := seeded(t)
	if diff := cmp.Diff(slowly(t, doc), browse(doc)); diff != "" {
		t.Errorf("a seeded asset (-slowly +got):\n%s", diff)
	}
	var want []string
	for f := range rawjson.Elements(rawjson.Path(doc, "formats", "iterable")) {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		want = append(want, id)
	}
	if got := asset.FormatIDs(doc); len(got) == 0 || !slices.Equal(got, want) {
		t.Errorf("FormatIDs = %q, want %q", got, want)
	}
	if got := browse(doc); got.Name == "" || got.Created == "" {
		t.Errorf("a seeded asset is browsed by %+v", got)
	}
}
