package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"cairn/test/pipe"
)

// TestConnLimit opens as many connections as there may be, on two listeners.
func TestConnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newConnLimit(4)
		accepted := make(chan net.Conn, 16)
		var ends []chan error
		pipes := []*pipe.Listener{pipe.Listen(), pipe.Listen()}
		var listeners []net.Listener
		for _, p := range pipes {
			l, end := limit.on(p), make(chan error, 1)
			listeners, ends = append(listeners, l), append(ends, end)
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						end <- err
						return
					}
					accepted <- conn
				}
			}()
		}
		opened := make(chan net.Conn, 16)
		dial := func(p *pipe.Listener) {
			go func() {
				if conn, err := p.Dial(); err == nil {
					opened <- conn
				}
			}()
			synctest.Wait()
		}
		for range 10 {
			dial(pipes[0])
		}
		// The other listener has a place of its own for the next.
		if len(opened) != 3 {
			t.Errorf("%d connections are open, want 3", len(opened))
		}
		dial(pipes[1])
		if len(opened) != 4 {
			t.Errorf("%d connections are open, want 4", len(opened))
		}
		for range 3 {
			dial(pipes[1])
		}
		for range 4 {
			conn := <-accepted
			conn.Close()
			_ = conn.Close() // closing twice makes no more room
			synctest.Wait()
		}
		if n := len(opened); n != 8 {
			t.Errorf("%d connections have been open, want 8", n)
		}
		for _, l := range listeners {
			l.Close()
		}
		for _, end := range ends {
			select {
			case <-end:
			case <-time.After(time.Minute):
				t.Error("a listener that is closed still waits for room")
			}
		}
	})
}
