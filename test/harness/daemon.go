package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startTime is how long a daemon may take to listen, recovery included.
	startTime = time.Minute
	// stopTime is how long one may take to end after SIGTERM; it drains for
	// ten seconds at most, and waits fifteen more for what is stuck.
	stopTime = 40 * time.Second
)

// Options say how to start a daemon. The zero value is a fresh one.
type Options struct {
	Data   string    // data folder; "" means a new one that goes with the test
	Listen string    // address; "" means a free port
	Env    []string  // added to the environment
	Args   []string  // added to the command line
	Stderr io.Writer // gets the log too
	Under  []string  // command that becomes the daemon, whose command line follows
	// AnyExit accepts a daemon that has ended by itself, or badly, when the
	// test is over.
	AnyExit bool
}

// A Daemon is a running cairn serve. Its methods may be called by several
// goroutines.
type Daemon struct {
	URL  string // where it listens, without a slash at the end
	Data string
	PID  int

	cmd    *exec.Cmd
	stdout *announcement
	stderr *log
	ended  chan struct{} // closed when the process is gone
	err    error         // of the process; set before ended is closed

	mu             sync.Mutex
	asked, killing bool // Stop or Kill was called, Kill was
}

// Start starts cairn serve and waits until it listens. The test's end stops
// it, and fails the test unless the daemon ended well and not before it was
// asked to. One that ended by [Daemon.Kill] is not to blame.
func Start(t testing.TB, o Options) *Daemon {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	args := append([]string{"serve", "--data", o.Data, "--listen", o.Listen}, o.Args...)
	args = slices.Concat(o.Under, []string{Binary(t)}, args)
	d := &Daemon{
		Data:   o.Data,
		cmd:    exec.Command(args[0], args[1:]...),
		stdout: &announcement{url: make(chan string, 1)},
		stderr: &log{tee: o.Stderr},
		ended:  make(chan struct{}),
	}
	d.cmd.Env = environ(t, o.Env)
	d.cmd.Stdout, d.cmd.Stderr = d.stdout, d.stderr
	d.cmd.WaitDelay = 10 * time.Second
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("starting cairn: %v", err)
	}
	d.PID = d.cmd.Process.Pid
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() { d.cleanup(t, o.AnyExit) })
	select {
	case d.URL = <-d.stdout.url:
	case <-d.ended:
		d.ask(false) // told here already
		t.Fatalf("cairn serve ended at once: %v\n%s", d.err, d.Stderr())
	case <-time.After(startTime):
		t.Fatalf("cairn serve does not listen after %s\n%s", startTime, d.Stderr())
	}
	return d
}

func (d *Daemon) cleanup(t testing.TB, anyExit bool) {
	t.Helper()
	running := d.Running()
	asked, killed := d.ask(false)
	err := d.Stop()
	if t.Failed() {
		t.Logf("log of the daemon on %s:\n%s", d.Data, d.stderr.tail())
	}
	switch {
	case anyExit || killed:
	case !running && !asked:
		t.Errorf("the daemon ended by itself: %v\n%s", d.err, d.stderr.tail())
	case err != nil:
		t.Errorf("the daemon did not end well: %v\n%s", err, d.stderr.tail())
	}
}

// ask notes that the daemon is meant to end, and returns what it was before.
func (d *Daemon) ask(kill bool) (asked, killing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, killing = d.asked, d.killing
	d.asked, d.killing = true, killing || kill
	return asked, killing
}

// Running reports whether the process is there.
func (d *Daemon) Running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// Kill ends the daemon as a power failure would (SIGKILL) and waits until it
// is gone.
func (d *Daemon) Kill() {
	d.ask(true)
	d.end()
}

func (d *Daemon) end() {
	_ = d.cmd.Process.Kill() // gone already
	<-d.ended
}

// Stop asks the daemon to end (SIGTERM), waits for it, and returns an error
// unless it exits with code 0. Stopping again gives the same answer.
func (d *Daemon) Stop() error {
	d.ask(false)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.end()
		return err
	}
	select {
	case <-d.ended:
		return d.err
	case <-time.After(stopTime):
		d.end()
		return fmt.Errorf("still there %s after SIGTERM", stopTime)
	}
}

// ExitCode waits for the end and returns the exit code, -1 after a signal.
func (d *Daemon) ExitCode() int {
	<-d.ended
	return d.cmd.ProcessState.ExitCode()
}

// Stderr returns what the daemon has logged.
func (d *Daemon) Stderr() string { return d.stderr.text() }

// Env returns the environment in which [Cairn] reaches this daemon.
func (d *Daemon) Env() []string { return []string{"CAIRN_DATA=" + d.Data} }

// Stdout returns what the daemon has written to standard output.
func (d *Daemon) Stdout() string { return d.stdout.all.text() }

// announcement takes standard output and finds the address in it.
type announcement struct {
	all  log
	url  chan string
	line []byte
	told bool
}

func (a *announcement) Write(b []byte) (int, error) {
	_, _ = a.all.Write(b) // it never fails
	if a.told {
		return len(b), nil
	}
	a.line = append(a.line, b...)
	for {
		line, rest, ok := bytes.Cut(a.line, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		a.line = rest
		if url, ok := strings.CutPrefix(string(line), "listening on "); ok {
			a.told = true
			a.url <- url
			return len(b), nil
		}
	}
}

// log takes standard error.
type log struct {
	tee io.Writer

	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tee != nil {
		_, _ = l.tee.Write(b) // the log itself is kept
	}
	return l.buf.Write(b)
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// tail returns the end of the log.
func (l *log) tail() string {
	const most = 4 << 10
	text := l.text()
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return text
}
