package folder

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// link is not for Windows, where a new link does not wait for the disk.
func link(temp, path string) error { return errors.ErrUnsupported }

// move renames a file, never replaces what is at path, and returns when that
// is on the disk.
func move(temp, path string) error {
	from, err := windows.UTF16PtrFromString(temp)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: temp, New: path, Err: err}
	}
	to, err := windows.UTF16PtrFromString(path)
	if err == nil {
		err = windows.MoveFileEx(from, to, windows.MOVEFILE_WRITE_THROUGH)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: temp, New: path, Err: err}
	}
	return nil
}
