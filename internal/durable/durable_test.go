package durable_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/durable"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "CURRENT")
	for _, data := range [][]byte{[]byte("one\n"), bytes.Repeat([]byte("two"), 1<<20), {}} {
		if err := durable.WriteFile(path, data); err != nil {
			t.Fatalf("WriteFile of %d bytes: %v", len(data), err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("after WriteFile of %d bytes the file holds %d others", len(data), len(got))
		}
	}
	wantNames(t, dir, "CURRENT")
}

// TestWriteFileFails has the rename fail, the last step before the folder is
// synced: a folder stands in the way. A full disk is in durable_unix_test.go.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "CURRENT")
	mkdir(t, filepath.Join(path, "sub"))
	if err := durable.WriteFile(path, []byte("x")); err == nil {
		t.Error("WriteFile over a folder returned nil")
	}
	wantNames(t, dir, "CURRENT")
	wantNames(t, path, "sub")

	if err := durable.WriteFile(filepath.Join(dir, "missing", "f"), []byte("x")); err == nil {
		t.Error("WriteFile into a missing folder returned nil")
	}
	wantNames(t, dir, "CURRENT")
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a", "f"), filepath.Join(dir, "b", "g")
	mkdir(t, filepath.Dir(from))
	mkdir(t, filepath.Dir(to))
	write(t, from, "new")
	write(t, to, "old")
	if err := durable.Rename(from, to); err != nil {
		t.Fatalf("Rename: %v", err)
	}
	wantNames(t, filepath.Dir(from))
	wantNames(t, filepath.Dir(to), "g")
	if got := read(t, to); got != "new" {
		t.Errorf("after Rename the file holds %q, want %q", got, "new")
	}
	if err := durable.Rename(from, to); err == nil {
		t.Error("Rename of a missing file returned nil")
	}
	if got := read(t, to); got != "new" {
		t.Errorf("after a failed Rename the file holds %q, want %q", got, "new")
	}
}

func TestSyncDir(t *testing.T) {
	if err := durable.SyncDir(t.TempDir()); err != nil {
		t.Errorf("SyncDir: %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 { // the second time it is there
		if err := durable.MkdirAll(deep); err != nil {
			t.Fatalf("MkdirAll: %v", err)
		}
	}
	if info, err := os.Stat(deep); err != nil || !info.IsDir() {
		t.Errorf("after MkdirAll: %v, %v, want a folder", info, err)
	}
	file := filepath.Join(dir, "file")
	write(t, file, "x")
	for _, path := range []string{"", file, filepath.Join(file, "below")} {
		if err := durable.MkdirAll(path); err == nil {
			t.Errorf("MkdirAll(%q) returned nil", path)
		}
	}
	if got := read(t, file); got != "x" {
		t.Errorf("after MkdirAll the file holds %q, want %q", got, "x")
	}
}

func TestRemoveTemps(t *testing.T) {
	dir := t.TempDir()
	temps := []string{"CURRENT.123.tmp", "x.db.tmp", "x.db.tmp-journal", "x.db.tmp-shm", "x.db.tmp-wal"}
	others := []string{"CURRENT", "a.tmp.db", "a.tmp2", "tmp", "x.db", "x.db-shm", "x.db-wal"}
	for _, name := range append(others, temps...) {
		write(t, filepath.Join(dir, name), name)
	}
	mkdir(t, filepath.Join(dir, "folder.tmp"))
	write(t, filepath.Join(dir, "folder.tmp", "inner.tmp"), "x")
	want := append([]string{"CURRENT", "a.tmp.db", "a.tmp2", "folder.tmp"}, others[3:]...)
	if err := os.Symlink("CURRENT", filepath.Join(dir, "z.tmp")); err == nil { // not every Windows lets us
		want = append(want, "z.tmp")
	}

	removed, err := durable.RemoveTemps(dir)
	if err != nil {
		t.Fatalf("RemoveTemps: %v", err)
	}
	if diff := cmp.Diff(temps, removed); diff != "" {
		t.Errorf("RemoveTemps removed other files (-want +got):\n%s", diff)
	}
	wantNames(t, dir, want...)
	wantNames(t, filepath.Join(dir, "folder.tmp"), "inner.tmp")

	if removed, err := durable.RemoveTemps(dir); err != nil || len(removed) != 0 {
		t.Errorf("a second RemoveTemps = %q, %v, want nothing", removed, err)
	}
	if _, err := durable.RemoveTemps(filepath.Join(dir, "missing")); err == nil {
		t.Error("RemoveTemps of a missing folder returned nil")
	}
}

// wantNames fails the test unless dir holds exactly these names.
func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names in the folder (-want +got):\n%s", diff)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mode returns the permission bits of what is at path.
func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}
