package toxic

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// A Toxic is a way for connections to go bad: one of the types below.
type Toxic interface {
	// begin returns the toxic at work, from when it is set.
	begin() effect
}

// An effect adds what a toxic does to the step of a line.
type effect func(l *line, s *step)

// A Direction tells in which one a toxic acts. Zero stands for the usual one,
// which each toxic names.
type Direction uint8

// The directions.
const (
	Up   Direction = 1 << iota // from the client to the server
	Down                       // from the server to the client
	Both = Up | Down
)

// or returns d, or else the usual one.
func (d Direction) or(usual Direction) Direction { return cmp.Or(d, usual) }

// Latency has every piece of data, and the close after it, arrive late by
// Delay, and by up to Jitter more. As many pieces as there are travel at the
// same time, up to 4 MiB. Usually Down, so that a round trip takes Delay longer.
// Connecting does not.
type Latency struct {
	Delay, Jitter time.Duration
	Seed          uint64 // of Jitter
	Direction     Direction
}

func (t Latency) begin() effect {
	direction := t.Direction.or(Down)
	return func(l *line, s *step) {
		if direction&l.direction == 0 || s.front == nil {
			return
		}
		s.delay += t.Delay
		if t.Jitter > 0 {
			chance := l.connection.chance(t.Seed, s.front.number<<2|uint64(l.direction))
			s.delay += time.Duration(chance.Int64N(int64(t.Jitter) + 1))
		}
	}
}

// Bandwidth is that of one line for all connections together: so many bytes
// a second, in either direction by itself. Usually Both.
type Bandwidth struct {
	PerSecond int
	Direction Direction
}

func (t Bandwidth) begin() effect {
	if t.PerSecond <= 0 {
		panic("toxic: a Bandwidth of nothing: use Stall")
	}
	direction := t.Direction.or(Both)
	up, down := &rate{perSecond: t.PerSecond}, &rate{perSecond: t.PerSecond}
	return func(l *line, s *step) {
		switch direction & l.direction {
		case Up:
			s.rates = append(s.rates, up)
		case Down:
			s.rates = append(s.rates, down)
		}
	}
}

// Reset cuts a connection by an RST to both sides once After bytes have passed,
// and up to Spread more. Usually Both, whose bytes are added up.
type Reset struct {
	After, Spread int64
	Seed          uint64 // of Spread
	Direction     Direction
}

func (t Reset) begin() effect {
	direction := t.Direction.or(Both)
	return func(l *line, s *step) {
		after := t.After
		if t.Spread > 0 {
			after += l.connection.chance(t.Seed, 0).Int64N(t.Spread + 1)
		}
		passed := l.connection.passed(direction)
		if passed.written >= after {
			s.fate = max(s.fate, cut)
		}
		if direction&l.direction != 0 {
			s.allow(after - passed.granted)
		}
	}
}

// Blackhole has the server vanish: what either side sends, their closes too, is
// taken and lost, and new connections are accepted. A connection that has lost
// something stays lost when that is over, as with a server that has started
// anew: it is reset once the client sends more.
type Blackhole struct{}

func (Blackhole) begin() effect {
	return func(_ *line, s *step) { s.fate = max(s.fate, lose) }
}

// Stall has nothing more arrive once After bytes have, no close either, but
// the connection stays. All that was kept back follows when that is over.
// Usually Down, which leaves the client in the middle of an answer; Both is a
// cable that is pulled.
type Stall struct {
	After     int64 // in each direction by itself
	Direction Direction
}

func (t Stall) begin() effect {
	direction := t.Direction.or(Down)
	return func(l *line, s *step) {
		if direction&l.direction == 0 {
			return
		}
		if s.allow(t.After - l.passed.granted); l.passed.granted >= t.After {
			s.fate = max(s.fate, hold)
		}
	}
}

// SlowClose has a close, orderly or not, arrive late by Delay. Usually Both.
type SlowClose struct {
	Delay     time.Duration
	Direction Direction
}

func (t SlowClose) begin() effect {
	direction := t.Direction.or(Both)
	return func(l *line, s *step) {
		if direction&l.direction != 0 && s.front != nil && s.front.kind != data {
			s.delay += t.Delay
		}
	}
}

// Cut ends answers in the middle: once After bytes have gone down, the client
// sees an orderly close, and the server a reset. What the client sends then is
// answered by a reset, as by a server that is gone.
type Cut struct {
	After int64
}

func (t Cut) begin() effect {
	return func(l *line, s *step) {
		if l.direction != Down {
			return
		}
		if s.allow(t.After - l.passed.granted); l.passed.granted >= t.After {
			s.fate = max(s.fate, finish)
		}
	}
}

// Refuse has the system refuse new connections. Those that stand go on.
type Refuse struct{}

func (Refuse) begin() effect { return func(*line, *step) {} }

// For has toxics act on some connections only, which are numbered from 1 as they
// are accepted. The function must not call the proxy. Refuse is for all or none,
// and must not be among the toxics.
func For(which func(number int) bool, toxics ...Toxic) Toxic {
	return some{which, toxics}
}

type some struct {
	which  func(number int) bool
	toxics []Toxic
}

func (t some) begin() effect {
	var effects []effect
	for _, toxic := range t.toxics {
		if toxic == (Refuse{}) {
			panic("toxic: Refuse is not for some connections only")
		}
		effects = append(effects, toxic.begin())
	}
	return func(l *line, s *step) {
		if !t.which(l.connection.number) {
			return
		}
		for _, effect := range effects {
			effect(l, s)
		}
	}
}

// chance returns what is random about the nth thing of a connection.
func (c *connection) chance(seed, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(c.number)<<40|n))
}
