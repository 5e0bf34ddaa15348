package s3_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/s3"
)

// TestNoConnection has nothing answer.
func TestNoConnection(t *testing.T) {
	credentials(t, "key", "secret")
	buckettest.NoConnection(t, func(endpoint string) bucket.Bucket {
		b, err := s3.OpenImpatient(t.Context(), s3.Location{Bucket: "bucket", Endpoint: endpoint}, 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestStall has connections that stand still, and some that are only slow.
func TestStall(t *testing.T) {
	credentials(t, "key", "secret")
	const stall, size = time.Second, 8 << 20
	release := make(chan struct{})
	wait := func(r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		switch name := strings.TrimPrefix(r.URL.Path, "/bucket/"); {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case name == "stops": // in the middle of a body
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(make([]byte, size/2))
			_ = http.NewResponseController(w).Flush()
			wait(r)
		case name == "breaks":
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(make([]byte, size/2))
			panic(http.ErrAbortHandler)
		case name == "trickles":
			w.Header().Set("Content-Length", "8")
			for range 8 {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(stall / 3)
			}
		case name == "ignores": // what is sent
			wait(r)
		case name == "slow": // to take what is sent: all of it in three times the stall
			buf := make([]byte, 1<<20)
			for {
				if _, err := io.ReadFull(r.Body, buf); err != nil {
					break
				}
				time.Sleep(stall / 20)
			}
		}
	}))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
			t.Error(err)
		}
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	b, err := s3.OpenImpatient(t.Context(), s3.Location{Bucket: "bucket", Endpoint: server.URL}, stall)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) (int, error) {
		body, err := b.Get(t.Context(), name)
		if err != nil {
			return 0, err
		}
		data, err := io.ReadAll(body)
		return len(data), errors.Join(err, body.Close())
	}
	for _, name := range []string{"stops", "breaks"} {
		if n, err := read(name); !errors.Is(err, bucket.ErrUnreachable) || n != size/2 {
			t.Errorf("reading a body that %s: %d bytes, %v, want half of it and ErrUnreachable", name, n, err)
		}
	}
	if n, err := read("trickles"); err != nil || n != 8 {
		t.Errorf("reading a body that trickles: %d bytes, %v, want all 8", n, err)
	}
	content := strings.Repeat("x", 60<<20) // what buffers hold of it is little
	if err := b.Put(t.Context(), "ignores", strings.NewReader(content)); !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("Put to a server that takes nothing: %v, want ErrUnreachable", err)
	}
	if err := b.Put(t.Context(), "slow", strings.NewReader(content)); err != nil {
		t.Errorf("Put to a server that takes its time: %v", err)
	}
}

// TestTLSAlert has a store refuse the connection that is to be secure.
func TestTLSAlert(t *testing.T) {
	credentials(t, "key", "secret")
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10} // too old
	server.StartTLS()
	t.Cleanup(server.Close)
	if err := calls["Get"](t.Context(), open(t, server)); !errors.Is(err, bucket.ErrTLS) {
		t.Errorf("Get: %v, want ErrTLS", err)
	}
}

// TestClose has connections that nobody uses closed.
func TestClose(t *testing.T) {
	credentials(t, "key", "secret")
	var standing atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"1"`) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			standing.Add(1)
		case http.StateClosed:
			standing.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	b := open(t, server)
	if err := calls["Get"](t.Context(), b); err != nil || standing.Load() != 1 {
		t.Fatalf("Get: %v, with %d connections", err, standing.Load())
	}
	b.Close()
	for end := time.Now().Add(10 * time.Second); standing.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the server hears of it when it reads
	}
	if n := standing.Load(); n != 0 {
		t.Errorf("%d connections stand after Close", n)
	}
	if err := calls["Get"](t.Context(), b); err != nil {
		t.Errorf("Get after Close: %v", err)
	}
}

// TestDamagedOnItsWay has one byte of a secure connection change: what was sent is
// sent once more.
func TestDamagedOnItsWay(t *testing.T) {
	credentials(t, "key", "secret")
	content := strings.Repeat("content", 100_000)
	var stored sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodPut && err == nil:
			_, there := stored.LoadOrStore(r.URL.Path, string(body))
			w.Header().Set("ETag", `"1"`)
			if there {
				w.WriteHeader(http.StatusPreconditionFailed)
			}
		case r.Method != http.MethodPut:
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<Error><Code>NoSuchKey</Code></Error>")
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", authority)
	line, damaged := damagingLine(t, server.Listener.Addr().String(), len(content)/2)
	b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: "https://" + line})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := bucket.Retry(b, bucket.Policy{}).Put(t.Context(), "name", strings.NewReader(content)); err != nil {
		t.Errorf("Put: %v", err)
	}
	if got, _ := stored.Load("/bucket/name"); got != content || !damaged.Load() {
		t.Errorf("what is stored is not what was sent; a byte was damaged: %t", damaged.Load())
	}
}

// damagingLine returns an address from which bytes are passed on to a server, and
// the answers back. One bit changes on its way, so many bytes behind the start of
// the first connection that sends as many.
func damagingLine(t *testing.T, server string, at int) (address string, damaged *atomic.Bool) {
	t.Helper()
	damaged = new(atomic.Bool)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var passing sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close() // nobody comes any more
		passing.Wait()
	})
	pass := func(from, to net.Conn, change func([]byte)) {
		defer from.Close()
		defer to.Close()
		for buffer := make([]byte, 4096); ; {
			n, err := from.Read(buffer)
			change(buffer[:n])
			if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
				return
			}
		}
	}
	passing.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			store, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			seen := 0
			passing.Go(func() {
				pass(client, store, func(b []byte) {
					if seen <= at && seen+len(b) > at && damaged.CompareAndSwap(false, true) {
						b[at-seen] ^= 1
					}
					seen += len(b)
				})
			})
			passing.Go(func() { pass(store, client, func([]byte) {}) })
		}
	})
	return listener.Addr().String(), damaged
}
