//go:build !linux && !darwin && !windows

package folder

import (
	"errors"
	"os"
)

// link gives a file a second name, and never replaces what has it.
func link(temp, path string) error { return os.Link(temp, path) }

// move is not for systems whose rename always replaces.
func move(temp, path string) error { return errors.ErrUnsupported }
