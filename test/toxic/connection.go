package toxic

import "net"

// A connection is one of the client's, and the one to the server behind it.
// Proxy.mu guards all that changes.
type connection struct {
	proxy    *Proxy
	number   int // from 1
	client   *net.TCPConn
	server   *net.TCPConn // nil until it is dialed
	up, down *line
	left     bool          // the client has closed its side
	lost     bool          // bytes are missing, so none may follow
	ended    chan struct{} // closed when both are closed
}

func newConnection(p *Proxy, number int, client *net.TCPConn) *connection {
	c := &connection{proxy: p, number: number, client: client, ended: make(chan struct{})}
	c.up, c.down = newLine(c, Up), newLine(c, Down)
	c.up.opposite, c.down.opposite = c.down, c.up
	return c
}

// serve dials the server, and passes on until the connection has ended.
func (c *connection) serve() {
	var dialer net.Dialer
	conn, err := dialer.DialContext(c.proxy.ctx, "tcp", c.proxy.server)
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if err != nil {
		c.end(true)
		return
	}
	server := conn.(*net.TCPConn)
	if c.isEnded() {
		reset(server)
		return
	}
	c.server = server
	c.up.from, c.up.to = c.client, server
	c.down.from, c.down.to = server, c.client
	for _, l := range []*line{c.up, c.down} {
		c.proxy.wg.Go(l.read)
		c.proxy.wg.Go(l.write)
	}
}

func (c *connection) isEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// end closes both sides, unless they are: in order, or by a reset. The lock is
// held.
func (c *connection) end(byReset bool) {
	if c.isEnded() {
		return
	}
	close(c.ended)
	delete(c.proxy.standing, c)
	if byReset {
		reset(c.client)
		reset(c.server)
		return
	}
	c.client.Close()
	c.server.Close()
}

// passed adds up what has passed in a direction, or both.
func (c *connection) passed(direction Direction) (sum count) {
	for _, l := range []*line{c.up, c.down} {
		if direction&l.direction != 0 {
			sum.granted += l.passed.granted
			sum.written += l.passed.written
		}
	}
	return sum
}
