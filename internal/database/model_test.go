package database_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// A model is what a database should hold, in plain maps.
type model struct {
	revision  int64
	documents map[[2]string]cairn.Document // by collection and id
	deletions map[[2]string]int64
}

// apply returns the result that writing the document should have.
func (m *model) apply(doc cairn.Document) cairn.Result {
	key := [2]string{doc.Collection, doc.ID}
	old, there := m.documents[key]
	switch {
	case doc.Deleted() && !there:
		return cairn.Result{Outcome: cairn.Missing, Revision: m.deletions[key]}
	case !doc.Deleted() && there && string(old.JSON) == string(doc.JSON):
		return cairn.Result{Outcome: cairn.Unchanged, Revision: old.Revision}
	}
	m.revision++
	doc.Revision = m.revision
	if doc.Deleted() {
		delete(m.documents, key)
		m.deletions[key] = doc.Revision
		return cairn.Result{Outcome: cairn.Removed, Revision: doc.Revision}
	}
	delete(m.deletions, key)
	m.documents[key] = doc
	if there {
		return cairn.Result{Outcome: cairn.Changed, Revision: doc.Revision}
	}
	return cairn.Result{Outcome: cairn.Added, Revision: doc.Revision}
}

// stats returns the counters that the database should have, but for its line.
func (m *model) stats(line string) cairn.Stats {
	s := cairn.Stats{Line: line, Revision: m.revision, Documents: int64(len(m.documents)), Deletions: int64(len(m.deletions))}
	for _, d := range m.documents {
		s.Bytes += int64(len(d.JSON))
		s.Digest = s.Digest.Add(cairn.DigestOf(d))
	}
	return s
}

// changes returns documents and deletions after a revision, in their order.
func (m *model) changes(collection string, after int64) []cairn.Document {
	out := []cairn.Document{}
	for _, d := range m.documents {
		out = append(out, d)
	}
	for key, revision := range m.deletions {
		out = append(out, cairn.Document{Revision: revision, Collection: key[0], ID: key[1]})
	}
	out = slices.DeleteFunc(out, func(d cairn.Document) bool {
		return d.Revision <= after || collection != "" && d.Collection != collection
	})
	slices.SortFunc(out, func(a, b cairn.Document) int { return int(a.Revision - b.Revision) })
	return out
}

// find returns the document that a reference leads to.
func (m *model) find(collection, ref string) (cairn.Document, bool) {
	keys := slices.SortedFunc(maps.Keys(m.documents), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		if d := m.documents[key]; key[0] == collection && slices.Contains(refs(key[0], d.JSON), ref) {
			return d, true
		}
	}
	return cairn.Document{}, false
}

var (
	someCollections = []string{"assets", "tags"}
	someIDs         = []string{"a", "b", "c", "B", "0.-_"}
	someRefs        = []string{"r", "s", "t", ""}
)

// A generator draws what to do next.
type generator struct{ *rand.Rand }

func pick[T any](g generator, of []T) T { return of[g.IntN(len(of))] }

// document returns a document to write, or a deletion.
func (g generator) document() cairn.Document {
	d := cairn.Document{Collection: pick(g, someCollections), ID: pick(g, someIDs)}
	if g.IntN(4) == 0 {
		return d
	}
	d.JSON = fmt.Appendf(nil, `{"v":%d,"refs":[`, g.IntN(3))
	for i := range g.IntN(4) {
		if i > 0 {
			d.JSON = append(d.JSON, ',')
		}
		d.JSON = fmt.Appendf(d.JSON, "%q", pick(g, someRefs))
	}
	d.JSON = append(d.JSON, "]}"...)
	return d
}

func (g generator) documents() []cairn.Document {
	var docs []cairn.Document
	for range 1 + g.IntN(6) {
		docs = append(docs, g.document())
	}
	return docs
}

var errRefused = errors.New("refused")

// Whatever is written, in whatever order and over restarts, the database is
// what a few maps would be.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := generator{rand.New(rand.NewPCG(20261123, seed))}
			dir := t.TempDir()
			db := open(t, dir)
			m := &model{documents: map[[2]string]cairn.Document{}, deletions: map[[2]string]int64{}}
			line := db.Stats().Line
			for range 60 {
				switch n := g.IntN(20); {
				case n == 0:
					shut(t, db)
					db = open(t, dir)
				case n == 1:
					docs := append(g.documents(), cairn.Document{Collection: "assets", ID: "/"})
					_, err := db.Apply(t.Context(), docs)
					checkCode(t, "Apply of a bad id", err, cairn.CodeInvalid)
				case n < 8:
					update(t, g, db, m)
				default:
					docs := g.documents()
					var want []cairn.Result
					for _, d := range docs {
						want = append(want, m.apply(d))
					}
					if diff := cmp.Diff(want, apply(t, db, docs...)); diff != "" {
						t.Fatalf("results of %v (-want +got):\n%s", docs, diff)
					}
				}
				if got, want := db.Stats(), m.stats(line); got != want {
					t.Fatalf("Stats = %+v, want %+v", got, want)
				}
				if g.IntN(8) == 0 {
					checkModel(t, g, db, m)
				}
			}
			checkModel(t, g, db, m)
			shut(t, db)
		})
	}
}

// update changes one document, or refuses to.
func update(t *testing.T, g generator, db *database.DB, m *model) {
	t.Helper()
	d := g.document()
	old, there := m.documents[[2]string{d.Collection, d.ID}]
	called := false
	got, err := db.Update(t.Context(), d.Collection, d.ID, func(json []byte) ([]byte, error) {
		called = true
		if string(json) != string(old.JSON) {
			t.Fatalf("edit got %s, want %s", json, old.JSON)
		}
		if d.Deleted() {
			return []byte(`{"refused":true}`), errRefused
		}
		return d.JSON, nil
	})
	switch {
	case !there:
		if cairn.CodeOf(err) != cairn.CodeGone || called {
			t.Fatalf("Update of a missing document: %v, called %t", err, called)
		}
	case d.Deleted():
		if err != errRefused {
			t.Fatalf("Update that is refused: %v", err)
		}
	default:
		want := m.apply(d)
		if err != nil || got.Revision != want.Revision || string(got.JSON) != string(d.JSON) || got.ID != d.ID || got.Collection != d.Collection {
			t.Fatalf("Update = %+v, %v, want revision %d", got, err, want.Revision)
		}
	}
}

// checkModel reads the whole database in every way.
func checkModel(t *testing.T, g generator, db *database.DB, m *model) {
	t.Helper()
	if err := db.Verify(t.Context()); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	after := g.Int64N(m.revision + 2)
	for _, collection := range append(someCollections, "", "other") {
		changes := m.changes(collection, after)
		if diff := cmp.Diff(changes, drain(t, db.Changes(t.Context(), collection, after))); diff != "" {
			t.Fatalf("changes of %q after %d (-want +got):\n%s", collection, after, diff)
		}
		documents := slices.DeleteFunc(m.changes(collection, 0), cairn.Document.Deleted)
		if collection == "" {
			documents = []cairn.Document{}
		}
		if diff := cmp.Diff(documents, drain(t, db.List(t.Context(), collection))); diff != "" {
			t.Fatalf("list of %q (-want +got):\n%s", collection, diff)
		}
		ids := []string{}
		for _, d := range documents {
			ids = append(ids, d.ID)
		}
		slices.Sort(ids)
		if diff := cmp.Diff(ids, drain(t, db.IDs(t.Context(), collection))); diff != "" {
			t.Fatalf("ids of %q (-want +got):\n%s", collection, diff)
		}
		for _, ref := range someRefs {
			want, there := m.find(collection, ref)
			got, err := db.Find(t.Context(), collection, ref)
			if there && (err != nil || !cmp.Equal(got, want)) || !there && cairn.CodeOf(err) != cairn.CodeGone {
				t.Fatalf("Find(%q, %q) = %+v, %v, want %+v", collection, ref, got, err, want)
			}
		}
	}
}

// drain returns what a sequence yields.
func drain[T any](t interface{ Fatalf(string, ...any) }, seq func(func(T, error) bool)) []T {
	out := []T{}
	for v, err := range seq {
		if err != nil {
			t.Fatalf("after %d: %v", len(out), err)
		}
		out = append(out, v)
	}
	return out
}
