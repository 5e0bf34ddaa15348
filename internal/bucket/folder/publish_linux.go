package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

// link gives a file a second name, and never replaces what has it.
func link(temp, path string) error { return os.Link(temp, path) }

// move renames a file, and never replaces what is at path.
func move(temp, path string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE); err != nil {
		return &os.LinkError{Op: "rename", Old: temp, New: path, Err: err}
	}
	return nil
}
