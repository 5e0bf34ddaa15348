package database_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn"
)

// SQLite sorts in the spool folder of the data folder, and leaves nothing there.
func TestSortsInSpool(t *testing.T) {
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool")
	seen, others := false, ""
	cfg := config(dir)
	cfg.Step = func(name string, do func() error) error {
		if name != "build.finish" {
			return do()
		}
		done := make(chan error, 1)
		go func() { done <- do() }()
		for {
			select {
			case err := <-done:
				return err
			default:
			}
			for _, file := range sortFiles(t) {
				if strings.HasPrefix(file, spool+string(filepath.Separator)) {
					seen = true
				} else {
					others = file
				}
			}
		}
	}
	db := openWith(t, cfg)
	for _, writer := range []bool{true, false} {
		if got, err := db.Pragma(t.Context(), writer, "temp_store_directory"); err != nil || got != spool {
			t.Errorf("writer %t: temp_store_directory is %q, %v, want %q", writer, got, err, spool)
		}
	}
	// More keys of references than a sort keeps in memory, 16 MiB, in an order
	// that is not theirs.
	const rows = 4000
	filler := strings.Repeat("x", 10_000)
	all := make([]cairn.Document, rows)
	for i := range all {
		all[i] = at(int64(i+1), put(fmt.Sprint(i), fmt.Sprintf(`{"refs":["%s%04d"]}`, filler, i*1009%rows)))
	}
	err := db.Replace(t.Context(), replacement("job", all), func(prepare prepareFunc) error {
		insert, err := prepare(0, all)
		if err != nil {
			return err
		}
		return insert()
	})
	if err != nil {
		t.Fatalf("Replace: %v", err)
	}
	if !seen || others != "" {
		t.Errorf("sorting used the spool folder %t, and %q", seen, others)
	}
	if entries, err := os.ReadDir(spool); err != nil || len(entries) > 0 {
		t.Errorf("the spool folder has %v, %v, want nothing", entries, err)
	}
	for _, i := range []int{0, 1, rows / 2, rows - 1} {
		if doc, err := db.Find(t.Context(), "assets", fmt.Sprintf("%s%04d", filler, i*1009%rows)); err != nil || doc.ID != fmt.Sprint(i) {
			t.Errorf("Find of a reference of %d: %s, %v", i, doc.ID, err)
		}
	}
}

// sortFiles returns the temporary files that SQLite has open in this process. It
// makes them without a name (O_TMPFILE), or removes their name at once.
func sortFiles(t *testing.T) []string {
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Error(err)
	}
	var files []string
	for _, e := range entries {
		// One that was closed meanwhile has no target any more.
		to, _ := os.Readlink(filepath.Join(fds, e.Name()))
		if name, removed := strings.CutSuffix(to, " (deleted)"); removed && (filepath.Base(name)[0] == '#' || strings.HasPrefix(filepath.Base(name), "etilqs_")) {
			files = append(files, name)
		}
	}
	return files
}
