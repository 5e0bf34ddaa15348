package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
)

// A sim is a cloud that several devices use at the same time, each of which may
// sleep at any call of the bucket, and what is known of its backups.
type sim struct {
	t     *testing.T
	seed  uint64
	store bucket.Bucket
	grace time.Duration
	// nap returns how long a call waits, from two numbers below 1.
	nap   func(luck, length float64) time.Duration
	judge *house // that is always awake

	mu      sync.Mutex
	named   map[string][]string     // by the name of a manifest: the objects that it needs
	digests map[string]cairn.Digest // by the id of a backup: of what it was made of
	newer   bool                    // a device of a newer format was there
	loss    error                   // the first, of an object that a listed backup needs
	done    *deeds
}

// deeds counts what devices have done.
type deeds struct {
	mu sync.Mutex
	of map[string]int
}

func (d *deeds) add(what string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[what] += n
}

// newSim makes a cloud with a grace.
func newSim(t *testing.T, seed uint64, store bucket.Bucket, grace time.Duration, done *deeds) *sim {
	s := &sim{t: t, seed: seed, store: store, grace: grace, named: map[string][]string{}, digests: map[string]cairn.Digest{}, done: done}
	s.nap = func(luck, length float64) time.Duration {
		switch {
		case luck < 0.01:
			return time.Duration(length * 3 * float64(grace))
		case luck < 0.03:
			return time.Duration(length * float64(grace) / 2)
		case luck < 0.1:
			return time.Duration(length * float64(grace) / 20)
		}
		return 0
	}
	s.judge = openHouse(t, quickDir(t), store, nil)
	s.judge.tune = func(cfg *cloud.Config) { cfg.Grace = grace }
	if err := s.judge.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// lost notes what must not be.
func (s *sim) lost(format string, args ...any) {
	if s.loss == nil {
		s.loss = fmt.Errorf("seed %d: "+format, append([]any{s.seed}, args...)...)
	}
}

// A watched bucket is the store as one device sees it. It looks at whether all that
// is listed is there.
type watched struct {
	bucket.Bucket
	sim     *sim
	landing func(name string) time.Duration // from when content was read until it is stored
}

// Put implements [bucket.Bucket].
func (w watched) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	_, seekErr := content.Seek(0, io.SeekStart)
	data, err := io.ReadAll(content)
	if err := errors.Join(seekErr, err); err != nil {
		return err
	}
	if d := w.landing(name); d > 0 {
		<-time.After(d)
	}
	w.sim.mu.Lock()
	defer w.sim.mu.Unlock()
	err = w.Bucket.Put(ctx, name, bytes.NewReader(data))
	if strings.HasSuffix(name, ".using") {
		w.sim.done.add("checkpoints", 1)
	}
	if err == nil && strings.HasPrefix(name, "backups/") {
		w.sim.learn(name)
		w.sim.check("storing "+name, name)
	}
	return err
}

// Delete implements [bucket.Bucket].
func (w watched) Delete(ctx context.Context, name string) error {
	w.sim.mu.Lock()
	defer w.sim.mu.Unlock()
	err := w.Bucket.Delete(ctx, name)
	for manifest, objects := range w.sim.named {
		if slices.Contains(objects, name) {
			w.sim.check("deleting "+name, manifest)
		}
	}
	return err
}

// learn notes what a manifest names.
func (s *sim) learn(name string) {
	if s.named[name] != nil {
		return
	}
	ctx := context.Background()
	c, err := s.judge.engine.Connect(ctx)
	if err != nil {
		s.lost("%v", err)
		return
	}
	m, err := c.Manifest(ctx, strings.TrimSuffix(strings.TrimPrefix(name, "backups/"), ".json.age"))
	if err != nil {
		s.lost("%s cannot be read: %v", name, err)
		return
	}
	objects := []string{}
	for _, part := range m.Segments {
		parts, err := c.Parts(ctx, part)
		if err != nil {
			s.lost("%s lacks an index: %v", name, err)
		}
		if part.Index != nil {
			objects = append(objects, part.Index.Name)
		}
		for _, p := range parts {
			objects = append(objects, p.Name)
		}
	}
	s.named[name] = objects
}

// check notes when a backup that is listed lacks an object.
func (s *sim) check(doing, manifest string) {
	if s.loss != nil || !s.has(manifest) {
		return
	}
	for _, name := range s.named[manifest] {
		if !s.has(name) {
			s.lost("after %s, %s lacks %s", doing, manifest, name)
		}
	}
}

func (s *sim) has(name string) bool {
	_, err := s.store.Head(context.Background(), name)
	return err == nil
}

// A sleeper is a device that sleeps.
type sleeper struct {
	*house
	sim *sim

	mu     sync.Mutex
	random *rand.Rand
	away   int // after how many calls the store does not answer any more; 0 means never
}

// device returns a device with the key of the cloud. Its backups have many parts, for
// which it has so many bytes of memory.
func (s *sim) device(memory int64, through bucket.Bucket) *house {
	s.t.Helper()
	dir := quickDir(s.t)
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(s.judge.dir, "keys"))); err != nil {
		s.t.Fatal(err)
	}
	return openHouse(s.t, dir, through, func(cfg *backup.Config) {
		sequential(cfg)
		cfg.Memory, cfg.Transfers, cfg.Browse, cfg.PartBytes = memory, 2, nil, 600
	})
}

// sleeper returns a device that sleeps. Of its clocks one tells that it slept: that
// on the wall of an even one is set back all the time, and else the monotonic one
// stands still.
func (s *sim) sleeper(n uint64) *sleeper {
	s.t.Helper()
	d := &sleeper{sim: s, random: rand.New(rand.NewPCG(s.seed, n))}
	d.house = s.device(2+int64(n)<<20, fault.New(watched{s.store, s, d.landing}, d.call))
	began := time.Now()
	d.tune = func(cfg *cloud.Config) {
		cfg.Now, cfg.Monotonic = time.Now, func() time.Duration { return 0 }
		if n%2 == 0 {
			cfg.Now, cfg.Monotonic = func() time.Time { return began }, func() time.Duration { return time.Since(began) }
		}
	}
	d.installation = fmt.Sprint("device ", n)
	d.restart()
	return d
}

// draw returns a number below 1.
func (d *sleeper) draw() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Float64()
}

// below returns a whole number below n.
func (d *sleeper) below(n int) int { return int(d.draw() * float64(n)) }

// landing is up to a tenth of the grace.
func (d *sleeper) landing(string) time.Duration {
	return min(d.sim.nap(d.draw(), d.draw()), d.sim.grace/10)
}

// call has a call wait, before it is carried out and before it is answered. Now and
// then it is not made, or its answer is lost.
func (d *sleeper) call(fault.Call) fault.Outcome {
	o := fault.Outcome{Delay: d.sim.nap(d.draw(), d.draw()), After: d.sim.nap(d.draw(), d.draw())}
	luck := d.draw()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away == 1, luck < 0.003:
		o.Effect = fault.Fail
	case luck < 0.006:
		o.Effect = fault.Lost
	}
	if d.away > 1 {
		d.away--
	}
	return o
}

// act does so many things, one after the other.
func (d *sleeper) act(n int) {
	for range n {
		<-time.After(time.Duration(d.draw() * float64(d.sim.grace) / 4))
		d.actOnce()
	}
}

// actOnce does one thing.
func (d *sleeper) actOnce() {
	ctx := d.sim.t.Context()
	switch luck := d.below(100); {
	case luck < 38:
		d.create(ctx, 0)
	case luck < 48:
		d.create(ctx, 1+d.below(12))
	case luck < 52:
		d.unbase()
		d.create(ctx, 0)
	case luck < 65:
		if b, ok := d.any(ctx); ok {
			d.note("deleted", d.engine.Delete(ctx, b.ID))
		}
	case luck < 79:
		d.undelete(ctx)
	case luck < 87:
		d.prune(ctx)
	case luck < 91:
		_, err := d.engine.Forget(ctx, cairn.Retention{Last: 2}, cairn.ForgetOptions{})
		d.note("forgot", err)
	case luck < 97:
		d.restore(ctx)
	default:
		d.restart()
	}
}

// note counts what was done, and fails the test at an error that no sleep and no
// lost answer explains.
func (d *sleeper) note(what string, err error) bool {
	switch code := cairn.CodeOf(err); {
	case err == nil:
		d.sim.done.add(what, 1)
	case slices.Contains([]cairn.Code{cairn.CodeStale, cairn.CodeTooLate, cairn.CodeBackupNotFound, cairn.CodeCloudLost}, code):
		d.sim.done.add(fmt.Sprint(what, " not: ", code), 1)
	case code == cairn.CodeFormatTooNew && d.sim.newer:
	default:
		d.sim.t.Errorf("seed %d: %s: %v", d.sim.seed, what, err)
	}
	return err == nil
}

// create makes a backup of a database that changed. After so many calls the store
// does not answer any more.
func (d *sleeper) create(ctx context.Context, away int) {
	var docs []cairn.Document
	for range 1 + d.below(8) {
		next := doc(fmt.Sprint("d", d.below(24)), fmt.Sprint(d.below(1<<30)), d.below(400))
		if d.below(5) == 0 {
			next = deletion(next.ID)
		}
		docs = append(docs, next)
	}
	d.apply(docs...)
	digest := d.db.Stats().Digest
	d.mu.Lock()
	d.away = away
	d.mu.Unlock()
	bases, _ := d.db.Bases(ctx, "")
	b, err := d.engine.Create(ctx, d.engine.NewBackup(cairn.ScopeAll), func(b cairn.Backup, _ cairn.Progress) {
		d.sim.mu.Lock()
		defer d.sim.mu.Unlock()
		d.sim.digests[b.ID] = digest
	})
	d.mu.Lock()
	d.away = 0
	d.mu.Unlock()
	if d.note("created", err) && len(bases) > 0 {
		d.sim.done.add("built", 1)
	}
	if err == nil && b.Digest != digest {
		d.sim.t.Errorf("seed %d: a backup of %s is one of %s", d.sim.seed, digest, b.Digest)
	}
}

// any returns one of the backups that are listed; false when there is none.
func (d *sleeper) any(ctx context.Context) (b cairn.Backup, ok bool) {
	list, err := d.engine.List(ctx)
	if !d.note("listed", err) || len(list) == 0 {
		return b, false
	}
	return list[d.below(len(list))], true
}

func (d *sleeper) undelete(ctx context.Context) {
	if b, ok := d.any(ctx); ok && d.below(2) == 0 { // and changes its mind
		d.note("deleted", d.engine.Delete(ctx, b.ID))
	}
	list, err := d.engine.Deleted(ctx)
	if d.note("listed", err) && len(list) > 0 {
		_, err := d.engine.Undelete(ctx, list[d.below(len(list))].ID)
		d.note("undeleted", err)
	}
}

func (d *sleeper) prune(ctx context.Context) {
	r, err := d.engine.Prune(ctx, false, func(cairn.PruneProgress) {})
	d.note("pruned", err)
	d.sim.done.add("removed", int(r.Deleted.Objects))
}

// restore restores a backup, unless it is deleted and pruned meanwhile.
func (d *sleeper) restore(ctx context.Context) {
	b, ok := d.any(ctx)
	if !ok {
		return
	}
	_, err := d.engine.Restore(ctx, "job", b.ID, ignore)
	if cairn.CodeOf(err) == cairn.CodeDamaged && !d.sim.has(manifestOf(b.ID)) {
		return
	}
	if !d.note("restored", err) {
		return
	}
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	if got := d.verify(); got != d.sim.digests[b.ID] {
		d.sim.t.Errorf("seed %d: %s restores to %s, want %s", d.sim.seed, b.ID, got, d.sim.digests[b.ID])
	}
}

// checkAll reads all that is listed.
func (s *sim) checkAll() {
	s.t.Helper()
	if s.loss != nil {
		s.t.Fatal(s.loss)
	}
	list, err := s.judge.engine.List(s.t.Context())
	if err != nil {
		s.t.Fatalf("seed %d: %v", s.seed, err)
	}
	for _, b := range list {
		v, err := s.judge.engine.Verify(s.t.Context(), b.ID, true, func(cairn.Progress) {})
		if err != nil || len(v.Damaged)+len(v.Unchecked) > 0 || b.Digest != s.digests[b.ID] {
			s.t.Errorf("seed %d: the backup %s of %s, which is one of %s: %v, %v", s.seed, b.ID, s.digests[b.ID], b.Digest, v, err)
		}
	}
}

// checkEnd deletes all, and prunes three times, a grace after the other: a copy
// without a receipt first gets one, for which it must be older than the grace. Then
// nothing is left.
func (s *sim) checkEnd() {
	s.t.Helper()
	list, err := s.judge.engine.List(s.t.Context())
	for _, b := range list {
		err = errors.Join(err, s.judge.engine.Delete(s.t.Context(), b.ID))
	}
	for range 3 {
		<-time.After(s.grace + time.Minute)
		_, pruneErr := s.judge.engine.Prune(s.t.Context(), false, func(cairn.PruneProgress) {})
		err = errors.Join(err, pruneErr)
	}
	if err != nil {
		s.t.Errorf("seed %d: %v", s.seed, err)
	}
	for object := range s.store.List(s.t.Context(), "") {
		if object.Name != cloud.DescriptionName {
			s.t.Errorf("seed %d: %s is left", s.seed, object.Name)
		}
	}
}
