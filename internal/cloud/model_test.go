package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// A world is a bucket that several devices use which fall asleep at any moment. It
// knows what each manifest names.
type world struct {
	t     *testing.T
	store memory.Bucket
	grace time.Duration
	seed  uint64

	mu      sync.Mutex
	written time.Time // of what is put; zero when it has the time at which it is put
	calls   int
	named   map[string][]string // by the name of the manifest
	loss    error               // the first, of an object that a listed backup needs
}

// now is the time that an object gets which is put. mu is held while devices put.
func (w *world) now() time.Time {
	if w.written.IsZero() {
		return time.Now()
	}
	return w.written
}

// A sleeper is the bucket as one device sees it.
type sleeper struct {
	*world
	mu     sync.Mutex
	random *rand.Rand
	awake  bool
}

// draw returns a number below 1.
func (s *sleeper) draw() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64()
}

// nap sleeps mostly for no time, often for a little, and now and then for up to
// three graces.
func (s *sleeper) nap() {
	if s.awake {
		return
	}
	switch d := s.draw(); {
	case d < 0.03:
		time.Sleep(time.Duration(s.draw() * 3 * float64(s.grace)))
	case d < 0.06:
		time.Sleep(time.Duration(s.draw() * float64(s.grace)))
	case d < 0.2:
		time.Sleep(time.Duration(s.draw() * float64(s.grace) / 20))
	}
}

// call makes a call between two naps. Now and then it is not made, or its answer is
// lost.
func (s *sleeper) call(do func() error) error {
	s.nap()
	luck := 1.0
	if !s.awake {
		luck = s.draw()
	}
	if luck < 0.01 {
		return bucket.ErrUnreachable
	}
	err := do()
	s.nap()
	if luck < 0.02 {
		return bucket.ErrUnreachable
	}
	return err
}

// Put implements [bucket.Bucket]. The store takes up to a tenth of the grace; now and
// then it is a folder of a computer that sleeps before a file has its name, which
// looks once more whether it may have it. The time is that of the writing.
func (s *sleeper) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	return s.call(func() error {
		_, err := content.Seek(0, io.SeekStart)
		data, readErr := io.ReadAll(content)
		if err := errors.Join(err, readErr); err != nil {
			return err
		}
		written := time.Now()
		if !s.awake {
			time.Sleep(time.Duration(s.draw() * float64(s.grace) / 10))
			if s.draw() < 0.05 {
				time.Sleep(time.Duration(s.draw() * 3 * float64(s.grace)))
				if p, ok := content.(bucket.Perishable); ok && p.Err() != nil {
					return p.Err()
				}
			}
		}
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		s.written = written
		defer func() { s.written = time.Time{} }()
		err = s.store.Put(ctx, name, bytes.NewReader(data))
		if err == nil && strings.HasPrefix(name, "backups/") {
			s.check("storing "+name, name)
		}
		return err
	})
}

// Delete implements [bucket.Bucket].
func (s *sleeper) Delete(ctx context.Context, name string) error {
	return s.call(func() error {
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		err := s.store.Delete(ctx, name)
		if !strings.HasPrefix(name, "trash/") && !strings.HasPrefix(name, "backups/") {
			for manifest := range s.named {
				s.check("deleting "+name, manifest)
			}
		}
		return err
	})
}

// check notes when a backup that is listed lacks an object.
func (w *world) check(doing, manifest string) {
	if w.loss != nil || !w.has(manifest) {
		return
	}
	for _, name := range w.named[manifest] {
		if !w.has(name) {
			w.loss = fmt.Errorf("seed %d: after %s, %s lacks %s", w.seed, doing, manifest, name)
		}
	}
}

func (w *world) has(name string) bool {
	_, err := w.store.Head(context.Background(), name)
	return err == nil
}

// Get implements [bucket.Bucket].
func (s *sleeper) Get(ctx context.Context, name string) (body io.ReadCloser, err error) {
	err = s.call(func() error { body, err = s.store.Get(ctx, name); return err })
	return body, err
}

// Head implements [bucket.Bucket].
func (s *sleeper) Head(ctx context.Context, name string) (object bucket.Object, err error) {
	err = s.call(func() error { object, err = s.store.Head(ctx, name); return err })
	return object, err
}

// List implements [bucket.Bucket]. It shows what was there at one moment.
func (s *sleeper) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		var all []bucket.Object
		err := s.call(func() error {
			for object, err := range s.store.List(ctx, prefix) {
				if err != nil {
					return err
				}
				all = append(all, object)
			}
			return nil
		})
		for _, object := range all {
			if !yield(object, nil) {
				return
			}
		}
		if err != nil {
			yield(bucket.Object{}, err)
		}
	}
}

// An actor is a device in a world.
type actor struct {
	*sleeper
	c    *cloud.Cloud
	done *deeds
}

// deeds counts what the actors have done, over all histories.
type deeds struct{ created, built, deleted, undeleted, pruned, removed, emptied atomic.Int64 }

// actor returns a device with the key of the world's cloud. Of its clocks one tells
// that it slept.
func (w *world) actor(d *device, done *deeds, n uint64) *actor {
	w.t.Helper()
	s := &sleeper{world: w, random: rand.New(rand.NewPCG(w.seed, n)), awake: true}
	cfg := d.Config
	began := time.Now()
	cfg.Bucket, cfg.Now, cfg.Monotonic = s, time.Now, func() time.Duration { return 0 }
	if n%2 == 0 {
		cfg.Now, cfg.Monotonic = func() time.Time { return began }, nil
	}
	c, err := cloud.Open(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	s.awake = false
	return &actor{s, c, done}
}

// act does so many things, one after the other.
func (a *actor) act(n int) {
	for range n {
		time.Sleep(time.Duration(a.draw() * float64(a.grace) / 4))
		var err error
		switch d := a.draw(); {
		case d < 0.40:
			err = a.create()
		case d < 0.65:
			err = a.delete()
		case d < 0.88:
			err = a.undelete()
		default:
			err = a.prune()
		}
		a.judge(err)
	}
}

// judge fails the test at an error that no sleep and no lost answer explains.
func (a *actor) judge(err error) {
	switch cairn.CodeOf(err) {
	case "", cairn.CodeStale, cairn.CodeTooLate, cairn.CodeBackupNotFound, cairn.CodeCloudLost:
	default:
		a.t.Errorf("seed %d: %v", a.seed, err)
	}
}

// any returns one of a list; false when it is empty.
func anyOf[T any](a *actor, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[int(a.draw()*float64(len(list)))], true
}

// create makes a backup, mostly on a base: of its segments some are taken as they
// are, and of the others their parts.
func (a *actor) create() error {
	fresh := a.c.Fresh()
	err := a.createFresh(fresh)
	if stale := fresh.Err(); err != nil && stale != nil {
		return stale // what is missing by then is no damage
	}
	return err
}

func (a *actor) createFresh(fresh cloud.Fresh) error {
	ctx := a.t.Context()
	list, _, err := a.c.Backups(ctx)
	if err != nil {
		return err
	}
	var base cloud.Manifest
	if b, ok := anyOf(a, list); ok && a.draw() < 0.8 {
		if base, err = a.c.Manifest(ctx, b.ID); err != nil {
			return err
		}
	}
	kept := base.Segments
	if len(kept) > 0 {
		kept = kept[:int(a.draw()*float64(len(kept)+1))]
	}
	var parts []segment.Part
	for _, s := range base.Segments[len(kept):] {
		more, err := a.c.Parts(ctx, s)
		if err != nil {
			return err
		}
		parts = append(parts, more...)
	}
	m := cloud.Manifest{Backup: a.backup(base.Revision + 1), Segments: slices.Clone(kept)}
	part, err := putPart(ctx, a.c, base.Revision)
	if err != nil {
		return err
	}
	s, err := putSegment(ctx, a.t, a.c, append(parts, part))
	if err != nil {
		return err
	}
	m.Segments = append(m.Segments, s)
	if err := a.note(ctx, m); err != nil {
		return err
	}
	if _, err := a.c.Commit(ctx, m, fresh); err != nil {
		return err
	}
	a.done.created.Add(1)
	if base.ID != "" {
		a.done.built.Add(1)
	}
	return nil
}

// backup returns a new one, of deletions only.
func (w *world) backup(revision int64) cairn.Backup {
	w.mu.Lock()
	w.calls++
	random := uint32(w.calls)
	w.mu.Unlock()
	b := cairn.Backup{Version: "0.1.0", Created: time.Now().UTC().Truncate(time.Millisecond), Scope: cairn.ScopeAll, Revision: revision}
	b.ID, b.Timestamp = cairn.NewBackupID(b.Version, b.Created, random)
	return b
}

// note remembers what a manifest names.
func (a *actor) note(ctx context.Context, m cloud.Manifest) error {
	all, err := objectsOf(ctx, a.c, m)
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.named[objectOf(m.ID)] = all
	return err
}

// objectsOf returns the names of all objects that a manifest names.
func objectsOf(ctx context.Context, c *cloud.Cloud, m cloud.Manifest) (all []string, err error) {
	for _, s := range m.Segments {
		parts, err := c.Parts(ctx, s)
		if err != nil {
			return nil, err
		}
		if s.Index != nil {
			all = append(all, s.Index.Name)
		}
		for _, p := range parts {
			all = append(all, p.Name)
		}
	}
	return all, nil
}

// putPart stores a part of one deletion, whose revision comes after from.
func putPart(ctx context.Context, c *cloud.Cloud, from int64) (segment.Part, error) {
	const text = "a part"
	p := segment.Part{Object: segment.Object{Name: c.PartName(), Size: int64(len(text))}, From: from, To: from + 1, Deletions: 1, Plain: 50}
	return p, c.Put(ctx, p.Name, strings.NewReader(text))
}

// putSegment makes a segment of parts, and stores its index.
func putSegment(ctx context.Context, t testing.TB, c *cloud.Cloud, parts []segment.Part) (segment.Segment, error) {
	s, err := segment.Join(parts)
	if err != nil || len(parts) == 1 {
		return s, err
	}
	catalog := segment.NewCatalog(t.TempDir(), 0)
	defer catalog.Close()
	var b bytes.Buffer
	index, err := segment.WriteIndex(ctx, &b, c.Recipient(), s, parts, catalog)
	if err != nil {
		return s, err
	}
	index.Name = c.IndexName()
	s.Index = &index
	s.Stored += index.Size
	return s, c.Put(ctx, index.Name, bytes.NewReader(b.Bytes()))
}

func (a *actor) delete() error {
	list, _, err := a.c.Backups(a.t.Context())
	if b, ok := anyOf(a, list); ok && err == nil {
		if err = a.c.Delete(a.t.Context(), b.ID); err == nil {
			a.done.deleted.Add(1)
		}
	}
	return err
}

func (a *actor) undelete() error {
	list, err := a.c.Deleted(a.t.Context())
	if d, ok := anyOf(a, list); ok && err == nil {
		if _, err = a.c.Undelete(a.t.Context(), d.ID); err == nil {
			a.done.undeleted.Add(1)
		}
	}
	return err
}

func (a *actor) prune() error {
	r, err := a.c.Prune(a.t.Context(), cloud.PruneOptions{})
	a.done.removed.Add(r.Deleted.Objects)
	a.done.emptied.Add(r.Emptied)
	if err == nil {
		a.done.pruned.Add(1)
	}
	return err
}

// checkEnd prunes until nothing is left to do: then there is nothing but what the
// listed backups need, and the copies that still guard them. Then it deletes those.
func (w *world) checkEnd(a *actor) {
	w.t.Helper()
	a.awake = true
	list, unreadable, err := a.c.Backups(w.t.Context())
	if err != nil || len(unreadable) > 0 {
		w.t.Fatalf("seed %d: %v, %v", w.seed, unreadable, err)
	}
	w.checkLeft(a, list)
	for _, b := range list {
		if err := a.c.Delete(w.t.Context(), b.ID); err != nil {
			w.t.Errorf("seed %d: %v", w.seed, err)
		}
	}
	w.checkLeft(a, nil)
}

// checkLeft prunes three times, a grace after the other: a copy without a receipt
// first gets one, for which it must be older than the grace.
func (w *world) checkLeft(a *actor, list []cairn.Backup) {
	w.t.Helper()
	for range 3 {
		time.Sleep(w.grace + time.Minute)
		if err := a.prune(); err != nil {
			w.t.Errorf("seed %d: %v", w.seed, err)
		}
	}
	want := map[string]bool{"cairn.json": true}
	listed := map[string]bool{}
	for _, b := range list {
		listed[b.ID] = true
		want[objectOf(b.ID)] = true
		for _, name := range w.named[objectOf(b.ID)] {
			want[name] = true
		}
	}
	for object := range w.store.List(w.t.Context(), "") {
		copied, isTrash := strings.CutPrefix(object.Name, "trash/")
		guards := isTrash && listed[copied[:max(0, len(copied)-33)]]
		if !want[object.Name] && !guards {
			w.t.Errorf("seed %d: %s is left", w.seed, object.Name)
		}
		delete(want, object.Name)
	}
	for name := range want {
		w.t.Errorf("seed %d: %s is not there", w.seed, name)
	}
}

// TestModel has devices create, delete, undelete and prune in one cloud, asleep for
// up to three graces at any call of the bucket, before it is carried out or before
// they hear of it: no listed backup ever lacks an object, and all that is dead goes
// in the end.
func TestModel(t *testing.T) {
	histories := 15
	switch {
	case os.Getenv("CAIRN_LONG") != "":
		histories = 10_000
	case !stores.InMemory(): // the stores of this test are in memory anyway
		histories = 3
	}
	var first memory.Bucket
	d := newDevice(t, &first)
	d.Grace = 8 * time.Hour
	d.open(t)
	description := get(t, &first, "cairn.json")
	random := stores.Random(t)
	var done deeds
	for range histories {
		seed := random.Uint64()
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, grace: d.Grace, seed: seed, named: map[string][]string{}}
			w.store.Now = w.now
			put(t, &w.store, "cairn.json", description)
			var wg sync.WaitGroup
			for n := range uint64(3) {
				a := w.actor(d, &done, n)
				wg.Go(func() { a.act(8) })
			}
			pruner := w.actor(d, &done, 3)
			wg.Go(func() {
				for range 6 {
					time.Sleep(time.Duration(pruner.draw() * float64(pruner.grace)))
					pruner.judge(pruner.prune())
				}
			})
			wg.Wait()
			w.checkEnd(pruner)
			if w.loss != nil {
				t.Error(w.loss)
			}
		})
		if t.Failed() {
			break
		}
	}
	counts := []int64{done.created.Load(), done.built.Load(), done.deleted.Load(), done.undeleted.Load(), done.pruned.Load(), done.removed.Load(), done.emptied.Load()}
	t.Logf("%d backups were made, %d of them on others, %d were deleted and %d brought back; of %d prunes, %d objects were removed and %d of trash/",
		counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6])
	for i := range counts {
		if counts[0] < 100 && i != 0 {
			counts[i] = max(counts[i], 1) // a few histories can be without
		}
	}
	counts[3] = max(counts[3], 1) // and so can a few dozen without this
	if slices.Contains(counts, 0) {
		t.Error("of one thing nothing happened")
	}
}
