package durable_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cairn/internal/durable"
)

// childEnv names what a second process of this test binary does, instead of
// running the tests; it is followed by a path.
const childEnv = "DURABLE_TEST_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv("DURABLE_TEST_PATH")
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "lock":
		os.Exit(holdLock(path))
	case "limit":
		os.Exit(writeOverLimit(path))
	}
}

// holdLock holds the lock at path until its standard input ends, and says so
// with a line.
func holdLock(path string) int {
	lock, err := durable.Lock(path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer lock.Close()
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// child returns this test binary as a command that does what for path.
func child(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what, "DURABLE_TEST_PATH="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestLockOtherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cmd := child(t, "lock", path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process said %q, %v, want %q", line, err, "held\n")
	}
	if _, err := durable.Lock(path); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("Lock while another process holds it: %v, want ErrLocked", err)
	}

	// A crash lets go of it.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	lock, err := durable.Lock(path)
	if err != nil {
		t.Fatalf("Lock after the other process died: %v", err)
	}
	cmd = child(t, "lock", path)
	if out, err := cmd.Output(); err == nil {
		t.Errorf("the other process got our lock: %s", out)
	}
	if err := lock.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if out, err := child(t, "lock", path).Output(); err != nil {
		t.Errorf("after Close the other process got no lock: %s", out)
	}
}

func TestLockSameProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := durable.Lock(path)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	if _, err := durable.Lock(path); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("a second Lock: %v, want ErrLocked", err)
	}
	for range 2 {
		if err := lock.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	lock, err = durable.Lock(path)
	if err != nil {
		t.Fatalf("Lock after Close: %v", err)
	}
	lock.Close()
	if _, err := durable.Lock(filepath.Join(path, "below")); err == nil || errors.Is(err, durable.ErrLocked) {
		t.Errorf("Lock below a file: %v, want another error", err)
	}
}
