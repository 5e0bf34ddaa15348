package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// lag is how far the listings of these tests are behind.
const lag = 10 * time.Second

// A laggard is a device in front of a store whose listings lag behind.
type laggard struct {
	*device
	store *cache
	calls map[fault.Op]int
}

// newLaggard returns one on a bucket of fault.Lag.
func newLaggard(t *testing.T, b bucket.Bucket) *laggard {
	l := &laggard{store: &cache{}, calls: map[fault.Op]int{}}
	l.device = newDevice(t, fault.New(b, func(c fault.Call) fault.Outcome { l.calls[c.Op]++; return fault.Outcome{} }))
	l.Cache = l.store
	return l
}

// caches are those that a cloud can have.
var caches = map[string]func(*laggard){
	"cache":                    func(*laggard) {},
	"no cache":                 func(l *laggard) { l.Cache = nil },
	"a cache that cannot read": func(l *laggard) { l.Cache = &halfCache{l.store, errors.New("disk on fire"), nil} },
	"a cache that cannot write": func(l *laggard) {
		l.Cache = &halfCache{l.store, nil, errors.New("disk on fire")}
	},
}

// A halfCache fails to read, or to write.
type halfCache struct {
	*cache
	read, write error
}

func (c *halfCache) Cached(ctx context.Context, id string) (map[string][]byte, error) {
	all, err := c.cache.Cached(ctx, id)
	if c.read != nil {
		return nil, c.read
	}
	return all, err
}

func (c *halfCache) Store(ctx context.Context, id, name string, data []byte) error {
	if c.write != nil {
		return c.write
	}
	return c.cache.Store(ctx, id, name, data)
}

func (c *halfCache) Forget(ctx context.Context, id string, names []string) error {
	if c.write != nil {
		return c.write
	}
	return c.cache.Forget(ctx, id, names)
}

// TestLagOwn lists what was just made and deleted here, though the listing does
// not know of it, whatever the cache is good for.
func TestLagOwn(t *testing.T) {
	for name, edit := range caches {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLaggard(t, fault.Lag(stores.New(t), lag))
				c := l.open(t)
				old := commit(t, c, 1)
				checkList(t, c, []cairn.Backup{old}, nil) // which also fills the cache, before it fails
				edit(l)
				c = l.open(t)
				time.Sleep(lag)
				checkList(t, c, []cairn.Backup{old}, nil)
				made := commit(t, c, 2)
				for range 2 {
					checkList(t, c, []cairn.Backup{made, old}, nil)
				}
				for i, b := range []cairn.Backup{made, old} {
					if err := c.Delete(t.Context(), b.ID); err != nil {
						t.Fatal(err)
					}
					for range 2 {
						checkList(t, c, []cairn.Backup{old}[:1-i], nil)
					}
					wantError(t, c.Delete(t.Context(), b.ID), cairn.CodeBackupNotFound, b.ID)
				}
				made = commit(t, c, 3)
				time.Sleep(lag)
				clear(l.calls)
				checkList(t, c, []cairn.Backup{made}, nil)
				if l.calls[fault.List] != 1 || l.calls[fault.Head] != 0 {
					t.Errorf("when the listing has caught up, a list takes %v", l.calls)
				}
			})
		})
	}
}

// TestLagCrash has the process end right after a deletion, and after a creation
// of which the cache was not told. What was then read, or is asked for, is listed.
func TestLagCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLaggard(t, fault.Lag(stores.New(t), lag))
		c := l.open(t)
		deleted, read, asked := commit(t, c, 1), commit(t, c, 2), commit(t, c, 3)
		time.Sleep(lag)
		checkList(t, c, []cairn.Backup{asked, read, deleted}, nil)
		if err := c.Delete(t.Context(), deleted.ID); err != nil {
			t.Fatal(err)
		}
		checkList(t, l.open(t), []cairn.Backup{asked, read}, nil)
		time.Sleep(lag)

		read, asked = commit(t, c, 4), commit(t, c, 5)
		if err := c.Delete(t.Context(), manifest(c, 2).ID); err != nil {
			t.Fatal(err)
		}
		clear(l.store.entries)
		c = l.open(t)
		old := manifest(c, 3).ID
		if list, _, err := c.Backups(t.Context()); err != nil || len(list) != 1 || list[0].ID != old {
			t.Fatalf("the listing does not lag behind: %v, %v", list, err)
		}
		if _, err := c.Manifest(t.Context(), read.ID); err != nil {
			t.Fatal(err)
		}
		clear(l.calls)
		list, unreadable, err := c.Backups(t.Context(), asked.ID, old, manifest(c, 9).ID, "no id")
		if err != nil || len(list) != 3 || list[0] != asked || list[1] != read || list[2].ID != old || len(unreadable) > 0 {
			t.Errorf("got %v, %v, %v, want %s and %s too", list, unreadable, err, asked.ID, read.ID)
		}
		if l.calls[fault.Head] != 3 {
			t.Errorf("it took %v, want three heads", l.calls)
		}
	})
}

// TestLagElsewhere has another device make and delete backups: what is listed
// here may be late, and not more; what is gone is asked for once.
func TestLagElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fault.Lag(stores.New(t), lag)
		l := newLaggard(t, b)
		c := l.open(t)
		first, second := commit(t, c, 1), commit(t, c, 2)
		time.Sleep(lag)
		other := newDevice(t, b)
		other.Identity = c.Identity()
		there := other.open(t)
		third := commit(t, there, 3)
		if err := there.Delete(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		// It cannot know yet. But one that is deleted here too is gone.
		checkList(t, c, []cairn.Backup{second, first}, nil)
		wantError(t, c.Delete(t.Context(), first.ID), cairn.CodeBackupNotFound, first.ID)
		checkList(t, c, []cairn.Backup{second}, nil)
		if err := there.Delete(t.Context(), second.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lag)
		for _, heads := range []int{1, 0} {
			clear(l.calls)
			checkList(t, c, []cairn.Backup{third}, nil)
			if l.calls[fault.Head] != heads {
				t.Errorf("it took %v, want %d heads", l.calls, heads)
			}
		}
		if got := len(l.store.entries); got != 1 {
			t.Errorf("the cache has %d entries, want that of one backup", got)
		}
		// What was deleted and is there again, is there.
		put(t, b, objectOf(second.ID), get(t, b, trashOf(t, b, second.ID)))
		time.Sleep(lag)
		checkList(t, c, []cairn.Backup{third, second}, nil)
	})
}

// trashOf returns the name of the copy of a deleted manifest.
func trashOf(t *testing.T, b bucket.Bucket, id string) string {
	t.Helper()
	for object, err := range b.List(t.Context(), "trash/"+id) {
		if err != nil {
			t.Fatal(err)
		}
		return object.Name
	}
	t.Fatal("there is no copy of " + id)
	return ""
}

// TestLagUnknown has a deletion whose outcome is not known: the next list asks for
// the object.
func TestLagUnknown(t *testing.T) {
	for _, effect := range []fault.Effect{fault.Lost, fault.Fail} {
		for _, listed := range []bool{true, false} {
			t.Run(fmt.Sprintf("effect %d, listed %t", effect, listed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					away, effect := false, effect
					d := newDevice(t, fault.New(fault.Lag(stores.New(t), lag), func(c fault.Call) fault.Outcome {
						if away = away || c.Op == fault.Delete; away {
							return fault.Outcome{Effect: effect}
						}
						return fault.Outcome{}
					}))
					d.Cache = &cache{}
					c := d.open(t)
					b := commit(t, c, 1)
					c = d.open(t) // which has not seen it
					if listed {
						time.Sleep(lag)
					}
					if err := c.Delete(t.Context(), b.ID); !errors.Is(err, bucket.ErrUnknown) {
						t.Errorf("Delete: %v", err)
					}
					effect = fault.Pass
					if want := []cairn.Backup{b}; has(t, d.Bucket, b.ID) {
						checkList(t, c, want, nil)
					} else {
						checkList(t, c, nil, nil)
					}
				})
			})
		}
	}
}

// TestLagFaults has the looking for what is not listed fail: then the list is not
// known. What was found gone before need not be asked for again.
func TestLagFaults(t *testing.T) {
	const n = 20
	for _, test := range []struct {
		outcome fault.Outcome
		code    cairn.Code
	}{
		{fault.Outcome{Effect: fault.Fail}, cairn.CodeCloudLost},
		{fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}, cairn.CodeDenied},
		{fault.Outcome{Effect: fault.Fail, Err: bucket.ErrMissing}, cairn.CodeBucketMissing},
	} {
		heads := 0
		lagging := fault.Lag(stores.New(t), time.Hour)
		b := fault.New(lagging, func(c fault.Call) fault.Outcome {
			if c.Op == fault.Head {
				if heads++; heads == n/2 {
					return test.outcome
				}
			}
			return fault.Outcome{}
		})
		d := newDevice(t, b)
		d.Cache = &cache{}
		c := d.open(t)
		var want []cairn.Backup
		for i := range n {
			want = append(want, commit(t, c, i))
		}
		newestFirst(want)
		_, _, err := c.Backups(t.Context())
		wantError(t, err, test.code, "backups/")
		checkList(t, c, want, nil)
		for _, b := range want {
			if err := lagging.Delete(t.Context(), objectOf(b.ID)); err != nil {
				t.Fatal(err)
			}
		}
		heads = 0
		if _, _, err := c.Backups(t.Context()); cairn.CodeOf(err) != test.code {
			t.Errorf("Backups: %v, want %s", err, test.code)
		}
		before := heads
		checkList(t, c, nil, nil)
		if before < n/2 || heads > before+n-n/2+8 {
			t.Errorf("%d heads, then %d, want that half need not be asked again", before, heads-before)
		}
	}
}

// A slowHead takes a second to describe an object.
type slowHead struct{ bucket.Bucket }

func (b slowHead) Head(ctx context.Context, name string) (bucket.Object, error) {
	time.Sleep(time.Second)
	return b.Bucket.Head(ctx, name)
}

// TestLagAtOnce measures how many are looked for at the same time, and that those
// who have too little time for all get on.
func TestLagAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := fault.Lag(stores.New(t), time.Hour)
		d := newDevice(t, slowHead{inner})
		c := d.open(t)
		var all []cairn.Backup
		for i := range 80 {
			all = append(all, commit(t, c, i))
		}
		begin := time.Now()
		if list, _, err := c.Backups(t.Context()); err != nil || len(list) != 80 {
			t.Errorf("Backups: %d, %v", len(list), err)
		}
		if got, want := time.Since(begin), 10*time.Second; got != want {
			t.Errorf("looking for 80 manifests took %v, want %v", got, want)
		}
		for _, b := range all {
			if err := inner.Delete(t.Context(), objectOf(b.ID)); err != nil {
				t.Fatal(err)
			}
		}
		tries := 0
		for ; tries < 10; tries++ {
			ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
			_, _, err := c.Backups(ctx)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Backups that ran out of time: %v", err)
			}
		}
		if tries != 1 && tries != 2 {
			t.Errorf("after %d tries the list was known, want two at most", tries)
		}
	})
}

// TestLagPanic has the looking for a manifest break.
func TestLagPanic(t *testing.T) {
	broken := true
	c := newDevice(t, fault.New(fault.Lag(stores.New(t), time.Hour), func(c fault.Call) fault.Outcome {
		if c.Op == fault.Head && broken {
			panic("broken")
		}
		return fault.Outcome{}
	})).open(t)
	b := commit(t, c, 1)
	broken = true
	if _, _, err := c.Backups(t.Context()); cairn.CodeOf(err) != cairn.CodeInternal || !strings.Contains(err.Error(), "broken") {
		t.Errorf("the error is %v, want one of the panic", err)
	}
	broken = false
	checkList(t, c, []cairn.Backup{b}, nil)
}

// TestLagOpen opens places whose listing is late: a cloud that was just made, and
// one that was just taken away.
func TestLagOpen(t *testing.T) {
	b := fault.Lag(stores.New(t), time.Hour)
	d := newDevice(t, b)
	c := d.open(t)
	if again := d.open(t); again.ID() != c.ID() {
		t.Errorf("the cloud is %s, and was %s", again.ID(), c.ID())
	}
	store := stores.New(t)
	put(t, store, "cairn.json", get(t, b, "cairn.json"))
	b = fault.Lag(store, time.Hour)
	d.Bucket = b
	c = d.open(t)
	if err := b.Delete(t.Context(), "cairn.json"); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.Check(t.Context()), cairn.CodeBucketMissing, "cairn.json is missing")
	d.Known = c.ID()
	_, err := cloud.Open(t.Context(), d.Config)
	wantError(t, err, cairn.CodeBucketMissing, "cairn.json is missing")
	d.Known = ""
	made := d.open(t)
	if files := d.keyFiles(t); made.ID() == c.ID() || len(files) != 2 || !slices.Contains(files, made.ID()) {
		t.Errorf("the new cloud is %s, after %s, with the key files %q", made.ID(), c.ID(), files)
	}
}
