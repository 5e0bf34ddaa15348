// Package s3server runs a real S3 server for tests, versitygw on a folder, and
// a front for it that misbehaves as other stores do.
//
//	s := s3server.Start(t)
//	bucket := s.Bucket(t)
//	front := s3server.NewFront(t, s, s3server.WithoutConditions)
//
// Clients reach either at its URL, with the path style (URL/bucket/key), region
// us-east-1 and the credentials of the server. [Binary] says which versitygw
// runs. A test that needs no server of its own takes [Shared], and its package
// calls [Main].
package s3server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// region is where versitygw says that it is.
const region = "us-east-1"

// A Server is versitygw on folders of its own. Its methods may be called by
// several goroutines, but [Server.Stop] and [Server.Restart] by one at a time.
type Server struct {
	URL               string // such as http://127.0.0.1:23456
	AccessKey, Secret string // of root, who may do everything

	binary, dir, address string
	sidecar              bool // metadata is kept in files, not in extended attributes

	mu      sync.Mutex
	process *process // nil while it is stopped
}

// Start starts a server, which ends with the test and fails it if it has ended
// before by itself. Its log is shown when the test has failed.
func Start(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	s, err := start(Binary(t), dir, !hasAttributes(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.check(); err != nil {
			t.Error(err)
		}
		s.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.URL, s.log())
		}
	})
	return s
}

// start starts a server with everything it keeps in dir.
func start(binary, dir string, sidecar bool) (*Server, error) {
	s := &Server{AccessKey: name("root"), Secret: rand.Text(), binary: binary, dir: dir, sidecar: sidecar}
	for _, folder := range []string{"data", "iam", "sidecar"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	for try := 1; ; try++ {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		s.address, s.URL = address, "http://"+address
		if err = s.run(); err == nil {
			return s, nil
		}
		if !errors.Is(err, errEnded) || try == 5 { // another program may have taken the port
			return nil, err
		}
	}
}

// shared is the server of this process.
var shared struct {
	mu     sync.Mutex
	main   bool // Main is there to stop it
	server *Server
	dir    string
	tests  map[testing.TB]bool // that have it
}

// Main runs the tests of a package and ends the server that [Shared] began.
// Call it from TestMain, around what would run them else:
//
//	func TestMain(m *testing.M) { os.Exit(s3server.Main(m.Run)) }
func Main(run func() int) int {
	shared.mu.Lock()
	shared.main = true
	shared.mu.Unlock()
	code := run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		shared.server.Stop()
	}
	if err := os.RemoveAll(shared.dir); err != nil && code == 0 {
		return 1
	}
	return code
}

// Shared returns the server of all tests of this process that need nothing
// special: they make buckets and users, but do not stop it. The first call
// starts it. It ends with [Main], without which there is none; on Linux it does
// not outlive a process that is killed either.
func Shared(t testing.TB) *Server {
	t.Helper()
	binary := Binary(t)
	s, err := startShared(binary)
	if err != nil {
		t.Fatal(err)
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.tests[t] {
		return s
	}
	if shared.tests == nil {
		shared.tests = make(map[testing.TB]bool)
	}
	shared.tests[t] = true
	t.Cleanup(func() {
		shared.mu.Lock()
		delete(shared.tests, t)
		shared.mu.Unlock()
		if err := s.check(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of %s, which tests share:\n%s", s.URL, s.log())
		}
	})
	return s
}

func startShared(binary string) (*Server, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.main {
		return nil, errors.New("a shared S3 server needs s3server.Main in TestMain")
	}
	if shared.server != nil {
		return shared.server, nil
	}
	if shared.dir != "" {
		return nil, errors.New("the shared S3 server did not start before")
	}
	var err error
	if shared.dir, err = os.MkdirTemp("", "cairn-s3-"); err != nil {
		return nil, err
	}
	shared.server, err = start(binary, shared.dir, !hasAttributes(shared.dir))
	return shared.server, err
}

// Stop ends the server at once, as a failure of its computer would. Nobody
// answers at its address until [Server.Restart].
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Restart starts the server again, at the same address and with all it had. It
// stops it first if it is running.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// check returns an error if the server has ended without being asked to.
func (s *Server) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.running() {
		return nil
	}
	return fmt.Errorf("versitygw at %s ended by itself: %w\n%s", s.URL, s.process.err, s.log())
}

// name returns a new name that begins with kind, fit for a bucket too.
func name(kind string) string { return kind + "-" + strings.ToLower(rand.Text()) }
