package segment_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn"
	"cairn/internal/segment"
)

func TestNewRow(t *testing.T) {
	d := cairn.Document{Revision: 7, Collection: "assets", ID: "a", JSON: []byte(`{"name":"n","language":"go","created":"c"}`)}
	content := cairn.ContentHash(d.JSON)
	want := segment.Row{
		Collection: "assets", ID: "a", Revision: 7, Bytes: 42, Hash: [8]byte(content[:8]),
		Name: "n", Language: "go", Created: "c",
	}
	if diff := cmp.Diff(want, segment.NewRow(d, content, browse)); diff != "" {
		t.Errorf("another row (-want +got):\n%s", diff)
	}
	want.Name, want.Language, want.Created = "", "", ""
	if diff := cmp.Diff(want, segment.NewRow(d, content, nil)); diff != "" {
		t.Errorf("without a Browse another row (-want +got):\n%s", diff)
	}
}

func TestRowTexts(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{strings.Repeat("x", 512), strings.Repeat("x", 512)},
		{strings.Repeat("x", 513), strings.Repeat("x", 512)},
		{strings.Repeat("é", 1<<20), strings.Repeat("é", 256)},
		{"x" + strings.Repeat("é", 300), "x" + strings.Repeat("é", 255)},
		{"x" + strings.Repeat("😀", 200), "x" + strings.Repeat("😀", 127)},
		{"a\xff\xfeb", "ab"},
		{strings.Repeat("\x80", 600), ""},
		{"\xed\xa0\x80", ""}, // a surrogate
		{"\x00\n\"\\\u2028<&>", "\x00\n\"\\\u2028<&>"},
	} {
		got := segment.NewRow(cairn.Document{Collection: "a", ID: "b", Revision: 1}, [32]byte{}, func(string, []byte) (string, string, string) {
			return test.text, test.text, test.text
		})
		if got.Name != test.want || got.Language != test.want || got.Created != test.want {
			t.Errorf("%q became %q, %q, %q, want %q", test.text, got.Name, got.Language, got.Created, test.want)
		}
	}
}

func TestRowRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.StringN(0, 600, 1000).Draw(t, name) }
		d := cairn.Document{
			Revision:   rapid.Int64Range(0, 1<<63-1).Draw(t, "revision"),
			Collection: rapid.StringMatching(`[a-z][a-z0-9_]{0,63}`).Draw(t, "collection"),
			ID:         rapid.StringMatching(`[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}`).Draw(t, "id"),
			JSON:       make([]byte, rapid.IntRange(0, 100_000).Draw(t, "bytes")),
		}
		name, language, created := text("name"), text("language"), text("created")
		want := segment.NewRow(d, cairn.ContentHash(d.JSON), func(string, []byte) (string, string, string) { return name, language, created })
		line := segment.AppendRow(nil, want)
		got, err := segment.ParseRow(line[:len(line)-1])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("another row came back (-want +got):\n%s", diff)
		}
		// Any JSON parser reads the same.
		var object struct {
			Collection, ID, Hash, Name, Language, Created string
			Revision, Bytes                               int64
		}
		if err := json.Unmarshal(line, &object); err != nil || !utf8.Valid(line) {
			t.Fatalf("%q is not JSON: %v", line, err)
		}
		if object.Name != want.Name || object.Language != want.Language || object.Created != want.Created || object.ID != want.ID || object.Bytes != want.Bytes {
			t.Errorf("package json reads %+v, want %+v", object, want)
		}
	})
}

// rowLines are refused, but for the first three. Each is a seed of the fuzz
// target.
var rowLines = []string{
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","language":"\u0000\"\\"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"é","language":"go","created":"x"}`,

	``, `{}`, `{"collection":"a","id":"b","revision":7}`,
	`{"collection":"A","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef"}`,
	`{"collection":"a","id":"","revision":7,"bytes":2,"hash":"0123456789abcdef"}`,
	`{"collection":"a","id":"b","revision":07,"bytes":2,"hash":"0123456789abcdef"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":-2,"hash":"0123456789abcdef"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789ABCDEF"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcde"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdeg"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef00"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef"`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef"} `,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef"}` + "\n",
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef",}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":""}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":null}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"x}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"x\"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"x\`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"\n"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"\u0041"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"\u000A"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"\ud800"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"` + "\xff" + `"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"` + "\x01" + `"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"` + strings.Repeat("x", 513) + `"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","language":"x","name":"x"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","name":"x","name":"x"}`,
	`{"collection":"a","id":"b","revision":7,"bytes":2,"hash":"0123456789abcdef","other":"x"}`,
}

func TestParseRowRefuses(t *testing.T) {
	for i, line := range rowLines {
		got, err := segment.ParseRow([]byte(line))
		if i < 3 {
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
		} else if err == nil {
			t.Errorf("%q was read as %+v", line, got)
		}
	}
}

// FuzzParseRow checks that what can be read is what AppendRow writes.
func FuzzParseRow(f *testing.F) {
	if len(rowLines) == 0 {
		f.Fatal("there are no seeds")
	}
	for _, line := range rowLines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := segment.ParseRow(line)
		if err != nil {
			return
		}
		if again := string(segment.AppendRow(nil, r)); again != string(line)+"\n" {
			t.Errorf("%q was read, but is written as %q", line, again)
		}
		if !json.Valid(line) {
			t.Errorf("%q was read, but is not JSON", line)
		}
	})
}
