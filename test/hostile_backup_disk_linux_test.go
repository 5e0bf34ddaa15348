package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A smallDisk is a file system in memory with a file that takes the room of
// others.
type smallDisk struct{ dir, ballast string }

// newSmallDisk mounts a disk of so many MiB with so many names.
func newSmallDisk(t *testing.T, mib, names int) smallDisk {
	t.Helper()
	dir := tmpfs(t, fmt.Sprintf("%dm,nr_inodes=%d", mib, names))
	return smallDisk{dir, filepath.Join(dir, "ballast")}
}

// leave has the disk take so many bytes more, and no others, whoever else
// writes to it meanwhile.
func (k smallDisk) leave(t *testing.T, free int64) {
	t.Helper()
	f, err := os.OpenFile(k.ballast, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const page = 4 << 10
	for share := int64(1); ; {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		more := (k.free(t) - free) / page
		switch {
		case more == 0:
			return
		case info.Size()+more*page < 0:
			t.Fatalf("the disk is too small to leave %d bytes", free)
		case more < 0:
			err = f.Truncate(info.Size() + more*page)
		default:
			err = syscall.Fallocate(int(f.Fd()), 0, info.Size(), max(more/share, 1)*page)
		}
		switch {
		case errors.Is(err, syscall.ENOSPC): // somebody else was faster
			share *= 2
		case err != nil && !errors.Is(err, syscall.EINTR):
			t.Fatal(err)
		}
	}
}

// free returns how many bytes the disk takes.
func (k smallDisk) free(t *testing.T) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(k.dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// leaveNames has the disk take so many files more, and no others.
func (k smallDisk) leaveNames(t *testing.T, n int) {
	t.Helper()
	k.freeNames(t)
	for i := 0; ; i++ {
		var st syscall.Statfs_t
		if err := syscall.Statfs(k.dir, &st); err != nil {
			t.Fatal(err)
		}
		if int(st.Ffree) <= n {
			return
		}
		if err := os.Mkdir(filepath.Join(k.dir, fmt.Sprint("name", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func (k smallDisk) freeNames(t *testing.T) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(k.dir, "name*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		removeFile(t, path)
	}
}
