package database_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// snapshot returns the files and folders in dir, with their content, but for
// those that SQLite keeps beside a file that it has open.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		if e.IsDir() {
			files[name] = "folder"
			return nil
		}
		text, err := os.ReadFile(path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkRefused opens dir and fails unless that is an error of the code which
// names the file, and leaves the folder as it is.
func checkRefused(t *testing.T, what, dir string, want cairn.Code, file string) *cairn.Error {
	t.Helper()
	before := snapshot(t, dir)
	db, err := database.Open(t.Context(), config(dir))
	if err == nil {
		db.Close()
	}
	checkCode(t, what, err, want)
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		return &cairn.Error{}
	}
	if !strings.Contains(e.Message, file) {
		t.Errorf("%s: the message %q does not name %s", what, e.Message, file)
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("%s: the folder (-before +after):\n%.2000s", what, diff)
	}
	return e
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// filled makes a database with a few documents in dir, and returns its file.
func filled(t *testing.T, dir string) (path string) {
	t.Helper()
	db := open(t, dir)
	apply(t, db, put("a", `{"refs":["r"]}`), put("b", `{}`), remove("b"))
	shut(t, db)
	return db.Path()
}

// A first start that was cut off before CURRENT was written goes on.
func TestFirstStartCutOff(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	path := db.Path()
	shut(t, db)
	for range 2 {
		if err := os.Remove(filepath.Join(dir, "CURRENT")); err != nil {
			t.Fatal(err)
		}
		db = open(t, dir)
		if db.Path() != path {
			t.Errorf("it opened %s, want %s", db.Path(), path)
		}
		shut(t, db)
	}
	db = open(t, dir)
	apply(t, db, put("a", `{}`))
	verify(t, db)
}

// Documents without a CURRENT are never passed over, in folders of whatever
// name.
func TestCurrentMissing(t *testing.T) {
	for _, name := range []string{"data", "[a]", "a*", "%20 ?#&"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Logf("no folder can be called %q here: %v", name, err)
			continue
		}
		path := filled(t, dir)
		current, err := os.ReadFile(filepath.Join(dir, "CURRENT"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "CURRENT")); err != nil {
			t.Fatal(err)
		}
		e := checkRefused(t, "a missing CURRENT in "+name, dir, cairn.CodeDamaged, filepath.Join(dir, "CURRENT"))
		if !strings.Contains(e.Message, path) || !strings.Contains(e.Hint, strings.TrimSpace(string(current))) {
			t.Errorf("the message %q and the hint %q name neither file nor cure", e.Message, e.Hint)
		}
		writeFile(t, filepath.Join(dir, "CURRENT"), strings.TrimSpace(string(current)))
		db := open(t, dir)
		if doc, err := db.Get(t.Context(), "assets", "a"); err != nil || doc.Revision != 1 {
			t.Errorf("after the cure: %+v, %v", doc, err)
		}
		shut(t, db)
	}
}

// Neither is a file beside an empty one.
func TestCurrentMissingWithSeveral(t *testing.T) {
	for _, name := range []string{"0.db", "z.db"} { // before and behind any other
		dir := t.TempDir()
		path := filled(t, dir)
		if err := os.Remove(filepath.Join(dir, "CURRENT")); err != nil {
			t.Fatal(err)
		}
		other := t.TempDir()
		db := open(t, other)
		shut(t, db)
		empty, err := os.ReadFile(db.Path())
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "generations", name), string(empty))
		checkRefused(t, "a filled generation beside an empty one", dir, cairn.CodeDamaged, path)

		file := filepath.Join(dir, "generations", name)
		writeFile(t, file, "garbage")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		checkRefused(t, "a broken generation alone", dir, cairn.CodeDamaged, file)
		writeFile(t, file, "")
		checkRefused(t, "an empty file alone", dir, cairn.CodeDamaged, file)
		writeFile(t, file, string(empty))
		tamper(t, file, "PRAGMA user_version=2")
		checkRefused(t, "a newer generation alone", dir, cairn.CodeSchemaTooNew, file)
	}
}

func TestCurrentDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filled(t, dir)
	base := filepath.Base(path)
	if err := os.WriteFile(filepath.Join(dir, "other.db"), []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	current := filepath.Join(dir, "CURRENT")
	for text, want := range map[string]cairn.Code{
		"":                                     cairn.CodeDamaged,
		"\n":                                   cairn.CodeDamaged,
		strings.Repeat("\x00", 60):             cairn.CodeDamaged,
		"\xff\xfe":                             cairn.CodeDamaged,
		`{"format":1,"live":"` + base[:9]:      cairn.CodeDamaged,
		`{"format":1,"live":"` + base + `"}{}`: cairn.CodeDamaged,
		`null`:                                 cairn.CodeDamaged,
		`[]`:                                   cairn.CodeDamaged,
		`{}`:                                   cairn.CodeDamaged,
		`{"format":1}`:                         cairn.CodeDamaged,
		`{"live":"` + base + `"}`:              cairn.CodeDamaged,
		`{"format":0,"live":"` + base + `"}`:   cairn.CodeDamaged,
		`{"format":-1,"live":"` + base + `"}`:  cairn.CodeDamaged,
		`{"format":"1","live":"` + base + `"}`: cairn.CodeDamaged,
		`{"format":1,"live":""}`:               cairn.CodeDamaged,
		`{"format":1,"live":5}`:                cairn.CodeDamaged,
		`{"format":1,"live":".."}`:             cairn.CodeDamaged,
		`{"format":1,"live":"x"}`:              cairn.CodeDamaged,
		`{"format":1,"live":"../other.db"}`:    cairn.CodeDamaged,
		`{"format":1,"live":"./` + base + `"}`: cairn.CodeDamaged,
		`{"format":1,"live":"a/` + base + `"}`: cairn.CodeDamaged,
		fmt.Sprintf(`{"format":1,"live":%q}`, filepath.Join(dir, "other.db")): cairn.CodeDamaged,
		`{"format":2,"live":"` + base + `"}`:                                  cairn.CodeSchemaTooNew,
		`{"format":2,"live":{"file":"` + base + `"},"undo":[]}`:               cairn.CodeSchemaTooNew,
		`{"format":99}`: cairn.CodeSchemaTooNew,
	} {
		writeFile(t, current, text)
		checkRefused(t, fmt.Sprintf("CURRENT of %.60q", text), dir, want, current)
	}
	// Where the folder for generations is missing too, it stays so.
	bare := t.TempDir()
	writeFile(t, filepath.Join(bare, "CURRENT"), "{")
	checkRefused(t, "CURRENT alone", bare, cairn.CodeDamaged, filepath.Join(bare, "CURRENT"))

	writeFile(t, current, `{"format":1,"live":"`+base+`","unknown":1}`)
	verify(t, open(t, dir))
}

// Only what was never finished is removed at the start.
func TestTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	kept := []string{"CURRENT.bak", "tmp", "x.tmp.db", "generations/other.txt", "generations/x-wal"}
	gone := []string{"CURRENT.1.tmp", "generations/y.db.tmp", "generations/y.db.tmp-wal", "generations/y.db.tmp-shm", "generations/y.db.tmp-journal"}
	for _, name := range append(kept, gone...) {
		writeFile(t, filepath.Join(dir, name), "x")
	}
	want := snapshot(t, dir)
	for _, name := range gone {
		delete(want, string(filepath.Separator)+filepath.FromSlash(name))
	}
	shut(t, open(t, dir))
	if diff := cmp.Diff(want, snapshot(t, dir)); diff != "" {
		t.Errorf("the folder (-want +got):\n%.2000s", diff)
	}
	for _, name := range gone {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
}

// tamper runs statements on a file behind the database's back.
func tamper(t *testing.T, path string, statements ...string) {
	t.Helper()
	db := direct(t, path)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// A live generation that is none, or not ours, or newer, is refused as it is.
func TestLiveRefused(t *testing.T) {
	truncate := func(n int64) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.Truncate(path, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	statements := func(s ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) { tamper(t, path, s...) }
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, path string)
		want   cairn.Code
	}{
		{"missing", func(t *testing.T, path string) { os.Remove(path) }, cairn.CodeDamaged},
		{"a folder", func(t *testing.T, path string) { os.Remove(path); os.Mkdir(path, 0o700) }, cairn.CodeDamaged},
		{"of no length", truncate(0), cairn.CodeDamaged},
		{"of one byte", truncate(1), cairn.CodeDamaged},
		{"half its header", truncate(50), cairn.CodeDamaged},
		{"its header alone", truncate(100), cairn.CodeDamaged},
		{"its first page alone", truncate(16384), cairn.CodeDamaged},
		{"without its last page", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			truncate(info.Size()-16384)(t, path)
		}, cairn.CodeDamaged},
		{"cut within a page", truncate(3*16384 + 5000), cairn.CodeDamaged},
		{"garbage", func(t *testing.T, path string) { writeFile(t, path, strings.Repeat("garbage ", 10_000)) }, cairn.CodeDamaged},
		{"zeroes", func(t *testing.T, path string) { writeFile(t, path, strings.Repeat("\x00", 100_000)) }, cairn.CodeDamaged},
		{"a first page of zeroes behind the header", func(t *testing.T, path string) { overwrite(t, path, 100, 16384-100, 0) }, cairn.CodeDamaged},
		{"newer", statements("PRAGMA user_version=2"), cairn.CodeSchemaTooNew},
		{"much newer, with other tables", statements("DROP TABLE state", "PRAGMA user_version=77"), cairn.CodeSchemaTooNew},
		{"older than any", statements("PRAGMA user_version=0"), cairn.CodeDamaged},
		{"of another application", statements("PRAGMA application_id=1"), cairn.CodeDamaged},
		{"of pages of another size", statements("PRAGMA journal_mode=DELETE", "PRAGMA page_size=4096", "VACUUM", "PRAGMA journal_mode=WAL"), cairn.CodeDamaged},
		{"without its documents", statements("DROP TABLE documents"), cairn.CodeDamaged},
		{"without its deletions", statements("DROP TABLE deletions"), cairn.CodeDamaged},
		{"without its references", statements("DROP TABLE refs"), cairn.CodeDamaged},
		{"without its state", statements("DROP TABLE state"), cairn.CodeDamaged},
		{"without its state row", statements("DELETE FROM state"), cairn.CodeDamaged},
		{"with a state of text", statements("UPDATE state SET revision = 'x'"), cairn.CodeDamaged},
		{"with a state below zero", statements("UPDATE state SET documents = -1"), cairn.CodeDamaged},
		{"with a fraction of a revision", statements("UPDATE state SET revision = 1.5"), cairn.CodeDamaged},
		{"with a short digest", statements("UPDATE state SET digest = x'00'"), cairn.CodeDamaged},
		{"with a digest of text", statements("UPDATE state SET digest = '0123456789abcdef'"), cairn.CodeDamaged},
		{"with a table of other columns", statements("ALTER TABLE documents RENAME COLUMN json TO text"), cairn.CodeDamaged},
	} {
		dir := t.TempDir()
		path := filled(t, dir)
		test.damage(t, path)
		checkRefused(t, "a generation "+test.name, dir, test.want, path)
	}
}

// overwrite fills a range of a file with a byte.
func overwrite(t *testing.T, path string, offset, n int64, with byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := make([]byte, n)
	for i := range text {
		text[i] = with
	}
	if _, err := f.WriteAt(text, offset); err != nil {
		t.Fatal(err)
	}
}

// crashed copies a data folder as it is while the database is open: what a
// power cut would leave at this moment.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	for {
		to := t.TempDir()
		err := os.CopyFS(to, os.DirFS(dir))
		if err == nil {
			return to
		}
		// What is no longer needed vanishes in the background.
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), ".db.tmp") {
			t.Fatal(err)
		}
	}
}

// What was acknowledged is there after a power cut, and a log whose end is torn
// costs only what its end held.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	for i, id := range someNames(20) {
		apply(t, db, put(id, fmt.Sprintf(`{"v":%d}`, i)))
	}
	apply(t, db, remove("a00"))
	want := db.Stats()
	after := crashed(t, dir)
	again := open(t, after)
	if got := again.Stats(); got != want {
		t.Errorf("after a power cut: %+v, want %+v", got, want)
	}
	verify(t, again)

	log, err := os.ReadFile(db.Path() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	for _, n := range []int{0, 31, 32, 33, 5000, len(log) / 3, len(log) / 2, len(log) - 16384, len(log) - 1, len(log)} {
		torn := crashed(t, dir)
		writeFile(t, filepath.Join(torn, "generations", filepath.Base(db.Path())+"-wal"), string(log[:n]))
		got := open(t, torn)
		verify(t, got)
		if r := got.Stats().Revision; r < last || r > want.Revision {
			t.Errorf("with %d bytes of the log it is at revision %d, after %d with fewer", n, r, last)
		}
		last = got.Stats().Revision
		apply(t, got, put("new", `{}`))
		verify(t, got)
	}
	if last != want.Revision {
		t.Errorf("with the whole log it is at revision %d, want %d", last, want.Revision)
	}
}

// A log that a crash left stays as it is when the file is refused.
func TestRefusedWithLog(t *testing.T) {
	for name, test := range map[string]struct {
		statement string
		want      cairn.Code
	}{
		"newer":   {"PRAGMA user_version=2", cairn.CodeSchemaTooNew},
		"foreign": {"PRAGMA application_id=2", cairn.CodeDamaged},
	} {
		dir := t.TempDir()
		db := open(t, dir)
		apply(t, db, put("a", `{}`))
		if _, err := direct(t, db.Path()).ExecContext(t.Context(), test.statement); err != nil {
			t.Fatal(err)
		}
		after := crashed(t, dir)
		path := filepath.Join(after, "generations", filepath.Base(db.Path()))
		before, err := os.ReadFile(path + "-wal")
		if err != nil || len(before) == 0 {
			t.Fatalf("%s: a log of %d bytes, %v", name, len(before), err)
		}
		checkRefused(t, name, after, test.want, path)
		if log, err := os.ReadFile(path + "-wal"); err != nil || string(log) != string(before) {
			t.Errorf("%s: the log has %d bytes, %v, want the %d it had", name, len(log), err, len(before))
		}
	}
}
