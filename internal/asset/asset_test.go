package asset_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// The ids and times of the example.
const (
	assetID   = "a1111111-1111-4111-8111-111111111111"
	formatID  = "f1111111-1111-4111-8111-111111111111"
	creatorID = "d1111111-1111-4111-8111-111111111111"
)

var (
	then = time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.UTC)
	now  = time.Date(2026, 11, 23, 7, 25, 41, 123_456_789, time.FixedZone("", 3600))
)

// nowText is now as it goes out.
const nowText = "2026-11-23T06:25:41.123Z"

// stamp returns the stamp of the example, whose further ids count up.
func stamp() asset.Stamp {
	n := 0
	return asset.Stamp{ID: assetID, Format: formatID, Creator: creatorID, Now: then, NewID: func() string {
		n++
		return fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	}}
}

// compact returns a text without white space.
func compact(t testing.TB, text string) []byte {
	t.Helper()
	out, err := rawjson.Compact(nil, []byte(text))
	if err != nil {
		t.Fatalf("compacting %.200s: %v", text, err)
	}
	return out
}

// file returns a file of testdata, compacted.
func file(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return compact(t, string(text))
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// written returns what a function writes, which must be compacted JSON.
func written(t fataler, write func(w *bufio.Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatalf("flushing: %v", err)
	}
	checkCompacted(t, out.Bytes())
	return out.String()
}

func checkCompacted(t fataler, text []byte) {
	t.Helper()
	again, err := rawjson.Compact(nil, text)
	if err != nil || !bytes.Equal(again, text) {
		t.Fatalf("this is not compacted JSON (%v): %s", err, text)
	}
}

// render returns the form of an asset that clients read.
func render(t fataler, doc []byte, transferables bool) string {
	t.Helper()
	return written(t, func(w *bufio.Writer) { asset.Render(w, doc, transferables) })
}

// decode returns what encoding/json makes of a text, numbers as json.Number.
func decode(t fataler, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decoding %s: %v", text, err)
	}
	return v
}

// at returns what is in decoded JSON at a path of names and numbers, with nil
// for what is not there.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			list, _ := v.([]any)
			if p >= len(list) {
				return nil
			}
			v = list[p]
		}
	}
	return v
}

// set changes a member of the object at a path of decoded JSON.
func set(v any, value any, path ...any) {
	m := at(v, path[:len(path)-1]...).(map[string]any)
	m[path[len(path)-1].(string)] = value
}

// encode is the way back from decode; the members are sorted then.
func encode(t fataler, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// checkSame compares JSON texts by what they say.
func checkSame(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(decode(t, want), decode(t, got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// seeded returns the stored form of the example.
func seeded(t testing.TB) []byte {
	t.Helper()
	doc, err := asset.FromSeed(file(t, "seed_min.json"), stamp())
	if err != nil {
		t.Fatalf("FromSeed: %v", err)
	}
	return doc
}

// update changes an asset and fails unless that changed it.
func update(t *testing.T, doc []byte, patch string) []byte {
	t.Helper()
	before := bytes.Clone(doc)
	out, changed, err := asset.Update(doc, compact(t, patch), now)
	if err != nil || !changed {
		t.Fatalf("Update with %.300s: changed %t, %v", patch, changed, err)
	}
	if !bytes.Equal(doc, before) {
		t.Fatal("Update changed its argument")
	}
	checkCompacted(t, out)
	return out
}

// unchanged fails if an update changes anything.
func unchanged(t fataler, doc, patch []byte) {
	t.Helper()
	out, changed, err := asset.Update(doc, patch, now)
	if err != nil || changed || !bytes.Equal(out, doc) {
		t.Fatalf("Update with %s: changed %t, %v\nfrom %s\nto   %s", patch, changed, err, doc, out)
	}
}

// checkInvalid fails unless err has CodeInvalid, a message and a hint.
func checkInvalid(t *testing.T, what string, err error) {
	t.Helper()
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok || e.Code != cairn.CodeInvalid || e.Message == "" || e.Hint == "" {
		t.Errorf("%s: %#v, want CodeInvalid with a message and a hint", what, err)
	}
}

func TestFormatIDs(t *testing.T) {
	for _, test := range []struct {
		doc  string
		want []string
	}{
		{string(seeded(t)), []string{formatID}},
		{`{"formats":{"iterable":[{"id":"b"},{"id":5},7,null,{},{"id":"\u0061"},{"id":"b"}]}}`, []string{"b", "a", "b"}},
		{`{"formats":{"iterable":5}}`, nil},
		{`{"formats":5}`, nil},
		{`{}`, nil},
		{`null`, nil},
		{``, nil},
	} {
		if diff := cmp.Diff(test.want, asset.FormatIDs([]byte(test.doc))); diff != "" {
			t.Errorf("FormatIDs(%s) (-want +got):\n%s", test.doc, diff)
		}
	}
}

func TestOriginalText(t *testing.T) {
	const two = `"formats":{"iterable":[{"id":"f1","fragment":{"string":{"raw":"one"}}},{"id":"f2","fragment":{"string":{"raw":"\u0000two\n"}}}]}`
	for _, test := range []struct {
		name, doc, text, id string
		ok                  bool
	}{
		{"the original", `{` + two + `,"original":{"id":"f2"}}`, "\x00two\n", "f2", true},
		{"no original named", `{` + two + `}`, "one", "f1", true},
		{"an original of another type", `{` + two + `,"original":{"id":2}}`, "one", "f1", true},
		{"a missing original", `{` + two + `,"original":{"id":"f3"}}`, "", "f3", false},
		{"in the reference alone", `{"formats":{"iterable":[{"id":"f1"}]},"original":{"id":"f1","reference":{"fragment":{"string":{"raw":"ref"}}}}}`, "ref", "f1", true},
		{"in the reference to a missing format", `{` + two + `,"original":{"id":"f3","reference":{"fragment":{"string":{"raw":"ref"}}}}}`, "ref", "f3", true},
		{"both", `{` + two + `,"original":{"id":"f1","reference":{"fragment":{"string":{"raw":"ref"}}}}}`, "one", "f1", true},
		{"a file", `{"formats":{"iterable":[{"id":"f1","file":{"string":{"raw":"x"}}}]}}`, "x", "f1", true},
		{"a file beside an empty fragment", `{"formats":{"iterable":[{"id":"f1","fragment":{"string":{"raw":null}},"file":{"string":{"raw":"x"}}}]}}`, "x", "f1", true},
		{"an empty text", `{"formats":{"iterable":[{"id":"f1","fragment":{"string":{"raw":""}}}]}}`, "", "f1", true},
		{"base64 alone", `{"formats":{"iterable":[{"id":"f1","fragment":{"string":{"base64":"eA=="}}}]}}`, "", "f1", false},
		{"nothing", `{}`, "", "", false},
		{"odd types", `{"formats":{"iterable":[5]},"original":[]}`, "", "", false},
	} {
		text, id, ok := asset.OriginalText([]byte(test.doc))
		if text != test.text || id != test.id || ok != test.ok {
			t.Errorf("%s: OriginalText = %q, %q, %t, want %q, %q, %t", test.name, text, id, ok, test.text, test.id, test.ok)
		}
	}
}

func TestLanguage(t *testing.T) {
	for name, want := range map[string]string{
		"main.go": "go", "a/b/main.go": "go", "x.PY": "py", "Gemfile": "Gemfile", "dir/Gemfile": "Gemfile",
		".bashrc": "bashrc", ".zshrc": ".zshrc", "Dockerfile": "dockerfile", "Cargo.lock": "Cargo.lock",
		"x.tmLanguage": "tmLanguage", "a.tar.gz": "gz", "README": "UNKNOWN", "": "UNKNOWN", ".": "UNKNOWN", "x.": "UNKNOWN",
		"x.unknown": "UNKNOWN", "UNKNOWN": "UNKNOWN", "zip": "zip", "x.zsh": "zsh", "x.bash_aliases": "UNKNOWN", "x.abap": "abap",
		"x.hljs-1c": "hljs-1c", "poetry.lock": "poetry.lock", "x.pxd.in": "UNKNOWN", "makefile.mk": "UNKNOWN", "go/README": "UNKNOWN",
	} {
		if got := asset.Language(name); got != want {
			t.Errorf("Language(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestLanguageNamed(t *testing.T) {
	for word, want := range map[string]string{
		"py": "py", "PY": "py", "tmlanguage": "tmLanguage", "gemfile": "Gemfile", ".ZSHRC": ".zshrc", "unknown": "UNKNOWN",
		"Python": "", ".py": "", "": "", "py ": "", "main.go": "",
	} {
		got, ok := asset.LanguageNamed(word)
		if ok != (want != "") || ok && got != want {
			t.Errorf("LanguageNamed(%q) = %q, %t, want %q", word, got, ok, want)
		}
	}
}

// jsonNumber returns a number as decode does.
func jsonNumber(n int) any { return json.Number(fmt.Sprint(n)) }
