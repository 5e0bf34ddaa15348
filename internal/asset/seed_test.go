package asset_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// The stored form of the example, byte by byte: each text once, no reference.
func TestFromSeedGolden(t *testing.T) {
	if diff := cmp.Diff(string(file(t, "seed_min_stored.json")), string(seeded(t))); diff != "" {
		t.Errorf("the stored form (-want +got):\n%s", diff)
	}
}

// What clients read of it has the shape of the smallest valid asset.
func TestFromSeedRendered(t *testing.T) {
	seed := strings.Replace(string(file(t, "seed_min.json")), `"format":{`, `"format":{"classification":{"specific":"py"},`, 1)
	doc, err := asset.FromSeed([]byte(seed), stamp())
	if err != nil {
		t.Fatalf("FromSeed: %v", err)
	}
	want := decode(t, string(file(t, "asset_min.json")))
	set(want, "hello", "formats", "iterable", 0, "asset", "name") // the smallest has none
	if diff := cmp.Diff(want, decode(t, render(t, doc, true))); diff != "" {
		t.Errorf("the asset as clients read it (-want +got):\n%s", diff)
	}
}

// New makes what a seed with the same content makes.
func TestNew(t *testing.T) {
	seed := strings.Replace(string(file(t, "seed_min.json")), `"raw":"print(\"hi\")"}`, `"raw":"print(\"hi\")"},"metadata":{"ext":"py"}`, 1)
	want, err := asset.FromSeed([]byte(seed), stamp())
	if err != nil {
		t.Fatalf("FromSeed: %v", err)
	}
	application := rawjson.Path([]byte(seed), "asset", "application")
	got := asset.New("hello", `print("hi")`, "py", application, stamp())
	checkSame(t, "New", string(got), string(want))
	if specific := at(decode(t, string(got)), "formats", "iterable", 0, "classification", "specific"); specific != "py" {
		t.Errorf("the language is %v, want py", specific)
	}
}

// seedOf returns a seed of a format and metadata, with more members if any.
func seedOf(t testing.TB, format, metadata, more string) []byte {
	t.Helper()
	return compact(t, `{"type":"SEEDED_ASSET","asset":{"application":{"id":"x","unknown":1.50},"format":`+format+`,"metadata":`+metadata+more+`}}`)
}

func TestFromSeedFields(t *testing.T) {
	const text = `{"fragment":{"string":{"raw":"x"}}}`
	format := func(member string) []any { return []any{"formats", "iterable", 0, member} }
	for _, test := range []struct {
		name string
		seed []byte
		path []any
		want string // JSON, empty for none
	}{
		{"a name", seedOf(t, text, `{"name":"n"}`, ""), []any{"name"}, `"n"`},
		{"no name", seedOf(t, text, `{}`, ""), []any{"name"}, ``},
		{"a null name", seedOf(t, text, `{"name":null}`, ""), []any{"name"}, ``},
		{"no metadata", seedOf(t, text, `null`, ""), []any{"name"}, ``},
		{"the name of the fragment", seedOf(t, `{"fragment":{"string":{"raw":"x"},"metadata":{"name":"f"}}}`, `{}`, ""), []any{"name"}, `"f"`},
		{"both names", seedOf(t, `{"fragment":{"string":{"raw":"x"},"metadata":{"name":"f"}}}`, `{"name":"n"}`, ""), []any{"name"}, `"n"`},
		{"an ext of the enum", seedOf(t, `{"fragment":{"string":{"raw":"x"},"metadata":{"ext":"go"}}}`, `{}`, ""), format("classification"), `{"generic":"CODE","specific":"go"}`},
		{"an ext of text", seedOf(t, `{"fragment":{"string":{"raw":"x"},"metadata":{"ext":"md"}}}`, `{}`, ""), format("classification"), `{"generic":"TEXT","specific":"md"}`},
		{"an ext of none", seedOf(t, `{"fragment":{"string":{"raw":"x"},"metadata":{"ext":"xyz"}}}`, `{}`, ""), format("classification"), `{"generic":"TEXT","specific":"UNKNOWN"}`},
		{"no ext", seedOf(t, text, `{}`, ""), format("classification"), `{"generic":"TEXT","specific":"UNKNOWN"}`},
		{"an ext before a classification", seedOf(t, `{"fragment":{"string":{"raw":"x"},"metadata":{"ext":"go"}},"classification":{"specific":"py"}}`, `{}`, ""), format("classification"), `{"generic":"CODE","specific":"go"}`},
		{"a classification", seedOf(t, `{"fragment":{"string":{"raw":"x"}},"classification":{"specific":"py","generic":"TEXT","rendering":"hljs-go"}}`, `{}`, ""), format("classification"), `{"generic":"TEXT","specific":"py","rendering":"hljs-go"}`},
		{"the application as it is", seedOf(t, text, `{}`, ""), format("application"), `{"id":"x","unknown":1.50}`},
		{"the size in bytes", seedOf(t, `{"fragment":{"string":{"raw":"\u00e9\ud83d\ude00\n"}}}`, `{}`, ""), format("bytes"), `{"value":7,"readable":"7 B"}`},
		{"the size of kilobytes", seedOf(t, `{"fragment":{"string":{"raw":"`+strings.Repeat("x", 1234)+`"}}}`, `{}`, ""), format("bytes"), `{"value":1234,"readable":"1.2 kB"}`},
		{"the size of base64", seedOf(t, `{"fragment":{"string":{"base64":"eHg="}}}`, `{}`, ""), format("bytes"), `{"value":2,"readable":"2 B"}`},
		{"the size of a data URL", seedOf(t, `{"fragment":{"string":{"data_url":"data:text/plain;base64,eHh4"}}}`, `{}`, ""), format("bytes"), `{"value":3,"readable":"3 B"}`},
		{"the size of a plain data URL", seedOf(t, `{"fragment":{"string":{"data_url":"data:,a%20b"}}}`, `{}`, ""), format("bytes"), `{"value":3,"readable":"3 B"}`},
		{"the size of bytes", seedOf(t, `{"file":{"bytes":{"raw":[1,255,0,7]}}}`, `{}`, ""), format("bytes"), `{"value":4,"readable":"4 B"}`},
		{"a file", seedOf(t, `{"file":{"bytes":{"raw":[1]},"metadata":{"name":"f"}}}`, `{}`, ""), format("file"), `{"bytes":{"raw":[1]},"metadata":{"name":"f"}}`},
		{"a file beside no fragment", seedOf(t, `{"fragment":null,"file":{"string":{"raw":"x"}}}`, `{}`, ""), format("fragment"), ``},
		{"a file beside an empty fragment", seedOf(t, `{"fragment":{"string":{"raw":null}},"file":{"string":{"raw":"xy"}}}`, `{}`, ""), format("bytes"), `{"value":2,"readable":"2 B"}`},
		{"a fragment and a file", seedOf(t, `{"fragment":{"string":{"raw":"x"}},"file":{"string":{"raw":"yz"}}}`, `{}`, ""), format("file"), `{"string":{"raw":"yz"}}`},
		{"the fragment as it is", seedOf(t, `{"fragment":{"schema":null,"string":{"raw":"\u0041\ud800\u0000\/"},"unknown":1.0}}`, `{}`, ""), format("fragment"), `{"schema":null,"string":{"raw":"\u0041\ud800\u0000\/"},"unknown":1.0}`},
		{"an empty text", seedOf(t, `{"fragment":{"string":{"raw":""}}}`, `{}`, ""), format("bytes"), `{"value":0,"readable":"0 B"}`},
		{"a mechanism", seedOf(t, text, `{"mechanism":"AUTOMATIC"}`, ""), []any{"mechanism"}, `"AUTOMATIC"`},
		{"flags", seedOf(t, text, `{}`, `,"discovered":true,"pseudo":false,"demo":null`), []any{"discovered"}, `true`},
		{"a flag that is false", seedOf(t, text, `{}`, `,"pseudo":false`), []any{"pseudo"}, `false`},
		{"a flag that is null", seedOf(t, text, `{}`, `,"demo":null`), []any{"demo"}, ``},
	} {
		doc, err := asset.FromSeed(test.seed, stamp())
		if err != nil {
			t.Errorf("%s: FromSeed: %v", test.name, err)
			continue
		}
		checkCompacted(t, doc)
		got := raw(doc, test.path...)
		if string(got) != test.want {
			t.Errorf("%s: %v is %s, want %s", test.name, test.path, got, test.want)
		}
	}
}

// raw follows names and indexes.
func raw(v []byte, path ...any) []byte {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = rawjson.Get(v, p)
		case int:
			i, found := 0, []byte(nil)
			for e := range rawjson.Elements(v) {
				if i == p {
					found = e
				}
				i++
			}
			v = found
		}
	}
	return v
}

func TestFromSeedInvalid(t *testing.T) {
	for name, seed := range map[string]string{
		"nothing":              ``,
		"null":                 `null`,
		"a list":               `[]`,
		"no asset":             `{"type":"SEEDED_ASSET"}`,
		"a null asset":         `{"asset":null}`,
		"no application":       `{"asset":{"format":{"fragment":{"string":{"raw":"x"}}}}}`,
		"an application's id":  `{"asset":{"application":"x","format":{"fragment":{"string":{"raw":"x"}}}}}`,
		"no format":            `{"asset":{"application":{}}}`,
		"a format of no kind":  `{"asset":{"application":{},"format":5}}`,
		"no content":           `{"asset":{"application":{},"format":{}}}`,
		"an empty fragment":    `{"asset":{"application":{},"format":{"fragment":{}}}}`,
		"an empty string":      `{"asset":{"application":{},"format":{"fragment":{"string":{}}}}}`,
		"nulls":                `{"asset":{"application":{},"format":{"fragment":{"string":{"raw":null},"bytes":null},"file":null}}}`,
		"a text of other type": `{"asset":{"application":{},"format":{"fragment":{"string":{"raw":5}}}}}`,
		"a text in its place":  `{"asset":{"application":{},"format":{"fragment":{"string":"x"}}}}`,
	} {
		doc, err := asset.FromSeed([]byte(seed), stamp())
		checkInvalid(t, name, err)
		if doc != nil {
			t.Errorf("%s: a document came with the error: %s", name, doc)
		}
	}
}

// The lists of the metadata become collections of the asset, each item in the
// asset's model with what that requires besides.
func TestFromSeedLists(t *testing.T) {
	doc, err := asset.FromSeed(seedOf(t, `{"fragment":{"string":{"raw":"x"}}}`, `{
		"tags":[{"text":"t1"},{"text":"t2","category":"LANGUAGE","id":"seeded","mechanism":null,"unknown":[1.0]},5,null],
		"websites":[{"url":"u","name":"w"}],
		"sensitives":[{"text":"s","category":"PASSWORD","severity":"HIGH"}],
		"persons":[{"type":{"basic":{"name":"p"}}}],
		"annotations":[{"text":"a","type":"DESCRIPTION","created":{"value":"2020-01-01T00:00:00.000Z"}}],
		"hints":[{"text":"h"}],
		"anchors":[{"type":"FILE","fullpath":"/x"}],
		"unheard":[{"text":"u"}]}`, ""), stamp())
	if err != nil {
		t.Fatalf("FromSeed: %v", err)
	}
	doc = compact(t, string(doc))
	const times = `"created":{"value":"2026-01-02T03:04:05.678Z"},"updated":{"value":"2026-01-02T03:04:05.678Z"}`
	const mechanisms = `"mechanisms":{"` + assetID + `":"MANUAL"}`
	id := func(n int) string { return fmt.Sprintf(`"id":"00000000-0000-4000-8000-%012d"`, n) }
	flat := string(rawjson.Path([]byte(render(t, doc, true)), "formats"))
	flat = string(raw([]byte(flat), "iterable", 0, "asset"))
	for name, want := range map[string]string{
		"tags": `{` + id(1) + `,` + times + `,"text":"t1","category":"UNKNOWN",` + mechanisms + `},` +
			`{` + id(2) + `,` + times + `,"text":"t2","category":"LANGUAGE","unknown":[1.0],` + mechanisms + `}`,
		"websites":    `{` + id(3) + `,` + times + `,"url":"u","name":"w",` + mechanisms + `}`,
		"sensitives":  `{` + id(4) + `,` + times + `,"text":"s","category":"PASSWORD","severity":"HIGH","mechanism":"MANUAL","asset":` + flat + `}`,
		"persons":     `{` + id(5) + `,` + times + `,"type":{"basic":{"name":"p"}},` + mechanisms + `}`,
		"annotations": `{` + id(6) + `,` + strings.Replace(times, "2026-01-02T03:04:05.678Z", "2020-01-01T00:00:00.000Z", 1) + `,"text":"a","type":"DESCRIPTION","mechanism":"MANUAL"}`,
		"hints":       `{` + id(7) + `,` + times + `,"text":"h",` + mechanisms + `}`,
		"anchors": `{` + id(8) + `,` + times + `,"type":"FILE","points":{"iterable":[{` + id(9) + `,"reference":{` + id(9) + `,` + times +
			`,"fullpath":"/x","anchor":{` + id(8) + `}}}]}}`,
	} {
		got := raw(doc, name)
		checkSame(t, name, string(got), `{"iterable":[`+want+`]}`)
	}
	unchanged(t, doc, []byte(render(t, doc, true)))
}

// TestFromSeedModels moves what the seed's models have in another shape than the
// asset's, and drops what fits neither.
func TestFromSeedModels(t *testing.T) {
	const times = `"created":{"value":"2026-01-02T03:04:05.678Z"},"updated":{"value":"2026-01-02T03:04:05.678Z"}`
	const two = `"id":"00000000-0000-4000-8000-000000000002"`
	for _, test := range []struct{ name, list, item, member, want string }{
		{"a mechanism", "tags", `{"mechanism":"AUTOMATIC"}`, "mechanisms", `{"` + assetID + `":"AUTOMATIC"}`},
		{"a mechanism beside that of another asset", "tags", `{"mechanisms":{"a9":"AUTOMATIC"}}`, "mechanisms", `{"` + assetID + `":"MANUAL","a9":"AUTOMATIC"}`},
		{"an asset beside others", "persons", `{"asset":"a9","assets":{"iterable":[{"id":"q"}]}}`, "assets", `{"iterable":[{"id":"q"}]}`},
		{"a path beside points", "anchors", `{"fullpath":"/x","points":{"iterable":[{"id":"p1"}]}}`, "points", `{"iterable":[{"id":"p1"}]}`},
		{"a mechanism that is none", "websites", `{"mechanism":5}`, "mechanisms", `{"` + assetID + `":"MANUAL"}`},
		{"a mechanism in its place", "tags", `{"mechanism":"AUTOMATIC"}`, "mechanism", ``},
		{"a mechanism that stays", "annotations", `{"mechanism":"AUTOMATIC"}`, "mechanism", `"AUTOMATIC"`},
		{"an access", "persons", `{"access":{"scoped":"READ"}}`, "access", `{"` + assetID + `":{"scoped":"READ"}}`},
		{"an access that is none", "persons", `{"access":"READ"}`, "access", ``},
		{"a person's model", "persons", `{"model":{"model":{"id":"m"}}}`, "models", `{"` + assetID + `":{"model":{"id":"m"}}}`},
		{"a person's model in its place", "persons", `{"model":{"model":{"id":"m"}}}`, "model", ``},
		{"a person's model that is none", "persons", `{"model":"m"}`, "models", ``},
		{"a person's asset", "persons", `{"asset":"a9"}`, "assets", `{"iterable":[{"id":"a9"}]}`},
		{"a person's anchors", "persons", `{"anchors":{"iterable":[{"id":"x"}]}}`, "anchors", `{"iterable":[{"id":"x"}]}`},
		{"a person's annotations", "persons", `{"annotations":[{"text":"x","model":"m","mechanism":"AUTOMATIC"},5]}`, "annotations",
			`{"iterable":[{` + two + `,"reference":{` + two + `,` + times + `,"text":"x","mechanism":"AUTOMATIC","model":{"id":"m"}}}]}`},
		{"no annotations", "persons", `{"annotations":[]}`, "annotations", ``},
		{"annotations that are none", "persons", `{"annotations":{"score":{}}}`, "annotations", ``},
		{"annotations of the asset's model", "anchors", `{"annotations":{"iterable":[{"id":"x"}]}}`, "annotations", `{"iterable":[{"id":"x"}]}`},
		{"an anchor's annotations", "anchors", `{"annotations":[{"anchor":"x"}]}`, "annotations",
			`{"iterable":[{` + two + `,"reference":{` + two + `,` + times + `,"mechanism":"MANUAL","anchor":{"id":"x"}}}]}`},
		{"an anchor's conversation", "anchors", `{"conversation":"c"}`, "conversations", `{"iterable":[{"id":"c"}]}`},
		{"an anchor's asset", "anchors", `{"asset":"a9"}`, "assets", `{"iterable":[{"id":"a9"}]}`},
		{"an anchor's platform", "anchors", `{"fullpath":"/x","platform":"LINUX"}`, "points", `{"iterable":[{` + two + `,"reference":{` + two + `,` + times +
			`,"fullpath":"/x","platform":"LINUX","anchor":{"id":"00000000-0000-4000-8000-000000000001"}}}]}`},
		{"an anchor's path in its place", "anchors", `{"fullpath":"/x"}`, "fullpath", ``},
		{"an anchor without a path", "anchors", `{"fullpath":5}`, "points", `{"iterable":[]}`},
		{"a hint's model", "hints", `{"model":"m"}`, "model", `{"id":"m"}`},
		{"a hint's asset", "hints", `{"asset":"a9"}`, "assets", `{"iterable":[{"id":"a9"}]}`},
		{"an annotation's asset", "annotations", `{"asset":"a9"}`, "asset", `{"id":"a9"}`},
		{"an annotation's person", "annotations", `{"person":"p"}`, "person", `{"id":"p"}`},
		{"an annotation's anchor", "annotations", `{"anchor":"x"}`, "anchor", `{"id":"x"}`},
		{"an annotation's conversation", "annotations", `{"conversation":"c"}`, "conversation", `{"id":"c"}`},
		{"an annotation's summary", "annotations", `{"workstream_summary":"w"}`, "summary", `{"id":"w"}`},
		{"a reference", "annotations", `{"person":{"id":"p","reference":{}}}`, "person", `{"id":"p","reference":{}}`},
		{"a reference to nothing", "annotations", `{"person":{}}`, "person", ``},
		{"a reference that is none", "annotations", `{"person":5}`, "person", ``},
		{"a time that is none", "annotations", `{"created":{"value":"once"}}`, "created", `{"value":"2026-01-02T03:04:05.678Z"}`},
	} {
		doc, err := asset.FromSeed(seedOf(t, `{"fragment":{"string":{"raw":"x"}}}`, `{"`+test.list+`":[`+test.item+`]}`, ""), stamp())
		if err != nil {
			t.Errorf("%s: FromSeed: %v", test.name, err)
			continue
		}
		if got := raw(doc, test.list, "iterable", 0, test.member); string(got) != test.want {
			t.Errorf("%s: %s is\n%s, want\n%s", test.name, test.member, got, test.want)
		}
		if strings.Contains(render(t, doc, true), ":null") {
			t.Errorf("%s: a collection has no list: %s", test.name, doc)
		}
	}
}

// However many items and however long the text, a seed is read once.
func TestFromSeedLarge(t *testing.T) {
	items := strings.TrimSuffix(strings.Repeat(`{"text":"s"},`, 2000), ",")
	text := strings.Repeat("x", 4<<20)
	seed := seedOf(t, `{"fragment":{"string":{"raw":"`+text+`"}}}`, `{"sensitives":[`+items+`]}`, "")
	doc, err := asset.FromSeed(seed, stamp())
	if err != nil {
		t.Fatalf("FromSeed: %v", err)
	}
	if most := 8 << 20; len(doc) > most {
		t.Errorf("the asset has %d bytes, want at most %d", len(doc), most)
	}
	if n := strings.Count(string(doc), text); n != 1 {
		t.Errorf("the text is there %d times, want once", n)
	}
}

// TestSeedOfMany refuses lists that would make an asset many times the size of
// its seed.
func TestSeedOfMany(t *testing.T) {
	for _, n := range []int{10_000, 10_001} {
		list := `[{}` + strings.Repeat(",{}", n-1) + `]`
		for _, metadata := range []string{`{"tags":` + list + `}`, `{"persons":[{"annotations":[{}]},{"annotations":` + list[:len(list)-len(`,{}]`)] + `]}]}`} {
			seed := `{"asset":{"application":{},"format":{"fragment":{"string":{"raw":""}}},"metadata":` + metadata + `}}`
			_, err := asset.FromSeed([]byte(seed), asset.Stamp{ID: "a", Format: "f", Creator: "c", Now: now, NewID: func() string { return "i" }})
			if got, want := cairn.CodeOf(err) == cairn.CodeInvalid, n > 10_000; got != want {
				t.Errorf("a seed of %d items in %.30s: %v", n, metadata, err)
			}
		}
	}
}
