package segment_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	gocmp "github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/segment"
)

// update writes the golden files anew: go test ./internal/segment -run Golden -update
var update = flag.Bool("update", false, "write the golden files of testdata")

// goldenDocuments are those of the golden files: two parts of them.
func goldenDocuments() [2][]cairn.Document {
	return [2][]cairn.Document{
		{
			{Revision: 1, Collection: "assets", ID: "a1111111-1111-4111-8111-111111111111", JSON: []byte(`{"name":"server.go","language":"go","created":"2026-11-23T07:25:41.123Z","formats":[{"fragment":{"string":{"raw":"package main\n\nfunc main() {}\n"}}}]}`)},
			{Revision: 2, Collection: "tags", ID: "b", JSON: []byte(`{}`)},
			{Revision: 5, Collection: "assets", ID: "deleted-before"},
		},
		{
			{Revision: 6, Collection: "assets", ID: "A.b_c-1", JSON: []byte(`{"name":"\"Ä\" \\ \u0000 \ud800 😀` + "\u2028" + `","n":[1e400,-0.0,12345678901234567890],"document":{}}`)},
			{Revision: 9, Collection: "tags", ID: "deleted-later"},
		},
	}
}

// golden is where the files are. Each part is there as its lines and as its
// object; so is the index. segment.json is how a manifest speaks of them.
func golden(name string) string { return filepath.Join("testdata", name) }

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(golden(name))
	if err != nil {
		t.Fatalf("%v; go test -run Golden -update writes it", err)
	}
	return data
}

// goldenKey is the identity that the objects were encrypted for. It protects
// nothing.
func goldenKey(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(readGolden(t, "key"))))
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// catalogOf returns a catalog of documents.
func catalogOf(t *testing.T, groups ...[]cairn.Document) *segment.Catalog {
	t.Helper()
	c := segment.NewCatalog(t.TempDir(), 1<<20)
	t.Cleanup(func() { c.Close() })
	for _, docs := range groups {
		fill(t, c, rowsOf(docs))
	}
	return c
}

// writeGolden writes all golden files but the key.
func writeGolden(t *testing.T) {
	identity := goldenKey(t)
	groups := goldenDocuments()
	var parts []segment.Part
	files := map[string][]byte{}
	for i, docs := range groups {
		object, p := encode(t, identity.Recipient(), docs)
		p.Name = "parts/0" + string(rune('1'+i)) + "/part.jsonl.zst.age"
		if i > 0 {
			p.From = parts[i-1].To
		}
		name := "part" + string(rune('1'+i)) + ".jsonl"
		files[name], files[name+".zst.age"] = unseal(t, identity, object), object
		parts = append(parts, p)
	}
	s, err := segment.Join(parts)
	if err != nil {
		t.Fatal(err)
	}
	index, s := writeIndex(t, identity.Recipient(), s, parts, catalogOf(t, groups[0], groups[1]))
	files["index.jsonl"], files["index.jsonl.zst.age"] = unseal(t, identity, index), index
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	files["segment.json"] = append(text, '\n')
	for name, data := range files {
		if err := os.WriteFile(golden(name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGolden holds the format: what was written once can be read, and the same
// documents still give the same lines.
func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	identity := goldenKey(t)
	var s segment.Segment
	text := readGolden(t, "segment.json")
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(s); err != nil || string(again)+"\n" != string(text) {
		t.Errorf("segment.json is written as\n%s, want\n%s", again, text)
	}
	index := readGolden(t, "index.jsonl.zst.age")
	parts, err := segment.ReadIndex(bytes.NewReader(index), identity, s)
	if err != nil {
		t.Fatal(err)
	}
	groups := goldenDocuments()
	if len(parts) != len(groups) {
		t.Fatalf("%d parts, want %d", len(parts), len(groups))
	}
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		t.Fatal(err)
	}
	for i, docs := range groups {
		name := "part" + string(rune('1'+i)) + ".jsonl"
		want := readGolden(t, name)
		plain, err := decoder.Decode(nil, readGolden(t, name+".zst.age"), parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(string(want), string(plain)); diff != "" {
			t.Errorf("the object of %s holds other lines (-want +got):\n%s", name, diff)
		}
		if diff := gocmp.Diff(docs, collect(t, parts[i].Lines(plain))); diff != "" {
			t.Errorf("%s holds other documents (-want +got):\n%s", name, diff)
		}
		var lines []byte
		for _, d := range docs {
			lines = segment.AppendLine(lines, d)
		}
		if diff := gocmp.Diff(string(want), string(lines)); diff != "" {
			t.Errorf("the lines of %s are written otherwise (-want +got):\n%s", name, diff)
		}
	}

	rows := sorted(append(rowsOf(groups[0]), rowsOf(groups[1])...))
	if diff := gocmp.Diff(rows, collect(t, segment.Rows(bytes.NewReader(index), identity, s))); diff != "" {
		t.Errorf("the index holds other rows (-want +got):\n%s", diff)
	}
	want := string(readGolden(t, "index.jsonl"))
	if diff := gocmp.Diff(want, string(unseal(t, identity, index))); diff != "" {
		t.Errorf("the object of the index holds other lines (-want +got):\n%s", diff)
	}
	joined, err := segment.Join(parts)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := writeIndex(t, identity.Recipient(), joined, parts, catalogOf(t, groups[1], groups[0]))
	if diff := gocmp.Diff(want, string(unseal(t, identity, again))); diff != "" {
		t.Errorf("the index is written otherwise (-want +got):\n%s", diff)
	}
}
