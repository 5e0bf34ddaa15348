package toxic_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/test/toxic"
)

const (
	// soon is long enough for what comes at once, and whatever takes longer
	// has not come by itself.
	soon = 20 * time.Second
	// silence is how long is listened to what stays silent.
	silence = 50 * time.Millisecond
)

// A bench is a proxy before a listener, whose connections a test holds at both
// ends.
type bench struct {
	*toxic.Proxy
	listener *net.TCPListener
}

func newBench(t *testing.T) bench {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return bench{toxic.New(t, listener.Addr().String()), listener}
}

// connect makes a connection.
func (b bench) connect(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	client = dial(t, b.Addr)
	b.listener.SetDeadline(time.Now().Add(soon))
	server, err := b.listener.AcceptTCP()
	if err != nil {
		t.Fatalf("the server accepts: %v", err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// dial connects to an address.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// send writes what fits the system's buffers.
func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	conn.SetWriteDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatalf("sending: %v", err)
	}
}

// receive reads exactly want.
func receive(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(soon))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("received %d bytes, %.20q, %v; want %d, %.20q", n, got[:n], err, len(want), want)
	}
}

// silent checks that nothing comes, no close either.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(silence))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("received %d bytes, %v; want nothing to come", n, err)
	}
}

// eof checks that an orderly close comes next.
func eof(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(soon))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("received %d bytes, %v; want an orderly close", n, err)
	}
}

// reset checks that a reset comes next.
func reset(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(soon))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("received %d bytes, %v; want a reset", n, err)
	}
}

// flood sends until no more is taken, and returns how many bytes were.
func flood(conn net.Conn) (sent int) {
	piece := bytes.Repeat([]byte("x"), 64<<10)
	for sent < 64<<20 {
		conn.SetWriteDeadline(time.Now().Add(5 * silence))
		n, err := conn.Write(piece)
		sent += n
		if err != nil {
			break
		}
	}
	return sent
}

// works checks that a connection passes on what either side sends.
func works(t *testing.T, client, server net.Conn) {
	t.Helper()
	send(t, client, "question")
	receive(t, server, "question")
	send(t, server, "answer")
	receive(t, client, "answer")
}

// works checks that a new connection works.
func (b bench) works(t *testing.T) {
	t.Helper()
	client, server := b.connect(t)
	works(t, client, server)
}

// until waits for what nothing tells of.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestHealthy checks that without toxics there seems to be no proxy.
func TestHealthy(t *testing.T) {
	b := newBench(t)
	client, server := b.connect(t)
	works(t, client, server)
	other, _ := b.connect(t)
	if b.Connections() != 2 || b.Open() != 2 {
		t.Errorf("%d connections, %d open; want 2, 2", b.Connections(), b.Open())
	}

	client.CloseWrite()
	eof(t, server)
	send(t, server, "answer after the question's end")
	receive(t, client, "answer after the question's end")
	server.Close()
	eof(t, client)
	other.Close()
	until(t, "none is open", func() bool { return b.Open() == 0 })
	if b.Connections() != 2 {
		t.Errorf("%d connections after their end, want 2", b.Connections())
	}

	client, server = b.connect(t)
	server.SetLinger(0)
	server.Close()
	reset(t, client)
	client, server = b.connect(t)
	client.SetLinger(0)
	client.Close()
	reset(t, server)
}

// TestBulk sends more than all buffers hold both ways at once.
func TestBulk(t *testing.T) {
	b := newBench(t)
	client, server := b.connect(t)
	exchange(t, client, server, 16<<20)
}

// exchange sends n bytes either way at once, and checks that they arrive.
func exchange(t *testing.T, a, b *net.TCPConn, n int) {
	t.Helper()
	text := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(text)
	var wg sync.WaitGroup
	for _, pair := range [][2]*net.TCPConn{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		from.SetDeadline(time.Now().Add(soon))
		wg.Go(func() {
			if _, err := from.Write(text); err != nil {
				t.Errorf("sending: %v", err)
			}
			from.CloseWrite()
		})
		wg.Go(func() {
			got, err := io.ReadAll(to)
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("received %d bytes, %v; want the %d that were sent", len(got), err, len(text))
			}
		})
	}
	wg.Wait()
}

// TestDeafEnd checks that a sender hears that the other end takes no more, as
// without a proxy.
func TestDeafEnd(t *testing.T) {
	b := newBench(t)
	client, server := b.connect(t)
	client.Close()
	eof(t, server)
	server.SetDeadline(time.Now().Add(soon))
	var err error
	for err == nil {
		_, err = server.Write(make([]byte, 1<<10))
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("sending to a client that is gone: %v, want a reset", err)
	}

	// That it is gone is seen too while all it has sent cannot be read.
	client, server = b.connect(t)
	b.Set(toxic.Stall{Direction: toxic.Up})
	flood(client)
	client.SetLinger(0)
	client.Close()
	send(t, server, "x")
	until(t, "none is open", func() bool { return b.Open() == 0 })
}

// TestLastWords checks that what a server sends before a reset arrives, though
// the client goes on sending.
func TestLastWords(t *testing.T) {
	b := newBench(t)
	for range 300 {
		client, server := b.connect(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			for err := error(nil); err == nil; {
				_, err = io.WriteString(client, "x")
			}
		})
		receive(t, server, "x")
		send(t, server, "enough")
		server.SetLinger(0)
		server.Close()
		client.SetReadDeadline(time.Now().Add(soon))
		got, _ := io.ReadAll(client) // the writer may be who hears of the reset
		wg.Wait()
		if string(got) != "enough" {
			t.Fatalf("received %q", got)
		}
	}
}

// TestFreed checks that connections leave nothing behind, however they end.
func TestFreed(t *testing.T) {
	b := newBench(t)
	before := runtime.NumGoroutine()
	left := func(t *testing.T, goroutines int) {
		t.Helper()
		until(t, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+goroutines })
	}
	client, server := b.connect(t)
	client.CloseWrite()
	server.CloseWrite()
	left(t, 0)

	// Neither side takes what comes, nor can be told.
	client, server = b.connect(t)
	b.Set(toxic.Latency{Delay: time.Hour, Direction: toxic.Both})
	for _, conn := range []*net.TCPConn{client, server} {
		send(t, conn, "late")
		conn.SetLinger(0)
		conn.Close()
	}
	left(t, 2) // which write what both have sent
	b.Set(toxic.SlowClose{Delay: time.Hour})
	left(t, 0)

	// They are cut while the server is dialed.
	b.Set()
	for range 300 {
		conn := dial(t, b.Addr)
		b.Drop()
		conn.Close()
	}
	until(t, "all are accepted", func() bool { return b.Connections() == 302 })
	b.Drop() // those that came too late
	left(t, 0)
}

// TestDrop checks that both sides are cut, and that new connections are not.
func TestDrop(t *testing.T) {
	b := newBench(t)
	client, server := b.connect(t)
	works(t, client, server)
	b.Drop()
	reset(t, client)
	reset(t, server)
	if b.Open() != 0 {
		t.Errorf("%d open, want 0", b.Open())
	}
	b.works(t)
}

// TestNoServer checks that a connection to nobody is reset.
func TestNoServer(t *testing.T) {
	b := newBench(t)
	b.listener.Close()
	conn, err := net.Dial("tcp4", b.Addr)
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connecting: %v, want a reset", err)
	}
}

// TestRefuse checks that new connections are refused, that those that stand are
// not cut, and that the same address answers again.
func TestRefuse(t *testing.T) {
	b := newBench(t)
	client, server := b.connect(t)
	for range 2 {
		b.Set(toxic.Refuse{})
		b.Set(toxic.Refuse{}) // which it does already
		if _, err := net.Dial("tcp4", b.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("connecting: %v, want that it is refused", err)
		}
		works(t, client, server)
		b.Set()
		b.works(t)
	}
}

// TestEnd checks that nothing is left when the test has ended, whatever its
// connections were waiting for.
func TestEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	var clients []*net.TCPConn
	t.Run("proxy", func(t *testing.T) {
		b := newBench(t)
		for _, toxics := range [][]toxic.Toxic{
			{},
			{toxic.Latency{Delay: time.Hour, Direction: toxic.Both}},
			{toxic.Bandwidth{PerSecond: 1}},
			{toxic.Blackhole{}},
			{toxic.Stall{Direction: toxic.Both}},
			{toxic.SlowClose{Delay: time.Hour}},
		} {
			b.Set(toxics...)
			for range 2 {
				conn, err := net.Dial("tcp4", b.Addr) // which the test does not close
				if err != nil {
					t.Fatal(err)
				}
				client := conn.(*net.TCPConn)
				clients = append(clients, client)
				client.SetWriteDeadline(time.Now().Add(silence))
				client.Write(make([]byte, 16<<20)) // of which the most gets stuck
			}
			clients[len(clients)-1].CloseWrite()
		}
		if n := runtime.NumGoroutine(); n < before+len(clients) {
			t.Errorf("%d goroutines, %d before: not what a proxy takes", n, before)
		}
	})
	until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	for _, client := range clients {
		client.SetReadDeadline(time.Now().Add(soon))
		if _, err := io.Copy(io.Discard, client); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection after the end: %v, want a reset", err)
		}
		client.Close()
	}
}

// TestSetMeanwhile has toxics change while data flows: no byte may be missing,
// and nothing may be left waiting.
func TestSetMeanwhile(t *testing.T) {
	b := newBench(t)
	var exchanges sync.WaitGroup
	for range 3 {
		client, server := b.connect(t)
		exchanges.Go(func() { exchange(t, client, server, 4<<20) })
	}
	done := make(chan struct{})
	go func() {
		exchanges.Wait()
		close(done)
	}()
	toxics := []toxic.Toxic{
		toxic.Latency{Delay: time.Millisecond, Jitter: 2 * time.Millisecond, Direction: toxic.Both},
		toxic.Bandwidth{PerSecond: 64 << 20},
		toxic.Stall{After: 100_000, Direction: toxic.Both},
		toxic.SlowClose{Delay: time.Millisecond},
		toxic.Refuse{},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
			random.Shuffle(len(toxics), func(i, j int) { toxics[i], toxics[j] = toxics[j], toxics[i] })
			b.Set(toxics[:random.IntN(3)]...)
		}
	}
}

// TestPrefix checks that after bytes that are lost or cut off none follow, though
// the server goes on sending while all is well again.
func TestPrefix(t *testing.T) {
	for _, bad := range []toxic.Toxic{
		toxic.Reset{After: 100_000},
		toxic.Cut{After: 100_000},
		toxic.Blackhole{},
	} {
		b := newBench(t)
		client, server := b.connect(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			for n := uint64(0); err == nil; n += 512 {
				block := make([]byte, 0, 4096)
				for i := range uint64(512) {
					block = binary.BigEndian.AppendUint64(block, n+i)
				}
				_, err = server.Write(block)
			}
		})
		got := make([]byte, 1<<20)
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		for _, toxics := range [][]toxic.Toxic{{bad}, {}} {
			b.Set(toxics...)
			client.SetReadDeadline(time.Now().Add(silence))
			more, _ := io.ReadAll(client)
			got = append(got, more...)
		}
		server.Close()
		wg.Wait()
		for n := range len(got) / 8 {
			if in := binary.BigEndian.Uint64(got[8*n:]); in != uint64(n) {
				t.Errorf("with %#v, %d follows %d", bad, in, n-1)
				break
			}
		}
	}
}
