//go:build !windows

package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes this user can still write to the disk of a file or
// folder.
func Free(path string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
		}
		return int64(st.Bavail) * int64(st.Bsize), nil
	}
}
