package database_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
)

// Undo swaps the two databases, again and again; each goes on with its own
// revisions and its own line, over restarts too.
func TestUndo(t *testing.T) {
	for _, restart := range []bool{false, true} {
		dir := t.TempDir()
		db := open(t, dir)
		apply(t, db, put("old", `{"refs":["r"]}`))
		replace(t, db, "job", backedUp()...)
		if got := db.Restored(); got != "job" {
			t.Errorf("Restored = %q, want the job", got)
		}
		want := map[bool]cairn.Stats{true: db.Stats()} // by whether the restored one is live
		paths := map[bool]string{true: db.Path()}
		for i := range 5 {
			if restart {
				shut(t, db)
				db = open(t, dir)
			}
			restored := i%2 == 1
			if err := db.Undo(t.Context()); err != nil {
				t.Fatalf("Undo: %v", err)
			}
			if got := db.Restored(); got != "" {
				t.Errorf("after Undo %d: Restored = %q, want none", i, got)
			}
			if before, ok := want[restored]; ok && (db.Stats() != before || db.Path() != paths[restored]) {
				t.Errorf("after Undo %d: %s %+v, want %s %+v", i, db.Path(), db.Stats(), paths[restored], before)
			}
			find := map[bool]string{true: "a", false: "old"}[restored]
			if doc, err := db.Find(t.Context(), "assets", "r"); err != nil || doc.ID != find {
				t.Errorf("after Undo %d: Find = %+v, %v, want %s", i, doc, err, find)
			}
			revision := db.Stats().Revision
			if got := apply(t, db, put(fmt.Sprint("new", i), `{}`)); got[0].Revision != revision+1 {
				t.Errorf("after Undo %d: the write has revision %d, want %d", i, got[0].Revision, revision+1)
			}
			want[restored], paths[restored] = db.Stats(), db.Path()
			verify(t, db)
		}
		if want[true].Line == want[false].Line {
			t.Error("both are of one line")
		}
		if got := generations(t, dir); len(got) != 2 {
			t.Errorf("the generations are %v, want two", got)
		}
		shut(t, db)
	}
}

// Where nothing was restored, nothing can be undone.
func TestNothingToUndo(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("a", `{}`))
	before, changed := snapshot(t, dir), db.Changed()
	for range 2 {
		checkCode(t, "Undo", db.Undo(t.Context()), cairn.CodeNothingToUndo)
		if db.Restored() != "" || isClosed(changed) {
			t.Errorf("restored %q, woken %t, want neither", db.Restored(), isClosed(changed))
		}
		shut(t, db)
		db = open(t, dir)
	}
	shut(t, db)
	if diff := cmp.Diff(without(before, db.Path(), dir), without(snapshot(t, dir), db.Path(), dir)); diff != "" {
		t.Errorf("the folder (-before +after):\n%.2000s", diff)
	}
}

// without returns a snapshot without a file whose log went into it meanwhile.
func without(files map[string]string, path, dir string) map[string]string {
	delete(files, path[len(dir):])
	return files
}

// An undo generation that is not there, or is no longer one, is an error, and
// the live one goes on.
func TestUndoDamaged(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(path string) error
		want   cairn.Code
	}{
		"missing": {os.Remove, cairn.CodeDamaged},
		"empty":   {func(path string) error { return os.Truncate(path, 0) }, cairn.CodeDamaged},
		"garbage": {func(path string) error { return os.WriteFile(path, []byte("garbage, and more of it"), 0o600) }, cairn.CodeDamaged},
		"newer": {func(path string) error {
			tamper(t, path, "PRAGMA user_version=2")
			return nil
		}, cairn.CodeSchemaTooNew},
	} {
		dir := t.TempDir()
		db := open(t, dir)
		apply(t, db, put("old", `{}`))
		former := db.Path()
		replace(t, db, "job", backedUp()...)
		if err := test.damage(former); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			before, current := db.Stats(), readFile(t, filepath.Join(dir, "CURRENT"))
			checkCode(t, name, db.Undo(t.Context()), test.want)
			if db.Stats() != before || db.Restored() != "job" || string(readFile(t, filepath.Join(dir, "CURRENT"))) != string(current) {
				t.Errorf("%s: %+v of %q, want %+v as it was", name, db.Stats(), db.Restored(), before)
			}
			apply(t, db, put("new", fmt.Sprintf(`{"v":%d}`, before.Revision)))
			verify(t, db)
			shut(t, db)
			db = open(t, dir) // starts without looking at it
		}
		replace(t, db, "next", backedUp()...)
		if err := db.Undo(t.Context()); err != nil {
			t.Errorf("%s: Undo of the next one: %v", name, err)
		}
		shut(t, db)
	}
}

// Two generations are kept, and an older one as long as somebody reads it, who
// notices nothing.
func TestOlderUndoIsDropped(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	var docs []cairn.Document
	for _, id := range someNames(8) {
		docs = append(docs, long(id, 0))
	}
	apply(t, db, docs...)
	oldest := filepath.Base(db.Path())

	next, stop := iter.Pull2(db.List(t.Context(), "assets"))
	defer stop()
	nextChange, stopChanges := iter.Pull2(db.Changes(t.Context(), "", 0))
	defer stopChanges()
	first, err, _ := next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err, _ := nextChange(); err != nil {
		t.Fatal(err)
	}
	got := []cairn.Document{first}
	// While a scan has the one connection that was opened, the others have to
	// open the file again, which is named by nothing any more.
	err = scan(t.Context(), db, 0, func(cairn.Stats) error {
		replace(t, db, "one", backedUp()...)
		second := filepath.Base(db.Path())
		replace(t, db, "two", backedUp()...)
		want := []string{oldest, second, filepath.Base(db.Path())}
		slices.Sort(want)
		if files := generations(t, dir); !cmp.Equal(files, want) {
			t.Errorf("with readers: %v, want %v", files, want)
		}
		for doc, err, ok := next(); ok; doc, err, ok = next() {
			if err != nil {
				t.Fatalf("List on a former generation: %v", err)
			}
			got = append(got, doc)
		}
		return nil
	}, func(doc cairn.Document, _ cairn.Hash) error {
		if doc.JSON == nil {
			t.Errorf("a deletion of %s", doc.ID)
		}
		return nil
	})
	if err != nil {
		t.Errorf("Scan: %v", err)
	}
	for i, doc := range got {
		if len(got) != len(docs) || doc.ID != docs[i].ID || string(doc.JSON) != string(docs[i].JSON) {
			t.Fatalf("the list had %d documents, the %dth %s, want the former ones", len(got), i, doc.ID)
		}
	}
	if files := generations(t, dir); len(files) != 3 {
		t.Errorf("with one reader left: %v, want three", files)
	}
	n := 1
	for _, err, ok := nextChange(); ok; _, err, ok = nextChange() {
		if n++; err != nil {
			t.Fatalf("Changes on a former generation: %v", err)
		}
	}
	if n != len(docs) {
		t.Errorf("%d changes, want %d", n, len(docs))
	}
	if files := generations(t, dir); len(files) != 2 || slices.Contains(files, oldest) {
		t.Errorf("without readers: %v, want two without %s", files, oldest)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "generations", oldest+"*")); err != nil || len(files) > 0 {
		t.Errorf("%v are left of it, %v", files, err)
	}
	if err := db.Undo(t.Context()); err != nil {
		t.Errorf("Undo: %v", err)
	}
	verify(t, db)
}

// One that is still read when the daemon ends goes at the next start.
func TestOlderUndoIsDroppedAtStart(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, long("a", 0), long("b", 0), long("c", 0))
	oldest := filepath.Base(db.Path())
	next, stop := iter.Pull2(db.List(t.Context(), "assets"))
	defer stop()
	if _, err, _ := next(); err != nil {
		t.Fatal(err)
	}
	replace(t, db, "one", backedUp()...)
	replace(t, db, "two", backedUp()...)
	want := db.Stats()
	after := crashed(t, dir)
	if files := generations(t, after); !slices.Contains(files, oldest) {
		t.Fatalf("the generations are %v, want %s among them", files, oldest)
	}
	again := open(t, after)
	if files := generations(t, after); len(files) != 2 || slices.Contains(files, oldest) || again.Stats() != want {
		t.Errorf("after a restart: %v, %+v, want two without %s and %+v", files, again.Stats(), oldest, want)
	}
	replace(t, db, "three", backedUp()...)
	if files := generations(t, dir); len(files) != 3 || !slices.Contains(files, oldest) {
		t.Errorf("while it is read: %v, want %s and two others", files, oldest)
	}
	stop()
	if files := generations(t, dir); len(files) != 2 {
		t.Errorf("without readers: %v, want two", files)
	}
}

// A list that began before a restoration, which was undone since, is told of
// what moves: it reads what is live again.
func TestListAcrossUndo(t *testing.T) {
	db := open(t, t.TempDir())
	for _, id := range someNames(8) {
		apply(t, db, long(id, 0))
	}
	next, stop := iter.Pull2(db.List(t.Context(), "assets"))
	defer stop()
	got := map[string]int{}
	take := func(n int) {
		for range n {
			if doc, err, ok := next(); err != nil {
				t.Fatalf("List: %v", err)
			} else if ok {
				got[doc.ID]++
			}
		}
	}
	take(3)
	replace(t, db, "job", backedUp()...)
	if err := db.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	apply(t, db, long("a01", 1), long("a06", 1), remove("a07"))
	take(20)
	want := map[string]int{}
	for _, id := range someNames(7) {
		want[id] = 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("times that a document came (-want +got):\n%s", diff)
	}
	verify(t, db)
}
