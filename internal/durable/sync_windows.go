package durable

import (
	"os"

	"golang.org/x/sys/windows"
)

// rename replaces newPath in one step and returns when that is on the disk.
func rename(oldPath, newPath string) error {
	from, err := windows.UTF16PtrFromString(oldPath)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldPath, New: newPath, Err: err}
	}
	to, err := windows.UTF16PtrFromString(newPath)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldPath, New: newPath, Err: err}
	}
	const how = windows.MOVEFILE_REPLACE_EXISTING | windows.MOVEFILE_WRITE_THROUGH
	if err := windows.MoveFileEx(from, to, how); err != nil {
		return &os.LinkError{Op: "rename", Old: oldPath, New: newPath, Err: err}
	}
	return nil
}

// SyncDir makes the names in the folder at path survive power loss. It does
// nothing on Windows, where a folder cannot be synced and a rename waits for
// the disk by itself, and on file systems that have no such operation.
func SyncDir(path string) error { return nil }
