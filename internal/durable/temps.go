package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// RemoveTemps removes what a crash left unfinished in the folder dir: regular
// files whose names end in [TempSuffix], and the -wal, -shm and -journal files
// of SQLite databases so named. It returns the names that it removed. One that
// cannot be removed does not keep it from removing the others.
//
// Only the process that holds the folder's [Lock] may call it, since another
// one may be writing such a file.
func RemoveTemps(dir string) (removed []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !isTemp(entry.Name()) {
			continue
		}
		err := os.Remove(filepath.Join(dir, entry.Name()))
		switch {
		case err == nil:
			removed = append(removed, entry.Name())
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	if len(removed) > 0 {
		errs = append(errs, SyncDir(dir))
	}
	return removed, errors.Join(errs...)
}

// isTemp reports whether name is that of an unfinished file, or of a file that
// SQLite keeps beside an unfinished database.
func isTemp(name string) bool {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if strings.HasSuffix(name, TempSuffix+suffix) {
			return true
		}
	}
	return false
}
