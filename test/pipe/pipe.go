// Package pipe serves connections that are pipes in memory, for servers in a bubble
// of testing/synctest, where real ones would keep time from going on:
//
//	l := pipe.Listen()
//	go server.Serve(l)
//	conn, err := l.Dial()
package pipe

import (
	"net"
	"sync"
)

// A Listener is a net.Listener. What one end of its connections does not take, the
// other has not written.
type Listener struct {
	arriving chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

// Listen returns an open listener.
func Listen() *Listener {
	return &Listener{arriving: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial returns a connection that was accepted, or net.ErrClosed.
func (l *Listener) Dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.arriving <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Accept waits for the next connection, or returns net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.arriving:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr returns an address without a name.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{} }

// Close ends Accept and Dial; open connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}
