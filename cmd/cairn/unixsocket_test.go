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
	for _, name := range []string{".s123", ".s456", ".s789", ".ssh", ".s"} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	abandonSocket(t, filepath.Join(".s123", bindName)) // .s456 is empty, as after the move
	for _, name := range []string{".s789", ".ssh"} {
		if err := os.WriteFile(filepath.Join(name, "id"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(".s1", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	abandonSocket(t, socketFile)
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
	if want := []string{".s", ".s1", ".s789", ".ssh", socketFile}; err != nil || !slices.Equal(left, want) {
		t.Errorf("it leaves %q, %v, want %q", left, err, want)
	}
}

// abandonSocket leaves a socket that nobody listens on, as a crash does.
func abandonSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
