// Package toxic puts a TCP proxy between a client and a server, whose
// connections go bad when a test says so.
//
//	p := toxic.New(t, "127.0.0.1:9000") // the client connects to p.Addr
//	p.Set(toxic.Latency{Delay: 200 * time.Millisecond}, toxic.Bandwidth{PerSecond: 1 << 20})
//	p.Set(toxic.Blackhole{}) // instead of both
//	p.Set()                  // heals
//
// Whatever acts by chance does so by a seed and the number of the connection.
// A proxy never alters a stream: bytes come late, or not at all with all
// that would follow them.
package toxic

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
)

// A Proxy passes connections on to a server. Its methods may be called from
// any goroutine, until the test has ended.
type Proxy struct {
	Addr string // where it listens, such as 127.0.0.1:39123

	t      testing.TB
	server string
	ctx    context.Context // of dialing the server
	wg     sync.WaitGroup  // every goroutine

	setting sync.Mutex // held by Set, which replaces the listener

	// mu guards what follows, and all of the connections; it is not held
	// while anything is read, written or dialed.
	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	effects  []effect
	changed  chan struct{} // closed when the effects are replaced
	standing map[*connection]bool
	accepted int
}

// New listens on a free port of the loopback, and passes connections on to the
// server, an address like 127.0.0.1:9000. They are reset when nobody listens
// there. The proxy ends with the test, and cuts what is left of them.
func New(t testing.TB, server string) *Proxy {
	t.Helper()
	listener, err := bind("127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for a proxy: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		Addr:     listener.Addr().String(),
		t:        t,
		server:   server,
		ctx:      ctx,
		changed:  make(chan struct{}),
		standing: make(map[*connection]bool),
	}
	p.listen(listener)
	t.Cleanup(func() {
		cancel()
		p.setting.Lock()
		p.refuse()
		p.setting.Unlock()
		p.Drop()
		p.wg.Wait()
	})
	return p
}

// Set has toxics act from now on, on new and standing connections, instead of
// those before. They count bytes anew, without those that have been let through.
// Set() heals: what was kept waiting goes on. The order of toxics does not
// matter.
func (p *Proxy) Set(toxics ...Toxic) {
	p.t.Helper()
	var effects []effect
	for _, toxic := range toxics {
		effects = append(effects, toxic.begin())
	}
	p.setting.Lock()
	defer p.setting.Unlock()
	refuse := slices.Contains(toxics, Toxic(Refuse{}))
	if refuse {
		p.refuse()
	}
	p.mu.Lock()
	p.effects = effects
	for c := range p.standing {
		c.up.passed, c.down.passed = new(count), new(count)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	listening := p.listener != nil
	p.mu.Unlock()
	if !refuse && !listening && p.ctx.Err() == nil {
		listener, err := bind(p.Addr)
		if err != nil {
			p.t.Errorf("listening again for a proxy: %v", err)
			return
		}
		p.listen(listener)
	}
}

// Drop cuts all standing connections by a reset.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.standing {
		c.end(true)
	}
}

// Connections returns how many connections have been accepted.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Open returns how many connections stand, which the client has closed in
// neither direction. That it has closed one is not seen while too much of what it
// sent before still waits.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c := range p.standing {
		if !c.left {
			n++
		}
	}
	return n
}

func bind(address string) (net.Listener, error) {
	config := net.ListenConfig{Control: buffers}
	return config.Listen(context.Background(), "tcp4", address)
}

// listen accepts connections until the listener is closed.
func (p *Proxy) listen(listener net.Listener) {
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				p.t.Errorf("a proxy accepts no more: %v", err)
				return
			}
			p.accept(conn.(*net.TCPConn))
		}
	})
}

// refuse closes the listener.
func (p *Proxy) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
}

// accept begins a connection.
func (p *Proxy) accept(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil { // refused, or ended, in the meantime
		reset(client)
		return
	}
	p.accepted++
	c := newConnection(p, p.accepted, client)
	p.standing[c] = true
	p.wg.Go(c.serve)
}

// reset closes conn with an RST.
func reset(conn *net.TCPConn) {
	if conn != nil {
		conn.SetLinger(0)
		conn.Close()
	}
}
