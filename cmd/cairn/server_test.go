package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/test/pipe"
)

// TestServerTimes holds after how long a connection is cut on which nothing comes.
func TestServerTimes(t *testing.T) {
	for _, test := range []struct {
		name, sends string
		want        time.Duration
	}{
		{"nothing", "", 10 * time.Second},
		{"half a header", "GET / HTTP/1.1\r\nHost: localhost\r\n", 10 * time.Second},
		{"one request", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 2 * time.Minute},
		{"one and a half", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n", 10 * time.Second},
	} {
		serveOnPipe(t, func(conn net.Conn) {
			go func() { _, _ = io.WriteString(conn, test.sends) }() // it may not take all
			begun := time.Now()
			_ = conn.SetReadDeadline(begun.Add(time.Hour))
			_, err := io.Copy(io.Discard, conn)
			if took := time.Since(begun); errors.Is(err, os.ErrDeadlineExceeded) || took < test.want || took > test.want+time.Second {
				t.Errorf("%s: the connection ends after %s, %v; want %s", test.name, took, err, test.want)
			}
		})
	}
}

// TestServerTrickle sends a header byte by byte.
func TestServerTrickle(t *testing.T) {
	serveOnPipe(t, func(conn net.Conn) {
		begun := time.Now()
		go func() { _, _ = io.Copy(io.Discard, conn) }() // it may be told why
		for {
			if _, err := io.WriteString(conn, "G"); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took > 12*time.Second {
			t.Errorf("a header may take %s", took)
		}
	})
}

// TestServerHeader sends headers of different lengths.
func TestServerHeader(t *testing.T) {
	for length, want := range map[int]int{60 << 10: 200, 72 << 10: 431} {
		serveOnPipe(t, func(conn net.Conn) {
			go func() {
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", length)+"\r\n\r\n") // it may not take all
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != want {
				t.Errorf("a header of %d bytes: %v, %v, want status %d", length, resp, err, want)
			}
		})
	}
}

// TestServerWebsockets holds that connections which leave HTTP still count.
func TestServerWebsockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, limit := pipe.Listen(), newConnLimit(2)
		left := make(chan net.Conn, 3)
		server := newServer(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			left <- conn
		}), slog.New(slog.DiscardHandler))
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(limit.on(pipes)) }()
		for range 3 {
			go func() {
				if conn, err := pipes.Dial(); err == nil {
					_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") // the handler takes it
				}
			}()
		}
		synctest.Wait()
		if len(left) != 2 {
			t.Errorf("%d connections are open, want 2", len(left))
		}
		(<-left).Close()
		synctest.Wait()
		if len(left) != 2 {
			t.Errorf("when one is closed, %d others are open, want 2", len(left))
		}
		server.Close()
		<-ended
	})
}

// serveOnPipe has fn use a connection to a server.
func serveOnPipe(t *testing.T, fn func(net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pipes := pipe.Listen()
		server := newServer(t.Context(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), slog.New(slog.DiscardHandler))
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(pipes) }()
		conn, err := pipes.Dial()
		if err != nil {
			t.Fatal(err)
		}
		fn(conn)
		conn.Close()
		time.Sleep(time.Second) // for which the server lingers after a refusal
		server.Close()
		<-ended
	})
}

// TestServerOptions holds that the handler, and with it the guard, sees OPTIONS *.
func TestServerOptions(t *testing.T) {
	if server := newServer(t.Context(), http.NotFoundHandler(), slog.New(slog.DiscardHandler)); !server.DisableGeneralOptionsHandler {
		t.Error("the http.Server answers OPTIONS * by itself")
	}
}
