package database_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// long returns a document of which about two fill a page of a list.
func long(id string, v int) cairn.Document {
	return put(id, fmt.Sprintf(`{"id":%q,"v":%d,"x":%q}`, id, v, strings.Repeat("x", database.PageBytes*2/3)))
}

// someNames returns the ids of the first n documents, a00, a01, ...
func someNames(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("a%02d", i))
	}
	return out
}

// What happens to a document while a list is on its way does not make it come
// twice or not at all. Of eight documents, two a page, the list has yielded the
// first three when it happens, and read the fourth.
func TestListWhileChanging(t *testing.T) {
	const updated, deleted = "updated", "deleted"
	for _, test := range []struct {
		name   string
		id     string
		steps  []string
		yields int // times that the list yields it
	}{
		{"one that came, once", "a01", []string{updated}, 1},
		{"one that came, twice", "a01", []string{updated, updated}, 1},
		{"one that came, three times", "a01", []string{updated, updated, updated}, 1},
		{"one that came, deleted", "a01", []string{deleted}, 1},
		{"one that came, deleted and made again", "a01", []string{deleted, updated, updated}, 1},
		{"one on the page, once", "a03", []string{updated}, 1},
		{"one on the page, twice", "a03", []string{updated, updated}, 1},
		{"one to come, once", "a06", []string{updated}, 1},
		{"one to come, twice", "a06", []string{updated, updated}, 1},
		{"one to come, deleted", "a06", []string{deleted}, 0},
		{"one to come, updated and deleted", "a06", []string{updated, deleted}, 0},
		{"one to come, deleted and made again", "a06", []string{deleted, updated}, 1},
		{"one to come, deleted, made again and updated", "a06", []string{deleted, updated, updated}, 1},
		{"the last one", "a07", []string{updated, updated}, 1},
		{"a new one", "b", []string{updated}, 0},
		{"a new one, updated", "b", []string{updated, updated}, 0},
		{"a new one, updated and deleted", "b", []string{updated, updated, deleted, updated}, 0},
	} {
		db := open(t, t.TempDir())
		for _, id := range someNames(8) {
			apply(t, db, long(id, 0))
		}
		next, stop := iter.Pull2(db.List(t.Context(), "assets"))
		got := map[string]int{}
		take := func(n int) {
			for range n {
				doc, err, ok := next()
				if err != nil {
					t.Fatalf("%s: List: %v", test.name, err)
				}
				if ok {
					got[doc.ID]++
				}
			}
		}
		take(3)
		for i, step := range test.steps {
			if step == deleted {
				apply(t, db, remove(test.id))
			} else {
				apply(t, db, long(test.id, i+1))
			}
		}
		take(20)
		stop()
		want := map[string]int{}
		for _, id := range someNames(8) {
			want[id] = 1
		}
		want[test.id] = test.yields
		if test.yields == 0 {
			delete(want, test.id)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: times that a document came (-want +got):\n%s", test.name, diff)
		}
		shut(t, db)
	}
}

// The same with many writers and readers at once: a document that is there
// throughout comes exactly once, whatever happens around it.
func TestListConcurrently(t *testing.T) {
	db := open(t, t.TempDir())
	stable, fleeting := someNames(40), []string{"x1", "x2", "x3", "x4", "x5"}
	docs := []cairn.Document{{Collection: "tags", ID: "other", JSON: []byte(`{}`)}}
	for _, id := range append(stable, fleeting...) {
		docs = append(docs, long(id, 0))
	}
	apply(t, db, docs...)
	ctx, cancel := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() { churn(ctx, t, db, rand.New(rand.NewPCG(1, uint64(w))), stable, fleeting) })
	}
	for range 3 {
		readers.Go(func() {
			for range 4 {
				checkList(t, db, stable, fleeting)
			}
		})
	}
	readers.Wait()
	cancel()
	writers.Wait()
	verify(t, db)
	if got := len(drain(t, db.List(t.Context(), "assets"))); got < len(stable) {
		t.Errorf("%d documents in the end, want %d and more", got, len(stable))
	}
}

// churn updates documents of the first kind, a few of them again and again, and
// deletes and makes again those of the second, until ctx ends.
func churn(ctx context.Context, t *testing.T, db *database.DB, r *rand.Rand, stable, fleeting []string) {
	for v := 1; ctx.Err() == nil; v++ {
		doc := long(stable[r.IntN(len(stable))], r.Int())
		switch r.IntN(4) {
		case 0:
			doc = long(stable[r.IntN(3)], r.Int())
		case 1:
			doc = long(fleeting[r.IntN(len(fleeting))], r.Int())
		case 2:
			doc = remove(fleeting[r.IntN(len(fleeting))])
		}
		if _, err := db.Apply(ctx, []cairn.Document{doc}); err != nil && ctx.Err() == nil {
			t.Errorf("Apply: %v", err)
			return
		}
	}
}

// checkList lists once, and the ids too.
func checkList(t *testing.T, db *database.DB, stable, fleeting []string) {
	got := map[string]int{}
	for doc, err := range db.List(t.Context(), "assets") {
		if err != nil {
			t.Errorf("List: %v", err)
			return
		}
		if got[doc.ID]++; !strings.HasPrefix(string(doc.JSON), fmt.Sprintf(`{"id":%q,`, doc.ID)) {
			t.Errorf("%s came with the text %.40s", doc.ID, doc.JSON)
		}
	}
	for id, err := range db.IDs(t.Context(), "assets") {
		if err != nil {
			t.Errorf("IDs: %v", err)
			return
		}
		got["id of "+id]++
	}
	for _, prefix := range []string{"", "id of "} {
		for _, id := range stable {
			if got[prefix+id] != 1 {
				t.Errorf("%s%s, there throughout, came %d times", prefix, id, got[prefix+id])
			}
		}
		for _, id := range fleeting {
			if got[prefix+id] > 1 {
				t.Errorf("%s%s came %d times", prefix, id, got[prefix+id])
			}
		}
	}
}

// A reader that stops in the middle holds nothing: writers go on, and the log
// does not grow while they rewrite everything again and again.
func TestSlowReaders(t *testing.T) {
	db := open(t, t.TempDir())
	names := someNames(20)
	var docs []cairn.Document
	for _, id := range names {
		docs = append(docs, long(id, 0))
	}
	apply(t, db, docs...)
	nextDocument, stopList := iter.Pull2(db.List(t.Context(), "assets"))
	defer stopList()
	nextChange, stopChanges := iter.Pull2(db.Changes(t.Context(), "", 0))
	defer stopChanges()
	nextID, stopIDs := iter.Pull2(db.IDs(t.Context(), "assets"))
	defer stopIDs()
	nextDocument()
	nextChange()
	nextID()

	written, largest := int64(0), int64(0)
	for round := 1; written < 80<<20; round++ {
		for i, id := range names {
			docs[i] = long(id, round)
			written += int64(len(docs[i].JSON))
		}
		apply(t, db, docs...)
		info, err := os.Stat(db.Path() + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if most := int64(64 << 20); largest > most {
		t.Errorf("the log grew to %d bytes, want at most %d", largest, most)
	}
	n := 1
	for doc, err, ok := nextDocument(); ok; doc, err, ok = nextDocument() {
		if n++; err != nil || doc.JSON == nil {
			t.Fatalf("List, after the rewrites: %v", err)
		}
	}
	if n != len(names) {
		t.Errorf("the list had %d documents, want %d", n, len(names))
	}
}

// What the consumer of a list does with it is its business: leave it, write to
// the database meanwhile, or end it by ctx.
func TestListConsumers(t *testing.T) {
	db := open(t, t.TempDir())
	for _, id := range someNames(8) {
		apply(t, db, long(id, 0))
	}
	for range 50 { // more than there are connections
		for range db.List(t.Context(), "assets") {
			break
		}
		for range db.Changes(t.Context(), "", 0) {
			break
		}
		for range db.IDs(t.Context(), "assets") {
			break
		}
	}
	seen := 0
	for doc, err := range db.List(t.Context(), "assets") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		seen++
		apply(t, db, long(doc.ID, seen), long("new"+doc.ID, seen))
	}
	if seen != 8 {
		t.Errorf("a list whose consumer writes yields %d documents, want 8", seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range db.List(ctx, "assets") {
		cancel()
		last = err
	}
	if last == nil || ctx.Err() == nil {
		t.Error("a list whose context ended had no error")
	}
	if got := drain(t, db.List(t.Context(), "nothing")); len(got) != 0 {
		t.Errorf("an empty collection lists %v", got)
	}
}

// The ids come in their order, over pages too.
func TestIDs(t *testing.T) {
	db := open(t, t.TempDir())
	var docs []cairn.Document
	want := []string{}
	for i := range 2500 {
		id := fmt.Sprintf("i%04d", i)
		want = append(want, id)
		docs = append(docs, put(id, `{}`))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	apply(t, db, docs...)
	if diff := cmp.Diff(want, drain(t, db.IDs(t.Context(), "assets"))); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	got := []string{}
	for id, err := range db.IDs(t.Context(), "assets") {
		if err != nil {
			t.Fatalf("IDs: %v", err)
		}
		got = append(got, id)
		if id == "i0100" { // on the first page
			apply(t, db, put("i1500", `{"v":1}`), remove("i1501"), put("i1501", `{}`), put("i0000", `{"v":1}`))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids while some change (-want +got):\n%s", diff)
	}
}
