package database_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
)

// twice returns a folder whose database was replaced once, and the names of the
// live generation and of the one before it.
func twice(t *testing.T) (dir, live, undo string) {
	t.Helper()
	dir = t.TempDir()
	db := open(t, dir)
	apply(t, db, put("old", `{}`))
	undo = filepath.Base(db.Path())
	replace(t, db, "job", backedUp()...)
	live = filepath.Base(db.Path())
	shut(t, db)
	return dir, live, undo
}

// CURRENT is one line in one form.
func TestCurrentText(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	names := []string{}
	check := func(what, want string) {
		t.Helper()
		if name := filepath.Base(db.Path()); !slices.Contains(names, name) {
			names = append(names, name)
		}
		got := string(readFile(t, filepath.Join(dir, "CURRENT")))
		for i, name := range names {
			got = strings.ReplaceAll(got, name, fmt.Sprint(i))
		}
		if got != want+"\n" {
			t.Errorf("%s: CURRENT is %q, want %q", what, got, want)
		}
	}
	undo := func() {
		t.Helper()
		if err := db.Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", `{"format":1,"live":"0"}`)
	apply(t, db, put("a", `{}`))
	check("after a write", `{"format":1,"live":"0"}`)
	replace(t, db, "one", backedUp()...)
	check("restored", `{"format":1,"live":"1","undo":"0","job":"one"}`)
	undo()
	check("undone", `{"format":1,"live":"0","undo":"1"}`)
	undo()
	check("undone again", `{"format":1,"live":"1","undo":"0"}`)
	replace(t, db, "two", backedUp()...)
	check("restored again", `{"format":1,"live":"2","undo":"1","job":"two","drop":["0"]}`)
	shut(t, db)
	db = open(t, dir)
	check("after a restart", `{"format":1,"live":"2","undo":"1","job":"two","drop":["0"]}`)
	if got := db.Restored(); got != "two" {
		t.Errorf("after a restart: Restored = %q, want the job", got)
	}
	undo()
	check("undone after it", `{"format":1,"live":"1","undo":"2"}`)
}

// What a later build of the same format adds is passed over, and what a former
// build wrote is read.
func TestCurrentForms(t *testing.T) {
	for _, form := range []string{
		`{"format":1,"live":%q}`,
		`{"format":1,"live":%[1]q}` + "\n",
		`{"format":1,"live":%q,"later":{"x":[1]},"undo":""}`,
		`{"undo":%[2]q,"live":%[1]q,"format":1,"drop":null}`,
		`{"format":1,"live":%q,"drop":["a.db","b.db"]}`, // which are gone
		` { "format" : 1 , "live" : %q } `,
	} {
		dir, live, undo := twice(t)
		args := []any{live, undo}[:1+strings.Count(form, "[2]")]
		writeFile(t, filepath.Join(dir, "CURRENT"), fmt.Sprintf(form, args...))
		before := snapshot(t, dir)
		db := open(t, dir)
		if filepath.Base(db.Path()) != live || db.Restored() != "" {
			t.Errorf("%s: it opened %s of %q, want %s", form, db.Path(), db.Restored(), live)
		}
		verify(t, db)
		shut(t, db)
		if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
			t.Errorf("%s: the folder (-before +after):\n%.2000s", form, diff)
		}
	}
}

// One that would have the wrong file removed, or swapped in, is refused before
// anything is touched.
func TestCurrentRefused(t *testing.T) {
	dir, live, undo := twice(t)
	writeFile(t, filepath.Join(dir, "other.db"), "not ours")
	current := filepath.Join(dir, "CURRENT")
	for _, text := range []string{
		`{"format":1,"live":"LIVE","drop":["LIVE"]}`,
		`{"format":1,"live":"LIVE","undo":"UNDO","drop":["UNDO"]}`,
		`{"format":1,"live":"LIVE","undo":"UNDO","drop":["a.db","UNDO"]}`,
		`{"format":1,"live":"LIVE","drop":["../other.db"]}`,
		`{"format":1,"live":"LIVE","drop":["./UNDO"]}`,
		`{"format":1,"live":"LIVE","drop":[""]}`,
		`{"format":1,"live":"LIVE","drop":["."]}`,
		`{"format":1,"live":"LIVE","drop":["x"]}`,
		`{"format":1,"live":"LIVE","drop":"UNDO"}`,
		`{"format":1,"live":"LIVE","drop":[5]}`,
		`{"format":1,"live":"LIVE","undo":"LIVE"}`,
		`{"format":1,"live":"LIVE","undo":"../other.db"}`,
		`{"format":1,"live":"LIVE","undo":"x"}`,
		`{"format":1,"live":"LIVE","undo":5}`,
		`{"format":1,"live":"LIVE","job":5}`,
		`{"format":1,"live":"LIVE","drop":["` + strings.ReplaceAll(filepath.Join(dir, "other.db"), `\`, `\\`) + `"]}`,
	} {
		writeFile(t, current, strings.NewReplacer("LIVE", live, "UNDO", undo).Replace(text))
		checkRefused(t, text, dir, cairn.CodeDamaged, current)
	}
}

// A start removes the generations that are to go, with what SQLite left beside
// them, and no others.
func TestDropAtStart(t *testing.T) {
	dir, live, undo := twice(t)
	folder := filepath.Join(dir, "generations")
	for _, name := range []string{"gone.db", "gone.db-wal", "gone.db-shm", "also.db-wal", "kept.db", "kept.db-wal", "gone.db2"} {
		writeFile(t, filepath.Join(folder, name), "x")
	}
	text := fmt.Sprintf(`{"format":1,"live":%q,"undo":%q,"job":"job","drop":["gone.db","also.db","never.db"]}`, live, undo)
	writeFile(t, filepath.Join(dir, "CURRENT"), text)
	for range 2 {
		db := open(t, dir)
		if got := db.Restored(); got != "job" {
			t.Errorf("Restored = %q, want the job", got)
		}
		shut(t, db)
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		got, want := []string{}, []string{live, undo, "kept.db", "kept.db-wal", "gone.db2"}
		for _, e := range entries {
			got = append(got, e.Name())
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the folder of generations (-want +got):\n%s", diff)
		}
		if got := string(readFile(t, filepath.Join(dir, "CURRENT"))); got != text {
			t.Errorf("CURRENT is %s, want it as it was", got)
		}
	}
	db := open(t, dir)
	if err := db.Undo(t.Context()); err != nil {
		t.Errorf("Undo: %v", err)
	}
	verify(t, db)
}

// What a crash left in the spool is removed at the start, when it is unfinished.
func TestSpoolAtStart(t *testing.T) {
	dir, _, _ := twice(t)
	writeFile(t, filepath.Join(dir, "spool", "part.tmp"), "x")
	writeFile(t, filepath.Join(dir, "spool", "whole"), "x")
	open(t, dir)
	entries, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "whole" {
		t.Errorf("the spool has %v, %v, want the whole one", entries, err)
	}
}
