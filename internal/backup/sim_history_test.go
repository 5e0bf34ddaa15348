package backup_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// TestSleepers has two devices and one that prunes use a cloud, asleep for up to
// three graces at any call of the bucket, before it is carried out or before they
// hear of it: no listed backup ever lacks an object, and all that is dead goes in
// the end.
func TestSleepers(t *testing.T) {
	n := 16
	if raced || !stores.InMemory() { // the store is in memory anyway
		n = 2
	}
	if os.Getenv("CAIRN_LONG") != "" {
		n = 10_000
	}
	random := newSample(t)
	done := &deeds{of: map[string]int{}}
	for range n {
		seed := random.Uint64()
		synctest.Test(t, func(t *testing.T) { sleepThrough(t, seed, done) })
		if t.Failed() {
			break
		}
	}
	t.Logf("in %d histories: %v", n, done.of)
	for _, what := range []string{"created", "built", "checkpoints", "deleted", "pruned", "removed"} {
		if done.of[what] == 0 {
			t.Errorf("nothing was %s", what)
		}
	}
}

// sleepThrough is one history.
func sleepThrough(t *testing.T, seed uint64, done *deeds) {
	s := newSim(t, seed, new(memory.Bucket), 8*time.Hour, done)
	var wg sync.WaitGroup
	for n := range uint64(2) {
		d := s.sleeper(n)
		wg.Go(func() { d.act(10) })
	}
	pruner := s.sleeper(2)
	s.newer = pruner.below(4) == 0
	wg.Go(func() {
		for range 8 {
			time.Sleep(time.Duration(pruner.draw() * float64(s.grace)))
			pruner.prune(t.Context())
		}
	})
	if s.newer {
		wg.Go(func() { s.upgraded(pruner) })
	}
	wg.Wait()
	s.checkAll()
	s.checkEnd()
}

// upgraded is a device of a newer cairn that makes a backup, which is deleted later.
func (s *sim) upgraded(luck *sleeper) {
	time.Sleep(time.Duration(luck.draw() * 2 * float64(s.grace)))
	c, err := s.judge.engine.Connect(s.t.Context())
	if err != nil {
		s.t.Error(err)
		return
	}
	part := c.PartName()
	write(s.t, c, part, []byte("of a newer format"))
	time.Sleep(time.Duration(luck.draw() * float64(s.grace) / 2))
	b := newerBackup(s.t, c)
	s.mu.Lock()
	s.named[manifestOf(b.id)] = []string{part}
	put(s.t, s.store, manifestOf(b.id), b.object)
	s.mu.Unlock()
	time.Sleep(time.Duration(luck.draw() * 2 * float64(s.grace)))
	if err := s.judge.engine.Delete(s.t.Context(), b.id); cairn.CodeOf(err) != cairn.CodeFormatTooNew {
		s.t.Errorf("seed %d: deleting a newer backup: %v", s.seed, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.delete(s.t, s.store)
}

// A sealedBackup is the object of a manifest.
type sealedBackup struct{ id, object string }

// delete deletes a backup, as the cairn does that made it.
func (b sealedBackup) delete(t *testing.T, store bucket.Bucket) {
	t.Helper()
	copied := "trash/" + b.id + ".0123456789abcdef0123456789abcdef"
	put(t, store, copied, b.object)
	if err := store.Delete(t.Context(), manifestOf(b.id)); err != nil {
		t.Fatal(err)
	}
	put(t, store, copied+".gone", "gone\n")
}

// newerBackup returns a manifest of a format that this cairn does not know.
func newerBackup(t *testing.T, c *cloud.Cloud) sealedBackup {
	t.Helper()
	id := newBackup(cairn.Stats{Revision: 2}).ID
	key, err := hkdf.Key(sha256.New, []byte(c.Identity().String()), []byte(c.ID()), "cairn manifest v1", sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	const line = `{"format":2,"wholly":["different"]}`
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s\n%s\n%s", c.ID(), id, line)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, c.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "%s\n%s\n", line, hex.EncodeToString(mac.Sum(nil)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sealedBackup{id, b.String()}
}

// TestNewerBackup has a device of a newer cairn make a backup: nothing is removed as
// long as it counts, and then all that is dead.
func TestNewerBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 0, new(memory.Bucket), 8*time.Hour, &deeds{of: map[string]int{}})
		h := s.judge
		h.fill(5, 100)
		b := h.create()
		if err := h.engine.Delete(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
		c, err := h.engine.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		newer := newerBackup(t, c)
		put(t, s.store, manifestOf(newer.id), newer.object)
		prune := func(ctx context.Context, want cairn.Code) {
			t.Helper()
			time.Sleep(s.grace + time.Minute)
			before := len(named(objects(t, s.store), ""))
			r, err := h.engine.Prune(ctx, false, func(cairn.PruneProgress) {})
			after := len(named(objects(t, s.store), ""))
			if cairn.CodeOf(err) != want || (want != "") != (before == after) || want != "" && r.Deleted.Objects > 0 {
				t.Errorf("prune: %+v, %v, want the code %q; there were %d objects, and are %d", r, err, want, before, after)
			}
		}
		prune(t.Context(), cairn.CodeFormatTooNew)
		time.Sleep(10 * s.grace)
		prune(t.Context(), cairn.CodeFormatTooNew)
		if err := h.engine.Delete(t.Context(), newer.id); cairn.CodeOf(err) != cairn.CodeFormatTooNew {
			t.Fatalf("deleting it: %v", err)
		}
		newer.delete(t, s.store)
		if _, err := h.engine.Prune(t.Context(), false, func(cairn.PruneProgress) {}); cairn.CodeOf(err) != cairn.CodeFormatTooNew {
			t.Errorf("prune just after the deletion: %v", err)
		}
		prune(t.Context(), "")
		if left := named(objects(t, s.store), ""); strings.Join(left, " ") != cloud.DescriptionName {
			t.Errorf("left are %v", left)
		}
	})
}
