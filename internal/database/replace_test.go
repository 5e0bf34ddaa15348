package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// openWith is open with a configuration of the test's own.
func openWith(t testing.TB, cfg database.Config) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// at returns a document, or a deletion, that is a row of a backup.
func at(revision int64, doc cairn.Document) cairn.Document {
	doc.Revision = revision
	return doc
}

// modelOf returns what segments come to: the newest row of a document counts.
func modelOf(segments ...[]cairn.Document) *model {
	m := &model{documents: map[[2]string]cairn.Document{}, deletions: map[[2]string]int64{}}
	for _, rows := range segments {
		for _, row := range rows {
			key := [2]string{row.Collection, row.ID}
			m.revision = max(m.revision, row.Revision)
			delete(m.documents, key)
			delete(m.deletions, key)
			if row.Deleted() {
				m.deletions[key] = row.Revision
			} else {
				m.documents[key] = row
			}
		}
	}
	return m
}

// replacement describes what segments come to.
func replacement(job string, segments ...[]cairn.Document) cairn.Replacement {
	want := modelOf(segments...).stats("the line of the backup")
	return cairn.Replacement{Job: job, Want: want, Base: cairn.Base{
		Cloud: "cloud", Backup: "backup of " + job, Created: time.Date(2026, 11, 23, 7, 25, 41, 123e6, time.UTC),
		Revision: want.Revision, Segments: []byte(`[{"of":"` + job + `"}]`),
	}}
}

// prepareFunc is what Replace gives to the one who fills.
type prepareFunc = func(segment int, docs []cairn.Document) (insert func() error, err error)

// feed returns a fill that adds segments, three rows at a time.
func feed(segments ...[]cairn.Document) func(prepareFunc) error {
	return func(prepare prepareFunc) error {
		for i, rows := range segments {
			for batch := range slices.Chunk(rows, 3) {
				insert, err := prepare(i, batch)
				if err == nil {
					err = insert()
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// replace puts segments in the place of what the database holds.
func replace(t testing.TB, db *database.DB, job string, segments ...[]cairn.Document) {
	t.Helper()
	if err := db.Replace(t.Context(), replacement(job, segments...), feed(segments...)); err != nil {
		t.Fatalf("Replace: %v", err)
	}
}

// backedUp are the segments of a small backup: b is changed, c deleted and d
// made again since the first.
func backedUp() [][]cairn.Document {
	return [][]cairn.Document{
		{at(2, put("a", `{"v":1,"refs":["r"]}`)), at(3, put("b", `{"refs":["s"]}`)), at(5, put("c", `{"refs":["t"]}`)), at(6, put("e", `{}`))},
		{at(8, put("b", `{"v":2}`)), at(9, remove("c")), at(11, remove("d"))},
		{at(12, put("d", `{"refs":["s"]}`)), at(13, cairn.Document{Collection: "tags", ID: "a", JSON: []byte(`{}`)})},
	}
}

// texts returns the documents of a collection.
func texts(t *testing.T, db *database.DB, collection string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range drain(t, db.List(t.Context(), collection)) {
		out[d.ID] = string(d.JSON)
	}
	return out
}

// generations returns the names of the files in the folder of generations, but
// for those that SQLite keeps beside a file that it has open.
func generations(t *testing.T, dir string) (names []string) {
	t.Helper()
	for range 200 { // what is no longer needed is removed in the background
		names = generationsNow(t, dir)
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".db.tmp") }) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return names
}

func generationsNow(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "generations"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".db-wal") && !strings.HasSuffix(e.Name(), ".db-shm") {
			names = append(names, e.Name())
		}
	}
	return names
}

// history draws what a database went through, and returns it as the segments of
// as many backups, each of what changed since the one before. The first has no
// deletions, so those in it are forgotten.
func history(g generator, backups int) (segments [][]cairn.Document, m *model) {
	m = modelOf()
	for i := range backups {
		before := m.revision
		for range 1 + g.IntN(4) {
			for _, doc := range g.documents() {
				m.apply(doc)
			}
		}
		if i == 0 {
			clear(m.deletions)
		}
		segments = append(segments, m.changes("", before))
	}
	return segments, m
}

// Whatever the segments of a backup hold, Replace makes of them what a few maps
// would, and the database goes on from there.
func TestReplaceAgainstModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := generator{rand.New(rand.NewPCG(20261124, seed))}
			dir := t.TempDir()
			db := open(t, dir)
			apply(t, db, put("old", `{"refs":["r"]}`), put("a", `{"old":true}`))
			before := db.Stats()
			segments, m := history(g, int(seed%4)+1)
			r := replacement("job", segments...)
			r.Want = m.stats("")
			if err := db.Replace(t.Context(), r, feed(segments...)); err != nil {
				t.Fatalf("Replace: %v", err)
			}
			line := db.Stats().Line
			if line == "" || line == before.Line {
				t.Errorf("the line is %q after %q, want a new one", line, before.Line)
			}
			for range 3 {
				if got, want := db.Stats(), m.stats(line); got != want {
					t.Fatalf("Stats = %+v, want %+v", got, want)
				}
				checkModel(t, g, db, m)
				docs := g.documents()
				var want []cairn.Result
				for _, d := range docs {
					want = append(want, m.apply(d))
				}
				if diff := cmp.Diff(want, apply(t, db, docs...)); diff != "" {
					t.Fatalf("results of %v (-want +got):\n%s", docs, diff)
				}
				shut(t, db)
				db = open(t, dir)
			}
			if err := db.Undo(t.Context()); err != nil {
				t.Fatalf("Undo: %v", err)
			}
			if got := db.Stats(); got != before {
				t.Errorf("after Undo: %+v, want %+v", got, before)
			}
			if doc, err := db.Find(t.Context(), "assets", "r"); err != nil || doc.ID != "old" {
				t.Errorf("after Undo: Find = %+v, %v, want the old one", doc, err)
			}
			verify(t, db)
		})
	}
}

// What was deleted, made again and deleted once more, in whatever segments, is
// deleted once.
func TestReplaceDeletedTwice(t *testing.T) {
	for _, segments := range [][][]cairn.Document{
		{{at(1, put("a", `{}`))}, {at(2, remove("a"))}, {at(4, remove("a"))}},
		{{at(1, put("a", `{}`))}, {at(2, remove("a"))}, {at(3, put("a", `{}`))}, {at(4, remove("a"))}},
		{{}, {at(2, remove("a"))}, {at(4, remove("a"))}},
		{{}, {at(2, remove("b")), at(4, remove("a"))}, {at(5, put("b", `{"refs":["r"]}`))}},
	} {
		db := open(t, t.TempDir())
		replace(t, db, "job", segments...)
		if diff := cmp.Diff(modelOf(segments...).changes("", 0), drain(t, db.Changes(t.Context(), "", 0))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", segments, diff)
		}
		if got := apply(t, db, remove("a")); got[0] != (cairn.Result{Outcome: cairn.Missing, Revision: 4}) {
			t.Errorf("%v: deleting it again: %+v, want it missing since revision 4", segments, got[0])
		}
		verify(t, db)
		shut(t, db)
	}
}

// A backup of nothing makes an empty database that goes on with its revision.
func TestReplaceByNothing(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{}`))
	r := replacement("job")
	r.Want.Revision = 41
	if err := db.Replace(t.Context(), r, feed()); err != nil {
		t.Fatalf("Replace: %v", err)
	}
	if got := db.Stats(); got.Documents != 0 || got.Revision != 41 || got.Digest != (cairn.Digest{}) {
		t.Errorf("Stats = %+v, want nothing at revision 41", got)
	}
	if got := apply(t, db, put("a", `{}`)); got[0] != (cairn.Result{Outcome: cairn.Added, Revision: 42}) {
		t.Errorf("the next write: %+v, want revision 42", got[0])
	}
	verify(t, db)
}

// The new file is what any other generation is.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir)
	cfg.Installation = "one"
	db := openWith(t, cfg)
	apply(t, db, put("x", `{}`))
	before := db.Path()
	replace(t, db, "the job", backedUp()...)
	after := db.Path()
	current, err := os.ReadFile(filepath.Join(dir, "CURRENT"))
	want := fmt.Sprintf(`{"format":1,"live":%q,"undo":%q,"job":"the job"}`+"\n", filepath.Base(after), filepath.Base(before))
	if err != nil || string(current) != want {
		t.Errorf("CURRENT is %q, %v, want %q", current, err, want)
	}
	for _, writer := range []bool{true, false} {
		for name, want := range map[string]string{
			"page_size": "16384", "journal_mode": "wal", "synchronous": "2", "locking_mode": "normal", "query_only": map[bool]string{true: "0", false: "1"}[writer],
		} {
			if got, err := db.Pragma(t.Context(), writer, name); err != nil || got != want {
				t.Errorf("writer %t: %s is %q, %v, want %q", writer, name, got, err, want)
			}
		}
	}
	if got, want := layout(t, after), layout(t, before); !cmp.Equal(got, want) {
		t.Errorf("the layout (-former +new):\n%s", cmp.Diff(want, got))
	}
	base := replacement("the job", backedUp()...).Base
	if got, err := db.Bases(t.Context(), "cloud"); err != nil || !cmp.Equal(got, []cairn.Base{base}) {
		t.Errorf("Bases = %+v, %v, want %+v", got, err, base)
	}
	if got := apply(t, db, put("next", `{}`)); got[0].Revision != 14 {
		t.Errorf("the next revision is %d, want 14", got[0].Revision)
	}
	line := db.Stats().Line
	verify(t, db)
	shut(t, db)

	header, err := os.ReadFile(after)
	if err != nil || string(header[:16]) != "SQLite format 3\x00" || int(header[16])<<8|int(header[17]) != 16384 || header[18] != 2 || header[19] != 2 {
		t.Errorf("the file begins with %q, %v, want pages of 16384 bytes and a write-ahead log", header[:20], err)
	}
	for _, step := range []struct {
		installation string
		keeps        bool
	}{{"one", true}, {"two", false}} {
		cfg.Installation = step.installation
		db := openWith(t, cfg)
		if keeps := db.Stats().Line == line; keeps != step.keeps {
			t.Errorf("opened by %s: line kept %t, want %t", step.installation, keeps, step.keeps)
		}
		shut(t, db)
	}
}

// layout returns the tables and indexes of a file.
func layout(t *testing.T, path string) map[string]string {
	t.Helper()
	rows, err := direct(t, path).QueryContext(t.Context(), "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			t.Fatal(err)
		}
		out[name] = statement
	}
	if err := rows.Err(); err != nil || len(out) < 9 {
		t.Fatalf("%d tables and indexes, %v", len(out), err)
	}
	return out
}

// What is not what it should be is refused, and nothing is changed.
func TestReplaceRefuses(t *testing.T) {
	segments := backedUp()
	say := func(change func(want *cairn.Stats)) func(*cairn.Replacement) {
		return func(r *cairn.Replacement) { change(&r.Want) }
	}
	as := func(first ...cairn.Document) [][]cairn.Document { return [][]cairn.Document{first} }
	for _, test := range []struct {
		name     string
		segments [][]cairn.Document
		change   func(*cairn.Replacement)
		want     cairn.Code
	}{
		{"a document too many", segments, say(func(w *cairn.Stats) { w.Documents-- }), cairn.CodeDamaged},
		{"a document too few", segments, say(func(w *cairn.Stats) { w.Documents++ }), cairn.CodeDamaged},
		{"another number of deletions", segments, say(func(w *cairn.Stats) { w.Deletions++ }), cairn.CodeDamaged},
		{"another number of bytes", segments, say(func(w *cairn.Stats) { w.Bytes-- }), cairn.CodeDamaged},
		{"another digest", segments, say(func(w *cairn.Stats) { w.Digest = w.Digest.Add(w.Digest) }), cairn.CodeDamaged},
		{"a revision that one exceeds", segments, say(func(w *cairn.Stats) { w.Revision = 12 }), cairn.CodeDamaged},
		{"a revision that a deletion exceeds", [][]cairn.Document{{at(1, put("a", `{}`))}, {at(3, remove("a"))}}, say(func(w *cairn.Stats) { w.Revision = 2 }), cairn.CodeDamaged},
		{"nothing at all", nil, say(func(w *cairn.Stats) { w.Documents = 1 }), cairn.CodeDamaged},
		{"a text of another content", as(at(1, put("a", `{"v":2}`))), say(func(w *cairn.Stats) { w.Digest = cairn.DigestOf(at(1, put("a", `{"v":1}`))) }), cairn.CodeDamaged},
		{"an id twice", as(at(1, put("a", `{}`)), at(2, put("a", `{}`))), nil, cairn.CodeDamaged},
		{"a revision twice", as(at(1, put("a", `{}`)), at(1, put("b", `{}`))), nil, cairn.CodeDamaged},
		{"a revision twice in two segments", [][]cairn.Document{{at(1, put("a", `{}`))}, {at(1, put("b", `{}`))}}, nil, cairn.CodeDamaged},
		{"a deletion twice", as(at(1, remove("a")), at(2, remove("a"))), nil, cairn.CodeDamaged},
		{"a bad id", as(at(1, put("a/b", `{}`))), nil, cairn.CodeInvalid},
		{"a bad deletion", as(at(1, remove(".."))), nil, cairn.CodeInvalid},
		{"no object", as(at(1, put("a", `[]`))), nil, cairn.CodeInvalid},
		{"no text", as(at(1, cairn.Document{Collection: "assets", ID: "a", JSON: []byte{}})), nil, cairn.CodeInvalid},
		{"too large", as(at(1, put("a", `{"a":"`+strings.Repeat("x", cairn.MaxDocumentBytes)+`"}`))), nil, cairn.CodeTooLarge},
	} {
		dir := t.TempDir()
		db := open(t, dir)
		apply(t, db, put("old", `{"refs":["r"]}`))
		before, stats, changed := snapshot(t, dir), db.Stats(), db.Changed()
		r := replacement("job", test.segments...)
		if test.change != nil {
			test.change(&r)
		}
		err := db.Replace(t.Context(), r, feed(test.segments...))
		checkCode(t, test.name, err, test.want)
		if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
			t.Errorf("%s: the folder (-before +after):\n%.2000s", test.name, diff)
		}
		if db.Stats() != stats || isClosed(changed) || db.Restored() != "" {
			t.Errorf("%s: %+v, woken %t, restored %q, want nothing changed", test.name, db.Stats(), isClosed(changed), db.Restored())
		}
		checkCode(t, test.name+", undone", db.Undo(t.Context()), cairn.CodeNothingToUndo)
		apply(t, db, put("new", `{}`))
		replace(t, db, "the next", backedUp()...)
		verify(t, db)
		shut(t, db)
	}
}

// A refusal by the digest says of which backup, and what it expected.
func TestReplaceRefusalText(t *testing.T) {
	db := open(t, t.TempDir())
	r := replacement("job", backedUp()...)
	r.Want.Documents += 7
	err := db.Replace(t.Context(), r, feed(backedUp()...))
	for _, part := range []string{r.Base.Backup, "5 documents", "instead of 12", "Nothing was changed"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

// An error of fill comes back, whatever kind it is of.
func TestReplaceFillFails(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("old", `{}`))
	before, stats := snapshot(t, dir), db.Stats()
	for name, refusal := range map[string]error{
		"its own": errRefused, "no rows": sql.ErrNoRows, "one of ours": &cairn.Error{Code: cairn.CodeFormatTooNew}, "of a context": context.Canceled,
	} {
		for _, rows := range []int{0, 2} {
			err := db.Replace(t.Context(), replacement("job", backedUp()...), func(prepare prepareFunc) error {
				if err := feed(backedUp()[:rows]...)(prepare); err != nil {
					t.Errorf("feeding: %v", err)
				}
				return refusal
			})
			if !errors.Is(err, refusal) || cairn.CodeOf(err) != cairn.CodeOf(refusal) {
				t.Errorf("%s after %d segments: %v, want the error itself", name, rows, err)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" || db.Stats() != stats {
				t.Errorf("%s after %d segments: the folder (-before +after):\n%.2000s", name, rows, diff)
			}
		}
	}
}

// Rows may be prepared by many at once.
func TestReplaceConcurrentPrepare(t *testing.T) {
	db := open(t, t.TempDir())
	const batches, size = 40, 25
	var segments [][]cairn.Document
	revision := int64(0)
	for segment := range 2 {
		var rows []cairn.Document
		for i := range batches * size {
			revision++
			rows = append(rows, at(revision, put(fmt.Sprintf("d%d", i*(segment+1)), fmt.Sprintf(`{"v":%d,"refs":["%d","all","all"]}`, revision, revision))))
		}
		segments = append(segments, rows)
	}
	err := db.Replace(t.Context(), replacement("job", segments...), func(prepare prepareFunc) error {
		for segment, rows := range segments {
			inserts := make([]func() error, batches)
			var wg sync.WaitGroup
			for i := range batches {
				wg.Go(func() {
					insert, err := prepare(segment, rows[i*size:(i+1)*size])
					if err != nil {
						t.Errorf("prepare: %v", err)
					}
					inserts[i] = insert
				})
			}
			wg.Wait()
			for _, insert := range inserts {
				if err := insert(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Replace: %v", err)
	}
	m := modelOf(segments...)
	if got, want := db.Stats(), m.stats(db.Stats().Line); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	if diff := cmp.Diff(m.changes("", 0), drain(t, db.Changes(t.Context(), "", 0))); diff != "" {
		t.Errorf("documents (-want +got):\n%.2000s", diff)
	}
	for _, doc := range slices.Collect(maps.Values(m.documents))[:100] {
		if got, err := db.Find(t.Context(), "assets", fmt.Sprint(doc.Revision)); err != nil || got.ID != doc.ID {
			t.Errorf("Find of %d = %s, %v, want %s", doc.Revision, got.ID, err, doc.ID)
		}
	}
	verify(t, db)
}

// What the disk has no room for is not begun.
func TestReplaceNeedsRoom(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("old", `{}`))
	before := snapshot(t, dir)
	r := replacement("job", backedUp()...)
	r.Want.Bytes = 1e18
	err := db.Replace(t.Context(), r, func(prepareFunc) error { t.Error("it was begun"); return nil })
	checkCode(t, "Replace of an exabyte", err, cairn.CodeDiskFull)
	for _, part := range []string{filepath.Join(dir, "generations"), "MB free", "about 1600000000001 MB", "Nothing was changed"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("the folder (-before +after):\n%.2000s", diff)
	}
}

// swapSteps are the steps of a Replace after one before; the first has nothing
// to drop.
var swapSteps = []string{"build.create", "build.fill", "build.finish", "swap.intent", "swap.rename", "swap.open", "swap.commit", "swap.drop"}

func TestReplaceSteps(t *testing.T) {
	var steps []string
	cfg := config(t.TempDir())
	cfg.Step = func(name string, do func() error) error {
		steps = append(steps, name)
		return do()
	}
	db := openWith(t, cfg)
	replace(t, db, "one", backedUp()...)
	if diff := cmp.Diff(swapSteps[:7], steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	steps = nil
	replace(t, db, "two", backedUp()...)
	if diff := cmp.Diff(swapSteps, steps); diff != "" {
		t.Errorf("steps of the second (-want +got):\n%s", diff)
	}
}

// A Replace that is cancelled leaves all as it was, until its outcome is
// definite.
func TestReplaceCancelled(t *testing.T) {
	cause := errors.New("the reason")
	for i, at := range swapSteps[:7] {
		for _, after := range []bool{false, true} {
			name := fmt.Sprintf("cancelled at %s, after it %t", at, after)
			dir := t.TempDir()
			ctx, cancel := context.WithCancelCause(t.Context())
			cfg := config(dir)
			cfg.Step = func(step string, do func() error) error {
				if step == at && !after {
					cancel(cause)
				}
				err := do()
				if step == at {
					cancel(cause)
				}
				return err
			}
			db := openWith(t, cfg)
			apply(t, db, put("old", `{}`))
			stats, files := db.Stats(), generations(t, dir)
			err := db.Replace(ctx, replacement("job", backedUp()...), feed(backedUp()...))
			if definite := i >= 5; definite {
				if err != nil || db.Restored() != "job" {
					t.Errorf("%s: %v, want it done", name, err)
				}
			} else if !errors.Is(err, cause) || db.Stats() != stats || db.Restored() != "" || !cmp.Equal(files, generations(t, dir)) {
				t.Errorf("%s: %v, %+v with %v, want %v and nothing changed", name, err, db.Stats(), generations(t, dir), cause)
			}
			apply(t, db, put("next", `{}`))
			replace(t, db, "again", backedUp()...)
			verify(t, db)
			shut(t, db)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	db := open(t, t.TempDir())
	rows := backedUp()[0]
	err := db.Replace(ctx, replacement("job", rows), func(prepare prepareFunc) error {
		insert, err := prepare(0, rows)
		if err != nil {
			return err
		}
		cancel(cause)
		return insert()
	})
	if !errors.Is(err, cause) || db.Restored() != "" {
		t.Errorf("cancelled before rows are added: %v, want %v", err, cause)
	}
}
