package connection_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/cloud"
)

// asked is an engine that does something whenever it is asked for the cloud.
type asked struct {
	*engine
	do func()
}

func (a *asked) Connect(ctx context.Context) (*cloud.Cloud, error) {
	c, err := a.engine.Connect(ctx)
	if do := a.do; do != nil {
		a.do = nil
		do()
	}
	return c, err
}

// TestLockWhileConnecting has another cloud connected while one is locked: the
// passphrases of the other one say nothing of it, and the one that is used stays.
func TestLockWhileConnecting(t *testing.T) {
	h := newHome(t)
	other := filepath.Join(t.TempDir(), "other")
	otherID := h.connect(cairn.CloudRequest{URL: other, Create: true}, "")
	if _, err := h.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	url := filepath.Join(t.TempDir(), "only")
	id := h.connect(cairn.CloudRequest{URL: url, Create: true}, "")
	// KnownCloud is the first that Lock asks for.
	h.device.then = func() { h.connect(cairn.CloudRequest{URL: other}, "") }
	if err := h.clouds.Lock(t.Context()); cairn.CodeOf(err) != cairn.CodeChanged {
		t.Errorf("locking: %v", err)
	}
	if identity, err := h.keys.Load(id); err != nil || identity == nil {
		t.Errorf("the only key of the cloud is gone: %v", err)
	}
	// The same when it is connected after it is known what else opens the first one.
	h.connect(cairn.CloudRequest{URL: url}, "")
	if _, err := h.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	h.clouds.Use(&asked{h.engine, func() { h.connect(cairn.CloudRequest{URL: other}, "") }})
	if err := h.clouds.Lock(t.Context()); cairn.CodeOf(err) != cairn.CodeChanged {
		t.Errorf("locking: %v", err)
	}
	if got := h.opens(); got != otherID {
		t.Errorf("it opens %s, want the one that was connected, %s", got, otherID)
	}
}

// TestLockWhileRemoving locks a cloud while its last passphrase is removed: one of
// the two is left.
func TestLockWhileRemoving(t *testing.T) {
	h := newHome(t)
	id := h.opens()
	if _, err := h.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	h.clouds.Use(&asked{h.engine, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := h.clouds.Lock(ctx); err == nil {
			t.Error("it was locked")
		}
	}})
	if _, err := h.clouds.RemovePassphrase(t.Context(), passphrase); err != nil {
		t.Error(err)
	}
	if identity, err := h.keys.Load(id); err != nil || identity == nil {
		t.Errorf("nobody can open the cloud: %v", err)
	}
}

// TestConnectWhileLocking has a key forgotten while the cloud is opened with it.
func TestConnectWhileLocking(t *testing.T) {
	h := newHome(t)
	id := h.opens()
	if _, err := h.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	h.device.seen = func() { // it is open then
		if err := h.clouds.Lock(t.Context()); err != nil {
			t.Error(err)
		}
	}
	h.connect(cairn.CloudRequest{}, cairn.CodeCloudLocked)
	if got := h.opens(); got != string(cairn.CodeCloudLocked) {
		t.Errorf("it opens %s", got)
	}
	h.connect(cairn.CloudRequest{Passphrase: passphrase}, "")
	if got := h.opens(); got != id {
		t.Errorf("it opens %s", got)
	}
}

// TestDisconnectWhileConnecting disconnects, and connects again, while another cloud
// is being connected: what is used is what the next start uses.
func TestDisconnectWhileConnecting(t *testing.T) {
	for range 20 {
		for name, meanwhile := range map[string]func(*home) error{
			"disconnect": func(h *home) error { _, err := h.clouds.Disconnect(t.Context()); return err },
			"connect":    func(h *home) error { _, err := h.clouds.Connect(t.Context(), cairn.CloudRequest{}); return err },
		} {
			h := newHome(t)
			h.opens()
			ended := make(chan error, 1)
			h.device.storing = func() { // Connect is about to store the other cloud
				go func() { ended <- meanwhile(h) }()
				for range 100 {
					runtime.Gosched()
				}
			}
			request := cairn.CloudRequest{URL: filepath.Join(t.TempDir(), "other"), Create: true}
			if _, err := h.clouds.Connect(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			now, after := h.opens(), ""
			h.restart()
			if after = h.opens(); after != now {
				t.Fatalf("%s: it opens %s, and after a start %s", name, now, after)
			}
		}
	}
}

// slowly is content that has something done when half of it was read.
type slowly struct {
	*strings.Reader
	do    *func()
	times *int // that it was begun
}

func (s slowly) Read(p []byte) (int, error) {
	if s.Len() == int(s.Size()) {
		*s.times++
	}
	n, err := s.Reader.Read(p[:min(len(p), 10)])
	if s.Len() < int(s.Size())/2 {
		once(s.do)
	}
	return n, err
}

// TestConnectWhileStoring connects the default cloud again while something is being
// stored in it: what is under way comes to its end.
func TestConnectWhileStoring(t *testing.T) {
	h := newHome(t)
	opened, err := h.clouds.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	connect := func() {
		ago := time.Now().Add(-time.Hour) // it takes its time
		for _, path := range files(t, filepath.Join(h.data, "cloud", "parts")) {
			if err := os.Chtimes(path, ago, ago); err != nil {
				t.Error(err)
			}
		}
		h.connect(cairn.CloudRequest{}, "")
	}
	content := slowly{strings.NewReader(strings.Repeat("what is stored ", 10)), &connect, &times}
	if err := opened.Put(t.Context(), opened.PartName(), content); err != nil || times != 1 {
		t.Errorf("storing while the cloud is connected again: %v, begun %d times", err, times)
	}
	if connect != nil {
		t.Error("nothing was connected meanwhile")
	}
}
