package backup_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// TestSpill has a store that takes nothing: parts wait in files, and the scan
// ends without them. No file is left, also when nobody wants them any more.
func TestSpill(t *testing.T) {
	t.Run("sent in the end", func(t *testing.T) { testSpill(t, false, false) })
	t.Run("cancelled", func(t *testing.T) { testSpill(t, true, false) })
	t.Run("spoiled", func(t *testing.T) { testSpill(t, false, true) })
}

// testSpill cancels the creation while parts lie in files, or has the disk give
// back other bytes than were written to them.
func testSpill(t *testing.T, cancelled, spoiled bool) {
	gate := make(chan struct{})
	store := stores.New(t)
	var puts atomic.Int64
	slow := &gated{Bucket: store, before: func(ctx context.Context, name string) {
		if strings.HasPrefix(name, "parts/") {
			puts.Add(1)
			<-gate
		}
	}}
	scanned := make(chan struct{})
	h := openHouse(t, t.TempDir(), slow, func(cfg *backup.Config) {
		watchScans(func() {}, func() { close(scanned) })(cfg)
		cfg.Memory, cfg.Workers, cfg.Transfers = 2, 2, 2
	})
	var docs []cairn.Document
	for i := range 8 { // each makes a part; when the scan ends, four at most are not done
		docs = append(docs, doc(fmt.Sprint("big", i), "text", segment.PartBytes/2+1))
	}
	h.apply(docs...)
	var b cairn.Backup
	var err error
	var ended sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended.Go(func() { b, err = h.engine.Create(ctx, h.engine.NewBackup(cairn.ScopeAll), ignore) })
	<-scanned
	spooled := 0
	for _, name := range h.files() {
		if !strings.HasPrefix(name, "spool/part.") {
			continue
		}
		path := filepath.Join(h.dir, filepath.FromSlash(name))
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			continue // it is about to be written
		}
		spooled++
		if spoiled {
			flip(t, path)
		}
	}
	if objects := named(objects(t, store), "parts/"); len(objects) > 0 {
		t.Errorf("%v were stored before the gate was open", objects)
	}
	if spooled == 0 {
		t.Error("no part lay in a file when the scan had ended")
	}
	if cancelled {
		cancel()
	}
	close(gate)
	ended.Wait()
	h.checkTidy(true)
	if cancelled {
		if list := h.list(); !errors.Is(err, context.Canceled) || len(list) > 0 {
			t.Errorf("cancelled, it returned %v, and listed are %v", err, list)
		}
		return
	}
	if spoiled {
		if list := h.list(); cairn.CodeOf(err) != cairn.CodeDamaged || !strings.Contains(err.Error(), "spool") || len(list) > 0 {
			t.Errorf("of spoiled files it returned %v, and listed are %v", err, list)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := puts.Load(); n != 8 {
		t.Errorf("%d parts were sent, want 8", n)
	}
	h.restore(b.ID)
	if d := h.verify(); d != b.Digest {
		t.Errorf("restored is %s, want %s", d, b.Digest)
	}
}

// TestSpillWithoutRoom has the disk full, and the only part in memory sent just
// while that shows: the next one takes its place, and does not wait for room
// that nobody makes any more.
func TestSpillWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		slow := &gated{Bucket: stores.New(t), before: func(_ context.Context, name string) {
			if strings.HasPrefix(name, "parts/") {
				<-gate
			}
		}}
		h := openHouse(t, t.TempDir(), slow, sequential)
		h.apply(doc("a", "text", segment.PartBytes/2+1), doc("b", "text", segment.PartBytes/2+1))
		parts := 0
		h.step = func(name string, do func() error) error {
			if name != "spool.part" {
				return do()
			}
			if parts++; parts == 2 {
				close(gate)
				synctest.Wait()
			}
			return &fs.PathError{Op: "write", Path: name, Err: noRoom()}
		}
		b := h.create()
		if parts != 2 {
			t.Errorf("%d parts found the disk full, want 2", parts)
		}
		h.checkTidy(true)
		h.restore(b.ID)
		if d := h.verify(); d != b.Digest {
			t.Errorf("restored is %s, want %s", d, b.Digest)
		}
	})
}

// flip changes one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A gated bucket calls before at the beginning of each Put and Get, and has
// during, if there is one, do the rest of Put.
type gated struct {
	bucket.Bucket
	before func(ctx context.Context, name string)
	during func(name string, put func() error) error
}

// Put calls before and during.
func (g *gated) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	g.before(ctx, name)
	put := func() error { return g.Bucket.Put(ctx, name, content) }
	if g.during != nil {
		return g.during(name, put)
	}
	return put()
}

// Get calls before.
func (g *gated) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	g.before(ctx, name)
	return g.Bucket.Get(ctx, name)
}

// A turnstile holds the transfers of parts back, and counts them.
type turnstile struct {
	mu           sync.Mutex
	waiting      []chan struct{}
	begun, ended int
}

// before holds a transfer back until its turn.
func (s *turnstile) before(_ context.Context, name string) {
	if strings.HasPrefix(name, "parts/") {
		s.begin()
		s.wait()
	}
}

// begin counts a part.
func (s *turnstile) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
}

// wait holds what calls it back until its turn.
func (s *turnstile) wait() {
	turn := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	<-turn
}

// end counts a part that is done with.
func (s *turnstile) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
}

// report hears that a part is done with.
func (s *turnstile) report(_ cairn.Backup, p cairn.Progress) {
	if p.Done > 0 {
		s.end()
	}
}

// run does a job, and returns how many parts were in flight at most. It lets a
// transfer go on when nothing else can, the last first, so that the others have
// to wait for the first.
func (s *turnstile) run(job func() error) (most int, err error) {
	var ended sync.WaitGroup
	ended.Go(func() { err = job() })
	for {
		synctest.Wait()
		s.mu.Lock()
		last := len(s.waiting) - 1
		if last < 0 {
			s.mu.Unlock()
			ended.Wait()
			return most, err
		}
		most = max(most, s.begun-s.ended)
		close(s.waiting[last])
		s.waiting = s.waiting[:last]
		s.mu.Unlock()
	}
}

// TestCreateMemory has no more objects on their way from memory, and no more
// from files, than half of the memory allows each; one that is larger by itself
// goes alone.
func TestCreateMemory(t *testing.T) {
	const parts = 8
	var docs []cairn.Document
	for i := range parts {
		docs = append(docs, doc(fmt.Sprint("big", i), "text", segment.PartBytes/2+1))
	}
	for _, test := range []struct {
		name   string
		memory func(object int64) int64
		want   int
	}{
		{"two and two", func(object int64) int64 { return 2 * (2*object + object/2) }, 4},
		{"less than one", func(object int64) int64 { return object / 2 }, 1},
		{"plenty", func(int64) int64 { return 1 << 40 }, parts},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate, store := new(turnstile), stores.New(t)
				h := newHouse(t, store)
				h.apply(docs...)
				h.create()
				h.unbase()
				made := objects(t, store)
				object := int64(len(made[named(made, "parts/")[0]])) // all are much the same
				h.bucket = &gated{Bucket: store, before: gate.before}
				h.edit = func(cfg *backup.Config) { cfg.Memory, cfg.Transfers = test.memory(object), 64 }
				h.engine = h.newEngine()
				var b cairn.Backup
				most, err := gate.run(func() (err error) {
					b, err = h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), gate.report)
					return err
				})
				if err != nil || gate.ended != parts {
					t.Fatalf("%d parts were sent, %v", gate.ended, err)
				}
				if most != test.want {
					t.Errorf("%d objects were in flight at most, want %d", most, test.want)
				}
				if b.Digest != h.verify() {
					t.Errorf("the backup is of %s, want %s", b.Digest, h.verify())
				}
			})
		})
	}
}

// TestRestoreMemory has no more objects in flight, from the beginning of their
// transfer until they are decoded, than a quarter of the memory allows, and no
// more decoded parts, until their rows are in, than the rest; one that is larger
// by itself goes alone. What a row takes beside its line counts too.
func TestRestoreMemory(t *testing.T) {
	const parts, many = 8, 500
	var large, tiny, noisy [][]cairn.Document
	random := rand.New(rand.NewPCG(1, 2))
	for i := range parts {
		large = append(large, []cairn.Document{at(int64(i+1), doc(fmt.Sprint("d", i), "text", 50_000))})
		noise := make([]byte, 20_000)
		for n := range noise {
			noise[n] = byte(random.IntN(256))
		}
		noisy = append(noisy, []cairn.Document{at(int64(i+1), doc(fmt.Sprint("n", i), hex.EncodeToString(noise), 1))})
		tiny = append(tiny, nil)
		for n := i * many; n < (i+1)*many; n++ {
			tiny[i] = append(tiny[i], at(int64(n+1), cairn.Document{Collection: "tags", ID: fmt.Sprint("t", n), JSON: []byte("{}")}))
		}
	}
	quarter := func(size int64) int64 { return 4 * size }
	rest := func(size int64) int64 { return size * 4 / 3 }
	for _, test := range []struct {
		name    string
		rows    [][]cairn.Document
		objects bool                            // they are counted, not what they are decoded to
		memory  func(object, lines int64) int64 // for so many bytes of each part
		want    int
	}{
		{"three objects", noisy, true, func(object, _ int64) int64 { return quarter(3*object + object/2) }, 3},
		{"half an object", noisy, true, func(object, _ int64) int64 { return quarter(object / 2) }, 1},
		{"plenty for objects", noisy, true, func(int64, int64) int64 { return 1 << 40 }, parts},
		{"three parts", large, false, func(_, lines int64) int64 { return rest(3*lines + lines/2) }, 3},
		{"half a part", large, false, func(_, lines int64) int64 { return rest(lines / 2) }, 1},
		{"plenty for parts", large, false, func(int64, int64) int64 { return 1 << 40 }, parts},
		{"tiny documents, three parts", tiny, false, func(_, lines int64) int64 { return rest(3*(lines+many*256) + lines) }, 3},
		{"tiny documents, half a part", tiny, false, func(_, lines int64) int64 { return rest(3 * lines) }, 1},
	} {
		segments := [][][]cairn.Document{test.rows}
		_, stats := folded(segments)
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate, store := new(turnstile), stores.New(t)
				h := newHouse(t, store)
				b := h.commit(stats, segments, nil)
				_, m := h.manifest(b.ID)
				made := objects(t, store)
				object := int64(len(made[named(made, "parts/")[0]])) // all are much the same
				h.edit = func(cfg *backup.Config) {
					cfg.Memory, cfg.Transfers, cfg.Workers = test.memory(object, m.Segments[0].Plain/parts), 64, 64
					cfg.Database = &counting{cfg.Database, gate, test.objects}
				}
				if test.objects {
					h.bucket = &gated{Bucket: store, before: gate.before}
				}
				h.engine = h.newEngine()
				most, err := gate.run(func() error {
					_, err := h.engine.Restore(t.Context(), "job", b.ID, func(cairn.Backup, cairn.Progress) {})
					return err
				})
				if err != nil || gate.ended != parts {
					t.Fatalf("%d parts were restored, %v", gate.ended, err)
				}
				if most != test.want {
					t.Errorf("%d were in flight at most, want %d", most, test.want)
				}
				if d := h.verify(); d != b.Digest {
					t.Errorf("restored is %s, want %s", d, b.Digest)
				}
			})
		})
	}
}

// A counting database tells a turnstile of the parts that are restored: that an
// object is decoded, or else when the rows of a part begin to wait for their turn
// and when they are in.
type counting struct {
	backup.Database
	gate    *turnstile
	objects bool
}

// Replace implements backup.Database.
func (c *counting) Replace(ctx context.Context, r cairn.Replacement, fill func(func(int, []cairn.Document) (func() error, error)) error) error {
	return c.Database.Replace(ctx, r, func(prepare func(int, []cairn.Document) (func() error, error)) error {
		return fill(func(segment int, docs []cairn.Document) (func() error, error) {
			insert, err := prepare(segment, docs)
			if c.objects {
				c.gate.end()
				return insert, err
			}
			c.gate.begin()
			return func() error {
				c.gate.wait()
				defer c.gate.end()
				return insert()
			}, err
		})
	})
}

// TestTinyDocuments has a part end when it has many documents, however few bytes
// they are: what is kept of each beside its line is not among the bytes.
func TestTinyDocuments(t *testing.T) {
	if raced { // so many rows take half a minute then; on other stores it runs without
		return
	}
	const most = 32_768
	h := newHouse(t, stores.New(t))
	var docs []cairn.Document
	for n := range most + 10 {
		docs = append(docs, cairn.Document{Collection: "tags", ID: fmt.Sprint("t", n), JSON: []byte("{}")})
	}
	h.apply(docs...)
	b := h.create()
	c, m := h.manifest(b.ID)
	parts, err := c.Parts(t.Context(), m.Segments[0])
	if err != nil || len(parts) != 2 || parts[0].Documents != most || parts[1].Documents != 10 {
		t.Errorf("the parts are %+v, %v, want one of %d documents and one of 10", parts, err, most)
	}
	h.restore(b.ID)
	if d := h.verify(); d != b.Digest {
		t.Errorf("restored is %s, want %s", d, b.Digest)
	}
}
