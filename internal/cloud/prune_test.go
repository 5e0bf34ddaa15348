package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// A yard is a play with some of everything that prune meets.
type yard struct {
	*play
	shared  cairn.Backup // is there, on p.backup, which was deleted long ago
	lone    cairn.Backup // was deleted long ago
	recent  cairn.Backup // was deleted just now
	orphans int          // parts of no backup, old ones
}

// newYard returns one with so many orphans. It is called in a bubble.
func newYard(t *testing.T, orphans int) *yard {
	y := &yard{play: newPlay(t), orphans: orphans}
	m, err := y.c.Manifest(t.Context(), y.backup.ID)
	if err != nil {
		t.Fatal(err)
	}
	y.shared = y.create(y.c, m, slices.Clone(y.named[objectOf(y.backup.ID)]), y.c.Fresh())
	y.lone = y.create(y.c, cloud.Manifest{}, nil, y.c.Fresh())
	y.recent = y.create(y.c, cloud.Manifest{}, nil, y.c.Fresh())
	for range orphans {
		y.putOrphan()
	}
	y.remove(y.backup, y.lone)
	time.Sleep(day)
	y.remove(y.recent)
	y.putOrphan()
	return y
}

func (y *yard) putOrphan() {
	if _, err := putPart(y.t.Context(), y.c, 0); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) remove(all ...cairn.Backup) {
	for _, b := range all {
		if err := y.c.Delete(y.t.Context(), b.ID); err != nil {
			y.t.Fatal(err)
		}
	}
}

// inYard runs a test in a bubble with a yard.
func inYard(t *testing.T, name string, orphans int, test func(*testing.T, *yard)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(t, orphans)
			test(t, y)
			if y.loss != nil {
				t.Error(y.loss)
			}
		})
	})
}

// through returns a device of the yard whose calls a function decides about.
func (y *yard) through(decide func(fault.Call) fault.Outcome) (*cloud.Cloud, *fault.Bucket) {
	d := *y.first
	faulty := fault.New(y.truth(), decide)
	d.Bucket = bucket.Retry(faulty, bucket.Policy{})
	return d.open(y.t), faulty
}

// partBytes is the size of the parts of these tests.
const partBytes = 6

// TestPrune counts what there is, in a dry run, and removes what is dead.
func TestPrune(t *testing.T) {
	inYard(t, "prune", 5, func(t *testing.T, y *yard) {
		before := content(t, &y.store)
		var steps []cairn.PruneStep
		looks, _ := y.through(func(c fault.Call) fault.Outcome {
			if c.Op == fault.Put || c.Op == fault.Delete {
				t.Errorf("a dry run has a %s of %s", c.Op, c.Name)
			}
			return fault.Outcome{}
		})
		got, err := looks.Prune(t.Context(), cloud.PruneOptions{DryRun: true, Report: func(p cairn.PruneProgress) {
			if n := len(steps); n == 0 || steps[n-1] != p.Step {
				steps = append(steps, p.Step)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		var live int64
		for _, name := range append(y.named[objectOf(y.shared.ID)], y.named[objectOf(y.recent.ID)]...) {
			live += int64(len(before[name]))
		}
		want := cairn.Pruned{
			DryRun: true, Backups: 2, Trash: 4,
			Live:  cairn.Count{Objects: 9, Bytes: live},
			Young: cairn.Count{Objects: 1, Bytes: partBytes},
			Dead:  cairn.Count{Objects: 8, Bytes: 7*partBytes + int64(len(before[y.indexOf(y.lone)]))}, // two parts, five orphans
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a dry run (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, content(t, &y.store)); diff != "" {
			t.Errorf("a dry run changed (-before +after):\n%s", diff)
		}
		got, err = y.c.Prune(t.Context(), cloud.PruneOptions{Report: func(p cairn.PruneProgress) { steps = append(steps, p.Step) }})
		want.DryRun, want.Deleted, want.Emptied = false, want.Dead, 4
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("prune: %v (-want +got):\n%s", err, diff)
		}
		if steps[0] != cairn.PruneListing || steps[1] != cairn.PruneReading || steps[len(steps)-1] != cairn.PruneDeleting {
			t.Errorf("the steps are %q", steps)
		}
		y.checkPruned(t)
		want.Dead, want.Deleted, want.Trash, want.Emptied = cairn.Count{}, cairn.Count{}, 0, 0
		if got, err := y.c.Prune(t.Context(), cloud.PruneOptions{}); err != nil || got != want {
			t.Errorf("once more: %+v, %v, want %+v", got, err, want)
		}
	})
}

// checkPruned checks that nothing is left but what the backups need, and what is
// young.
func (y *yard) checkPruned(t *testing.T) {
	t.Helper()
	want := []string{"cairn.json", objectOf(y.shared.ID)}
	want = append(want, y.named[objectOf(y.shared.ID)]...)
	want = append(want, y.named[objectOf(y.recent.ID)]...)
	young := 0
	for _, name := range names(t, &y.store) {
		if i := slices.Index(want, name); i >= 0 {
			want = slices.Delete(want, i, i+1)
		} else if strings.HasPrefix(name, "parts/") {
			young++
		} else if !strings.HasPrefix(name, "trash/"+y.recent.ID) && !strings.HasPrefix(name, "trash/probe.") {
			t.Errorf("%s is left", name)
		}
	}
	if len(want) > 0 || young != 1 {
		t.Errorf("%q are not there, and %d parts that are young", want, young)
	}
}

// TestPruneForeign leaves alone what cairn did not write.
func TestPruneForeign(t *testing.T) {
	inYard(t, "foreign", 1, func(t *testing.T, y *yard) {
		digits := strings.Repeat("ab", 16)
		foreign := []string{
			"parts/README", "parts/aa/" + digits + ".jsonl.zst.age", "parts/ab/" + digits + ".jsonl", "parts/ab/AB" + digits[2:] + ".jsonl.zst.age",
			"indexes/ab/" + digits, "trash/note", "trash/" + y.lone.ID, "trash/" + y.lone.ID + "." + digits + ".gone.gone",
			"trash/" + y.lone.ID + ".copy", "trash/" + y.lone.ID + "." + strings.ToUpper(digits), "trash/" + y.lone.ID + ".x.gone",
			"trash/probe", "trash/probe." + digits + ".gone", "trash/x." + digits, "other/file", "backups/desktop.ini",
		}
		for _, name := range foreign {
			put(t, &y.store, name, []byte("not ours"))
		}
		time.Sleep(day)
		got, err := y.c.Prune(t.Context(), cloud.PruneOptions{})
		if err != nil || got.Foreign != int64(len(foreign)-1) { // other/ is not looked at
			t.Errorf("%+v, %v, want %d that are foreign", got, err, len(foreign)-1)
		}
		all := names(t, &y.store)
		for _, name := range foreign {
			if !slices.Contains(all, name) {
				t.Errorf("%s is gone", name)
			}
		}
	})
}

// TestPruneLeftovers removes what crashes leave in trash/: receipts alone and probes,
// when they are old, and checkpoints, for which what they name is kept until then.
func TestPruneLeftovers(t *testing.T) {
	inYard(t, "leftovers", 0, func(t *testing.T, y *yard) {
		b := y.create(y.c, cloud.Manifest{}, nil, y.c.Fresh())
		m, err := y.c.Manifest(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := y.store.Delete(t.Context(), objectOf(b.ID)); err != nil { // it goes on
			t.Fatal(err)
		}
		time.Sleep(playGrace / 3)
		if _, err := y.c.Checkpoint(t.Context(), m.Backup, m.Segments, nil, y.c.Fresh()); err != nil {
			t.Fatal(err)
		}
		wantError(t, y.undeleteOf(b), cairn.CodeBackupNotFound, b.ID)
		digits := strings.Repeat("cd", 16)
		left := append(slices.Clone(y.named[objectOf(b.ID)]), "trash/probe."+digits, "trash/"+y.lone.ID+"."+digits+".gone")
		for _, name := range left[3:] {
			put(t, &y.store, name, []byte("x"))
		}
		for _, old := range []bool{false, true} {
			time.Sleep(playGrace - time.Minute)
			if old {
				time.Sleep(2 * time.Minute)
			}
			y.prune(y.c)
			for _, name := range left {
				// What is old goes; what a checkpoint names, once that is old.
				if there := y.has(name); there == old {
					t.Errorf("%s is there: %t", name, there)
				}
			}
		}
		for _, name := range names(t, &y.store) {
			if strings.HasPrefix(name, "trash/") {
				t.Errorf("%s is left", name)
			}
		}
	})
}

func (y *yard) undeleteOf(b cairn.Backup) error {
	_, err := y.c.Undelete(y.t.Context(), b.ID)
	return err
}

// TestPruneBlocked has something not be readable that may say what the backups need:
// nothing is removed.
func TestPruneBlocked(t *testing.T) {
	newer := func(t *testing.T, y *yard, id string) []byte {
		return encrypt(t, y.c.Recipient(), sealed(t, y.c, id, []byte(`{"format":2}`)))
	}
	garbage := func(*testing.T, *yard, string) []byte { return []byte("garbage") }
	for name, test := range map[string]struct {
		object func(*yard) (name, id string)
		data   func(t *testing.T, y *yard, id string) []byte // nil for a missing object
		code   cairn.Code
	}{
		"a backup":          {func(y *yard) (string, string) { return objectOf(y.shared.ID), y.shared.ID }, garbage, cairn.CodeDamaged},
		"a newer backup":    {func(y *yard) (string, string) { return objectOf(y.shared.ID), y.shared.ID }, newer, cairn.CodeFormatTooNew},
		"another backup":    {func(y *yard) (string, string) { return objectOf(y.lone.ID), y.lone.ID }, garbage, cairn.CodeDamaged},
		"a foreign name":    {func(*yard) (string, string) { return "backups/copy.json", "" }, garbage, cairn.CodeDamaged},
		"a deleted backup":  {func(y *yard) (string, string) { return trashOf(y.t, &y.store, y.recent.ID), y.recent.ID }, garbage, cairn.CodeDamaged},
		"a newer one":       {func(y *yard) (string, string) { return trashOf(y.t, &y.store, y.recent.ID), y.recent.ID }, newer, cairn.CodeFormatTooNew},
		"an index":          {func(y *yard) (string, string) { return y.indexOf(y.shared), "" }, garbage, cairn.CodeDamaged},
		"an index is gone":  {func(y *yard) (string, string) { return y.indexOf(y.shared), "" }, nil, cairn.CodeDamaged},
		"a deleted index":   {func(y *yard) (string, string) { return y.indexOf(y.recent), "" }, garbage, cairn.CodeDamaged},
		"an expired backup": {func(y *yard) (string, string) { return trashOf(y.t, &y.store, y.lone.ID), y.lone.ID }, garbage, ""},
		"an expired index":  {func(y *yard) (string, string) { return y.indexOf(y.lone), "" }, nil, ""},
	} {
		inYard(t, name, 1, func(t *testing.T, y *yard) {
			object, id := test.object(y)
			if err := y.store.Delete(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if test.data != nil {
				put(t, &y.store, object, test.data(t, y, id))
			}
			before := content(t, &y.store)
			for _, dry := range []bool{true, false} {
				got, err := y.c.Prune(t.Context(), cloud.PruneOptions{DryRun: dry})
				if test.code == "" {
					if err != nil || !dry && got.Deleted.Objects == 0 {
						t.Errorf("%+v, %v", got, err)
					}
					continue
				}
				wantError(t, err, test.code, "Nothing was deleted", object)
				if got != (cairn.Pruned{DryRun: dry}) {
					t.Errorf("without knowing what is needed, it tells of %+v", got)
				}
				if diff := cmp.Diff(before, content(t, &y.store)); diff != "" {
					t.Errorf("it changed (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// indexOf returns the name of the last index of a backup.
func (y *yard) indexOf(b cairn.Backup) string {
	all := y.named[objectOf(b.ID)]
	i := slices.IndexFunc(all[len(all)-3:], func(name string) bool { return strings.HasPrefix(name, "indexes/") })
	return all[len(all)-3+i]
}

// TestPruneRefused has objects that cannot be removed: one stays, and all others go;
// where none goes, prune gives up.
func TestPruneRefused(t *testing.T) {
	const orphans = 50
	for _, most := range []int{1, 1000} {
		inYard(t, fmt.Sprint(most), orphans, func(t *testing.T, y *yard) {
			tries := map[string]bool{}
			c, _ := y.through(func(c fault.Call) fault.Outcome {
				if c.Op == fault.Delete && strings.HasPrefix(c.Name, "parts/") {
					if tries[c.Name] || len(tries) < most {
						tries[c.Name] = true
						return refused
					}
				}
				return fault.Outcome{}
			})
			got, err := c.Prune(t.Context(), cloud.PruneOptions{})
			wantError(t, err, cairn.CodeDenied, "parts/")
			if most == 1 && (got.Deleted.Objects != got.Dead.Objects-1 || got.Emptied != got.Trash) {
				t.Errorf("%+v, want all but one", got)
			}
			if most > 1 && (got.Deleted.Objects != 0 || len(tries) > 26) {
				t.Errorf("%+v after %d tries", got, len(tries))
			}
			y.prune(y.c)
			y.checkPruned(t)
		})
	}
}

// TestPruneCancel ends prune at each of its calls: the next one does the rest.
func TestPruneCancel(t *testing.T) {
	random := stores.Random(t)
	for call := 1; call < 40; call++ {
		if !chosen(random, 0.15) {
			continue
		}
		inYard(t, fmt.Sprint(call), 3, func(t *testing.T, y *yard) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := -1
			c, _ := y.through(func(fault.Call) fault.Outcome {
				if n++; n == call {
					cancel()
				}
				return fault.Outcome{}
			})
			got, err := c.Prune(ctx, cloud.PruneOptions{})
			if err != nil && !errors.Is(err, context.Canceled) || err == nil && got.Deleted != got.Dead {
				t.Errorf("%+v, %v", got, err)
			}
			y.prune(y.c)
			time.Sleep(day)
			y.prune(y.c)
			for _, name := range names(t, &y.store) {
				if strings.HasPrefix(name, "trash/") {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

// TestPruneLag has listings be late for longer than prune waits: it removes nothing.
func TestPruneLag(t *testing.T) {
	inYard(t, "lag", 1, func(t *testing.T, y *yard) {
		d := *y.first
		d.Bucket = fault.Lag(y.truth(), time.Hour)
		c := d.open(t)
		_, err := c.Prune(t.Context(), cloud.PruneOptions{})
		wantError(t, err, cairn.CodeStale, "Nothing was deleted")
		d.Bucket = fault.Lag(y.truth(), 2*time.Second)
		c = d.open(t)
		if _, err := c.Prune(t.Context(), cloud.PruneOptions{}); err != nil {
			t.Errorf("listings that catch up: %v", err)
		}
		y.checkPruned(t)
	})
}

// TestTrashContent pins the bytes of receipts and probes.
func TestTrashContent(t *testing.T) {
	inYard(t, "content", 0, func(t *testing.T, y *yard) {
		var probes [][]byte
		c, _ := y.through(func(c fault.Call) fault.Outcome {
			if c.Op == fault.Head && strings.HasPrefix(c.Name, "trash/probe.") {
				probes = append(probes, get(t, &y.store, c.Name))
			}
			return fault.Outcome{}
		})
		y.prune(c)
		if len(probes) != 2 || !bytes.Equal(probes[0], []byte("probe\n")) {
			t.Errorf("the probes are %q", probes)
		}
		if got := string(get(t, &y.store, trashOf(t, &y.store, y.recent.ID)+".gone")); got != "gone\n" {
			t.Errorf("the receipt is %q", got)
		}
	})
}
