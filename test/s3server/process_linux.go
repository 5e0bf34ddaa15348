package s3server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes lets versitygw end with the thread that starts it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// hasAttributes reports whether files in a folder can have extended attributes.
func hasAttributes(dir string) bool {
	return unix.Setxattr(dir, "user.cairn", []byte("1"), 0) == nil
}
