package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestUnixSocketOwn holds that a socket that was replaced meanwhile is left alone.
func TestUnixSocketOwn(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	first, err := listenSocket("s")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // as a server does
		for {
			conn, err := first.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	}()
	if _, err := listenSocket("s"); err == nil {
		t.Error("a socket that answers was taken")
	}
	if err := os.Remove("s"); err != nil {
		t.Fatal(err)
	}
	second, err := listenSocket("s")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("unix", "s"); err != nil {
		t.Errorf("the second one is gone: %v", err)
	} else {
		conn.Close()
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestRemoveSockets holds what of a data folder is removed at the start.
func TestRemoveSockets(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{".s123", ".other"} {
		if err := os.MkdirAll(filepath.Join(name, "s"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".s", "s1"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketFile, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing is there the second time
		if err := removeSockets(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(socketFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeSockets(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if want := []string{".other", ".s", "s1", socketFile}; err != nil || !slices.Equal(left, want) {
		t.Errorf("it leaves %q, %v, want %q", left, err, want)
	}
}
