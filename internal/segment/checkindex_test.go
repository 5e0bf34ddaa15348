package segment_test

import (
	"bytes"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/segment"
)

// TestCheckIndex reads parts and catalog at once.
func TestCheckIndex(t *testing.T) {
	k := keys(t)
	index, s, parts, rows := smallIndex(t, k)
	got, catalog, err := segment.CheckIndex(bytes.NewReader(index), k, s)
	if diff := gocmp.Diff(parts, got); diff != "" || err != nil {
		t.Errorf("it returned %v and other parts (-want +got):\n%s", err, diff)
	}
	var want cairn.Digest
	for _, r := range rows {
		want = want.Add(r.Digest())
	}
	if catalog != want {
		t.Errorf("the catalog has the digest %s, want %s", catalog, want)
	}
}

// TestRowDigest tells rows apart by all that they say of a document, and not by what
// a person looks for.
func TestRowDigest(t *testing.T) {
	row := segment.Row{Collection: "assets", ID: "a", Revision: 7, Bytes: 12, Hash: [8]byte{1, 2, 3}, Name: "a.go"}
	for name, change := range map[string]func(*segment.Row){
		"collection": func(r *segment.Row) { r.Collection = "tags" },
		"id":         func(r *segment.Row) { r.ID = "b" },
		"revision":   func(r *segment.Row) { r.Revision++ },
		"bytes":      func(r *segment.Row) { r.Bytes++ },
		"hash":       func(r *segment.Row) { r.Hash[7]++ },
	} {
		other := row
		change(&other)
		if other.Digest() == row.Digest() {
			t.Errorf("another %s has the same digest", name)
		}
	}
	other := row
	other.Name, other.Language, other.Created = "b", "go", "now"
	if other.Digest() != row.Digest() {
		t.Error("the digest depends on what a person looks for")
	}
}
