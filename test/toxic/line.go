package toxic

import (
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

const (
	// delayedMax is how many bytes travel on a line with latency at most, and
	// waitingMax how many wait on another one.
	delayedMax = 4 << 20
	waitingMax = 256 << 10
	// pieceMax is how many bytes travel together.
	pieceMax = 32 << 10
	// pieceCost is counted for a piece besides its bytes, which may be few.
	pieceCost = 128
)

// A line is one direction of a connection: read puts pieces into a queue,
// write takes them out when it is time.
type line struct {
	connection *connection
	direction  Direction
	opposite   *line
	from, to   *net.TCPConn

	queue   []piece
	queued  int    // the costs of it
	numbers uint64 // of pieces that came
	passed  *count // since the toxics were set
	ended   bool   // all has been read
	broken  bool   // where it comes from has been reset
	closed  bool   // the close has been passed on
	deaf    bool   // the other end takes no more

	came, room chan struct{} // something was put into the queue, or taken out
}

func newLine(c *connection, direction Direction) *line {
	return &line{
		connection: c,
		direction:  direction,
		passed:     new(count),
		came:       make(chan struct{}, 1),
		room:       make(chan struct{}, 1),
	}
}

// A count is of bytes that were let through, and those of them that have been
// written.
type count struct{ granted, written int64 }

// A piece is what travels together.
type piece struct {
	kind   kind
	bytes  []byte
	number uint64
	at     time.Time // when all of it was on the line
	cost   int       // what it has of what may be in the queue
}

type kind int

const (
	data kind = iota
	closing
	resetting
)

// A step is what becomes of the first piece of a line, or of a line without.
type step struct {
	front *piece // nil for none
	bytes int    // of it that may pass
	delay time.Duration
	rates []*rate // at which pieces get onto the line
	fate  fate
}

// allow lets at most n bytes pass.
func (s *step) allow(n int64) { s.bytes = int(max(0, min(int64(s.bytes), n))) }

// A fate is one for a line; the last one of several counts.
type fate int

const (
	pass   fate = iota // what is due passes
	hold               // nothing does
	lose               // what is there is lost
	finish             // the client is told that nothing follows
	cut                // the connection is reset
)

// A rate lets bytes onto a line that connections share.
type rate struct {
	perSecond int
	free      time.Time // when the line is
}

// ahead is how long before a line is free it is given the next piece, and the
// time that one takes.
const ahead = 20 * time.Millisecond

// atOnce returns how many bytes one piece has.
func (r *rate) atOnce() int {
	return max(1, int(int64(r.perSecond)*int64(ahead)/int64(time.Second)))
}

// take returns when n bytes are on the line.
func (r *rate) take(now time.Time, n int) time.Time {
	if r.free.Before(now) {
		r.free = now
	}
	r.free = r.free.Add(time.Duration(int64(n) * int64(time.Second) / int64(r.perSecond)))
	return r.free
}

// step asks the toxics. The lock is held.
func (l *line) step() step {
	var s step
	if len(l.queue) > 0 {
		s.front = &l.queue[0]
		s.bytes = len(s.front.bytes)
	}
	for _, effect := range l.connection.proxy.effects {
		effect(l, &s)
	}
	if l.connection.lost && s.fate != lose && s.fate != cut {
		s.fate = lose
		if l.direction == Up && (s.front != nil || l.connection.left) {
			s.fate = cut
		}
	}
	return s
}

// read puts onto the line what comes in.
func (l *line) read() {
	buffer := make([]byte, pieceMax)
	for {
		n, err := l.from.Read(buffer)
		for in := buffer[:n]; len(in) > 0; {
			n, ok := l.enter(in)
			if !ok {
				return
			}
			in = in[n:]
		}
		if err != nil {
			l.connection.proxy.mu.Lock()
			defer l.connection.proxy.mu.Unlock()
			l.hangUp(err)
			return
		}
	}
}

// hangUp tells the other end that no more comes. The lock is held.
func (l *line) hangUp(err error) {
	l.ended = true
	if l.direction == Up {
		l.connection.left = true
	}
	kind := resetting
	if errors.Is(err, io.EOF) && !l.broken {
		kind = closing
	}
	l.put(piece{kind: kind, at: time.Now()})
}

// breakOff is called when writing to where l comes from has failed: its system
// has reset the connection, and told the writer instead of the reader. What
// has been sent before still comes first. The lock is held.
func (l *line) breakOff(err error) {
	l.broken = true
	if l.direction == Up {
		l.connection.left = true
	}
	if l.ended {
		l.hangUp(err)
	}
}

// enter puts the first n bytes of in onto the line, or waits until it may.
// ok is false when the connection has ended.
func (l *line) enter(in []byte) (n int, ok bool) {
	mu := &l.connection.proxy.mu
	mu.Lock()
	now := time.Now()
	n = len(in)
	var wait time.Duration
	s := l.step()
	room := waitingMax
	if s.delay > 0 {
		room = delayedMax
	}
	for _, r := range s.rates {
		n = min(n, r.atOnce())
		wait = max(wait, r.free.Add(-ahead).Sub(now))
	}
	if wait <= 0 && l.queued < room {
		at := now
		for _, r := range s.rates {
			if on := r.take(now, n); on.After(at) {
				at = on
			}
		}
		l.put(piece{bytes: slices.Clone(in[:n]), at: at})
		mu.Unlock()
		return n, true
	}
	changed := l.connection.proxy.changed
	mu.Unlock()
	return 0, l.await(l.room, changed, wait)
}

// await returns once something has happened, or the time is over. It returns
// false when the connection has ended.
func (l *line) await(happened, changed <-chan struct{}, wait time.Duration) bool {
	var timeout <-chan time.Time
	if wait > 0 {
		timeout = time.After(wait)
	}
	select {
	case <-happened:
	case <-changed:
	case <-timeout:
	case <-l.connection.ended:
		return false
	}
	return true
}

// put adds a piece to the queue. The lock is held.
func (l *line) put(p piece) {
	if l.deaf {
		return
	}
	l.numbers++
	p.number = l.numbers
	p.cost = len(p.bytes) + pieceCost
	l.queue = append(l.queue, p)
	l.queued += p.cost
	signal(l.came)
}

// clear empties the queue. The lock is held.
func (l *line) clear() {
	l.queue, l.queued = nil, 0
	signal(l.room)
}

// signal has whoever waits for c, or will, look again.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write passes on what is on the line.
func (l *line) write() {
	mu := &l.connection.proxy.mu
	for {
		mu.Lock()
		out, wait := l.next()
		passed, changed := l.passed, l.connection.proxy.changed
		mu.Unlock()
		if len(out) == 0 {
			if !l.await(l.came, changed, wait) {
				return
			}
			continue
		}
		_, err := l.to.Write(out)
		mu.Lock()
		passed.written += int64(len(out)) // of another count by now, if toxics were set
		if err != nil {
			l.deaf = true
			l.clear()
			l.opposite.breakOff(err)
			if l.opposite.deaf { // nobody is left who could be told
				l.connection.end(true)
			}
		}
		mu.Unlock()
	}
}

// next does what is to be done now. It returns bytes to write, or else how long
// to wait for something to happen, zero being for ever. The lock is held.
func (l *line) next() (out []byte, wait time.Duration) {
	c := l.connection
	for {
		s := l.step()
		switch s.fate {
		case cut:
			c.end(true)
			return nil, 0
		case finish:
			c.lost = true
			c.client.CloseWrite()
			reset(c.server)
			l.clear()
			return nil, 0
		case lose:
			c.lost = c.lost || s.front != nil
			l.clear()
			return nil, 0
		case hold:
			return nil, 0
		}
		if s.front == nil {
			return nil, 0
		}
		if wait := time.Until(s.front.at.Add(s.delay)); wait > 0 {
			return nil, wait
		}
		switch s.front.kind {
		case resetting:
			c.end(true)
			return nil, 0
		case closing:
			l.take()
			l.closed = true
			if l.opposite.closed {
				c.end(false)
				return nil, 0
			}
			l.to.CloseWrite()
		case data:
			return l.takeBytes(s.bytes), 0
		}
	}
}

// take takes the first piece from the queue.
func (l *line) take() piece {
	p := l.queue[0]
	l.queue[0] = piece{}
	l.queue = l.queue[1:]
	l.queued -= p.cost
	signal(l.room)
	return p
}

// takeBytes takes n bytes of the first piece, which may be none.
func (l *line) takeBytes(n int) []byte {
	l.passed.granted += int64(n)
	front := &l.queue[0]
	if n == len(front.bytes) {
		return l.take().bytes
	}
	out := front.bytes[:n]
	front.bytes = front.bytes[n:]
	return out
}
