package test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// A verb is a command line of cairn that is under way.
type verb struct {
	t         *testing.T
	cmd       *exec.Cmd
	stdin     io.WriteCloser
	out, errs *output
	ended     chan struct{} // closed when the process is gone
}

// startVerb starts a command line.
func startVerb(t *testing.T, d *harness.Daemon, args ...string) *verb {
	t.Helper()
	return start(t, harness.Command(t, d.Env(), args...))
}

// start starts a command of cairn. The end of the test ends it.
func start(t *testing.T, cmd *exec.Cmd) *verb {
	t.Helper()
	return startTo(t, cmd, nil)
}

// startTo is start with a standard output of the test's, unless that is nil.
func startTo(t *testing.T, cmd *exec.Cmd, stdout *os.File) *verb {
	t.Helper()
	v := &verb{t: t, cmd: cmd, out: newOutput(), errs: newOutput(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = v.out, v.errs
	if stdout != nil {
		cmd.Stdout = stdout
	}
	var err error
	if v.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // the exit code tells
		close(v.ended)
	}()
	return v
}

// interrupt does what Ctrl-C does.
func (v *verb) interrupt() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(os.Interrupt); err != nil {
		v.t.Fatal(err)
	}
}

// insist interrupts until the verb has ended. The first signal that it gets may
// come before it is ready to be ended by one.
func (v *verb) insist() {
	v.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for giveUp := time.After(time.Minute); ; {
		_ = v.cmd.Process.Signal(os.Interrupt) // it may be gone
		select {
		case <-v.ended:
			return
		case <-again.C:
		case <-giveUp:
			v.t.Fatalf("%q is deaf", v.cmd.Args[1:])
		}
	}
}

// end waits for the end, and returns what was printed and the exit code: -1 after
// a signal.
func (v *verb) end() (stdout, stderr string, code int) {
	v.t.Helper()
	select {
	case <-v.ended:
	case <-time.After(time.Minute):
		v.t.Fatalf("%q does not end, and has printed\n%s%s", v.cmd.Args[1:], v.out.text(), v.errs.text())
	}
	return v.out.text(), v.errs.text(), v.cmd.ProcessState.ExitCode()
}

// wantEnd checks how a verb ends. The patterns are for all of what it prints.
func (v *verb) wantEnd(code int, stdout, stderr string) {
	v.t.Helper()
	out, errs, got := v.end()
	if got != code || !regexp.MustCompile(`^(?s:`+stdout+`)$`).MatchString(out) || !regexp.MustCompile(`^(?s:`+stderr+`)$`).MatchString(errs) {
		v.t.Errorf("%q ends with %d, want %d, and prints\n%s%swant\n%s\n%s", v.cmd.Args[1:], got, code, out, errs, stdout, stderr)
	}
}

// An output takes what a process prints.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed when there is more, and replaced
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.buf.Write(b)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await waits until something is printed, and returns the groups of its pattern.
func (o *output) await(t *testing.T, pattern string) []string {
	t.Helper()
	re, giveUp := regexp.MustCompile(pattern), time.After(time.Minute)
	for {
		o.mu.Lock()
		text, more := o.buf.String(), o.more
		o.mu.Unlock()
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-more:
		case <-giveUp:
			t.Fatalf("%s is not printed, but\n%s", pattern, text)
		}
	}
}

// A slowStore is a daemon whose cloud holds requests back when a test says so.
type slowStore struct {
	cloud place
	d     *harness.Daemon
	c     *client.Client
	valve *valve
	size  int // documents in the database
}

// newSlowStore starts one, with documents that make two parts and a backup of them.
func newSlowStore(t *testing.T) (s *slowStore, backup string) {
	t.Helper()
	s = &slowStore{valve: new(valve)}
	server := s3server.Shared(t)
	s.cloud = bucketOf(t, server).behind(s3server.NewFront(t, server, s.valve.handle))
	t.Cleanup(s.valve.open)
	s.d = s.cloud.serve(t, harness.Options{})
	s.c = client.New(s.d.URL)
	s.change(t)
	b, err := s.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, b.ID
}

// change adds documents that make two parts, so that the next backup takes that
// many at least.
func (s *slowStore) change(t *testing.T) {
	t.Helper()
	for range 2 {
		s.size++
		text := strings.Repeat("a part of its own ", 8<<20/17)
		storeDocuments(t, s.d, oddAsset("part "+strings.Repeat("I", s.size), `"`+text+`"`, ""))
	}
}

// holdCreation changes something, and holds the next creation back in its middle.
func (s *slowStore) holdCreation(t *testing.T) {
	t.Helper()
	s.change(t)
	s.valve.shut("put", "/parts/", 1)
}

// holdRestoration holds the next restoration back in its middle.
func (s *slowStore) holdRestoration() { s.valve.shut("get", "/parts/", 1) }

// holdCommit holds the next creation back when it can no longer be cancelled.
func (s *slowStore) holdCommit(t *testing.T) {
	t.Helper()
	s.change(t)
	s.valve.shut("put", "/backups/", 0)
}

// ids returns the ids of the backups in the cloud.
func (s *slowStore) ids(t *testing.T) []string {
	t.Helper()
	list, err := s.c.Backups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(list))
	for i, b := range list {
		ids[i] = b.ID
	}
	return ids
}

// wantWorking checks that the next backup and restoration are done at once.
func (s *slowStore) wantWorking(t *testing.T) {
	t.Helper()
	s.valve.open()
	before := databaseStatus(t, s.d)
	b, err := s.c.CreateBackup(t.Context())
	if err == nil {
		_, err = s.c.RestoreBackup(t.Context(), b.ID)
	}
	if err != nil {
		t.Errorf("the next backup: %v", err)
	}
	wantSame(t, before, databaseStatus(t, s.d), "the next backup restores to another database")
}

// wantSame checks that two databases hold the same.
func wantSame(t *testing.T, want, got api.DatabaseStatus, otherwise string) {
	t.Helper()
	if got.Digest != want.Digest || got.Documents != want.Documents {
		t.Errorf("%s: %d documents with the digest %s, want %d with %s", otherwise, got.Documents, got.Digest, want.Documents, want.Digest)
	}
}

// A valve lets requests to a store through, but those that a test holds back.
type valve struct {
	mu      sync.Mutex
	op, key string        // of those requests; a part of the key
	pass    int           // how many of them go through before
	held    chan struct{} // closed when one is held
	opened  chan struct{} // closed when they go on; nil while nothing is held back
}

// shut holds requests back, after so many of them.
func (v *valve) shut(op, key string, after int) {
	v.open()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.op, v.key, v.pass = op, key, after
	v.held, v.opened = make(chan struct{}), make(chan struct{})
}

// open lets all requests through, those that are held too.
func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened != nil {
		close(v.opened)
	}
	v.opened = nil
}

// await waits until a request is held.
func (v *valve) await(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	held := v.held
	v.mu.Unlock()
	select {
	case <-held:
	case <-time.After(time.Minute):
		t.Fatalf("there was no %s of %s to hold back", v.op, v.key)
	}
}

func (v *valve) handle(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	if opened := v.enter(s3server.RequestOf(r)); opened != nil {
		body, err := io.ReadAll(r.Body) // else nobody sees that the client hangs up
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case <-opened:
		case <-r.Context().Done():
			err = r.Context().Err()
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	forward.ServeHTTP(w, r)
}

// enter returns what a request has to wait for, or nil.
func (v *valve) enter(r s3server.Request) (opened chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened == nil || r.Op != v.op || !strings.Contains(r.Key, v.key) {
		return nil
	}
	if v.pass--; v.pass >= 0 {
		return nil
	}
	if v.pass == -1 {
		close(v.held)
	}
	return v.opened
}
