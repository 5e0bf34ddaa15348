package durable_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"cairn/internal/durable"
)

// A file and its folder are on the same disk, which has some room for the other
// tests, and less than a yottabyte.
func TestFree(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	write(t, file, "x")
	ofFolder, err := durable.Free(dir)
	if err != nil || ofFolder < 1<<20 {
		t.Errorf("Free of a folder: %d, %v, want some megabytes", ofFolder, err)
	}
	ofFile, err := durable.Free(file)
	const others = 4 << 30 // may be written or removed meanwhile
	if err != nil || ofFile > ofFolder+others || ofFile < ofFolder-others {
		t.Errorf("Free of a file: %d, %v, want about %d", ofFile, err, ofFolder)
	}
}

// What is not there is an error that names it, never no room.
func TestFreeMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "x")
	free, err := durable.Free(path)
	if e, ok := errors.AsType[*fs.PathError](err); !ok || e.Path != path || e.Op == "" || free != 0 {
		t.Errorf("Free = %d, %v, want an error of %s", free, err, path)
	}
	if free, err := durable.Free(t.TempDir() + "/\x00"); err == nil || !strings.Contains(err.Error(), "\x00") {
		t.Errorf("Free of a name that is none = %d, %v", free, err)
	}
}
