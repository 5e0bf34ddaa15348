package test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
	"cairn/test/toxic"
)

// TestBlackHole has the store vanish for a minute with the first part of a backup,
// and of a restoration: both are done when it is back. The tests of the engine have
// more of what can happen to connections, to ones with less patience.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	var working sync.WaitGroup
	defer working.Wait()
	for work, do := range map[string]func(c *client.Client, id string) error{
		"creation": func(c *client.Client, id string) error {
			if err := c.DeleteBackup(t.Context(), id); err != nil { // which would leave nothing to send
				return err
			}
			_, err := c.CreateBackup(t.Context())
			return err
		},
		"restoration": func(c *client.Client, id string) error { _, err := c.RestoreBackup(t.Context(), id); return err },
	} {
		var armed atomic.Bool
		var vanishing sync.Once
		var p *toxic.Proxy
		front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if armed.Load() && strings.Contains(r.URL.Path, "/parts/") {
				vanishing.Do(func() {
					p.Set(toxic.Blackhole{})
					time.AfterFunc(time.Minute, func() { p.Set() })
				})
			}
			forward.ServeHTTP(w, r)
		})
		p = toxic.New(t, strings.TrimPrefix(front.URL, "http://"))
		d := harness.Start(t, harness.Options{Args: []string{"--cloud", s3URL("http://"+p.Addr, s.Bucket(t))}, Env: s.Env()})
		storeDocuments(t, d, oddDocuments()...)
		c := client.New(d.URL)
		digest := databaseStatus(t, d).Digest
		b, err := c.CreateBackup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		working.Go(func() {
			begun := time.Now()
			err := do(c, b.ID)
			// A connection that is made just before the store is back stands still for a
			// minute more.
			if took := time.Since(begun); err != nil || took < 55*time.Second || took > 150*time.Second {
				t.Errorf("with a store that is away for a minute, the %s ended after %v: %v", work, took, err)
			}
			list, err := c.Backups(t.Context())
			if err != nil {
				t.Error(err)
			}
			for _, b := range list {
				if _, err := c.RestoreBackup(t.Context(), b.ID); err != nil {
					t.Errorf("restoring %s: %v", b.ID, err)
				}
				if st, err := c.Status(t.Context()); err != nil || st.Database.Digest != digest {
					t.Errorf("%s restores to %s, %v, want %s", b.ID, st.Database.Digest, err, digest)
				}
			}
			if len(list) != 1 {
				t.Errorf("%d backups are listed after the %s, want one", len(list), work)
			}
		})
	}
}

// TestTransfers has a store wait with its answers until as many parts are under way
// as there should be, so that one that answers late costs little.
func TestTransfers(t *testing.T) {
	t.Parallel()
	const want = 16
	s := s3server.Shared(t)
	type crowd struct {
		mu        sync.Mutex
		now, most int
		full      chan struct{} // closed when all are there
	}
	crowds := map[string]*crowd{"put": {full: make(chan struct{})}, "get": {full: make(chan struct{})}}
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		request := s3server.RequestOf(r)
		if c := crowds[request.Op]; c != nil && strings.Contains(request.Key, "/parts/") {
			c.mu.Lock()
			c.now++
			if c.now > c.most {
				if c.most = c.now; c.most == want {
					close(c.full)
				}
			}
			c.mu.Unlock()
			defer func() {
				c.mu.Lock()
				c.now--
				c.mu.Unlock()
			}()
			select {
			case <-c.full:
			case <-time.After(10 * time.Second):
			}
		}
		forward.ServeHTTP(w, r)
	})
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	text := `"` + strings.Repeat("a part of its own ", 9<<20/18) + `"`
	for i := range want + 4 {
		storeDocuments(t, d, oddAsset(fmt.Sprint("large", i), text, ""))
	}
	c := client.New(d.URL)
	b, err := c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RestoreBackup(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	for op, c := range crowds {
		if c.most != want {
			t.Errorf("there were %d calls of %s at once, want %d", c.most, op, want)
		}
	}
}
