//go:build !windows

package durable

import (
	"errors"
	"os"
	"syscall"
)

// rename replaces newPath in one step; a synced folder makes it durable.
func rename(oldPath, newPath string) error { return os.Rename(oldPath, newPath) }

// SyncDir makes the names in the folder at path survive power loss. It does
// nothing on Windows, where a folder cannot be synced and a rename waits for
// the disk by itself, and on file systems that have no such operation.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some network and FUSE file systems
	}
	return errors.Join(err, d.Close())
}
