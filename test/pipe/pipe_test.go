package pipe_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cairn/test/pipe"
)

// TestServe serves a request of http.Client in a bubble, in which an hour goes on
// while the server takes its time.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe.Listen()
		server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Hour)
			_, _ = io.WriteString(w, "done")
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		conn, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		answer, err := io.ReadAll(conn)
		if err != nil || string(answer[max(0, len(answer)-4):]) != "done" {
			t.Errorf("the answer is %q, %v", answer, err)
		}
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("it took %s", took)
		}
		if err := errors.Join(conn.Close(), server.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// TestClose ends those who wait, and those who come later.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe.Listen()
		ends := make(chan error, 2)
		wait := func() {
			go func() {
				_, err := l.Accept()
				ends <- err
			}()
			synctest.Wait()
		}
		wait()
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		wait()
		for range 2 {
			if err := <-ends; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept returned %v", err)
			}
		}
		if _, err := l.Dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial returned %v", err)
		}
	})
}
