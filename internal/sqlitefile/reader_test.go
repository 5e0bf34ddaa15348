package sqlitefile_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"cairn"
	"cairn/internal/sqlitefile"
)

// newReader opens a file and closes it with the test.
func newReader(t *testing.T, path string) *sqlitefile.Reader {
	t.Helper()
	r, err := sqlitefile.NewReader(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// next goes on to a row that must be there.
func next(t *testing.T, r *sqlitefile.Reader) {
	t.Helper()
	if more, err := r.Next(); err != nil || !more {
		t.Fatalf("Next = %t, %v, want a row", more, err)
	}
}

// TestReader compares what a Reader says of values of all types with what
// package database/sql says.
func TestReader(t *testing.T) {
	const query = `SELECT 7, -9223372036854775808, 1.5, 'text', '', 'é' || char(0) || 'z', x'00ff', x'', NULL, NULL, '12'`
	path := made(t, "a.db")
	db, err := sqlitefile.Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want := make([]any, 11)
	var places []any
	for i := range want {
		places = append(places, &want[i])
	}
	if err := db.QueryRowContext(t.Context(), query).Scan(places...); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, path)
	if err := r.Query(query); err != nil {
		t.Fatal(err)
	}
	next(t, r)
	for i, v := range want {
		if got := r.Value(i); !reflect.DeepEqual(got, v) {
			t.Errorf("column %d is %#v, want %#v", i, got, v)
		}
		b := r.Bytes(i)
		if (b == nil) != (v == nil) {
			t.Errorf("column %d, which is %#v, has bytes %#v", i, v, b)
		}
		if text := fmt.Sprintf("%s", v); i >= 3 && v != nil && string(b) != text {
			t.Errorf("column %d has the bytes %q, want %q", i, b, text)
		}
	}
	for i, want := range map[int]int64{0: 7, 1: math.MinInt64, 2: 1, 3: 0, 6: 0, 8: 0, 10: 12} {
		if got := r.Int64(i); got != want {
			t.Errorf("column %d is the number %d, want %d", i, got, want)
		}
	}
	if more, err := r.Next(); more || err != nil {
		t.Errorf("behind the last row: %t, %v", more, err)
	}
	for _, pragma := range []string{"query_only", "fullfsync"} {
		if err := r.Query("PRAGMA " + pragma); err != nil {
			t.Fatal(err)
		}
		next(t, r)
		if r.Int64(0) != 1 {
			t.Errorf("%s is %d, want 1", pragma, r.Int64(0))
		}
	}
}

// TestReaderRows reads rows one after another, with parameters, of files of odd
// names.
func TestReaderRows(t *testing.T) {
	for _, name := range []string{"a.db", "a?mode=memory", "file:x.db", "é+&%41.db"} {
		if runtime.GOOS == "windows" && name != "a.db" {
			continue // not all are names there
		}
		r := newReader(t, made(t, name))
		for _, args := range [][]int64{{3, 5}, {20, 20}, {21, 30}} {
			if err := r.Query("SELECT rowid, x FROM t WHERE rowid BETWEEN ? AND ? ORDER BY rowid", args...); err != nil {
				t.Fatal(err)
			}
			for id := args[0]; id <= min(args[1], 20); id++ {
				next(t, r)
				if got := r.Int64(0); got != id || len(r.Bytes(1)) != 3000 {
					t.Errorf("%q: row %d with %d bytes, want %d with 3000", name, got, len(r.Bytes(1)), id)
				}
			}
			if more, err := r.Next(); more || err != nil {
				t.Errorf("%q: behind row %d: %t, %v", name, args[1], more, err)
			}
		}
	}
}

// TestReaderMoment reads what was there when a transaction began, whatever is
// written meanwhile; the writer does not wait, and the next transaction sees it.
func TestReaderMoment(t *testing.T) {
	path := made(t, "a.db")
	r := newReader(t, path)
	count := func() int64 {
		if err := r.Query("SELECT count(*) FROM t"); err != nil {
			t.Fatal(err)
		}
		next(t, r)
		return r.Int64(0)
	}
	exec := func(statement string) {
		if err := r.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN")
	if n := count(); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
	run(t, path, "INSERT INTO t VALUES(1)")
	if n := count(); n != 20 {
		t.Errorf("%d rows after another wrote one, want 20 as before", n)
	}
	exec("COMMIT")
	if n := count(); n != 21 {
		t.Errorf("%d rows in the end, want 21", n)
	}
	for range 200 { // a transaction that is left open ends with its reader
		other, err := sqlitefile.NewReader(path)
		if err == nil {
			err = other.Exec("BEGIN")
		}
		if err == nil {
			err = other.Query("SELECT * FROM t")
		}
		if err != nil {
			t.Fatal(err)
		}
		next(t, other)
		other.Close()
	}
	r.Close()
	run(t, path, "PRAGMA journal_mode=DELETE") // nobody else may have it open
}

// TestReaderFailure meets failures of each call.
func TestReaderFailure(t *testing.T) {
	noFile := filepath.Join(t.TempDir(), "missing.db")
	noise := filepath.Join(t.TempDir(), "noise.db")
	if err := os.WriteFile(noise, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := made(t, "cut.db")
	if err := os.Truncate(cut, 32<<10); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path, statement string
		code                  cairn.Code
	}{
		{"no file", noFile, "", cairn.CodeReadOnly},
		{"no database", noise, "SELECT * FROM t", cairn.CodeDamaged},
		{"cut off", cut, "SELECT sum(length(x)) FROM t", cairn.CodeDamaged},
		{"no table", made(t, "a.db"), "SELECT * FROM u", cairn.CodeDamaged},
		{"a write", made(t, "b.db"), "INSERT INTO t VALUES(1)", cairn.CodeReadOnly},
	} {
		r, err := sqlitefile.NewReader(test.path)
		if err == nil {
			err = r.Exec(test.statement)
			r.Close()
		}
		err = sqlitefile.Failure(test.path, err)
		if cairn.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %s", test.name, err, test.code)
		}
	}
	if _, err := os.Stat(noFile); err == nil {
		t.Error("the missing file was made")
	}
}
