//go:build !windows

package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// Writable returns nil if this user may read and write the file or folder at
// path, and otherwise why not. It does not open it: closing a file takes away
// the locks that this process has on it, as SQLite has. Source: POSIX, fcntl.
func Writable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	mode := uint32(unix.R_OK | unix.W_OK)
	if info.IsDir() {
		mode |= unix.X_OK
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS); err != nil {
		return &os.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}
