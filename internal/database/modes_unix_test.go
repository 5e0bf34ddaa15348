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
				t.Errorf("%s has mode %v, want %v", path, got, want)
			}
			seen++
			return nil
		})
		if err != nil || seen < 3 {
			t.Errorf("%d files, %v", seen, err)
		}
		shut(t, db)
		db = open(t, dir)
		apply(t, db, put("a", `{"v":2}`))
	}
}
