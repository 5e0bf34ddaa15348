package remote

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	// dialTime is how long a connection may take to come about.
	dialTime = 10 * time.Second
	// StallTime is how long a connection in use may stand still. What it has sent
	// may wait in the buffers of the system and of proxies for its share of a slow
	// line: 16 parts of 2 MB for half a minute at 1 MB/s.
	StallTime = time.Minute
	// idleConnections is how many connections are kept for the next calls.
	idleConnections = 64
)

// Transport returns a transport whose connections end when they stand still for
// that long. It goes through the proxies that the environment names.
func Transport(stall time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	Guard(t, stall)
	return t
}

// Guard has the connections of a transport end when they stand still for that
// long. It speaks HTTP/1.1: there, one that stands still is one call that does.
func Guard(t *http.Transport, stall time.Duration) {
	dialer := &net.Dialer{Timeout: dialTime, KeepAlive: StallTime / 4}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lively{Conn: c, stall: stall}, nil
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = idleConnections, idleConnections
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
}

// Stay has no redirection followed: what is signed for one host is of no use to
// another, which must not be believed either.
func Stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// A lively connection fails when for some time nothing could be read from it nor
// written to it. Reading goes on all the time, while the next answer is waited
// for too, so that what is written counts for both.
type lively struct {
	net.Conn
	stall   time.Duration
	stalled atomic.Bool // it stood still, and is of no more use
}

// ErrStall is what a connection fails with that stood still.
var ErrStall = errors.New("the connection stands still")

// Read implements net.Conn.
func (c *lively) Read(p []byte) (int, error) {
	c.live()
	n, err := c.Conn.Read(p)
	return n, c.explain(err)
}

// Write implements net.Conn. A large p is written in pieces, each of which counts.
func (c *lively) Write(p []byte) (n int, err error) {
	const most = 64 << 10
	for err == nil && n < len(p) {
		var m int
		c.live()
		m, err = c.Conn.Write(p[n:min(len(p), n+most)])
		n += m
	}
	c.live()
	return n, c.explain(err)
}

// live has the time begin anew.
func (c *lively) live() {
	if !c.stalled.Load() {
		_ = c.SetDeadline(time.Now().Add(c.stall)) // if it is closed, what follows says so
	}
}

// explain returns ErrStall for whatever comes of a connection that stood still: it
// is closed for one side when the other has found out.
func (c *lively) explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.stalled.Store(true)
	}
	if err != nil && c.stalled.Load() {
		return ErrStall
	}
	return err
}
