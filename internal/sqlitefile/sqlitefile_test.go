package sqlitefile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cairn"
	"cairn/internal/sqlitefile"
)

// made returns the path of a file with one table of some pages.
func made(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := sqlitefile.Touch(path); err != nil {
		t.Fatal(err)
	}
	run(t, path, "PRAGMA journal_mode=WAL", "CREATE TABLE t(x)", "INSERT INTO t SELECT zeroblob(3000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20) SELECT i FROM n)")
	return path
}

// run executes statements on the file and closes it.
func run(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sqlitefile.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOpen opens files of odd names: the driver takes a URL, and what it does
// not understand would be another file.
func TestOpen(t *testing.T) {
	for _, name := range []string{"a.db", "with space.db", "100%.db", "a?mode=memory", "#.db", "é+&.db", "%41.db"} {
		if runtime.GOOS == "windows" && name == "a?mode=memory" {
			continue // no name there
		}
		path := made(t, name)
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 || entries[0].Name() != name {
			t.Errorf("%q: the folder holds %v, %v", name, entries, err)
		}
		db, err := sqlitefile.Open(path, 1)
		if err != nil {
			t.Fatal(err)
		}
		for pragma, want := range map[string]int{"synchronous": 2, "fullfsync": 1, "busy_timeout": 10000} {
			var got int
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%q: %s is %d, %v; want %d", name, pragma, got, err, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenMissing makes no file where there is none.
func TestOpenMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.db")
	db, err := sqlitefile.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = sqlitefile.Failure(path, db.PingContext(t.Context()))
	if cairn.CodeOf(err) != cairn.CodeReadOnly {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

// TestOpenReadOnly leaves a file, and the log that a crash left, as they are.
func TestOpenReadOnly(t *testing.T) {
	path := made(t, "a.db")
	db, err := sqlitefile.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES(1)"); err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "a.db") // as if the process had died here
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	file, wal := read(crashed), read(crashed+"-wal")
	ro, err := sqlitefile.OpenReadOnly(crashed)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := ro.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 21 {
		t.Errorf("%d rows, %v; want 21, the one in the log included", n, err)
	}
	if _, err := ro.ExecContext(t.Context(), "INSERT INTO t VALUES(2)"); cairn.CodeOf(sqlitefile.Failure(crashed, err)) != cairn.CodeReadOnly {
		t.Errorf("writing: %v", err)
	}
	if err := ro.Close(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(read(crashed), file) || !bytes.Equal(read(crashed+"-wal"), wal) {
		t.Error("reading changed the files")
	}
}

// TestFailure meets each kind of failure for real.
func TestFailure(t *testing.T) {
	for _, test := range []struct {
		name string
		code cairn.Code
		fail func(t *testing.T, path string) error
	}{
		{"full", cairn.CodeDiskFull, func(t *testing.T, path string) error {
			return failing(t, path, "PRAGMA max_page_count=1", "INSERT INTO t VALUES(zeroblob(100000))")
		}},
		{"read-only", cairn.CodeReadOnly, func(t *testing.T, path string) error {
			return failing(t, path, "PRAGMA query_only=1", "DELETE FROM t")
		}},
		{"in use", cairn.CodeInUse, func(t *testing.T, path string) error {
			other, err := sqlitefile.Open(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
			return failing(t, path, "PRAGMA busy_timeout=1", "DELETE FROM t")
		}},
		{"garbage", cairn.CodeDamaged, func(t *testing.T, path string) error {
			if err := os.WriteFile(path, bytes.Repeat([]byte("garbage "), 4000), 0o600); err != nil {
				t.Fatal(err)
			}
			return failing(t, path, "DELETE FROM t")
		}},
		{"cut", cairn.CodeDamaged, func(t *testing.T, path string) error {
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
			return failing(t, path, "DELETE FROM t")
		}},
		{"other tables", cairn.CodeDamaged, func(t *testing.T, path string) error {
			return failing(t, path, "DELETE FROM documents")
		}},
		{"not of SQLite", cairn.CodeInternal, func(*testing.T, string) error { return errors.New("something else") }},
		{"of the file system", cairn.CodeNoPermission, func(*testing.T, string) error {
			return &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}
		}},
		{"known", cairn.CodeGone, func(*testing.T, string) error { return &cairn.Error{Code: cairn.CodeGone, Message: "gone"} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := made(t, "a.db")
			err := sqlitefile.Failure(path, test.fail(t, path))
			if got := cairn.CodeOf(err); got != test.code {
				t.Fatalf("code %q, want %q: %v", got, test.code, err)
			}
			e, ok := errors.AsType[*cairn.Error](err)
			if ok && test.code != cairn.CodeGone && (e.Hint == "" || e.Err == nil) {
				t.Errorf("the error has hint %q and cause %v", e.Hint, e.Err)
			}
		})
	}
	if err := sqlitefile.Failure("x", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// failing returns the error of the last statement.
func failing(t *testing.T, path string, statements ...string) (err error) {
	t.Helper()
	db, err := sqlitefile.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		_, err = db.ExecContext(t.Context(), s)
	}
	if err == nil {
		t.Fatalf("%q did not fail", statements)
	}
	return err
}
