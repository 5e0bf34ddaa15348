package main

import (
	"io"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"cairn/internal/config"
)

// TestListenApart holds that connections over TCP, however many, leave room for the
// commands of this user.
func TestListenApart(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	c := config.Config{Listen: "127.0.0.1:0", TokenFile: "token"}
	listeners, err := listen(c, ".", nil, 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listeners {
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					_, _ = io.Copy(conn, conn)
				}()
			}
		}()
	}
	u, err := url.Parse(listeners[0].url)
	if err != nil || len(listeners) != 2 {
		t.Fatalf("it listens on %v, %v", listeners, err)
	}
	echo := func(network, address string) error {
		conn, err := net.Dial(network, address)
		if err != nil {
			return err
		}
		if network == "tcp" {
			t.Cleanup(func() { conn.Close() })
		} else {
			defer conn.Close()
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err = io.ReadFull(conn, make([]byte, 1))
		return err
	}
	for range 2 {
		if err := echo("tcp", u.Host); err != nil {
			t.Fatal(err)
		}
	}
	waits, err := net.Dial("tcp", u.Host) // has no room
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	for range 3 {
		if err := echo("unix", socketFile); err != nil {
			t.Errorf("over the socket: %v", err)
		}
	}
}
