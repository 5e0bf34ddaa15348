package database_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
	"cairn/internal/rawjson"
)

// refs is the References of these tests: the strings in the document's member
// refs.
func refs(collection string, json []byte) []string {
	var out []string
	for e := range rawjson.Elements(rawjson.Get(json, "refs")) {
		if text, ok := rawjson.Text(e); ok {
			out = append(out, text)
		}
	}
	return out
}

func config(dir string) database.Config {
	return database.Config{Dir: dir, References: refs, Log: slog.New(slog.DiscardHandler)}
}

// open opens the database in dir and closes it with the test.
func open(t testing.TB, dir string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), config(dir))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// shut closes the database.
func shut(t testing.TB, db *database.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func put(id, json string) cairn.Document {
	return cairn.Document{Collection: "assets", ID: id, JSON: []byte(json)}
}

func remove(id string) cairn.Document { return cairn.Document{Collection: "assets", ID: id} }

// apply writes documents.
func apply(t testing.TB, db *database.DB, docs ...cairn.Document) []cairn.Result {
	t.Helper()
	results, err := db.Apply(t.Context(), docs)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return results
}

// checkCode fails unless err has the code and, being one for people, a message
// and a hint.
func checkCode(t testing.TB, what string, err error, want cairn.Code) {
	t.Helper()
	if got := cairn.CodeOf(err); got != want {
		t.Errorf("%s: code %q, want %q (%v)", what, got, want, err)
		return
	}
	if e, ok := errors.AsType[*cairn.Error](err); err != nil && (!ok || e.Message == "" || e.Hint == "") {
		t.Errorf("%s: %#v, want a message and a hint", what, err)
	}
}

// verify fails if the database does not hold what its counters say.
func verify(t testing.TB, db *database.DB) {
	t.Helper()
	if err := db.Verify(t.Context()); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

// direct opens the file as another program would.
func direct(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(path)+"?mode=rw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOutcomes(t *testing.T) {
	db := open(t, t.TempDir())
	for _, step := range []struct {
		name string
		doc  cairn.Document
		want cairn.Result
	}{
		{"a new one", put("a", `{"v":1}`), cairn.Result{Outcome: cairn.Added, Revision: 1}},
		{"the same again", put("a", `{"v":1}`), cairn.Result{Outcome: cairn.Unchanged, Revision: 1}},
		{"another form of it", put("a", `{"v":1.0}`), cairn.Result{Outcome: cairn.Changed, Revision: 2}},
		{"the same id elsewhere", cairn.Document{Collection: "tags", ID: "a", JSON: []byte(`{"v":1}`)}, cairn.Result{Outcome: cairn.Added, Revision: 3}},
		{"the other case", put("A", `{}`), cairn.Result{Outcome: cairn.Added, Revision: 4}},
		{"deleted", remove("a"), cairn.Result{Outcome: cairn.Removed, Revision: 5}},
		{"deleted again", remove("a"), cairn.Result{Outcome: cairn.Missing, Revision: 5}},
		{"one that never was", remove("b"), cairn.Result{Outcome: cairn.Missing, Revision: 0}},
		{"created again", put("a", `{"v":1.0}`), cairn.Result{Outcome: cairn.Added, Revision: 6}},
		{"deleted once more", remove("a"), cairn.Result{Outcome: cairn.Removed, Revision: 7}},
		{"created once more", put("a", `{"v":3}`), cairn.Result{Outcome: cairn.Added, Revision: 8}},
	} {
		step.doc.Revision = 99 // is the database's to give
		got := apply(t, db, step.doc)
		if diff := cmp.Diff([]cairn.Result{step.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		verify(t, db)
	}
	want := cairn.Stats{Line: db.Stats().Line, Revision: 8, Documents: 3, Deletions: 0, Bytes: int64(len(`{"v":3}{"v":1}{}`))}
	for _, d := range []cairn.Document{
		{Revision: 3, Collection: "tags", ID: "a", JSON: []byte(`{"v":1}`)},
		{Revision: 4, Collection: "assets", ID: "A", JSON: []byte(`{}`)},
		{Revision: 8, Collection: "assets", ID: "a", JSON: []byte(`{"v":3}`)},
	} {
		want.Digest = want.Digest.Add(cairn.DigestOf(d))
	}
	if got := db.Stats(); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
}

// One Apply may hold a document several times; its order counts.
func TestOutcomesInOneApply(t *testing.T) {
	db := open(t, t.TempDir())
	got := apply(t, db, put("a", `{"v":1}`), put("a", `{"v":1}`), put("a", `{"v":2}`), remove("a"), remove("a"), put("a", `{"v":3}`), put("b", `{}`), remove("b"))
	want := []cairn.Result{
		{Outcome: cairn.Added, Revision: 1}, {Outcome: cairn.Unchanged, Revision: 1}, {Outcome: cairn.Changed, Revision: 2},
		{Outcome: cairn.Removed, Revision: 3}, {Outcome: cairn.Missing, Revision: 3}, {Outcome: cairn.Added, Revision: 4},
		{Outcome: cairn.Added, Revision: 5}, {Outcome: cairn.Removed, Revision: 6},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if got := apply(t, db); len(got) != 0 || db.Stats().Revision != 6 {
		t.Errorf("an empty Apply: %v, revision %d, want none and 6", got, db.Stats().Revision)
	}
	verify(t, db)
}

func TestApplyRefuses(t *testing.T) {
	db := open(t, t.TempDir())
	large := []byte(`{"a":"` + strings.Repeat("x", cairn.MaxDocumentBytes) + `"}`)
	for name, test := range map[string]struct {
		doc  cairn.Document
		want cairn.Code
	}{
		"no collection":      {cairn.Document{ID: "a", JSON: []byte(`{}`)}, cairn.CodeInvalid},
		"a bad id":           {put("../a", `{}`), cairn.CodeInvalid},
		"a bad deletion":     {remove(".."), cairn.CodeInvalid},
		"too large":          {put("a", string(large)), cairn.CodeTooLarge},
		"no text":            {cairn.Document{Collection: "assets", ID: "a", JSON: []byte{}}, cairn.CodeInvalid},
		"a list":             {put("a", `[]`), cairn.CodeInvalid},
		"a number":           {put("a", `5`), cairn.CodeInvalid},
		"one that is cut":    {put("a", `{"a":1`), cairn.CodeInvalid},
		"the opening of one": {put("a", `{`), cairn.CodeInvalid},
	} {
		_, err := db.Apply(t.Context(), []cairn.Document{put("good", `{}`), test.doc, put("fine", `{}`)})
		checkCode(t, name, err, test.want)
	}
	largest := []byte(`{"a":"` + strings.Repeat("x", cairn.MaxDocumentBytes-len(`{"a":""}`)) + `"}`)
	if got := db.Stats(); got.Revision != 0 || got.Documents != 0 {
		t.Errorf("after refusals: %+v, want nothing written", got)
	}
	apply(t, db, put("a", string(largest)))
	doc, err := db.Get(t.Context(), "assets", "a")
	if err != nil || string(doc.JSON) != string(largest) {
		t.Errorf("the largest document: %d bytes, %v, want %d", len(doc.JSON), err, len(largest))
	}
	verify(t, db)
}

// A text comes back byte by byte, and belongs to who got it.
func TestTextsAreKept(t *testing.T) {
	db := open(t, t.TempDir())
	for i, text := range []string{
		`{}`, `{"a":1.50,"a":-0,"b":1e400}`, `{"\u0000":"\ud800\/\u00e9"}`, "{\"é😀\u2028\u007f\":\"'\"}", `{"a":"` + strings.Repeat("x", 100_000) + `"}`,
	} {
		id := fmt.Sprint(i)
		apply(t, db, put(id, text))
		for range 2 {
			doc, err := db.Get(t.Context(), "assets", id)
			if err != nil || string(doc.JSON) != text || doc.ID != id || doc.Collection != "assets" || doc.Revision != int64(i+1) {
				t.Errorf("Get of %.40s: %+v, %v", text, doc, err)
			}
			clear(doc.JSON)
		}
	}
	_, err := db.Get(t.Context(), "assets", "nowhere")
	checkCode(t, "Get of a missing one", err, cairn.CodeGone)
	_, err = db.Get(t.Context(), "tags", "0")
	checkCode(t, "Get from another collection", err, cairn.CodeGone)
	verify(t, db)
}

// The newest revision may be a deletion, or have been one that is gone; its
// number is not given again, not after a restart either.
func TestRevisionsAreNotReused(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	seen := map[int64]bool{}
	next := func(doc cairn.Document) {
		t.Helper()
		r := apply(t, db, doc)[0]
		if seen[r.Revision] {
			t.Errorf("revision %d was given twice", r.Revision)
		}
		seen[r.Revision] = true
	}
	for range 3 {
		next(put("a", `{}`))
		next(remove("a"))
		shut(t, db)
		db = open(t, dir)
		next(put("a", `{}`))
		next(put("b", `{}`))
		next(remove("b"))
		next(put("b", `{}`)) // the deletion goes
		next(remove("b"))
		next(remove("a"))
		shut(t, db)
		db = open(t, dir)
		if got, want := db.Stats().Revision, int64(len(seen)); got != want {
			t.Errorf("after a restart the revision is %d, want %d", got, want)
		}
	}
	verify(t, db)
}

// A restart changes nothing, and the folder holds what it should.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("a", `{"refs":["r"]}`), put("b", `{}`), remove("b"))
	before, path := db.Stats(), db.Path()
	shut(t, db)
	var names []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{string(filepath.Separator) + "CURRENT", strings.TrimPrefix(path, dir)}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files after Close (-want +got):\n%s", diff)
	}
	for range 3 {
		db = open(t, dir)
		if got := db.Stats(); got != before || db.Path() != path {
			t.Errorf("opened again: %s %+v, want %s %+v", db.Path(), got, path, before)
		}
		if doc, err := db.Find(t.Context(), "assets", "r"); err != nil || doc.ID != "a" {
			t.Errorf("Find = %+v, %v, want a", doc, err)
		}
		verify(t, db)
		shut(t, db)
	}
}

func TestLine(t *testing.T) {
	dir := t.TempDir()
	visit := func(installation string) cairn.Stats {
		t.Helper()
		cfg := config(dir)
		cfg.Installation = installation
		db, err := database.Open(t.Context(), cfg)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		defer shut(t, db)
		return db.Stats()
	}
	first := visit("")
	for _, step := range []struct {
		installation string
		keeps        bool
	}{{"", true}, {"one", true}, {"one", true}, {"", true}, {"two", false}, {"two", true}, {"one", false}} {
		got := visit(step.installation)
		if keeps := got.Line == first.Line; keeps != step.keeps || got.Line == "" {
			t.Errorf("opened by %q: line %q after %q, want it kept %t", step.installation, got.Line, first.Line, step.keeps)
		}
		first = got
	}
}

func TestSettings(t *testing.T) {
	db := open(t, t.TempDir())
	for _, writer := range []bool{true, false} {
		for name, want := range map[string]string{
			"page_size": "16384", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000", "journal_size_limit": "67108864",
			"application_id": fmt.Sprint('c'<<24 | 'a'<<16 | 'r'<<8 | 'n'), "user_version": "1", "query_only": map[bool]string{true: "0", false: "1"}[writer],
		} {
			got, err := db.Pragma(t.Context(), writer, name)
			if err != nil || got != want {
				t.Errorf("writer %t: %s is %q, %v, want %q", writer, name, got, err, want)
			}
		}
	}
	shut(t, db)
	header, err := os.ReadFile(db.Path())
	if err != nil || string(header[:16]) != "SQLite format 3\x00" || int(header[16])<<8|int(header[17]) != 16384 || header[18] != 2 || header[19] != 2 {
		t.Errorf("the file begins with %q, %v, want pages of 16384 bytes and a write-ahead log", header[:20], err)
	}
}

// TestUseLog refuses a database that cannot have a write-ahead log: SQLite
// answers with the mode that it has, and no error, for one in memory and for one
// without locks.
func TestUseLog(t *testing.T) {
	for _, test := range []struct{ name, query, mode string }{
		{"a file", "", ""},
		{"in memory", "?mode=memory", "memory"},
		{"without locks", "?nolock=1", "delete"},
	} {
		t.Run(test.name, func(t *testing.T) {
			db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "file.db")+test.query)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = database.UseLog(t.Context(), db)
			if (err == nil) != (test.mode == "") || err != nil && !strings.Contains(err.Error(), strconv.Quote(test.mode)) {
				t.Errorf("%v, want one that names %q", err, test.mode)
			}
		})
	}
}

// No query that a page of rows needs sorts, or reads all rows to find them.
func TestQueryPlans(t *testing.T) {
	db := open(t, t.TempDir())
	var docs []cairn.Document
	for i := range 500 {
		docs = append(docs, put(fmt.Sprint(i), `{"refs":["r"]}`))
	}
	apply(t, db, docs...)
	file := direct(t, db.Path())
	for name, query := range database.Queries {
		args := []any{"a", "b", "c"}[:min(strings.Count(query, "?"), 3)]
		if strings.Contains(query, "?2") {
			args = args[:2] // numbered, and used several times
		}
		rows, err := file.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		steps := 0
		for rows.Next() {
			var id, parent, unused any
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			steps++
			if strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "SCAN") {
				t.Errorf("%s: %s", name, step)
			}
			if (name == "list" || name == "changes") && strings.Contains(step, "SEARCH") && !strings.Contains(step, "INTEGER PRIMARY KEY") {
				t.Errorf("%s does not go by revision: %s", name, step)
			}
		}
		if err := rows.Err(); err != nil || steps == 0 {
			t.Errorf("%s: %d steps, %v", name, steps, err)
		}
		rows.Close()
	}
}
