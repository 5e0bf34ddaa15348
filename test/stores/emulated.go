package stores

import (
	"context"
	"os"
	"sync"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/azure"
	"cairn/internal/bucket/gcs"
	"cairn/test/emulator"
)

// emulators are the servers of this process, each of which is started when it is
// needed.
var emulators servers

type servers struct {
	mu      sync.Mutex
	running map[string]*emulator.Server // by kind
	dir     string
}

// of returns the server of a kind of store.
func (s *servers) of(kind string) (*emulator.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if server := s.running[kind]; server != nil {
		return server, nil
	}
	var server *emulator.Server
	var err error
	if kind == "azure" {
		server = emulator.StartAzure()
	} else if s.dir, err = os.MkdirTemp("", "cairn-gcs-"); err == nil {
		server, err = emulator.StartGCS(s.dir)
	}
	if err != nil {
		return nil, err
	}
	if s.running == nil {
		s.running = make(map[string]*emulator.Server)
	}
	s.running[kind] = server
	return server, nil
}

func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.running {
		server.Close()
	}
	_ = os.RemoveAll(s.dir) // it is among the temporary files
}

// newEmulated opens a bucket of its own on the server that all tests of the process
// share.
func newEmulated(t testing.TB, kind string) (b bucket.Bucket) {
	t.Helper()
	call(func() {
		server, err := emulators.of(kind)
		if err != nil {
			t.Error(err)
			return
		}
		for name, value := range server.Env() {
			setenv(t, name, value)
		}
		var opened bucket.Bucket
		if kind == "gcs" {
			opened, err = gcs.Open(context.Background(), gcs.Location{Bucket: server.Bucket(), Endpoint: server.URL})
		} else {
			opened, err = azure.Open(context.Background(), azure.Location{Container: server.Bucket(), Account: emulator.Account, Endpoint: server.URL})
		}
		if err != nil {
			t.Error(err)
			return
		}
		b = outside{opened}
	})
	if b == nil {
		t.FailNow() // what failed in the call has said why
	}
	return b
}
