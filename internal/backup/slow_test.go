package backup_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
)

// TestGoesOnAfterDays has a creation be cut off that took longer than the grace, and
// go on, twice: what its checkpoints have named is not sent again, unless the pause
// was so long that prune may have found it to be without a use.
func TestGoesOnAfterDays(t *testing.T) {
	for pause, most := range map[time.Duration]float64{5 * time.Hour: 0.15, 13 * time.Hour: 1} {
		t.Run(pause.String(), func(t *testing.T) { goOnAfterDays(t, pause, most) })
	}
}

// goOnAfterDays has at most a share of the parts be sent in the end, and not much less.
func goOnAfterDays(t *testing.T, pause time.Duration, most float64) {
	const parts = 98 // of about 20 documents
	var passed atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	store := &memory.Bucket{Now: now}
	puts, last := 0, parts*8/10
	through := fault.New(store, func(c fault.Call) fault.Outcome {
		if c.Op == fault.Put && strings.HasPrefix(c.Name, "parts/") {
			passed.Add(int64(20 * time.Minute))
			if puts++; puts > last {
				return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
			}
		}
		return fault.Outcome{}
	})
	h := openHouse(t, quickDir(t), through, func(cfg *backup.Config) {
		cfg.PartBytes, cfg.Transfers, cfg.Now = 8<<10, 2, now
	})
	h.tune = func(cfg *cloud.Config) {
		cfg.Now, cfg.Monotonic = now, func() time.Duration { return time.Duration(passed.Load()) }
	}
	random := rand.New(rand.NewPCG(1, 2))
	var docs []cairn.Document
	for i := range 2000 {
		docs = append(docs, noise(random, fmt.Sprint("d", i), 300))
	}
	h.apply(docs...)
	for _, last = range []int{parts * 8 / 10, parts / 10} {
		puts = 0
		if _, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore); cairn.CodeOf(err) != cairn.CodeDenied {
			t.Fatalf("a creation ended with %v", err)
		}
		passed.Add(int64(pause))
		h.restart()
	}
	puts, last = 0, parts
	b := h.create()
	if share := float64(puts) / parts; share > most || share < most/2 {
		t.Errorf("%d parts of %d were sent at last", puts, parts)
	}
	if v := h.verified(b.ID, true); len(v.Damaged) > 0 {
		t.Errorf("damaged are %+v", v.Damaged)
	}
}
