package toxic

import (
	"errors"
	"syscall"
)

// buffers has a listener's connections buffer less. Over the loopback, with its
// large segments, the system takes 4 MB from a client at once, so that no line
// looks slow to it; with those of an Ethernet it takes half of that or less.
func buffers(_, _ string, conn syscall.RawConn) error {
	var set error
	err := conn.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1460)
	})
	return errors.Join(err, set)
}
