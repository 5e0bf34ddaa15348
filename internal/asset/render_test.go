package asset_test

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// imported is an asset as another server gave it, with full references. Its
// members are in an order of their own, and unknown ones are everywhere.
func imported(t testing.TB) []byte {
	t.Helper()
	const flat = `{"x_flat":1.50,"id":"` + assetID + `","creator":"` + creatorID + `","created":{"value":"2020-01-01T00:00:00.123456Z","readable":"long ago"},"updated":{"value":"2020-01-02T00:00:00.000001Z"},"formats":{"iterable":[{"id":"f1"},{"id":"f2"}]},"preview":{"base":"f1"},"original":"f1","mechanism":"MANUAL"}`
	const one = `"x_format":{"deep":[1,{"x":"\u00e9"}]},"id":"f1","creator":"` + creatorID + `","classification":{"generic":"CODE","specific":"py","x_class":null},"icon":"i","role":"BOTH","application":{"id":"c1"},"bytes":{"value":11},"created":{"value":"2020-01-01T00:00:00.123456Z"},"updated":{"value":"2020-01-01T00:00:00.123456Z"},"fragment":{"string":{"raw":"print(\"\u0068i\u0000\")"},"metadata":{"ext":"py"},"x_fragment":12345678901234567890}`
	const two = `"id":"f2","creator":"` + creatorID + `","classification":{"generic":"IMAGE","specific":"png"},"role":"BOTH","application":{"id":"c1"},"bytes":{"value":3},"created":{"value":"2020-01-01T00:00:00.123Z"},"updated":{"value":"2020-01-01T00:00:00.123Z"},"file":{"bytes":{"raw":[1,2,3]},"metadata":{"name":"x.png"}}`
	return compact(t, `{"x_asset":[1.0,2],"schema":{"migration":0,"semantic":"MAJOR_0_MINOR_0_PATCH_1"},"id":"`+assetID+`","name":"imported","creator":"`+creatorID+`",
		"created":{"value":"2020-01-01T00:00:00.123456Z","readable":"long ago"},"updated":{"value":"2020-01-02T00:00:00.000001Z"},
		"original":{"x_original":true,"id":"f1","reference":{`+one+`,"asset":"`+assetID+`"}},
		"preview":{"x_preview":true,"base":{"id":"f1","reference":{`+one+`,"asset":"`+assetID+`"}},"overlay":{"id":"f2","reference":{`+two+`,"asset":"`+assetID+`"}}},
		"formats":{"x_formats":true,"iterable":[{`+one+`,"asset":`+flat+`},{"asset":`+flat+`,`+two+`}],"indices":{"f1":0,"f2":1}},
		"tags":{"iterable":[{"id":"t1","text":"tag","x_tag":1}]},"mechanism":"MANUAL","score":{"manual":1}}`)
}

// A document with full references reads as it was received.
func TestRenderImported(t *testing.T) {
	doc := imported(t)
	checkSame(t, "an imported asset", render(t, doc, true), string(doc))
}

// Lists without which the generated clients throw are there, whatever the
// document says.
func TestRenderFillsIn(t *testing.T) {
	for _, test := range []struct{ name, doc, want string }{
		{"an empty object", `{}`, `{"formats":{"iterable":[]}}`},
		{"null formats", `{"formats":null}`, `{"formats":{"iterable":[]}}`},
		{"formats of another type", `{"formats":5}`, `{"formats":{"iterable":[]}}`},
		{"a list for formats", `{"formats":[{"id":"f1"}]}`, `{"formats":{"iterable":[]}}`},
		{"no iterable", `{"formats":{"indices":{}}}`, `{"formats":{"iterable":[]}}`},
		{"a null iterable", `{"formats":{"iterable":null}}`, `{"formats":{"iterable":[]}}`},
		{"a format alone", `{"formats":{"iterable":[{"id":"f1"}]}}`, `{"formats":{"iterable":[{"id":"f1","asset":{"id":"","formats":{"iterable":[{"id":"f1"}]}}}]}}`},
		{"a format without id", `{"id":"a","formats":{"iterable":[{}]}}`, `{"id":"a","formats":{"iterable":[{"asset":{"id":"a","formats":{"iterable":[]}}}]}}`},
		{"items that are no formats", `{"id":"a","formats":{"iterable":[5,null,"x",[]]}}`, `{"id":"a","formats":{"iterable":[5,null,"x",[]]}}`},
		{"a null flattened asset", `{"id":"a","formats":{"iterable":[{"id":"f1","asset":null}]}}`, `{"id":"a","formats":{"iterable":[{"id":"f1","asset":{"id":"a","formats":{"iterable":[{"id":"f1"}]}}}]}}`},
		{"a flattened asset's own", `{"id":"a","name":"n","formats":{"iterable":[{"id":"f1","asset":{"id":"b","x":1,"formats":{"x":1}}}]}}`, `{"id":"a","name":"n","formats":{"iterable":[{"id":"f1","asset":{"id":"b","x":1,"formats":{"iterable":[{"id":"f1"}]}}}]}}`},
		{"a flattened asset's own list", `{"id":"a","formats":{"iterable":[{"id":"f1","asset":{"formats":{"iterable":[{"id":"f9"}]}}}]}}`, `{"id":"a","formats":{"iterable":[{"id":"f1","asset":{"id":"a","formats":{"iterable":[{"id":"f9"}]}}}]}}`},
		{"references", `{"id":"a","formats":{"iterable":[{"id":"f1","role":"BOTH","asset":{"x":1}}]},"original":{"id":"f1"},"preview":{"base":{"id":"f1","reference":null},"overlay":{"id":"f1","reference":{"role":"CODE","y":2}}}}`,
			`{"id":"a","formats":{"iterable":[{"id":"f1","role":"BOTH","asset":{"id":"a","preview":{"base":"f1","overlay":"f1"},"original":"f1","x":1,"formats":{"iterable":[{"id":"f1"}]}}}]},"original":{"id":"f1","reference":{"id":"f1","role":"BOTH","asset":"a"}},"preview":{"base":{"id":"f1","reference":{"id":"f1","role":"BOTH","asset":"a"}},"overlay":{"id":"f1","reference":{"id":"f1","role":"CODE","asset":"a","y":2}}}}`},
		{"a reference to a missing format", `{"original":{"id":"f9"},"preview":{"base":{"id":"f9","reference":{"id":"f9","x":1}}},"formats":{"iterable":[]}}`, `{"original":{"id":"f9"},"preview":{"base":{"id":"f9","reference":{"id":"f9","x":1}}},"formats":{"iterable":[]}}`},
		{"references of other types", `{"original":"f1","preview":{"base":null,"overlay":[]},"formats":{"iterable":[{"id":"f1"}]}}`, `{"original":"f1","preview":{"base":null,"overlay":[]},"formats":{"iterable":[{"id":"f1","asset":{"id":"","formats":{"iterable":[{"id":"f1"}]}}}]}}`},
		{"a preview that is none", `{"preview":[],"formats":{"iterable":[]}}`, `{"preview":[],"formats":{"iterable":[]}}`},
		{"names with escapes", `{"form\u0061ts":{"iter\u0061ble":[{"id":"f1","\u0061sset":{"x":1}}]},"origin\u0061l":{"id":"f1"}}`, `{"formats":{"iterable":[{"id":"f1","asset":{"id":"","original":"f1","x":1,"formats":{"iterable":[{"id":"f1"}]}}}]},"original":{"id":"f1","reference":{"id":"f1","asset":""}}}`},
		{"a format's member twice", `{"id":"a","formats":{"iterable":[{"id":"f1","asset":{"x":1},"asset":{"y":1}}]}}`, `{"id":"a","formats":{"iterable":[{"id":"f1","asset":{"id":"a","y":1,"formats":{"iterable":[{"id":"f1"}]}}}]}}`},
		{"formats twice", `{"id":"a","formats":5,"formats":{"iterable":5,"iterable":[{}]}}`, `{"id":"a","formats":{"iterable":[{"asset":{"id":"a","formats":{"iterable":[]}}}]}}`},
		{"formats twice, the last of another type", `{"formats":{"iterable":[{}],"iterable":5}}`, `{"formats":{"iterable":[]}}`},
		{"ids with surrogates", `{"id":"\ud800","formats":{"iterable":[{"id":"\udc00"}]},"original":{"id":"\udc00"}}`, `{"id":"\ud800","formats":{"iterable":[{"id":"\udc00","asset":{"id":"\ud800","original":"\udc00","formats":{"iterable":[{"id":"\udc00"}]}}}]},"original":{"id":"\udc00","reference":{"id":"\udc00","asset":"\ud800"}}}`},
	} {
		checkSame(t, test.name, render(t, []byte(test.doc), true), test.want)
	}
}

// TestRenderCollections hides a collection without a list from the generated
// clients, which would throw, and nothing else.
func TestRenderCollections(t *testing.T) {
	const rest = `"id":"a","formats":{"iterable":[]}}`
	item := func(member string) string { return `{"anchors":{"iterable":[{"id":"x",` + member + `}]},` + rest }
	for _, test := range []struct{ name, doc, want string }{
		{"a list", `{"tags":{"score":{},"iterable":[{"id":"t"},5]},` + rest, ``},
		{"no list", `{"tags":{"score":{}},` + rest, `{"tags":null,` + rest},
		{"a null list", `{"t\u0061gs":{"iterable":null},` + rest, `{"t\u0061gs":null,` + rest},
		{"a null list behind a list", `{"tags":{"iterable":[{"tags":{}}],"iterable":null},` + rest, `{"tags":null,` + rest},
		{"a list behind a null list", `{"tags":{"iterable":null,"iterable":[]},` + rest, ``},
		{"null", `{"tags":null,` + rest, ``},
		{"another type", `{"tags":"x","websites":[{"tags":{}}],"hints":5,` + rest, `{"tags":null,"websites":null,"hints":null,` + rest},
		{"of an item", item(`"points":{},"persons":{"iterable":{}},"tags":{"iterable":[]}`), item(`"points":null,"persons":null,"tags":{"iterable":[]}`)},
		{"of an item's reference", item(`"annotations":{"iterable":[{"reference":{"tags":{}}}]}`), item(`"annotations":{"iterable":[{"reference":{"tags":null}}]}`)},
		{"of a model of a person", `{"persons":{"iterable":[{"models":{"a":{"explanation":{"reference":{"tags":{}}}}}}]},` + rest, `{"persons":{"iterable":[{"models":{"a":{"explanation":{"reference":{"tags":null}}}}}]},` + rest},
		{"of a reference to nothing", `{"original":{"id":"f9","reference":{"activities":{}}},` + rest, `{"original":{"id":"f9","reference":{"activities":null}},` + rest},
		{"a list that is optional", item(`"assets":{"score":{}}`), ``},
		{"an optional list that is null", item(`"assets":{"iterable":null}`), ``},
		{"an optional list of another type", item(`"assets":{"iterable":5}`), item(`"assets":null`)},
		{"numbers of the same names", `{"activities":{"iterable":[{"application":{"enrichment":{"tags":5}}}]},` + rest, ``},
		{"what nobody knows", `{"x":{"tags":{}},"tags":{"x":{"tags":[1]},"iterable":[[{"tags":{}}]]},` + rest, ``},
	} {
		want := test.want
		if want == "" {
			want = test.doc
		}
		if got := render(t, []byte(test.doc), true); got != want {
			t.Errorf("%s:\n%s, want\n%s", test.name, got, want)
		}
		unchanged(t, []byte(test.doc), []byte(want))
	}
	if got := render(t, update(t, []byte(`{`+rest), `{"name":"n","tags":{"iterable":null}}`), true); strings.Contains(got, "{}") {
		t.Errorf("an update left a collection without a list: %s", got)
	}
}

// TestRenderDeep is done with a text of deep collections in one pass.
func TestRenderDeep(t *testing.T) {
	const levels = 3000
	open, end := strings.Repeat(`{"tags":{"iterable":[`, levels), strings.Repeat(`]}}`, levels)
	for inside, want := range map[string]string{`{"tags":{}}`: `{"tags":null}`, `{"tags":{"iterable":[]}}`: `{"tags":{"iterable":[]}}`} {
		got := render(t, []byte(open+inside+end), true)
		if !strings.Contains(got, want) || len(got) < len(open) {
			t.Errorf("%s became %d bytes without %s", inside, len(got), want)
		}
	}
}

// Ids with surrogates, and the bytes of a text, come out as they are.
func TestRenderKeepsTexts(t *testing.T) {
	const text = `"\u0000\u001f\b\f\n\r\t\"\\\/\u0041\u00e9\ud83d\ude00\ud800 \udfff é😀` + "\u007f\u2028" + `"`
	doc := []byte(`{"id":"a\ud800","formats":{"iterable":[{"id":"f\udc00","fragment":{"string":{"raw":` + text + `}}}]},"original":{"id":"f\udc00"},"preview":{"base":{"id":"f\udc00"}}}`)
	checkCompacted(t, doc)
	doc = update(t, doc, `{"formats":{"iterable":[`+strings.Repeat(`{"id":"new"},`, 150)+`{"id":"f\udc00"}]}}`)
	got := []byte(render(t, doc, true))
	for _, path := range [][]any{{"formats", "iterable", 150}, {"original", "reference"}, {"preview", "base", "reference"}} {
		format := raw(got, path...)
		if r := raw(format, "fragment", "string", "raw"); string(r) != text {
			t.Errorf("%v: the text is %s, want %s", path, r, text)
		}
		if id := raw(format, "id"); string(id) != `"f\udc00"` {
			t.Errorf("%v: the id is %s", path, id)
		}
	}
	if id := raw(got, "formats", "iterable", 150, "asset", "formats", "iterable", 0, "id"); string(id) != `"f\udc00"` {
		t.Errorf("the id in the flattened asset is %s", id)
	}
}

// withoutContents is what transferables=false means, on decoded JSON.
func withoutContents(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			if m, ok := member.(map[string]any); ok && (name == "fragment" || name == "file") {
				rest := map[string]any{}
				for n, x := range m {
					if n != "string" && n != "bytes" {
						rest[n] = x
					}
				}
				member = rest
			}
			out[name] = withoutContents(member)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, withoutContents(e))
		}
		return out
	}
	return v
}

func TestRenderWithoutTransferables(t *testing.T) {
	doc := string(imported(t))
	for name, doc := range map[string]string{
		"made here":                    string(seeded(t)),
		"imported":                     doc,
		"a reference alone":            strings.Replace(doc, `"id":"f1","reference"`, `"id":"f9","reference"`, 1),
		"a reference of its own":       strings.Replace(doc, `"role":"BOTH"`, `"role":"CODE"`, 1),
		"references in flattened ones": strings.ReplaceAll(doc, `"iterable":[{"id":"f1"}`, `"iterable":[{"id":"f1","reference":{"fragment":{"string":{"raw":"secret"}}}}`),
		"names with escapes":           strings.NewReplacer(`"fragment"`, `"fr\u0061gment"`, `"iterable"`, `"iter\u0061ble"`, `"string"`, `"str\u0069ng"`).Replace(doc),
		"an image's text":              strings.Replace(doc, `"icon":"i"`, `"analysis":{"image":{"ocr":{"raw":{"fragment":{"string":{"raw":"secret"}}}}}}`, 1),
		"other things of these names":  strings.Replace(doc, `"name":"imported"`, `"string":"x","bytes":{"fragment":"f"},"x":{"file":[{"string":1}],"string":{"raw":1}}`, 1),
	} {
		full := render(t, []byte(doc), true)
		got := render(t, []byte(doc), false)
		if diff := cmp.Diff(withoutContents(decode(t, full)), decode(t, got)); diff != "" {
			t.Errorf("%s without contents (-want +got):\n%s", name, diff)
		}
		if strings.Contains(got, "secret") || strings.Contains(got, "print(") {
			t.Errorf("%s: a text is left: %s", name, got)
		}
	}
}

func TestRenderFormat(t *testing.T) {
	for name, doc := range map[string][]byte{"made here": seeded(t), "imported": imported(t)} {
		for _, transferables := range []bool{true, false} {
			whole := decode(t, render(t, doc, transferables))
			for i, id := range asset.FormatIDs(doc) {
				got := written(t, func(w *bufio.Writer) {
					if !asset.RenderFormat(w, doc, id, transferables) {
						t.Errorf("%s: no format %s", name, id)
					}
				})
				if diff := cmp.Diff(at(whole, "formats", "iterable", i), decode(t, got)); diff != "" {
					t.Errorf("%s: format %s, transferables %t (-in the asset +alone):\n%s", name, id, transferables, diff)
				}
			}
		}
	}
	var out strings.Builder
	w := bufio.NewWriter(&out)
	for _, id := range []string{"", "nowhere", assetID} {
		if asset.RenderFormat(w, imported(t), id, true) || w.Buffered() > 0 {
			t.Errorf("RenderFormat of %q found something", id)
		}
	}
}

// The output depends on the document alone.
func TestRenderIsStable(t *testing.T) {
	for _, doc := range [][]byte{seeded(t), imported(t)} {
		first := render(t, doc, true)
		for range 20 {
			if again := render(t, doc, true); again != first {
				t.Fatalf("rendered again it is\n%s, want\n%s", again, first)
			}
		}
	}
}

// large returns an asset of n formats whose member is long.
func large(n int, member string) []byte {
	var items [][]byte
	for i := range n {
		items = append(items, fmt.Appendf(nil, `{"id":"f1111111-1111-4111-8111-%012d","fragment":{"string":{"raw":"text %d"}}}`, i, i))
	}
	var list, o rawjson.Object
	list.Set("iterable", rawjson.Array(items...))
	return o.SetText("id", assetID).SetText("name", member).Set("formats", list.JSON()).
		Set("original", []byte(`{"id":"f1111111-1111-4111-8111-000000000000"}`)).JSON()
}

// Members with the same name do not multiply the output: the last is filled in,
// the others are nothing to JSON readers.
func TestRenderTwins(t *testing.T) {
	const holder = `{"id":"f1"}`
	text := strings.Repeat("x", 10_000)
	format := `{"id":"f1","fragment":{"string":{"raw":"` + text + `"}}}`
	doc := func(format, preview, more string) string {
		return `{"id":"a","formats":{"iterable":[` + format + `]},"original":` + holder + `,"preview":` + preview + more + `}`
	}
	many := func(member string) string { return strings.Repeat(","+member, 2000) }
	usual := `{"base":` + holder + `}`
	raw := func(path ...any) []any { return append(path, "fragment", "string", "raw") }
	for _, test := range []struct {
		name, doc string
		text      []any // where a text must be
	}{
		{"original", doc(format, usual, many(`"original":`+holder)), raw("original", "reference")},
		{"preview", doc(format, usual, many(`"preview":`+usual)), raw("preview", "base", "reference")},
		{"base", doc(format, `{"x":1`+many(`"base":`+holder)+`}`, ""), raw("preview", "base", "reference")},
		{"overlay", doc(format, `{"x":1`+many(`"overlay":`+holder)+`}`, ""), raw("preview", "overlay", "reference")},
		{"formats", doc(format, usual, many(`"formats":{"iterable":[]}`)+`,"formats":{"iterable":[`+format+`]}`), raw("formats", "iterable", 0)},
		{"iterable", doc(`5]`+many(`"iterable":[]`)+`,"iterable":[`+format, usual, ""), raw("formats", "iterable", 0)},
		{"a format's asset", doc(strings.TrimSuffix(format, "}")+many(`"asset":{}`)+`}`, usual, `,"name":"`+text[:1000]+`"`), raw("formats", "iterable", 0)},
		{"what a reference says itself", doc(`{"id":"f1"`+many(`"fragment":{}`)+`}`, usual, `,"original":{"id":"f1","reference":`+format+`}`), raw("original", "reference")},
	} {
		got := render(t, []byte(test.doc), true)
		if most := 4*len(test.doc) + 10*len(text); len(got) > most {
			t.Errorf("%s: %d bytes from %d, want at most %d", test.name, len(got), len(test.doc), most)
		}
		if is := at(decode(t, got), test.text...); is != text {
			t.Errorf("%s: %v is %.100v, want the text", test.name, test.text, is)
		}
	}
}

// The output grows with the document, not with the square of its formats.
func TestRenderLarge(t *testing.T) {
	for _, test := range []struct{ formats, name int }{
		{10_000, 100},
		{1_000, 1 << 18},
		{100, 1 << 18},
		{101, 1 << 18},
		{1, 1 << 18},
	} {
		doc := large(test.formats, strings.Repeat("n", test.name))
		got := render(t, doc, true)
		if most := 40*len(doc) + 2<<20; len(got) > most {
			t.Errorf("%d formats and a name of %d: %d bytes from %d, want at most %d", test.formats, test.name, len(got), len(doc), most)
		}
		last := raw([]byte(got), "formats", "iterable", test.formats-1)
		if ids := raw(last, "asset", "formats", "iterable"); !strings.Contains(string(ids), string(raw(last, "id"))) {
			t.Errorf("%d formats: the flattened asset of the last lists %.200s, not its own id", test.formats, ids)
		}
		unchanged(t, doc, []byte(got))
	}
	tiny := strings.TrimSuffix(strings.Repeat("{},", 100_000), ",")
	doc := []byte(`{"id":"a","name":"` + strings.Repeat("n", 10_000) + `","mechanism":` + tiny[:2] + `,"formats":{"iterable":[` + tiny + `]}}`)
	if got := render(t, doc, true); len(got) > 40*len(doc) {
		t.Errorf("%d bytes of a document of %d", len(got), len(doc))
	}
}
