package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MkdirAll makes the folder at path and the folders above it that are missing,
// each with mode 0700, and makes them survive power loss: also one that is there,
// which a run may have made that was cut off before it got that far. Otherwise a
// folder that exists is left as it is; anything else at path, or above it, is an
// error.
func MkdirAll(path string) error {
	err := checkDir(path)
	if err == nil {
		return syncParent(path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if parent == path {
		return err // a root or drive that is not there
	}
	if err := MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, dirMode); errors.Is(err, fs.ErrExist) {
		// Another process was faster, and may not have got further.
		return errors.Join(checkDir(path), syncParent(path))
	} else if err != nil {
		return err
	}
	if err := os.Chmod(path, dirMode); err != nil {
		return err
	}
	return SyncDir(parent)
}

// syncParent syncs the folder that a folder is in, if this user may: where not,
// he did not make it.
func syncParent(path string) error {
	err := SyncDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil
	}
	return err
}

// checkDir returns nil if path is a folder, or a link to one.
func checkDir(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	return nil
}
