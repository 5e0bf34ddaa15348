package durable_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"cairn/internal/durable"
)

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	write(t, file, "x")
	for _, path := range []string{dir, file} {
		if err := durable.Writable(path); err != nil {
			t.Errorf("Writable: %v", err)
		}
	}
	if err := durable.Writable(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Writable of what is missing = %v, want that it does not exist", err)
	}
}
