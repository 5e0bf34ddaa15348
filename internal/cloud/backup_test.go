package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// faulty returns a cloud on a bucket whose calls end as decide says from now
// on, and the bucket below.
func faulty(t *testing.T, decide func(fault.Call) fault.Outcome) (c *cloud.Cloud, inner bucket.Bucket) {
	t.Helper()
	inner = stores.New(t)
	d := newDevice(t, inner)
	d.open(t)
	d.Bucket = fault.New(inner, func(c fault.Call) fault.Outcome {
		if c.N == 1 { // cairn.json
			return fault.Outcome{}
		}
		c.N--
		return decide(c)
	})
	return d.open(t), inner
}

// on has one kind of call end in a way, the first times.
func on(op fault.Op, prefix string, times int, outcome fault.Outcome) func(fault.Call) fault.Outcome {
	return func(c fault.Call) fault.Outcome {
		if c.Op == op && strings.HasPrefix(c.Name, prefix) && times > 0 {
			times--
			return outcome
		}
		return fault.Outcome{}
	}
}

const always = 1 << 30

func TestCommitFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		decide func(fault.Call) fault.Outcome
		code   cairn.Code // "" for success
		listed bool
	}{
		{"failed once", on(fault.Put, "", 1, fault.Outcome{Effect: fault.Fail}), "", true},
		{"failed always", on(fault.Put, "", always, fault.Outcome{Effect: fault.Fail}), cairn.CodeCloudLost, false},
		{"answer lost once", on(fault.Put, "", 1, fault.Outcome{Effect: fault.Lost}), "", true},
		{"answer lost always", on(fault.Put, "", always, fault.Outcome{Effect: fault.Lost}), "", true},
		{"full", on(fault.Put, "", always, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrFull}), cairn.CodeDiskFull, false},
		{"stored, but said to be full", on(fault.Put, "", always, fault.Outcome{Effect: fault.Lost, Err: bucket.ErrFull}), "", true},
		{"read-only", on(fault.Put, "", always, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrReadOnly}), cairn.CodeReadOnly, false},
		{"gone", on(fault.Put, "", always, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrMissing}), cairn.CodeBucketMissing, false},
		{"no answer to anything", func(fault.Call) fault.Outcome { return fault.Outcome{Effect: fault.Lost} }, cairn.CodeCloudLost, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, inner := faulty(t, test.decide)
				m := manifest(c, 1)
				got, err := c.Commit(t.Context(), m, c.Fresh())
				var want []cairn.Backup
				if test.code == "" {
					if err != nil {
						t.Fatalf("Commit: %v", err)
					}
					want = []cairn.Backup{got}
				} else {
					wantError(t, err, test.code, objectOf(m.ID))
				}
				d := newDevice(t, inner)
				d.Identity = c.Identity()
				after := d.open(t)
				if there := has(t, inner, m.ID); there != test.listed {
					t.Errorf("the manifest is there: %t; want %t", there, test.listed)
				}
				if test.code == "" || !test.listed {
					checkList(t, after, want, nil)
				}
			})
		})
	}
}

func TestCommitTwice(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	first := commit(t, c, 1)
	if _, err := c.Commit(t.Context(), manifest(c, 1), c.Fresh()); !errors.Is(err, cloud.ErrTaken) {
		t.Errorf("Commit of another backup with the same id: %v", err)
	}
	checkList(t, c, []cairn.Backup{first}, nil)
}

// TestCommitIsNotCancelled cancels while the manifest is being written.
func TestCommitIsNotCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, inner := faulty(t, func(fault.Call) fault.Outcome { cancel(); return fault.Outcome{} })
	if _, err := c.Commit(ctx, manifest(c, 1), c.Fresh()); err != nil {
		t.Errorf("Commit: %v", err)
	}
	if _, err := c.Commit(ctx, manifest(c, 2), c.Fresh()); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit that had not begun: %v", err)
	}
	if has(t, inner, manifest(c, 2).ID) {
		t.Error("the manifest is there")
	}
}

// TestManyBackups counts the calls of listings.
func TestManyBackups(t *testing.T) {
	const n = 300
	inner := stores.New(t)
	calls := map[fault.Op]int{}
	counted := fault.New(inner, func(c fault.Call) fault.Outcome { calls[c.Op]++; return fault.Outcome{} })
	d := newDevice(t, inner)
	c := d.open(t)
	var want []cairn.Backup
	for i := range n {
		m := manifest(c, i*7919%n)
		if i%3 == 0 {
			m.Scope = cairn.ScopeAssets
		}
		b, err := c.Commit(t.Context(), m, c.Fresh())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, b)
	}
	store := &cache{}
	d.Bucket, d.Cache = counted, store
	c = d.open(t)
	expect := func(when string, gets, stores int) {
		t.Helper()
		clear(calls)
		store.stores = 0
		checkList(t, c, slices.Clone(want), nil)
		if calls[fault.Get] != gets || calls[fault.List] != 1 || store.stores != stores {
			t.Errorf("%s: %d gets, %d lists, %d entries stored; want %d, 1, %d", when, calls[fault.Get], calls[fault.List], store.stores, gets, stores)
		}
	}
	expect("at first", n, n)
	expect("again", 0, 0)

	// A commit tells the cache, a deletion and another device do not.
	want = append(want, commit(t, c, n))
	expect("after a commit", 0, 0)
	other := newDevice(t, inner)
	other.Identity = c.Identity()
	want = append(want, commit(t, other.open(t), n+1))
	gone := want[7]
	if err := other.open(t).Delete(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 7, 8)
	expect("after another device", 1, 1)
	if len(store.entries) != len(want) {
		t.Errorf("the cache has %d entries for %d backups", len(store.entries), len(want))
	}
	if err := c.Delete(t.Context(), want[0].ID); err != nil {
		t.Fatal(err)
	}
	want = want[1:]
	if len(store.entries) != len(want) {
		t.Errorf("the cache has %d entries for %d backups", len(store.entries), len(want))
	}
	expect("after deleting", 0, 0)
}

// TestBackupsCache has entries that must not be used, and a cache that fails.
func TestBackupsCache(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	store := &cache{}
	d.Cache = store
	c := d.open(t)
	first, second := commit(t, c, 1), commit(t, c, 2)
	want := []cairn.Backup{first, second}
	key := func(x cairn.Backup) string { return c.ID() + " " + objectOf(x.ID) }
	whole := string(store.entries[key(first)])
	for what, entry := range map[string]string{
		"empty":              "",
		"not JSON":           "{",
		"another version":    strings.Replace(whole, `"version":1,`, `"version":2,`, 1),
		"another size":       strings.Replace(whole, `"size":`, `"size":1,"was":`, 1),
		"of another backup":  string(store.entries[key(second)]),
		"with another scope": strings.Replace(whole, `"digest":"`, `"digest":"0`, 1),
		"no bytes":           strings.Replace(whole, `"bytes":`, `"bites":`, 1),
	} {
		if entry == whole {
			t.Errorf("%s: the entry is whole", what)
		}
		store.entries[key(first)] = []byte(entry)
		checkList(t, c, slices.Clone(want), nil)
		if got := string(store.entries[key(first)]); got != whole {
			t.Errorf("%s: the entry is %s now, want %s", what, got, whole)
		}
	}
	store.err = errors.New("disk on fire")
	checkList(t, c, slices.Clone(want), nil)
	want = append(want, commit(t, c, 3))
	checkList(t, c, slices.Clone(want), nil)
	if err := c.Delete(t.Context(), first.ID); err != nil {
		t.Errorf("Delete: %v", err)
	}
	checkList(t, c, []cairn.Backup{second, want[2]}, nil)
	if !strings.Contains(d.log.String(), "disk on fire") {
		t.Error("the failing cache was not logged")
	}
}

// TestBackupsFaults checks that what the store does not say is never taken for
// what is not there: a manifest that cannot be read is named.
func TestBackupsFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		decide func(fault.Call) fault.Outcome
		code   cairn.Code
		count  int
		bad    int // unreadable
	}{
		{"listing fails", on(fault.List, "backups/", 1, fault.Outcome{Effect: fault.Fail}), cairn.CodeCloudLost, 0, 0},
		{"listing ends in the middle", on(fault.List, "backups/", 1, fault.Outcome{Effect: fault.Cut}), cairn.CodeCloudLost, 0, 0},
		{"reading fails", on(fault.Get, "backups/", 1, fault.Outcome{Effect: fault.Fail}), "", 19, 1},
		{"refused", on(fault.Get, "backups/", 1, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}), "", 19, 1},
		{"all refused", on(fault.Get, "backups/", always, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}), cairn.CodeDenied, 0, 0},
		{"reading ends in the middle", on(fault.Get, "backups/", 2, fault.Outcome{Effect: fault.Cut}), "", 20, 0},
		{"always", on(fault.Get, "backups/", always, fault.Outcome{Effect: fault.Cut}), cairn.CodeCloudLost, 0, 0},
		{"one was deleted meanwhile", on(fault.Get, "backups/", 1, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrNotFound}), "", 19, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := false
				c, inner := faulty(t, func(c fault.Call) fault.Outcome {
					if !begun {
						return fault.Outcome{}
					}
					return test.decide(c)
				})
				for i := range 20 {
					commit(t, c, i)
				}
				begun = true
				list, unreadable, err := c.Backups(t.Context())
				if test.code != "" {
					wantError(t, err, test.code, "backups/")
				} else if err != nil {
					t.Errorf("Backups: %v", err)
				}
				if len(list) != test.count || len(unreadable) != test.bad {
					t.Errorf("got %d backups and %d unreadable, want %d", len(list), len(unreadable), test.count)
				}
				if got := len(names(t, inner)); got != 21 {
					t.Errorf("the bucket has %d objects", got)
				}
			})
		})
	}
}

// TestBackupsOutage has a store stop answering behind a listing, all at once or
// amid the manifests: no list is returned that looks complete.
func TestBackupsOutage(t *testing.T) {
	for answered := range 3 { // manifests, before it stops
		t.Run(fmt.Sprint(answered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, down, got := stores.New(t), atomic.Bool{}, atomic.Int64{}
				c := newDevice(t, inner).open(t)
				commit(t, c, 0)
				d := newDevice(t, fault.New(inner, func(call fault.Call) fault.Outcome {
					if down.Load() && call.Op != fault.List && got.Add(1) > int64(answered) {
						return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrBusy}
					}
					return fault.Outcome{}
				}))
				d.Identity, d.Cache = c.Identity(), &cache{entries: map[string][]byte{}}
				reader := d.open(t)
				if list, _, err := reader.Backups(t.Context()); err != nil || len(list) != 1 { // it is in the cache now
					t.Fatalf("Backups: %v, %v", list, err)
				}
				for i := range 5 {
					commit(t, c, i+1)
				}
				down.Store(true)
				list, unreadable, err := reader.Backups(t.Context())
				wantError(t, err, cairn.CodeCloudBusy, "backups/")
				if len(list) > 0 || len(unreadable) > 0 {
					t.Errorf("got %d backups and %d unreadable besides", len(list), len(unreadable))
				}
				down.Store(false)
				if list, _, err := reader.Backups(t.Context()); err != nil || len(list) != 6 {
					t.Errorf("afterwards: %d backups, %v, want 6", len(list), err)
				}
			})
		})
	}
}

// TestBackupsReplaced has another cloud be in the place behind a listing: that is
// what is said, and not what became of the manifests.
func TestBackupsReplaced(t *testing.T) {
	inner, other := stores.New(t), stores.New(t)
	c := newDevice(t, inner).open(t)
	commit(t, c, 1)
	commit(t, c, 2)
	newDevice(t, other).open(t)
	var got atomic.Int64 // manifests
	d := newDevice(t, inner)
	d.Identity = c.Identity()
	d.Bucket = getter{inner, func(ctx context.Context, name string) (io.ReadCloser, error) {
		if name == "cairn.json" && got.Load() > 1 {
			return other.Get(ctx, name)
		}
		if strings.HasPrefix(name, "backups/") && got.Add(1) > 1 {
			return nil, bucket.ErrUnreachable
		}
		return inner.Get(ctx, name)
	}}
	if list, _, err := d.open(t).Backups(t.Context()); cairn.CodeOf(err) != cairn.CodeBucketMissing {
		t.Errorf("Backups: %v, %v, want %s", list, err, cairn.CodeBucketMissing)
	}
}

// A getter has its own way to get.
type getter struct {
	bucket.Bucket
	get func(context.Context, string) (io.ReadCloser, error)
}

func (g getter) Get(ctx context.Context, name string) (io.ReadCloser, error) { return g.get(ctx, name) }

// A slowBucket takes a second to open an object.
type slowBucket struct{ bucket.Bucket }

func (b slowBucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	time.Sleep(time.Second)
	return b.Bucket.Get(ctx, name)
}

// TestBackupsAtOnce measures how many manifests are read at the same time.
func TestBackupsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := stores.New(t)
		d := newDevice(t, inner)
		c := d.open(t)
		for i := range 80 {
			commit(t, c, i)
		}
		d.Bucket = slowBucket{inner}
		c = d.open(t)
		begin := time.Now()
		list, _, err := c.Backups(t.Context())
		if err != nil || len(list) != 80 {
			t.Errorf("Backups: %d, %v", len(list), err)
		}
		if got, want := time.Since(begin), 10*time.Second; got != want {
			t.Errorf("reading 80 manifests took %v, want %v", got, want)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if _, _, err := c.Backups(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Backups that ran out of time: %v", err)
		}
	})
}

func TestDelete(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	kept, deleted := commit(t, c, 1), commit(t, c, 2)
	object := string(get(t, b, objectOf(deleted.ID)))
	if err := c.Delete(t.Context(), deleted.ID); err != nil {
		t.Fatal(err)
	}
	checkTrash(t, b, deleted.ID, object)
	checkList(t, c, []cairn.Backup{kept}, nil)
	if has(t, b, deleted.ID) {
		t.Error("the manifest is there")
	}
	wantError(t, c.Delete(t.Context(), deleted.ID), cairn.CodeBackupNotFound, deleted.ID)
	if got := len(names(t, b)); got != 4 {
		t.Errorf("the bucket has %d objects, want cairn.json, a backup, and a copy in the trash with its receipt", got)
	}
}

// checkTrash checks that a deleted manifest is in trash/.
func checkTrash(t *testing.T, b bucket.Bucket, id, object string) {
	t.Helper()
	for name, text := range content(t, b) {
		random, ok := strings.CutPrefix(name, "trash/"+id+".")
		if ok && len(random) == 32 && text == object {
			return
		}
	}
	t.Errorf("the manifest of %s is not in the trash: %q", id, names(t, b))
}

// TestDeleteFaults has each call of a deletion fail once, then deletes again
// without faults.
func TestDeleteFaults(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, effect := range []fault.Effect{fault.Fail, fault.Lost, fault.Cut} {
			t.Run(fmt.Sprintf("call %d effect %d", n, effect), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					first := 0 // number of the first call of the deletion, once it has begun
					begun := false
					c, inner := faulty(t, func(c fault.Call) fault.Outcome {
						if begun && first == 0 {
							first = c.N
						}
						if begun && c.N == first+n-1 {
							return fault.Outcome{Effect: effect}
						}
						return fault.Outcome{}
					})
					kept, deleted := commit(t, c, 1), commit(t, c, 2)
					object := string(get(t, inner, objectOf(deleted.ID)))
					begun = true
					err := c.Delete(t.Context(), deleted.ID)
					begun = false
					if err != nil {
						wantError(t, err, cairn.CodeCloudLost, objectOf(deleted.ID))
						// Reading is not settled, and deleting only if it was done.
						if n == 2 || effect == fault.Lost && n != 1 {
							t.Errorf("Delete: %v", err)
						}
						if !has(t, inner, deleted.ID) {
							t.Error("after a deletion that failed, the manifest is not there")
						}
						if err := c.Delete(t.Context(), deleted.ID); err != nil {
							t.Errorf("Delete again: %v", err)
						}
					}
					checkTrash(t, inner, deleted.ID, object)
					checkList(t, c, []cairn.Backup{kept}, nil)
				})
			})
		}
	}
}

// TestDeleteWithoutAnyAnswer checks that an unknown outcome says so.
func TestDeleteWithoutAnyAnswer(t *testing.T) {
	lost := false
	c, _ := faulty(t, func(c fault.Call) fault.Outcome {
		lost = lost || c.Op == fault.Delete
		if lost {
			return fault.Outcome{Effect: fault.Lost}
		}
		return fault.Outcome{}
	})
	b := commit(t, c, 1)
	err := c.Delete(t.Context(), b.ID)
	wantError(t, err, cairn.CodeCloudLost, objectOf(b.ID), "not known")
	if !errors.Is(err, bucket.ErrUnknown) {
		t.Errorf("%v does not say that the outcome is unknown", err)
	}
}

// TestDeleteIsNotCancelled cancels once a deletion writes.
func TestDeleteIsNotCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, inner := faulty(t, func(c fault.Call) fault.Outcome {
		if c.Op == fault.Put && strings.HasPrefix(c.Name, "trash/") {
			cancel()
		}
		return fault.Outcome{}
	})
	b := commit(t, c, 1)
	object := string(get(t, inner, objectOf(b.ID)))
	if err := c.Delete(ctx, b.ID); err != nil {
		t.Errorf("Delete: %v", err)
	}
	checkTrash(t, inner, b.ID, object)
	checkList(t, c, nil, nil)

	b = commit(t, c, 2)
	if err := c.Delete(ctx, b.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete that had not begun: %v", err)
	}
	checkList(t, c, []cairn.Backup{b}, nil)
}

// A vast bucket has so many bytes in the place of each manifest, and forgets what
// is put into it.
type vast struct {
	bucket.Bucket
	bytes int64
}

// Get returns zeros.
func (v *vast) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if !strings.HasPrefix(name, "backups/") {
		return v.Bucket.Get(ctx, name)
	}
	return io.NopCloser(io.LimitReader(zeros{}, v.bytes)), nil
}

// Put reads.
func (v *vast) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if !strings.HasPrefix(name, "trash/") {
		return v.Bucket.Put(ctx, name, content)
	}
	n, err := io.Copy(io.Discard, content)
	if n != v.bytes {
		return fmt.Errorf("%d bytes are put, want %d", n, v.bytes)
	}
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestDeleteVast deletes what is no manifest and far longer than one, though not
// whatever length it has: the memory is the daemon's.
func TestDeleteVast(t *testing.T) {
	b := &vast{Bucket: stores.New(t)}
	c := newDevice(t, b).open(t)
	id := manifest(c, 1).ID
	for _, test := range []struct {
		bytes int64
		code  cairn.Code
	}{{16 << 20, ""}, {16<<20 + 1, cairn.CodeDamaged}, {1 << 40, cairn.CodeDamaged}} {
		b.bytes = test.bytes
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.Delete(t.Context(), id)
		runtime.ReadMemStats(&after)
		if cairn.CodeOf(err) != test.code {
			t.Errorf("of %d bytes, Delete returned %v, want the code %q", test.bytes, err, test.code)
		}
		// It is 64 MiB, and twice as much with the race detector.
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 160 {
			t.Errorf("of %d bytes, Delete took %d MiB of memory, want at most 160", test.bytes, took)
		}
	}
}

// TestBackupsElsewhere empties the place, or puts another cloud there, behind
// the back of an open one: an empty list would say that nothing was backed up.
func TestBackupsElsewhere(t *testing.T) {
	for _, occupied := range []bool{false, true} {
		inner := stores.New(t)
		d := newDevice(t, inner)
		c := d.open(t)
		b := commit(t, c, 1)
		for _, name := range names(t, inner) {
			if err := inner.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if occupied {
			other := newDevice(t, inner)
			other.open(t)
		}
		_, _, err := c.Backups(t.Context())
		wantError(t, err, cairn.CodeBucketMissing, "")
		_, err = c.Manifest(t.Context(), b.ID)
		wantError(t, err, cairn.CodeBucketMissing, "")
		wantError(t, c.Delete(t.Context(), b.ID), cairn.CodeBucketMissing, "")
	}
}

// TestBackupsPanic has the reading of manifests break: that is an error of the
// list, which the log can explain, and the next list is whole.
func TestBackupsPanic(t *testing.T) {
	broken := true
	c, _ := faulty(t, func(c fault.Call) fault.Outcome {
		if c.Op == fault.Get && strings.HasPrefix(c.Name, "backups/") && broken {
			panic("broken")
		}
		return fault.Outcome{}
	})
	want := []cairn.Backup{commit(t, c, 2), commit(t, c, 1)}
	_, _, err := c.Backups(t.Context())
	if cairn.CodeOf(err) != cairn.CodeInternal || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "backup_test.go") {
		t.Errorf("the error is %v, want one of the panic with its stack", err)
	}
	broken = false
	checkList(t, c, want, nil)
}
