package database_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// A change is one that swaps generations.
type change struct {
	name  string
	begin func(t *testing.T, db *database.DB) // what comes before
	do    func(t *testing.T, db *database.DB) error
	steps []string
	job   string // that Restored says afterwards
}

// swaps are all changes that swap generations. To one restoration another
// precedes, so that there is a generation to drop.
func swaps() []change {
	first := func(t *testing.T, db *database.DB) { apply(t, db, put("old", `{"refs":["r"]}`), put("b", `{"old":1}`)) }
	restore := func(t *testing.T, db *database.DB) error {
		return db.Replace(t.Context(), replacement("job", backedUp()...), feed(backedUp()...))
	}
	undo := func(t *testing.T, db *database.DB) error { return db.Undo(t.Context()) }
	second := func(t *testing.T, db *database.DB) {
		first(t, db)
		replace(t, db, "earlier", []cairn.Document{at(7, put("earlier", `{}`))})
		apply(t, db, put("since", `{}`))
	}
	return []change{
		{"the first restoration", first, restore, swapSteps[:7], "job"},
		{"the second restoration", second, restore, swapSteps, "job"},
		{"undoing", second, undo, []string{"swap.open", "swap.commit"}, ""},
	}
}

// A state is what a data folder holds, as far as one can see.
type state struct {
	stats, undone cairn.Stats // Line left out
	job           string
}

// see opens a folder as a start after a crash would, and fails unless all in it
// is whole. That changes it.
func see(t *testing.T, what, dir string) (s state) {
	t.Helper()
	db := open(t, dir)
	defer shut(t, db)
	verify(t, db)
	s.stats, s.job = db.Stats(), db.Restored()
	names := []string{filepath.Base(db.Path())}
	err := db.Undo(t.Context())
	if err == nil {
		verify(t, db)
		s.undone = db.Stats()
		names = append(names, filepath.Base(db.Path()))
	} else if cairn.CodeOf(err) != cairn.CodeNothingToUndo {
		t.Errorf("%s: Undo: %v", what, err)
	}
	slices.Sort(names)
	if got := generations(t, dir); !cmp.Equal(got, names) {
		t.Errorf("%s: the generations are %v, want %v", what, got, names)
	}
	checkNoTemps(t, what, dir)
	apply(t, db, put("written-after", `{}`))
	replace(t, db, "a later one", backedUp()...)
	verify(t, db)
	s.stats.Line, s.undone.Line = "", ""
	return s
}

// checkNoTemps fails if something unfinished is left.
func checkNoTemps(t *testing.T, what, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (strings.Contains(e.Name(), ".tmp") || filepath.Base(filepath.Dir(path)) == "spool") {
			t.Errorf("%s: %s is left", what, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A power cut before, between and after the steps of a swap leaves the old
// database or the new one, and nothing else.
func TestCrashWhileSwapping(t *testing.T) {
	for _, c := range swaps() {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			type cut struct{ what, dir string }
			var cuts []cut
			take := func(format string, a ...any) { cuts = append(cuts, cut{fmt.Sprintf(format, a...), crashed(t, dir)}) }
			watching := false
			cfg := config(dir)
			cfg.Step = func(name string, do func() error) error {
				if !watching {
					return do()
				}
				take("before %s", name)
				err := do()
				take("after %s", name)
				return err
			}
			db := openWith(t, cfg)
			c.begin(t, db)
			old := see(t, "the old state", crashed(t, dir))
			watching = true
			if err := c.do(t, db); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			last := crashed(t, dir)
			now := see(t, "the new state", last)
			if now == old || now.job != c.job || now.undone != old.stats {
				t.Errorf("the state is %+v after %+v", now, old)
			}
			if len(cuts) != 2*len(c.steps) {
				t.Errorf("%d power cuts, want two for each of %d steps", len(cuts), len(c.steps))
			}
			want := old
			for _, cut := range cuts {
				if cut.what == "after swap.commit" {
					want = now
				}
				if got := see(t, cut.what, cut.dir); got != want {
					t.Errorf("%s: %+v, want %+v", cut.what, got, want)
				}
			}
		})
	}
}

// So does one while rows are added.
func TestCrashWhileFilling(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("old", `{}`))
	old := see(t, "the old state", crashed(t, dir))
	cuts := 0
	err := db.Replace(t.Context(), replacement("job", backedUp()...), func(prepare prepareFunc) error {
		for i, rows := range backedUp() {
			for _, row := range rows {
				insert, err := prepare(i, []cairn.Document{row})
				if err == nil {
					err = insert()
				}
				if err != nil {
					return err
				}
				cuts++
				if got := see(t, "while filling", crashed(t, dir)); got != old {
					t.Errorf("a power cut while filling leaves %+v, want %+v", got, old)
				}
			}
		}
		return nil
	})
	if err != nil || cuts != 9 {
		t.Errorf("Replace: %v after %d power cuts, want 9", err, cuts)
	}
}

var errDisk = errors.New("the disk failed")

// A step that fails, or is done and said to have failed, leaves the old
// database or, from the moment when CURRENT names it, the new one; now and after
// a restart. What is written next is kept, and the same can be done again.
func TestStepsFail(t *testing.T) {
	for _, c := range swaps() {
		for _, at := range c.steps {
			for _, applied := range []bool{false, true} {
				what := fmt.Sprintf("%s, %s failed, applied %t", c.name, at, applied)
				dir := t.TempDir()
				watching := false
				cfg := config(dir)
				cfg.Step = func(name string, do func() error) error {
					if !watching || name != at {
						return do()
					}
					if applied {
						return errors.Join(do(), errDisk)
					}
					return errDisk
				}
				db := openWith(t, cfg)
				c.begin(t, db)
				before, files := db.Stats(), generations(t, dir)
				watching = true
				err := c.do(t, db)
				watching = false
				if now := generations(t, dir); err != nil && !cmp.Equal(files, now) {
					t.Errorf("%s: the generations are %v, want %v", what, now, files)
				}
				done := at == "swap.drop" || at == "swap.commit" && applied
				if done != (err == nil) || err != nil && (!errors.Is(err, errDisk) || db.Stats() != before) {
					t.Errorf("%s: %v, %+v after %+v", what, err, db.Stats(), before)
				}
				got := see(t, what, crashed(t, dir)) // before anything tidies up
				want := db.Stats()
				want.Line = ""
				if got.stats != want || done && got.job != c.job {
					t.Errorf("%s: after a restart %+v, want %+v", what, got, want)
				}
				apply(t, db, put("next", `{}`))
				if err := c.do(t, db); err != nil {
					t.Errorf("%s: again: %v", what, err)
				}
				verify(t, db)
				shut(t, db)
				checkNoTemps(t, what, dir)
			}
		}
	}
}

// When nobody can tell which database CURRENT will name after a loss of power,
// nothing is written to either, and a restart goes on with the one that it
// names. What was acknowledged is there in any case.
func TestSettleFails(t *testing.T) {
	for _, c := range swaps() {
		for _, stands := range []string{"old", "new"} {
			what := fmt.Sprintf("%s, the %s CURRENT stands", c.name, stands)
			dir := t.TempDir()
			current := filepath.Join(dir, "CURRENT")
			saved := map[string][]byte{}
			watching := false
			cfg := config(dir)
			cfg.Step = func(name string, do func() error) (err error) {
				if !watching {
					return do()
				}
				switch name {
				case "swap.commit":
					saved["old"], err = os.ReadFile(current)
					err = errors.Join(err, do())
					saved["new"] = readFile(t, current)
					writeFile(t, current, "unreadable")
					return errors.Join(err, errDisk)
				case "swap.settle":
					writeFile(t, current, string(saved[stands]))
					return errDisk
				}
				return do()
			}
			db := openWith(t, cfg)
			c.begin(t, db)
			apply(t, db, put("acknowledged", `{}`))
			before, documents := db.Stats(), texts(t, db, "assets")
			watching = true
			err := c.do(t, db)
			if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v, want an error that names the folder", what, err)
			}
			checkReadsOnly(t, what, db, documents)
			if db.Stats() != before {
				t.Errorf("%s: %+v, want %+v", what, db.Stats(), before)
			}
			shut(t, db)

			db = open(t, dir)
			verify(t, db)
			if stands == "new" {
				if db.Restored() != c.job || db.Stats() == before {
					t.Errorf("%s: after a restart it is %+v", what, db.Stats())
				}
				if err := db.Undo(t.Context()); err != nil {
					t.Errorf("%s: Undo: %v", what, err)
				}
			}
			if db.Stats() != before || !cmp.Equal(texts(t, db, "assets"), documents) {
				t.Errorf("%s: the original is %+v, want %+v", what, db.Stats(), before)
			}
			apply(t, db, put("next", `{}`))
			shut(t, db)
			checkNoTemps(t, what, dir)
			see(t, what, dir)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return text
}

// checkReadsOnly fails unless each way of writing is refused, with the reason,
// and each way of reading goes on.
func checkReadsOnly(t *testing.T, what string, db *database.DB, documents map[string]string) {
	t.Helper()
	for name, write := range map[string]func() error{
		"Apply":  func() error { _, err := db.Apply(t.Context(), []cairn.Document{put("x", `{}`)}); return err },
		"Delete": func() error { _, err := db.Apply(t.Context(), []cairn.Document{remove("acknowledged")}); return err },
		"Update": func() error {
			_, err := db.Update(t.Context(), "assets", "acknowledged", func([]byte) ([]byte, error) { return []byte(`{"v":2}`), nil })
			return err
		},
		"Undo":    func() error { return db.Undo(t.Context()) },
		"Replace": func() error { return db.Replace(t.Context(), replacement("x", backedUp()...), feed(backedUp()...)) },
		"AddBase": func() error { return db.AddBase(t.Context(), db.Stats().Line, cairn.Base{Cloud: "c", Backup: "b"}) },
	} {
		err := write()
		checkCode(t, what+": "+name, err, cairn.CodeInternal)
		if !errors.Is(err, errDisk) {
			t.Errorf("%s: %s: %v, want the failure of the disk", what, name, err)
		}
	}
	verify(t, db)
	if diff := cmp.Diff(documents, texts(t, db, "assets")); diff != "" {
		t.Errorf("%s: documents (-want +got):\n%s", what, diff)
	}
	if _, err := db.Get(t.Context(), "assets", "acknowledged"); err != nil {
		t.Errorf("%s: Get: %v", what, err)
	}
}

// A CURRENT that cannot be read after it was written, but can be written again,
// is put back.
func TestSettleWorks(t *testing.T) {
	for _, c := range swaps() {
		dir := t.TempDir()
		watching := false
		cfg := config(dir)
		var steps []string
		cfg.Step = func(name string, do func() error) error {
			err := do()
			if watching {
				steps = append(steps, name)
			}
			if watching && name == "swap.commit" {
				writeFile(t, filepath.Join(dir, "CURRENT"), "unreadable")
				return errors.Join(err, errDisk)
			}
			return err
		}
		db := openWith(t, cfg)
		c.begin(t, db)
		before := db.Stats()
		watching = true
		if err := c.do(t, db); !errors.Is(err, errDisk) || db.Stats() != before {
			t.Errorf("%s: %v, %+v, want an error and %+v", c.name, err, db.Stats(), before)
		}
		watching = false
		if !slices.Contains(steps, "swap.settle") {
			t.Errorf("%s: the steps were %v", c.name, steps)
		}
		apply(t, db, put("next", `{}`))
		want := db.Stats()
		want.Line = ""
		if got := see(t, c.name, crashed(t, dir)); got.stats != want {
			t.Errorf("%s: after a restart %+v, want %+v", c.name, got.stats, want)
		}
		if err := c.do(t, db); err != nil {
			t.Errorf("%s: again: %v", c.name, err)
		}
		verify(t, db)
		shut(t, db)
	}
}
