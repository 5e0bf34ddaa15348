package toxic_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/test/toxic"
)

// TestDirections checks in which directions toxics keep data back, and that it
// arrives once all is well.
func TestDirections(t *testing.T) {
	for name, tt := range map[string]struct {
		with  func(toxic.Direction) toxic.Toxic
		usual toxic.Direction
	}{
		"Latency":   {func(d toxic.Direction) toxic.Toxic { return toxic.Latency{Delay: time.Hour, Direction: d} }, toxic.Down},
		"Bandwidth": {func(d toxic.Direction) toxic.Toxic { return toxic.Bandwidth{PerSecond: 1, Direction: d} }, toxic.Both},
		"Stall":     {func(d toxic.Direction) toxic.Toxic { return toxic.Stall{Direction: d} }, toxic.Down},
	} {
		for _, direction := range []toxic.Direction{0, toxic.Up, toxic.Down, toxic.Both} {
			t.Run(fmt.Sprint(name, direction), func(t *testing.T) {
				t.Parallel()
				directed(t, tt.with(direction), cmp.Or(direction, tt.usual))
			})
		}
	}
}

// directed checks that a toxic keeps back what goes in direction.
func directed(t *testing.T, bad toxic.Toxic, direction toxic.Direction) {
	b := newBench(t)
	client, server := b.connect(t)
	b.Set(bad)
	text := strings.Repeat("x", 32<<10)
	send(t, client, text)
	send(t, server, text)
	up, down := direction&toxic.Up != 0, direction&toxic.Down != 0
	if up {
		silent(t, server)
	} else {
		receive(t, server, text)
	}
	if down {
		silent(t, client)
	} else {
		receive(t, client, text)
	}
	b.Set()
	if up {
		receive(t, server, text)
	}
	if down {
		receive(t, client, text)
	}
	works(t, client, server)
}

// TestLatency checks what a round trip takes, and that data does not queue up.
func TestLatency(t *testing.T) {
	t.Parallel()
	const delay = 100 * time.Millisecond
	b := newBench(t)
	client, server := b.connect(t)
	for _, direction := range []toxic.Direction{toxic.Down, toxic.Both} {
		b.Set(toxic.Latency{Delay: delay, Direction: direction})
		start := time.Now()
		works(t, client, server)
		least := delay
		if direction == toxic.Both {
			least *= 2
		}
		if took := time.Since(start); took < least || took > least+5*time.Second {
			t.Errorf("a round trip took %v, want %v", took, least)
		}
	}
	const long = 500 * time.Millisecond
	b.Set(toxic.Latency{Delay: long, Direction: toxic.Both})
	start := time.Now()
	exchange(t, client, server, 8<<20)
	if took := time.Since(start); took < long || took > 10*time.Second {
		t.Errorf("8 MiB took %v; with 256 KiB on their way at a time they take 16s", took)
	}
}

// TestLatencyMemory checks how much is on its way at most.
func TestLatencyMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client, server := b.connect(t)
	b.Set(toxic.Latency{Delay: time.Hour, Direction: toxic.Up})
	sent := flood(client)
	if sent > 32<<20 {
		t.Errorf("%d bytes were taken, want 4 MiB and what the system buffers", sent)
	}
	b.Set()
	receive(t, server, strings.Repeat("x", sent))
}

// TestJitter checks that it adds to the delay, differs, and keeps the order.
func TestJitter(t *testing.T) {
	b := newBench(t)
	client, server := b.connect(t)
	b.Set(toxic.Latency{Jitter: 200 * time.Millisecond, Seed: 1})
	var took []time.Duration
	for range 6 {
		start := time.Now()
		send(t, server, "answer")
		receive(t, client, "answer")
		took = append(took, time.Since(start))
	}
	if slices.Min(took) > 100*time.Millisecond || slices.Max(took) < 100*time.Millisecond {
		t.Errorf("answers took %v; want some less than 100ms, some more", took)
	}
	var text strings.Builder
	for c := 'a'; c <= 'z'; c++ {
		send(t, server, string(c))
		text.WriteRune(c)
		time.Sleep(time.Millisecond) // so that each is a piece of its own
	}
	receive(t, client, text.String())
}

// TestBandwidth checks that all connections share a line.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	const perSecond, size, connections = 1 << 20, 64 << 10, 4
	const least = time.Second * size * connections / perSecond // a quarter of a second
	b := newBench(t)
	b.Set(toxic.Bandwidth{PerSecond: perSecond})
	text := strings.Repeat("x", size)
	var wg sync.WaitGroup
	start := time.Now()
	for range connections {
		client, server := b.connect(t)
		wg.Go(func() {
			send(t, client, text)
			receive(t, server, text)
		})
	}
	wg.Wait()
	if took := time.Since(start); took < least || took > least+5*time.Second {
		t.Errorf("%d bytes took %v; at %d bytes a second they take %v", size*connections, took, perSecond, least)
	}
}

// TestBandwidthBuffers checks that a sender notices how slow a line is.
func TestBandwidthBuffers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client, server := b.connect(t)
	b.Set(toxic.Bandwidth{PerSecond: 10})
	sent := flood(client)
	if runtime.GOOS == "linux" && sent > 3<<20 {
		t.Errorf("%d bytes were taken at once for a line of 10 bytes a second", sent)
	}
	b.Set()
	receive(t, server, strings.Repeat("x", sent))
}

// TestReset checks after how many bytes, and that both sides get to know.
func TestReset(t *testing.T) {
	text := strings.Repeat("x", 600)
	b := newBench(t)
	b.Set(toxic.Reset{After: 1000})
	client, server := b.connect(t)
	send(t, client, text)
	receive(t, server, text)
	send(t, server, text)
	receive(t, client, text[:400]) // 1000 altogether
	reset(t, client)
	reset(t, server)
	b.Set()
	client, server = b.connect(t)
	exchange(t, client, server, 5000)

	client, server = b.connect(t)
	b.Set(toxic.Reset{After: 1000, Direction: toxic.Down})
	for range 3 { // which does not count
		send(t, client, text)
		receive(t, server, text)
	}
	send(t, server, text)
	receive(t, client, text)
	b.Set(toxic.Reset{After: 1000, Direction: toxic.Down}) // counts anew
	send(t, server, text)
	receive(t, client, text)
	send(t, server, text)
	receive(t, client, text[:400])
	reset(t, client)

	client, server = b.connect(t)
	works(t, client, server)
	b.Set(toxic.Reset{})
	reset(t, client)
	reset(t, server)
}

// TestResetWhole checks that all bytes before a reset arrive, though the other
// direction is at work.
func TestResetWhole(t *testing.T) {
	b := newBench(t)
	b.Set(toxic.Reset{After: 1000, Direction: toxic.Down})
	for range 300 {
		client, server := b.connect(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			for err := error(nil); err == nil; {
				_, err = io.WriteString(client, "x")
			}
		})
		send(t, server, strings.Repeat("x", 2000))
		client.SetReadDeadline(time.Now().Add(soon))
		got, _ := io.ReadAll(client) // the writer may be who hears of the reset
		wg.Wait()
		if len(got) != 1000 {
			t.Fatalf("received %d bytes, want 1000", len(got))
		}
	}
}

// TestResetSpread checks that the number of bytes is one of the span, another
// for each connection, and the same again for the same seed.
func TestResetSpread(t *testing.T) {
	numbers := func(seed uint64) (all []int) {
		b := newBench(t)
		b.Set(toxic.Reset{After: 1000, Spread: 2000, Seed: seed})
		for range 20 {
			client, server := b.connect(t)
			send(t, server, strings.Repeat("x", 5000))
			client.SetReadDeadline(time.Now().Add(soon))
			got, err := io.ReadAll(client)
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("received %d bytes, %v; want a reset", len(got), err)
			}
			all = append(all, len(got))
		}
		return all
	}
	first, again, other := numbers(1), numbers(1), numbers(2)
	if slices.Min(first) < 1000 || slices.Max(first) > 3000 {
		t.Errorf("reset after %v bytes, want from 1000 to 3000", first)
	}
	if slices.Min(first) > 1500 || slices.Max(first) < 2500 {
		t.Errorf("reset after %v bytes, want numbers from all over 1000 to 3000", first)
	}
	if !slices.Equal(first, again) {
		t.Errorf("reset after %v bytes, then for the same seed after %v", first, again)
	}
	if slices.Equal(first, other) {
		t.Errorf("reset after %v bytes for different seeds", first)
	}
}

// TestBlackhole checks what is lost, and for how long.
func TestBlackhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	idle, idleServer := b.connect(t)
	asking, askingServer := b.connect(t)
	asked, askedServer := b.connect(t)
	leaving, leavingServer := b.connect(t)
	send(t, asked, "question")
	receive(t, askedServer, "question")
	works(t, leaving, leavingServer)

	b.Set(toxic.Blackhole{})
	late, lateServer := b.connect(t)
	bulk, _ := b.connect(t)
	send(t, bulk, strings.Repeat("x", 32<<20)) // more than all buffers hold
	bulk.Close()
	send(t, asking, "question")
	send(t, late, "question")
	send(t, askedServer, "answer")
	askedServer.CloseWrite()
	leaving.Close()
	until(t, "one has left", func() bool { return b.Open() == 4 })
	silent(t, askingServer)
	silent(t, asked)
	silent(t, leavingServer)
	silent(t, lateServer)

	b.Set()
	works(t, idle, idleServer)
	b.works(t)
	reset(t, leavingServer)
	for _, conn := range []net.Conn{asking, asked, late} {
		send(t, conn, "more")
		reset(t, conn)
	}
	reset(t, askingServer)
	reset(t, lateServer)
}

// TestStall checks where an answer stops, and that its rest comes in the end.
func TestStall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Set(toxic.Stall{After: 4})
	client, server := b.connect(t)
	send(t, server, "answer")
	server.CloseWrite()
	receive(t, client, "answ")
	silent(t, client)
	send(t, client, "still there?")
	receive(t, server, "still there?")
	b.Set()
	receive(t, client, "er")
	eof(t, client)

	b.Set(toxic.Stall{After: 6})
	client, server = b.connect(t)
	send(t, server, "answer")
	server.CloseWrite()
	receive(t, client, "answer")
	silent(t, client) // the close is kept back too
	b.Set()
	eof(t, client)

	client, server = b.connect(t)
	b.Set(toxic.Stall{Direction: toxic.Both})
	send(t, server, "answer")
	server.CloseWrite()
	sent := flood(client)
	if sent > 16<<20 {
		t.Errorf("%d bytes were taken that do not pass", sent)
	}
	client.CloseWrite()
	silent(t, client)
	silent(t, server)
	b.Set()
	receive(t, server, strings.Repeat("x", sent))
	eof(t, server)
	receive(t, client, "answer")
	eof(t, client)
}

// TestSlowClose checks that closes come late, and that data does not.
func TestSlowClose(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client, server := b.connect(t)
	b.Set(toxic.SlowClose{Delay: time.Hour})
	works(t, client, server)
	server.CloseWrite()
	client.CloseWrite()
	silent(t, client)
	silent(t, server)
	const delay = 100 * time.Millisecond
	b.Set(toxic.SlowClose{Delay: delay})
	eof(t, client)
	eof(t, server)

	client, server = b.connect(t)
	start := time.Now()
	client.CloseWrite()
	eof(t, server)
	if took := time.Since(start); took < delay || took > delay+5*time.Second {
		t.Errorf("a close took %v, want %v", took, delay)
	}

	b.Set(toxic.SlowClose{Delay: time.Hour, Direction: toxic.Down})
	client, server = b.connect(t)
	client.CloseWrite()
	eof(t, server)
	server.SetLinger(0)
	server.Close()
	silent(t, client)
	b.Set()
	reset(t, client)
}

// TestCut checks that an answer ends early and in order.
func TestCut(t *testing.T) {
	b := newBench(t)
	b.Set(toxic.Cut{After: 4})
	client, server := b.connect(t)
	send(t, client, "question")
	receive(t, server, "question")
	send(t, server, "answer")
	receive(t, client, "answ")
	eof(t, client)
	eof(t, client)
	reset(t, server)
	send(t, client, "more")
	until(t, "the client is cut", func() bool { return b.Open() == 0 })

	client, _ = b.connect(t)
	b.Set(toxic.Cut{})
	eof(t, client)
	client.Close()
	until(t, "none is open", func() bool { return b.Open() == 0 })
	b.Set()
	b.works(t)
}

// TestFor checks that toxics act on the connections they are for.
func TestFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	even := func(number int) bool { return number%2 == 0 }
	b.Set(toxic.For(even, toxic.Stall{}, toxic.Stall{Direction: toxic.Up}))
	for number := 1; number <= 4; number++ {
		client, server := b.connect(t)
		if !even(number) {
			works(t, client, server)
			continue
		}
		send(t, client, "question")
		send(t, server, "answer")
		silent(t, server)
		silent(t, client)
	}
}

// TestMisuse checks that toxics that mean nothing are not taken.
func TestMisuse(t *testing.T) {
	b := newBench(t)
	all := func(int) bool { return true }
	for _, bad := range []toxic.Toxic{toxic.For(all, toxic.Refuse{}), toxic.Bandwidth{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T was taken, want a panic", bad)
				}
			}()
			b.Set(bad)
		}()
	}
	b.works(t)
}

// TestHTTP checks what an HTTP client sees of an answer that goes bad.
func TestHTTP(t *testing.T) {
	answer := strings.Repeat("x", 50_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, answer)
	}))
	defer server.Close()
	p := toxic.New(t, server.Listener.Addr().String())
	for _, tt := range []struct {
		name  string
		toxic toxic.Toxic
		want  error // of reading the answer
	}{
		{"cut", toxic.Cut{After: 20_000}, io.ErrUnexpectedEOF},
		{"reset", toxic.Reset{After: 20_000, Direction: toxic.Down}, syscall.ECONNRESET},
		{"slow", toxic.Latency{Delay: 10 * time.Millisecond}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for _, toxics := range [][]toxic.Toxic{{tt.toxic}, {}} {
				p.Set(toxics...)
				resp, err := client.Post("http://"+p.Addr, "", strings.NewReader(answer))
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				want := tt.want
				if len(toxics) == 0 {
					want = nil
				}
				if !errors.Is(err, want) {
					t.Errorf("with %v: %v, want %v", toxics, err, want)
				}
			}
		})
	}
}
