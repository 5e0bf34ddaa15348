package asset_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// edited returns the rendered asset with the members at some paths changed, as
// a client sends it.
func edited(t *testing.T, doc []byte, changes map[string]any) string {
	t.Helper()
	v := decode(t, render(t, doc, true))
	for path, value := range changes {
		set(v, value, parsePath(path)...)
	}
	return string(encode(t, v))
}

// parsePath reads a path such as formats.iterable.0.role.
func parsePath(path string) []any {
	var out []any
	for _, p := range strings.Split(path, ".") {
		if p == "0" || p == "1" {
			out = append(out, int(p[0]-'0'))
		} else {
			out = append(out, p)
		}
	}
	return out
}

const (
	inFormat   = "formats.iterable.0."
	inOriginal = "original.reference."
	inPreview  = "preview.base.reference."
	rawMember  = "fragment.string.raw"
	language   = "classification.specific"
)

// A text or language that is changed in any of the three places is changed in
// all of them; the format's own place goes first.
func TestUpdateTexts(t *testing.T) {
	for _, test := range []struct {
		name           string
		changes        map[string]any
		text, language string
	}{
		{"in the format", map[string]any{inFormat + rawMember: "new"}, "new", "py"},
		{"in the original", map[string]any{inOriginal + rawMember: "new"}, "new", "py"},
		{"in the preview", map[string]any{inPreview + rawMember: "new"}, "new", "py"},
		{"in both references", map[string]any{inOriginal + rawMember: "new", inPreview + rawMember: "new"}, "new", "py"},
		{"everywhere", map[string]any{inFormat + rawMember: "new", inOriginal + rawMember: "new", inPreview + rawMember: "new"}, "new", "py"},
		{"in the format and otherwise in the original", map[string]any{inFormat + rawMember: "new", inOriginal + rawMember: "other"}, "new", "py"},
		{"in the format and otherwise in the preview", map[string]any{inFormat + rawMember: "new", inPreview + rawMember: "other"}, "new", "py"},
		{"the language in the format", map[string]any{inFormat + language: "go"}, `print("hi")`, "go"},
		{"the language in the original", map[string]any{inOriginal + language: "go"}, `print("hi")`, "go"},
		{"the text here and the language there", map[string]any{inFormat + rawMember: "new", inOriginal + language: "go"}, "new", "go"},
		{"an empty text", map[string]any{inOriginal + rawMember: ""}, "", "py"},
		{"formats left out", map[string]any{inOriginal + rawMember: "new", "formats": nil}, "new", "py"},
		{"the original's id left out", map[string]any{inOriginal + rawMember: "new", "original.id": nil}, "new", "py"},
		{"the preview left out", map[string]any{inOriginal + rawMember: "new", "preview": nil}, "new", "py"},
	} {
		doc := seeded(t)
		doc = []byte(strings.Replace(string(doc), `"generic":"TEXT","specific":"UNKNOWN"`, `"generic":"CODE","specific":"py"`, 1))
		got := update(t, doc, edited(t, doc, test.changes))

		rendered := decode(t, render(t, got, true))
		for _, place := range []string{inFormat, inOriginal, inPreview} {
			for member, want := range map[string]any{rawMember: test.text, language: test.language, "updated.value": nowText, "id": formatID} {
				if is := at(rendered, parsePath(place+member)...); is != want {
					t.Errorf("%s: %s%s is %v, want %v", test.name, place, member, is, want)
				}
			}
			if is, want := at(rendered, parsePath(place+"bytes.value")...), len(test.text); is != jsonNumber(want) {
				t.Errorf("%s: the size in %s is %v, want %d", test.name, place, is, want)
			}
		}
		if is := at(rendered, "updated", "value"); is != nowText {
			t.Errorf("%s: the asset was updated %v, want %v", test.name, is, nowText)
		}
		if is := at(rendered, "created", "value"); is != "2026-01-02T03:04:05.678Z" {
			t.Errorf("%s: the asset was created %v", test.name, is)
		}
		if n := strings.Count(string(got), `"fragment"`); n != 1 {
			t.Errorf("%s: the stored form has %d fragments, want 1: %s", test.name, n, got)
		}
		unchanged(t, got, []byte(render(t, got, true)))
	}
}

// The same places in an asset whose reference says something else than its
// format, as another server may have given it.
func TestUpdateOfDifferingReference(t *testing.T) {
	doc := []byte(strings.Replace(string(imported(t)), `print(\"\u0068i`, `other(\"`, 1)) // the original comes first
	texts := func(doc []byte) []any {
		v := decode(t, render(t, doc, true))
		return []any{at(v, parsePath(inFormat+rawMember)...), at(v, parsePath(inOriginal+rawMember)...), at(v, parsePath(inPreview+rawMember)...)}
	}
	before := texts(doc)
	if before[0] == before[1] || before[0] != before[2] {
		t.Fatalf("the texts are %q, want the second one to differ", before)
	}
	for _, test := range []struct {
		name    string
		changes map[string]any
		want    []any
	}{
		{"another name", map[string]any{"name": "new"}, before},
		{"another role", map[string]any{inFormat + "role": "CODE"}, before},
		{"another language in the original", map[string]any{inOriginal + language: "go"}, before},
		{"other metadata in the format", map[string]any{inFormat + "fragment.metadata.ext": "go"}, before},
		{"other metadata in the original", map[string]any{inOriginal + "fragment.metadata.ext": "go"}, before},
		{"another text in the original", map[string]any{inOriginal + rawMember: "new"}, []any{before[0], "new", before[0]}},
		{"another text in the preview", map[string]any{inPreview + rawMember: "new"}, []any{"new", "new", "new"}},
		{"another text in the format", map[string]any{inFormat + rawMember: "new"}, []any{"new", "new", "new"}},
	} {
		got := update(t, doc, edited(t, doc, test.changes))
		if diff := cmp.Diff(test.want, texts(got)); diff != "" {
			t.Errorf("%s: texts of format, original and preview (-want +got):\n%s", test.name, diff)
		}
		if language := test.changes[inOriginal+language]; language != nil {
			v := decode(t, render(t, got, true))
			for _, place := range []string{inFormat, inOriginal, inPreview} {
				if is := at(v, parsePath(place+"classification.specific")...); is != language {
					t.Errorf("%s: in %s it is %v, want %v", test.name, place, is, language)
				}
			}
		}
	}
}

// An update keeps what it does not know, and the forms of what it does not
// change; what references and flattened assets repeat is stored once.
func TestUpdateKeepsUnknown(t *testing.T) {
	doc := imported(t)
	got := update(t, doc, `{"id":"`+assetID+`","name":"new"}`)
	for _, want := range []string{
		`"x_asset":[1.0,2]`, `"x_original":true`, `"x_preview":true`, `"x_formats":true`, `"x_format":{"deep":[1,{"x":"\u00e9"}]}`,
		`"x_class":null`, `"x_fragment":12345678901234567890`, `"x_flat":1.50`, `"x_tag":1`, `"score":{"manual":1}`, `"indices":{"f1":0,"f2":1}`,
		`"created":{"value":"2020-01-01T00:00:00.123456Z","readable":"long ago"}`, `"raw":"print(\"\u0068i\u0000\")"`, `"raw":[1,2,3]`,
		`"schema":{"migration":0,"semantic":"MAJOR_0_MINOR_0_PATCH_1"}`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	for _, once := range []string{`print(`, `[1,2,3]`, `"x_fragment"`, `"x_format"`, `"icon"`} {
		if n := strings.Count(string(got), once); n != 1 {
			t.Errorf("%s is stored %d times, want once: %s", once, n, got)
		}
	}
	if strings.Contains(string(got), `"reference"`) {
		t.Errorf("a reference that says nothing of its own is stored: %s", got)
	}
	want := decode(t, render(t, doc, true))
	set(want, "new", "name")
	set(want, map[string]any{"value": nowText}, "updated")
	for i := range 2 {
		set(want, "new", "formats", "iterable", i, "asset", "name")
		set(want, map[string]any{"value": nowText}, "formats", "iterable", i, "asset", "updated")
		set(want, map[string]any{"base": "f1", "overlay": "f2"}, "formats", "iterable", i, "asset", "preview")
	}
	if diff := cmp.Diff(want, decode(t, render(t, got, true))); diff != "" {
		t.Errorf("the asset with a new name (-want +got):\n%s", diff)
	}
}

// A reference that is more precise than its format is not one that repeats it.
func TestUpdateKeepsPrecision(t *testing.T) {
	const precise = `{"bytes":{"value":12345678901234567890},"created":{"value":"2020-01-01T00:00:00.123456Z"}}`
	doc := []byte(`{"id":"a","formats":{"iterable":[{"id":"f1","bytes":{"value":12345678901234567000},"created":{"value":"2020-01-01T00:00:00.123Z"}}]},"original":{"id":"f1","reference":` + precise + `}}`)
	got := update(t, doc, `{"name":"n"}`)
	if reference := raw(got, "original", "reference"); string(reference) != precise {
		t.Errorf("the reference is %s, want %s", reference, precise)
	}
}

func TestUpdateFormats(t *testing.T) {
	doc := imported(t)
	for _, test := range []struct {
		name, patch string
		want        []string // ids of formats
	}{
		{"one left out", `{"formats":{"iterable":[{"id":"f2"}]}}`, []string{"f2"}},
		{"all left out", `{"formats":{"iterable":[]}}`, nil},
		{"another order", `{"formats":{"iterable":[{"id":"f2"},{"id":"f1"}]}}`, []string{"f2", "f1"}},
		{"one added", `{"formats":{"iterable":[{"id":"f1"},{"id":"f2"},{"id":"f3","fragment":{"string":{"raw":"three"}}}]}}`, []string{"f1", "f2", "f3"}},
	} {
		got := update(t, doc, test.patch)
		if diff := cmp.Diff(test.want, asset.FormatIDs(got)); diff != "" {
			t.Errorf("%s: formats (-want +got):\n%s", test.name, diff)
		}
		rendered := decode(t, render(t, got, true))
		for i, id := range test.want {
			if id == "f2" {
				if value := at(rendered, "formats", "iterable", i, "updated", "value"); value != "2020-01-01T00:00:00.123Z" {
					t.Errorf("%s: f2, which was not changed, was updated %v", test.name, value)
				}
			}
			if id == "f3" {
				if diff := cmp.Diff(map[string]any{"value": jsonNumber(5), "readable": "5 B"}, at(rendered, "formats", "iterable", i, "bytes")); diff != "" {
					t.Errorf("%s: size of f3 (-want +got):\n%s", test.name, diff)
				}
			}
		}
	}
	for _, doc := range []string{`{"id":"a"}`, `{"id":"a","formats":null}`, `{"id":"a","formats":5}`, `{"id":"a","formats":{"iterable":null}}`} {
		got := update(t, []byte(doc), `{"id":"a","name":"n"}`)
		if !strings.Contains(string(got), `"name":"n"`) {
			t.Errorf("the name is not in %s", got)
		}
		got = update(t, []byte(doc), `{"formats":{"iterable":[{"id":"f1"}]}}`)
		if diff := cmp.Diff([]string{"f1"}, asset.FormatIDs(got)); diff != "" {
			t.Errorf("formats of %s with a first one (-want +got):\n%s", doc, diff)
		}
	}
}

func TestUpdateInvalid(t *testing.T) {
	doc := seeded(t)
	for name, patch := range map[string]string{
		"a format without id":       `{"formats":{"iterable":[{"id":"` + formatID + `"},{"role":"BOTH"}]}}`,
		"a format with a null id":   `{"formats":{"iterable":[{"id":null}]}}`,
		"a format with a number":    `{"formats":{"iterable":[{"id":5}]}}`,
		"a format that is none":     `{"formats":{"iterable":[5]}}`,
		"formats that are none":     `{"formats":5}`,
		"formats that are a list":   `{"formats":[]}`,
		"an iterable that is none":  `{"formats":{"iterable":{}}}`,
		"a patch that is a number":  `5`,
		"a patch that is a list":    `[]`,
		"a patch that is null":      `null`,
		"a patch that is no text":   ``,
		"a patch that is a string":  `"x"`,
		"an iterable that is false": `{"formats":{"iterable":false}}`,
	} {
		before := bytes.Clone(doc)
		got, changed, err := asset.Update(doc, []byte(patch), now)
		checkInvalid(t, name, err)
		if got != nil || changed || !bytes.Equal(doc, before) {
			t.Errorf("%s: changed %t, to %s", name, changed, got)
		}
	}
}

// What says nothing new changes nothing, not a byte, not the time.
func TestUpdateOfNothing(t *testing.T) {
	for _, doc := range [][]byte{seeded(t), imported(t)} {
		for _, patch := range []string{
			`{}`, `{"id":"` + assetID + `"}`, `{"name":null,"formats":null,"original":null}`, `{"formats":{"iterable":null}}`, `{"formats":{}}`,
			string(doc), render(t, doc, true), render(t, doc, false), string(encode(t, decode(t, render(t, doc, true)))),
		} {
			unchanged(t, doc, []byte(patch))
		}
	}
}

// The id is what the document was found by.
func TestUpdateKeepsTheID(t *testing.T) {
	doc := seeded(t)
	unchanged(t, doc, []byte(`{"id":"other"}`))
	got := update(t, doc, `{"id":"other","name":"n"}`)
	if id := raw(got, "id"); string(id) != `"`+assetID+`"` {
		t.Errorf("the id is %s", id)
	}
}

// Where only a reference has the text, it moves to its format.
func TestUpdateMovesContent(t *testing.T) {
	doc := []byte(`{"id":"a","formats":{"iterable":[{"id":"f1","x":1},{"id":"f1","fragment":{"string":{"raw":"second"}}}]},"original":{"id":"f1","reference":{"id":"f1","asset":"a","fragment":{"string":{"raw":"only here"}}}}}`)
	want := `{"id":"a","formats":{"iterable":[{"id":"f1","x":1,"fragment":{"string":{"raw":"only here"}}},{"id":"f1","fragment":{"string":{"raw":"second"}}}]},"original":{"id":"f1"},"name":"n","updated":{"value":"` + nowText + `"}}`
	checkSame(t, "two formats with one id", string(update(t, doc, `{"name":"n"}`)), want)

	doc = []byte(`{"id":"a","formats":{"iterable":[{"id":"f1","fragment":null}]},"original":{"id":"f1","reference":{"file":{"string":{"raw":"only here"}}}},"preview":{"base":{"id":"f1","reference":{"asset":"b","file":{"string":{"raw":"only here"}}}}}}`)
	want = `{"id":"a","formats":{"iterable":[{"id":"f1","fragment":null,"file":{"string":{"raw":"only here"}}}]},"original":{"id":"f1"},"preview":{"base":{"id":"f1","reference":{"asset":"b"}}},"name":"n","updated":{"value":"` + nowText + `"}}`
	checkSame(t, "a reference of another asset", string(update(t, doc, `{"name":"n"}`)), want)

	doc = []byte(`{"id":"a","original":{"id":"f9","reference":{"fragment":{"string":{"raw":"only here"}}}}}`)
	want = `{"id":"a","original":{"id":"f9","reference":{"fragment":{"string":{"raw":"new"}}}},"updated":{"value":"` + nowText + `"}}`
	checkSame(t, "a reference to a missing format", string(update(t, doc, `{"original":{"id":"f9","reference":{"fragment":{"string":{"raw":"new"}}}}}`)), want)
}

// An encoding of a text that was replaced goes with it; the size of what is
// not in the document stays.
func TestUpdateEncodings(t *testing.T) {
	doc := []byte(`{"id":"a","formats":{"iterable":[{"id":"f1","bytes":{"value":2},"fragment":{"string":{"raw":"hi","base64":"aGk=","x":1}}},{"id":"f2","bytes":{"value":99},"file":{"metadata":{"name":"far away"}}}]}}`)
	got := update(t, doc, `{"formats":{"iterable":[{"id":"f1","fragment":{"string":{"raw":"new"}}},{"id":"f2","file":{"metadata":{"name":"x"}}}]}}`)
	want := `{"id":"a","formats":{"iterable":[{"id":"f1","bytes":{"value":3,"readable":"3 B"},"fragment":{"string":{"raw":"new","x":1}},"updated":{"value":"` + nowText + `"}},` +
		`{"id":"f2","bytes":{"value":99},"file":{"metadata":{"name":"x"}},"updated":{"value":"` + nowText + `"}}]},"updated":{"value":"` + nowText + `"}}`
	checkSame(t, "a new text", string(got), want)

	got = update(t, doc, `{"formats":{"iterable":[{"id":"f1","fragment":{"string":{"raw":"new","base64":"bmV3"}}},{"id":"f2"}]}}`)
	if base64 := raw(got, "formats", "iterable", 0, "fragment", "string", "base64"); string(base64) != `"bmV3"` {
		t.Errorf("the new encoding is %s", base64)
	}
}

func TestUpdateFormat(t *testing.T) {
	for name, doc := range map[string][]byte{"made here": seeded(t), "imported": imported(t)} {
		id := asset.FormatIDs(doc)[0]
		before := decode(t, render(t, doc, true))
		got, changed, ok := asset.UpdateFormat(doc, id, []byte(`{"id":"x","role":"NEITHER","bytes":{"value":5},"x":1,"created":null,"fragment":{"string":{"raw":"new\u0000","base64":null}}}`), now)
		if !changed || !ok {
			t.Fatalf("%s: UpdateFormat: changed %t, found %t", name, changed, ok)
		}
		checkCompacted(t, got)
		want := before
		for _, place := range []string{inFormat, inOriginal, inPreview} {
			set(want, "new\x00", parsePath(place+rawMember)...)
			set(want, map[string]any{"value": jsonNumber(4), "readable": "4 B"}, parsePath(place+"bytes")...)
			set(want, map[string]any{"value": nowText}, parsePath(place+"updated")...)
		}
		set(want, map[string]any{"value": nowText}, "updated")
		is := decode(t, render(t, got, true))
		for i := range asset.FormatIDs(doc) {
			set(want, at(is, "formats", "iterable", i, "asset"), "formats", "iterable", i, "asset")
		}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("%s: the asset with a new text (-want +got):\n%s", name, diff)
		}
		if value := at(is, "formats", "iterable", 0, "asset", "updated", "value"); value != nowText {
			t.Errorf("%s: the flattened asset was updated %v, want %v", name, value, nowText)
		}
		again, changed, ok := asset.UpdateFormat(got, id, raw([]byte(render(t, got, true)), "formats", "iterable", 0), now.AddDate(1, 0, 0))
		if changed || !ok || !bytes.Equal(again, got) {
			t.Errorf("%s: the same text once more: changed %t, found %t", name, changed, ok)
		}
	}
}

func TestUpdateFormatMissing(t *testing.T) {
	for _, doc := range []string{string(seeded(t)), `{}`, `{"formats":{"iterable":[{},{"id":5}]}}`, `null`} {
		for _, id := range []string{"", "nowhere", "5"} {
			got, changed, ok := asset.UpdateFormat([]byte(doc), id, []byte(`{"fragment":{"string":{"raw":"x"}}}`), now)
			if changed || ok || string(got) != doc {
				t.Errorf("UpdateFormat(%s, %q): changed %t, found %t", doc, id, changed, ok)
			}
		}
	}
	doc := seeded(t)
	for _, format := range []string{``, `null`, `5`, `{}`, `{"fragment":null}`, `{"fragment":5}`, `{"role":"CODE"}`} {
		got, changed, ok := asset.UpdateFormat(doc, formatID, []byte(format), now)
		if changed || !ok || !bytes.Equal(got, doc) {
			t.Errorf("UpdateFormat with %s: changed %t, found %t", format, changed, ok)
		}
	}
}

// TestUpdateFormatOfSeveral changes the first of the formats with an id: it is
// the one that references and readers mean.
func TestUpdateFormatOfSeveral(t *testing.T) {
	const other, old = `{"string":{"raw":"other"}}`, `{"string":{"raw":"old"}}`
	doc := []byte(`{"formats":{"iterable":[{"id":"f0","fragment":` + other + `},{"id":"f","fragment":` + old + `},{"id":"f","fragment":` + old + `}]}}`)
	got, changed, ok := asset.UpdateFormat(doc, "f", []byte(`{"fragment":{"string":{"raw":"new"}}}`), now)
	if !changed || !ok {
		t.Fatalf("UpdateFormat: changed %t, found %t", changed, ok)
	}
	for i, want := range []string{other, `{"string":{"raw":"new"}}`, old} {
		if text := raw(got, "formats", "iterable", i, "fragment"); string(text) != want {
			t.Errorf("format %d has %s, want %s", i, text, want)
		}
	}
	last := raw(got, "formats", "iterable", 2)
	if want := raw(doc, "formats", "iterable", 2); !bytes.Equal(last, want) {
		t.Errorf("the second with the id became %s", last)
	}
}

// TestUpdateFormatOtherForms sets a content in another form than the one that is
// there. No form of the old one may stay, since clients would go on reading it.
func TestUpdateFormatOtherForms(t *testing.T) {
	for _, test := range []struct{ old, change, want string }{
		{`"fragment":{"string":{"raw":"old","x":{}},"metadata":{"ext":"go"}}`, `{"fragment":{"string":{"base64":"bmV3"}}}`,
			`"fragment":{"string":{"x":{},"base64":"bmV3"},"metadata":{"ext":"go"}}`},
		{`"fragment":{"string":{"raw":"old"}}`, `{"fragment":{"bytes":{"raw":[110]}}}`, `"fragment":{"bytes":{"raw":[110]}}`},
		{`"fragment":{"bytes":{"raw":[111]}}`, `{"fragment":{"string":{"raw":"n"}}}`, `"fragment":{"string":{"raw":"n"}}`},
		{`"fragment":{"string":{"raw":"old"},"y":[1]}`, `{"file":{"string":{"raw":"new"}}}`, `"fragment":{"y":[1]},"file":{"string":{"raw":"new"}}`},
		{`"file":{"string":{"raw":"old"}}`, `{"fragment":{"string":{"raw":"new"}}}`, `"fragment":{"string":{"raw":"new"}}`},
		{`"fragment":{"string":{"raw":"old"}}`, `{"fragment":{"metadata":{"ext":"go"}}}`, `"fragment":{"string":{"raw":"old"},"metadata":{"ext":"go"}}`},
	} {
		doc := `{"formats":{"iterable":[{"id":"f",` + test.old + `}]}}`
		got, changed, ok := asset.UpdateFormat([]byte(doc), "f", []byte(test.change), now)
		if !changed || !ok {
			t.Fatalf("UpdateFormat(%s, %s): changed %t, found %t", doc, test.change, changed, ok)
		}
		format := raw(got, "formats", "iterable", 0)
		for _, name := range []string{"bytes", "updated"} {
			format = rawjson.Replace(format, name, nil)
		}
		if want := `{"id":"f",` + test.want + `}`; string(format) != want {
			t.Errorf("UpdateFormat(%s, %s):\n%s, want\n%s", doc, test.change, format, want)
		}
	}
}

// TestCost holds updating and rendering to what the size of an asset demands: a
// cost that grew with its square would take minutes here.
func TestCost(t *testing.T) {
	var items, members []string
	for i := range 4000 {
		items = append(items, fmt.Sprintf(`{"id":"f%d","asset":{"id":"a","name":"old","x":%d}}`, i, i))
	}
	for i := range 80_000 {
		members = append(members, fmt.Sprintf(`"m%d":%d`, i, i))
	}
	doc := `{"id":"a","name":"old","original":{"id":"f0","reference":{` + strings.Join(members, ",") + `}},"formats":{"iterable":[` + strings.Join(items, ",") + `]}}`
	limit, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		render(t, []byte(doc), true)
		if _, changed, err := asset.Update([]byte(doc), []byte(`{"name":"new"}`), now); !changed || err != nil {
			t.Errorf("Update: changed %t, %v", changed, err)
		}
	}()
	select {
	case <-done:
	case <-limit.Done():
		t.Fatal("an asset of a megabyte is not done after 20 s")
	}
}

// TestUpdateHidden changes an asset of which a collection is hidden, where no id
// tells the items of its list apart: what is hidden stays.
func TestUpdateHidden(t *testing.T) {
	stored := []byte(`{"id":"a","name":"old","formats":{"iterable":[]},"persons":{"iterable":[{"annotations":{"note":"keep"}}]}}`)
	shown := render(t, stored, true)
	if !strings.Contains(shown, `"annotations":null`) {
		t.Fatalf("nothing is hidden: %s", shown)
	}
	for _, patch := range []string{
		strings.Replace(shown, `"old"`, `"new"`, 1),
		strings.Replace(strings.Replace(shown, `"old"`, `"new"`, 1), `"annotations":null`, ``, 1), // as the SDK sends it
	} {
		got, changed, err := asset.Update(stored, []byte(patch), now)
		if err != nil || !changed || !strings.Contains(string(got), `"new"`) || !strings.Contains(string(got), `"annotations":{"note":"keep"}`) {
			t.Errorf("%s\nbecomes %s, %v, %v", patch, got, changed, err)
		}
	}
}
