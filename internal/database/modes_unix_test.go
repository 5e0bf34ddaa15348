//go:build unix

package database_test

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// Nobody else reads the files, whatever the umask.
func TestFileModes(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("a", `{}`)) // so that there is a log
	for range 2 {
		checkModes(t, "with a log", dir)
		shut(t, db)
		db = open(t, dir)
		apply(t, db, put("a", `{"v":2}`))
	}
}

// checkModes fails unless all below a folder is for its owner alone.
func checkModes(t *testing.T, what, dir string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: %s has mode %v, want %v", what, path, got, want)
		}
		seen++
		return nil
	})
	if err != nil || seen < 3 {
		t.Errorf("%s: %d files, %v", what, seen, err)
	}
}

// Nor those of a restoration, at any of its steps.
func TestFileModesOfReplace(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir)
	steps := 0
	cfg.Step = func(name string, do func() error) error {
		err := do()
		steps++
		checkModes(t, name, dir)
		return err
	}
	db := openWith(t, cfg)
	apply(t, db, put("a", `{}`))
	replace(t, db, "job", backedUp()...)
	apply(t, db, put("a", `{"v":3}`))
	checkModes(t, "in the end", dir)
	if steps != len(swapSteps)-1 {
		t.Errorf("%d steps, want %d", steps, len(swapSteps)-1)
	}
}
