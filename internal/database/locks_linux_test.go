package database_test

import (
	"fmt"
	"iter"
	"os"
	"strings"
	"syscall"
	"testing"
)

// SQLite's locks outlast whatever the database does with files that are still
// read. Without them another program that reads takes itself for the last one,
// and removes the log with what was acknowledged.
func TestLocksAreKept(t *testing.T) {
	db := open(t, t.TempDir())
	for i, id := range someNames(30) {
		apply(t, db, long(id, i))
	}
	next, stop := iter.Pull2(db.List(t.Context(), "assets")) // has the first generation open throughout
	defer stop()
	if _, err, ok := next(); err != nil || !ok {
		t.Fatalf("List: %v", err)
	}
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"a restoration", func() { replace(t, db, "job", backedUp()...) }},
		{"undoing", func() {
			if err := db.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		{"Verify", func() { verify(t, db) }},
	} {
		change.do()
		apply(t, db, put("a", `{"after":"`+change.name+`"}`))
		if !locked(t, db.Path()) {
			t.Errorf("after %s no lock is held on the live database", change.name)
		}
	}
}

// locked reports whether this process holds a lock on a file. Source of the
// format: proc_locks(5).
func locked(t *testing.T, path string) bool {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(locks)) {
		inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
		if strings.Contains(line, inode) && strings.Contains(line, fmt.Sprintf(" %d ", os.Getpid())) {
			return true
		}
	}
	return false
}
