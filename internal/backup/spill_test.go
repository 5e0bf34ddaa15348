package backup_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// A refusing bucket has its gate opened, and then refuses parts.
type refusing struct {
	bucket.Bucket
	gate chan struct{}
}

// Put refuses parts.
func (r *refusing) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if strings.HasPrefix(name, "parts/") {
		<-r.gate
		return fmt.Errorf("%w", bucket.ErrRefused)
	}
	return r.Bucket.Put(ctx, name, content)
}

// TestSpillWhenStopped has a transfer fail just while the disk shows to be full:
// what waits for room hears of it.
func TestSpillWhenStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := stores.New(t)
		h := newHouse(t, store)
		var docs []cairn.Document
		for i := range 5 {
			docs = append(docs, doc(fmt.Sprint("big", i), "text", segment.PartBytes/2+1))
		}
		h.apply(docs...)
		h.create()
		h.unbase()
		made := objects(t, store)
		object := int64(len(made[named(made, "parts/")[0]]))
		gate := make(chan struct{})
		h.bucket = &refusing{store, gate}
		h.edit = func(cfg *backup.Config) { cfg.Memory, cfg.Transfers, cfg.Workers = 2*(2*object+object/2), 1, 1 }
		h.step = func(name string, do func() error) error {
			if name != "spool.part" {
				return do()
			}
			close(gate)
			synctest.Wait() // the transfer fails, the upload is stopped
			return &fs.PathError{Op: "write", Path: name, Err: noRoom()}
		}
		h.engine = h.newEngine()
		_, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
		if cairn.CodeOf(err) != cairn.CodeDenied {
			t.Errorf("it returned %v", err)
		}
		h.checkTidy(true)
	})
}

// A silent bucket answers what it is asked for cairn.json when the gate is opened,
// once it has one, and counts what is put.
type silent struct {
	bucket.Bucket
	gate chan error
	puts atomic.Int64
}

// Put counts.
func (s *silent) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	s.puts.Add(1)
	return s.Bucket.Put(ctx, name, content)
}

// Get waits for cairn.json.
func (s *silent) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "cairn.json" && s.gate != nil {
		if err := <-s.gate; err != nil {
			return nil, err
		}
	}
	return s.Bucket.Get(ctx, name)
}

// TestSilentPlace has a store that does not answer while a backup is made, and in
// the end does or does not: the disk is only filled for a store that is there, and
// nothing is sent to another one.
func TestSilentPlace(t *testing.T) {
	for _, c := range []struct {
		name   string
		memory int64
		answer error
		code   cairn.Code
		spills bool
	}{
		{"it is gone", 2 * segment.PartBytes, fmt.Errorf("%w", bucket.ErrMissing), cairn.CodeBucketMissing, false},
		{"it answers", 2 * segment.PartBytes, nil, "", true},
		{"it is gone, all is in memory", 20 * segment.PartBytes, fmt.Errorf("%w", bucket.ErrMissing), cairn.CodeBucketMissing, false},
		{"it answers, all is in memory", 20 * segment.PartBytes, nil, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := stores.New(t)
				h := newHouse(t, store)
				h.fill(5, segment.PartBytes/2+1)
				place := &silent{Bucket: store}
				h.bucket = place
				h.edit = func(cfg *backup.Config) { cfg.Memory, cfg.Transfers, cfg.Workers = c.memory, 1, 1 }
				var spilled atomic.Bool
				h.step = func(name string, do func() error) error {
					if name == "spool.part" {
						spilled.Store(true)
					}
					return do()
				}
				h.engine = h.newEngine()
				if _, err := h.engine.Connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				place.gate = make(chan error, 2)
				place.puts.Store(0)
				ended := make(chan error)
				go func() {
					_, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
					ended <- err
				}()
				synctest.Wait()
				if spilled.Load() {
					t.Error("files were written for a store that has not answered")
				}
				if n := place.puts.Load(); n > 0 {
					t.Errorf("%d objects were sent to it", n)
				}
				place.gate <- c.answer
				place.gate <- nil // before the manifest
				if err := <-ended; cairn.CodeOf(err) != c.code || spilled.Load() != c.spills {
					t.Errorf("it returned %v, want %q; files were written: %v", err, c.code, spilled.Load())
				}
				h.checkTidy(true)
			})
		})
	}
}

// A slow bucket takes its time for parts.
type slow struct{ bucket.Bucket }

// Put waits before a part.
func (s *slow) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if strings.HasPrefix(name, "parts/") {
		time.Sleep(time.Second)
	}
	return s.Bucket.Put(ctx, name, content)
}

// TestIndexWithoutRoom has the disk be full as long as parts lie in files: the index
// is written when they are sent.
func TestIndexWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := stores.New(t)
		h := newHouse(t, store)
		h.fill(5, segment.PartBytes/2+1)
		h.bucket = &slow{store}
		h.edit = func(cfg *backup.Config) { cfg.Memory, cfg.Transfers, cfg.Workers = 2*segment.PartBytes, 1, 1 }
		var spilled atomic.Bool
		h.step = func(name string, do func() error) error {
			switch name {
			case "spool.part":
				spilled.Store(true)
			case "spool.index":
				if parts, err := filepath.Glob(filepath.Join(h.dir, "spool", "part.*")); err != nil || len(parts) > 0 {
					return &fs.PathError{Op: "write", Path: name, Err: noRoom()}
				}
			}
			return do()
		}
		h.engine = h.newEngine()
		if _, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore); err != nil || !spilled.Load() {
			t.Errorf("it returned %v; parts lay in files: %t", err, spilled.Load())
		}
		h.checkTidy(true)
	})
}

// TestChangedInMemory has a document change between the reading of it and its
// encoding: no backup is made.
func TestChangedInMemory(t *testing.T) {
	h := openHouse(t, t.TempDir(), stores.New(t), func(cfg *backup.Config) {
		cfg.Browse = func(_ string, json []byte) (name, language, created string) {
			json[len(json)/2] ^= 1
			return "", "", ""
		}
	})
	h.apply(doc("a", "text", 1000))
	if _, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore); cairn.CodeOf(err) != cairn.CodeInternal || !strings.Contains(err.Error(), "memory") {
		t.Errorf("it returned %v", err)
	}
	if list := h.list(); len(list) > 0 {
		t.Errorf("listed are %v", list)
	}
	h.verify()
}
