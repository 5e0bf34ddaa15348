package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAskInterrupted interrupts a question for a passphrase: it ends at once, and the
// terminal shows what is typed again.
func TestAskInterrupted(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	shows := func() bool {
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return state.Lflag&unix.ECHO != 0
	}
	if !shows() {
		t.Fatal("a new terminal does not show what is typed")
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan error, 1)
	go func() {
		_, err := askSecret(call{ctx: ctx, in: terminal, err: io.Discard}, "passphrase: ")
		ended <- err
	}()
	for shows() { // until it asks
		runtime.Gosched()
	}
	interrupt()
	if err := <-ended; !errors.As(err, new(interruptedError)) || !shows() {
		t.Errorf("interrupted, it ends with %v, and the terminal shows what is typed: %t", err, shows())
	}
	if _, err := master.WriteString("\n"); err != nil { // for who still reads
		t.Error(err)
	}
}
