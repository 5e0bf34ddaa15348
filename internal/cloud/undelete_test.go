package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// checkDeleted checks which backups can be brought back.
func (y *yard) checkDeleted(t *testing.T, c *cloud.Cloud, want ...cairn.Backup) {
	t.Helper()
	list, err := c.Deleted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []cairn.Backup
	for _, d := range list {
		got = append(got, d.Backup)
		if d.Until.Sub(d.Deleted) != c.UndeleteTime() || d.Until.Before(time.Now()) {
			t.Errorf("%s was deleted at %v and can come back until %v", d.ID, d.Deleted, d.Until)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("deleted are %v, want %v", got, want)
	}
}

// TestUndelete brings a backup back, once and once more, by this device and another
// one, and deletes it again.
func TestUndelete(t *testing.T) {
	inYard(t, "undelete", 0, func(t *testing.T, y *yard) {
		object := get(t, &y.store, trashOf(t, &y.store, y.recent.ID))
		other := y.first.open(t)
		y.checkDeleted(t, y.c, y.recent)
		for range 2 {
			time.Sleep(playGrace/2 - time.Minute)
			for _, c := range []*cloud.Cloud{y.c, other} { // where it is there, that is fine
				if b, err := c.Undelete(t.Context(), y.recent.ID); err != nil || b != y.recent {
					t.Fatalf("Undelete: %+v, %v, want %+v", b, err, y.recent)
				}
			}
			if string(get(t, &y.store, objectOf(y.recent.ID))) != string(object) {
				t.Error("its manifest is another one")
			}
			y.checkDeleted(t, other)
			checkList(t, y.c, []cairn.Backup{y.recent, y.shared}, nil)
			y.remove(y.recent)
			y.checkDeleted(t, other, y.recent)
		}
		// The copies that guarded it have a receipt from the next prune.
		time.Sleep(playGrace + time.Minute)
		y.checkDeleted(t, y.c, y.recent)
		y.prune(y.c)
		time.Sleep(playGrace / 2)
		y.checkDeleted(t, y.c)
		wantError(t, y.undeleteOf(y.recent), cairn.CodeTooLate, y.recent.ID, "4h0m0s")
		checkList(t, y.c, []cairn.Backup{y.shared}, nil)
	})
}

// TestUndeleteRefuses asks for what cannot be brought back.
func TestUndeleteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*testing.T, *yard)
		code  cairn.Code
		named func(*yard) string
	}{
		"no such backup": {func(t *testing.T, y *yard) { y.recent = y.world.backup(1) }, cairn.CodeBackupNotFound, func(y *yard) string { return y.recent.ID }},
		"no id":          {func(t *testing.T, y *yard) { y.recent.ID = "../x" }, cairn.CodeBackupNotFound, func(y *yard) string { return "../x" }},
		"deleted long ago": {func(t *testing.T, y *yard) { y.recent = y.lone }, cairn.CodeTooLate, func(y *yard) string {
			return y.lone.ID
		}},
		"pruned": {func(t *testing.T, y *yard) { y.prune(y.c); y.recent = y.lone }, cairn.CodeBackupNotFound, func(y *yard) string { return y.lone.ID }},
		"its copy is damaged": {func(t *testing.T, y *yard) { replace(t, &y.store, trashOf(t, &y.store, y.recent.ID), []byte("x")) },
			cairn.CodeDamaged, func(y *yard) string { return "trash/" + y.recent.ID }},
		"an index is missing": {func(t *testing.T, y *yard) { y.take(y.indexOf(y.recent)) }, cairn.CodeDamaged, func(y *yard) string { return y.indexOf(y.recent) }},
		"a part is missing":   {func(t *testing.T, y *yard) { y.take(y.partOf(y.recent)) }, cairn.CodeDamaged, func(y *yard) string { return y.partOf(y.recent) }},
		"a part is longer": {func(t *testing.T, y *yard) { replace(t, &y.store, y.partOf(y.recent), []byte("another")) },
			cairn.CodeDamaged, func(y *yard) string { return y.partOf(y.recent) }},
		"it is there and damaged": {func(t *testing.T, y *yard) {
			y.recent = y.shared
			replace(t, &y.store, objectOf(y.shared.ID), []byte("x"))
		},
			cairn.CodeDamaged, func(y *yard) string { return objectOf(y.shared.ID) }},
	} {
		inYard(t, name, 0, func(t *testing.T, y *yard) {
			test.spoil(t, y)
			before := names(t, &y.store)
			wantError(t, y.undeleteOf(y.recent), test.code, test.named(y))
			if got := names(t, &y.store); !slices.Equal(got, before) {
				t.Errorf("it left %q, and there was %q", got, before)
			}
			y.loss = nil // what was taken
		})
	}
}

// take removes an object past cairn.
func (y *yard) take(name string) {
	if err := y.store.Delete(y.t.Context(), name); err != nil {
		y.t.Fatal(err)
	}
}

// partOf returns the name of a part of a backup.
func (y *yard) partOf(b cairn.Backup) string {
	all := y.named[objectOf(b.ID)]
	return all[slices.IndexFunc(all, func(name string) bool { return strings.HasPrefix(name, "parts/") })]
}

// TestUndeleteOlderCopy has the copy that guarded the backup be damaged, and another
// one whole.
func TestUndeleteOlderCopy(t *testing.T) {
	inYard(t, "older", 0, func(t *testing.T, y *yard) {
		y.judge(y.undeleteOf(y.recent))
		y.remove(y.recent)
		damaged := 0
		for _, name := range names(t, &y.store) {
			if strings.HasPrefix(name, "trash/"+y.recent.ID) && !strings.HasSuffix(name, ".gone") && !y.has(name+".gone") {
				replace(t, &y.store, name, []byte("x"))
				damaged++
			}
		}
		y.judge(y.undeleteOf(y.recent))
		checkList(t, y.c, []cairn.Backup{y.recent, y.shared}, nil)
		if damaged != 1 {
			t.Errorf("%d copies have no receipt", damaged)
		}
	})
}

// An act is one of those whose every call fails once.
type act struct {
	name string
	do   func(ctx context.Context, y *yard, c *cloud.Cloud) error
	done func(t *testing.T, y *yard)
}

var acts = []act{
	{"delete", func(ctx context.Context, y *yard, c *cloud.Cloud) error { return c.Delete(ctx, y.shared.ID) },
		func(t *testing.T, y *yard) { checkList(t, y.first.open(t), nil, nil) }},
	{"undelete", func(ctx context.Context, y *yard, c *cloud.Cloud) error {
		_, err := c.Undelete(ctx, y.recent.ID)
		return err
	}, func(t *testing.T, y *yard) { checkList(t, y.first.open(t), []cairn.Backup{y.recent, y.shared}, nil) }},
	{"prune", func(ctx context.Context, y *yard, c *cloud.Cloud) error {
		_, err := c.Prune(ctx, cloud.PruneOptions{})
		return err
	}, func(t *testing.T, y *yard) { y.checkPruned(t) }},
}

// TestTrashFaults has each call of a deletion, of its return, and of prune fail, be
// done without an answer, and take too long; then it is tried again by the same, a
// restarted, and another device: no backup ever lacks an object, what is meant to
// happen happens, and in the end nothing is left over.
func TestTrashFaults(t *testing.T) {
	random := stores.Random(t)
	for _, a := range acts {
		calls := 0
		inYard(t, a.name, 1, func(t *testing.T, y *yard) {
			c, faulty := y.through(nil)
			before := faulty.Calls()
			if err := a.do(t.Context(), y, c); err != nil {
				t.Error(err)
			}
			calls = faulty.Calls() - before
			a.done(t, y)
		})
		t.Logf("%s: %d calls", a.name, calls)
		for call := 1; call <= calls; call++ {
			for effect, outcome := range map[string]fault.Outcome{
				"fails": refused, "is lost": {Effect: fault.Lost}, "is lost for good": {Effect: fault.Lost, Err: bucket.ErrRejected}, "is slow": {Delay: time.Hour / 2},
			} {
				if !chosen(random, 0.1) {
					continue
				}
				inYard(t, fmt.Sprintf("%s/call %d %s", a.name, call, effect), 1, func(t *testing.T, y *yard) { a.fail(t, y, call, outcome) })
			}
		}
	}
}

// chosen reports whether the next trial belongs to a share of them. All do with
// CAIRN_LONG; it is less where the store is another one than these tests use.
func chosen(random *rand.Rand, share float64) bool {
	if !stores.InMemory() {
		share /= 5
	}
	return os.Getenv("CAIRN_LONG") != "" || random.Float64() < share
}

// fail has one call end so.
func (a act) fail(t *testing.T, y *yard, call int, outcome fault.Outcome) {
	n := -1 // opening the cloud takes one
	c, _ := y.through(func(fault.Call) fault.Outcome {
		if n++; n == call {
			return outcome
		}
		return fault.Outcome{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := a.do(ctx, y, c)
	if outcome.Delay > 0 && err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the end of the time", err)
	}
	again := []*cloud.Cloud{c, y.first.open(t), y.c}[call%3]
	if err := a.do(t.Context(), y, again); err != nil && (a.name != "delete" || cairn.CodeOf(err) != cairn.CodeBackupNotFound) {
		t.Errorf("again: %v, after %v", err, err)
	}
	a.done(t, y)
	for range 3 {
		time.Sleep(playGrace + time.Minute)
		y.prune(again)
	}
	list, _, err := again.Backups(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, name := range names(t, &y.store) {
		guards := slices.ContainsFunc(list, func(b cairn.Backup) bool { return strings.HasPrefix(name, "trash/"+b.ID+".") })
		needed := slices.ContainsFunc(list, func(b cairn.Backup) bool {
			return name == objectOf(b.ID) || slices.Contains(y.named[objectOf(b.ID)], name)
		})
		if !guards && !needed && name != "cairn.json" {
			t.Errorf("%s is left", name)
		}
	}
}
