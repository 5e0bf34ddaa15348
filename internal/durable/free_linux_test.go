package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"cairn/internal/durable"
)

// /proc is a disk without room.
func TestFreeNone(t *testing.T) {
	if free, err := durable.Free("/proc"); err != nil || free != 0 {
		t.Errorf("Free of /proc = %d, %v, want 0", free, err)
	}
}

// The number is in bytes, as is what a file takes of it: writing 256 MiB takes
// that and, others writing too, not many times as much.
func TestFreeIsInBytes(t *testing.T) {
	dir := t.TempDir()
	before, err := durable.Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	const size = 256 << 20
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		t.Logf("this disk keeps no room for a file: %v", err)
		return
	}
	after, err := durable.Free(dir)
	if taken := before - after; err != nil || taken < size/4 || taken > 16*size {
		t.Errorf("%d bytes took %d of %d, %v", int64(size), taken, before, err)
	}
}
