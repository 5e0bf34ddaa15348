package main

import (
	"net"
	"sync"
)

// A connLimit bounds how many connections there are on several listeners together.
// One over the bound waits where the system keeps it, and is not accepted.
type connLimit struct {
	open   chan struct{} // holds a token for each, and for each Accept that waits
	closed chan struct{}
	once   sync.Once
}

func newConnLimit(n int) *connLimit {
	return &connLimit{open: make(chan struct{}, n), closed: make(chan struct{})}
}

// on returns the listener with the bound. All listeners of a limit are closed
// together.
func (c *connLimit) on(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	limit *connLimit
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.limit.open <- struct{}{}:
	case <-l.limit.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.limit.open
		return nil, err
	}
	return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.limit.open })}, nil
}

func (l *limitedListener) Close() error {
	l.limit.once.Do(func() { close(l.limit.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
