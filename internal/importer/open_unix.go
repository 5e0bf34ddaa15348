//go:build unix

package importer

import "syscall"

// openFlags make opening fail on a link, and return at once on a pipe that
// nobody writes to.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
