package backup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
	"cairn/test/stores"
)

// A tally counts how often objects are read.
type tally struct {
	mu   sync.Mutex
	gets map[string]int
}

func newTally() *tally { return &tally{gets: map[string]int{}} }

// over returns a bucket whose reads are counted.
func (c *tally) over(b bucket.Bucket) bucket.Bucket {
	return fault.New(b, func(call fault.Call) fault.Outcome {
		if call.Op == fault.Get {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.gets[call.Name]++
		}
		return fault.Outcome{}
	})
}

// clear forgets all.
func (c *tally) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.gets)
}

// of returns how many reads there were of what is in a folder.
func (c *tally) of(folder string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, times := range c.gets {
		if strings.HasPrefix(name, folder) {
			n += times
		}
	}
	return n
}

// most returns how often the object that was read most often was.
func (c *tally) most() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, times := range c.gets {
		n = max(n, times)
	}
	return n
}

// A look is a way to verify.
type look struct {
	name string
	do   func(ctx context.Context, s *street, tell func(cairn.Progress)) (cairn.Verification, error)
}

// looks are all of them; one backup is verified that shares what it has.
var looks = []look{
	{"check", func(ctx context.Context, s *street, tell func(cairn.Progress)) (cairn.Verification, error) {
		return s.engine.CheckCloud(ctx, cairn.Subset{}, tell)
	}},
	{"check with data", func(ctx context.Context, s *street, tell func(cairn.Progress)) (cairn.Verification, error) {
		return s.engine.CheckCloud(ctx, everything, tell)
	}},
	{"verify", func(ctx context.Context, s *street, tell func(cairn.Progress)) (cairn.Verification, error) {
		return s.engine.Verify(ctx, s.shared(), false, tell)
	}},
	{"verify with data", func(ctx context.Context, s *street, tell func(cairn.Progress)) (cairn.Verification, error) {
		return s.engine.Verify(ctx, s.shared(), true, tell)
	}},
}

// shared returns the id of a backup that shares objects with another one.
func (s *street) shared() string {
	for _, name := range named(s.objects, "indexes/") {
		if ids := s.users[name]; len(ids) == 2 {
			return ids[0]
		}
	}
	s.t.Fatal("no two backups share an index")
	return ""
}

// TestFaultIsNoDamage has each call of the store fail, in each way, once and for
// good: what is not known is never called damaged.
func TestFaultIsNoDamage(t *testing.T) {
	classes := []error{bucket.ErrUnreachable, bucket.ErrRefused, bucket.ErrMissing, bucket.ErrBusy, bucket.ErrExpired}
	chosen := newSample(t)
	for _, look := range looks {
		synctest.Test(t, func(t *testing.T) {
			store := new(memory.Bucket)
			var decide func(fault.Call) fault.Outcome
			s := newStreet(t, store, fault.New(store, func(c fault.Call) fault.Outcome {
				if decide == nil {
					return fault.Outcome{}
				}
				return decide(c)
			}))
			calls := 0
			decide = func(fault.Call) fault.Outcome { calls++; return fault.Outcome{} }
			if _, err := look.do(t.Context(), s, untold); err != nil {
				t.Fatal(err)
			}
			whole := calls
			if whole < 5 {
				t.Fatalf("%s makes %d calls", look.name, whole)
			}
			for n := range whole {
				for _, effect := range []fault.Effect{fault.Fail, fault.Cut, fault.Lost} {
					for _, class := range classes {
						for _, extent := range []string{"once", "for that object", "for all from then on"} {
							if !chosen.has(15) {
								continue
							}
							failed := ""
							calls = 0
							decide = func(c fault.Call) fault.Outcome {
								calls++
								if calls == n+1 {
									failed = c.Name
								}
								if failed == "" || extent == "once" && calls != n+1 || extent == "for that object" && c.Name != failed {
									return fault.Outcome{}
								}
								return fault.Outcome{Effect: effect, Err: class}
							}
							v, err := look.do(t.Context(), s, untold)
							what := fmt.Sprintf("%s: %v of call %d, %s, effect %d, %s", look.name, class, n+1, failed, effect, extent)
							checkNoDamage(t, what, v, err)
							switch {
							case err != nil || failed == "":
							case extent == "for all from then on",
								extent == "for that object" && len(v.Unchecked) == 0 && failed != "cairn.json":
								t.Errorf("%s: got %s", what, summary(v))
							}
							decide = nil
						}
					}
				}
			}
			s.checkTidy(false)
		})
	}
}

// checkNoDamage has neither a Verification nor an error call anything damaged.
func checkNoDamage(t *testing.T, what string, v cairn.Verification, err error) {
	t.Helper()
	if code := cairn.CodeOf(err); code == cairn.CodeDamaged || code == cairn.CodeInternal || code == cairn.CodeBackupNotFound {
		t.Errorf("%s: got %v of code %q", what, err, code)
	}
	if len(v.Damaged) > 0 || len(v.Affected) > 0 {
		t.Errorf("%s: found are %s", what, summary(v))
	}
}

// TestUnchecked has one part refused: the rest is looked at, and the backups that
// need it are named.
func TestUnchecked(t *testing.T) {
	store := stores.New(t)
	refused := ""
	s := newStreet(t, store, fault.New(store, func(c fault.Call) fault.Outcome {
		if refused != "" && c.Name == refused {
			return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
		}
		return fault.Outcome{}
	}))
	for _, name := range append(named(s.objects, "parts/"), named(s.objects, "indexes/")...) {
		refused = name
		v := s.check(everything)
		if got, want := summary(v), fmt.Sprintf("unchecked %s needed by %v; ", name, s.users[name]); got != want {
			t.Errorf("found are %q, want %q", got, want)
		}
		if v.Unchecked[0].Problem.Code != cairn.CodeDenied {
			t.Errorf("the problem is %v", v.Unchecked[0].Problem)
		}
		for _, id := range s.users[name] {
			if got, want := summary(s.verified(id, true)), fmt.Sprintf("unchecked %s needed by [%s]; ", name, id); got != want {
				t.Errorf("found are %q, want %q", got, want)
			}
		}
	}
}

// TestDeletedMeanwhile has another device delete a backup, and prune what it
// consists of, while that is looked at.
func TestDeletedMeanwhile(t *testing.T) {
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			store := stores.New(t)
			var s *street
			var once sync.Once
			armed := false
			s = newStreet(t, store, fault.New(store, func(c fault.Call) fault.Outcome {
				if armed && (c.Op == fault.Head || c.Op == fault.Get) && strings.HasPrefix(c.Name, "indexes/") {
					once.Do(func() { s.prune(store, s.shared()) })
				}
				return fault.Outcome{}
			}))
			armed = true
			v, err := look.do(t.Context(), s, untold)
			if strings.HasPrefix(look.name, "verify") {
				if cairn.CodeOf(err) != cairn.CodeBackupNotFound {
					t.Errorf("it returned %v, %s", err, summary(v))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkClean(t, look.name, v)
		})
	}
}

// prune removes a backup and what no other one needs.
func (s *street) prune(store bucket.Bucket, id string) {
	ctx := context.Background()
	for name, ids := range s.users {
		if len(ids) == 1 && ids[0] == id {
			if err := store.Delete(ctx, name); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// TestLaggingList has a listing that knows nothing of the last backups.
func TestLaggingList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := stores.New(t)
		s := newStreet(t, store, fault.Lag(store, time.Minute))
		v := s.check(cairn.Subset{})
		checkClean(t, "late", v)
		if v.Backups != 5 {
			t.Errorf("it looked at %d backups, want 5", v.Backups)
		}
	})
}

// TestLostStoreEndsSoon has the store go away before many parts are read: that is
// found out from the first of them.
func TestLostStoreEndsSoon(t *testing.T) {
	store := stores.New(t)
	lost, asked := false, 0
	h := openHouse(t, t.TempDir(), fault.New(store, func(c fault.Call) fault.Outcome {
		part := strings.HasPrefix(c.Name, "parts/") && c.Op != fault.List
		if lost = lost || part && asked == 0 && c.Op == fault.Get; !lost {
			return fault.Outcome{}
		}
		if part {
			asked++
		}
		return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrBusy}
	}), func(cfg *backup.Config) { cfg.Transfers = 2 })
	var rows [][]cairn.Document
	for i := range 60 {
		rows = append(rows, []cairn.Document{at(int64(i)+1, doc(fmt.Sprint("d", i), "", 10))})
	}
	_, stats := folded([][][]cairn.Document{rows})
	h.commit(stats, [][][]cairn.Document{rows}, nil)
	if v, err := h.engine.CheckCloud(t.Context(), everything, untold); cairn.CodeOf(err) != cairn.CodeCloudBusy || asked > 10 {
		t.Errorf("it returned %v, %s, after it had asked for %d parts", err, summary(v), asked)
	}
}

// TestReplacedCloud has the place emptied while it is looked at, as when a disk is
// taken away: that is no damage.
func TestReplacedCloud(t *testing.T) {
	for _, look := range looks {
		store := stores.New(t)
		var once sync.Once
		armed := false
		var s *street
		s = newStreet(t, store, fault.New(store, func(c fault.Call) fault.Outcome {
			if armed && strings.HasPrefix(c.Name, "indexes/") && c.Op == fault.Get {
				once.Do(func() {
					for name := range s.objects {
						if err := store.Delete(context.Background(), name); err != nil {
							t.Error(err)
						}
					}
				})
			}
			return fault.Outcome{}
		}))
		armed = true
		if v, err := look.do(t.Context(), s, untold); cairn.CodeOf(err) != cairn.CodeBucketMissing {
			t.Errorf("%s returned %v, %s, want %q", look.name, err, summary(v), cairn.CodeBucketMissing)
		}
	}
}

// TestOneAtATime refuses a second verification, and takes one again when the first
// has ended; its progress never goes back.
func TestOneAtATime(t *testing.T) {
	store := stores.New(t)
	s := newStreet(t, store, store)
	for _, outer := range looks {
		var last cairn.Progress
		told := 0
		_, err := outer.do(t.Context(), s, func(p cairn.Progress) {
			told++
			if p.Done < last.Done {
				t.Errorf("%s: the progress goes from %+v to %+v", outer.name, last, p)
			}
			last = p
			for _, inner := range looks {
				if _, err := inner.do(t.Context(), s, untold); cairn.CodeOf(err) != cairn.CodeCheckRunning {
					t.Errorf("%s beside %s returned %v", inner.name, outer.name, err)
				}
			}
		})
		if err != nil || last.Done != last.Total || told < 3 {
			t.Errorf("%s returned %v, and was last at %+v after %d steps", outer.name, err, last, told)
		}
	}
}

// TestCancelledLook ends with its context, also while the store hangs, and leaves
// nothing behind.
func TestCancelledLook(t *testing.T) {
	cause := errors.New("the caller is gone")
	for _, look := range looks {
		for _, folder := range []string{"backups/", "indexes/", "parts/"} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				armed := false
				store := new(memory.Bucket)
				s := newStreet(t, store, fault.New(store, func(c fault.Call) fault.Outcome {
					if armed && c.Op != fault.List && strings.HasPrefix(c.Name, folder) {
						cancel(cause)
						return fault.Outcome{Delay: time.Hour}
					}
					return fault.Outcome{}
				}))
				armed = true
				_, err := look.do(ctx, s, untold)
				if unread := look.name == "check" && folder == "parts/"; unread != (err == nil) || !unread && !errors.Is(err, cause) {
					t.Errorf("%s, cancelled in %s, returned %v", look.name, folder, err)
				}
				armed = false
				s.checkTidy(false)
				checkClean(t, "afterwards", s.check(everything))
			})
		}
	}
}

// TestVerifyBesideChanges verifies with data while the live database is written to
// and has no part in it.
func TestVerifyBesideChanges(t *testing.T) {
	store := stores.New(t)
	s := newStreet(t, store, store)
	before := s.currentText()
	_, err := s.engine.Verify(t.Context(), s.shared(), true, func(cairn.Progress) { s.apply(doc("own", time.Now().String(), 100)) })
	if err != nil || s.currentText() != before {
		t.Errorf("it returned %v, and CURRENT is %s, before %s", err, s.currentText(), before)
	}
	s.verify()
	s.checkTidy(false)
}

// TestVerifyWithoutRoom needs as much of the disk as a restoration, and says so.
func TestVerifyWithoutRoom(t *testing.T) {
	store := stores.New(t)
	s := newStreet(t, store, store)
	s.step = func(name string, do func() error) error {
		if name == "build.fill" {
			return &cairn.Error{Code: cairn.CodeDiskFull, Message: "The disk is full."}
		}
		return do()
	}
	if v, err := s.engine.Verify(t.Context(), s.shared(), true, untold); cairn.CodeOf(err) != cairn.CodeDiskFull {
		t.Errorf("it returned %v, %s", err, summary(v))
	}
	s.checkTidy(false)
	if v, err := s.engine.Verify(t.Context(), s.shared(), false, untold); err != nil {
		t.Errorf("without data it returned %v, %s", err, summary(v))
	}
}

// TestCutOffLookIsLogged has a store go away after damage was found.
func TestCutOffLookIsLogged(t *testing.T) {
	store := stores.New(t)
	armed := false
	s := newStreet(t, store, fault.New(store, func(c fault.Call) fault.Outcome {
		if armed && c.Op == fault.Get && strings.HasPrefix(c.Name, "parts/") {
			return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrExpired}
		}
		return fault.Outcome{}
	}))
	var log strings.Builder
	s.edit = func(cfg *backup.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	s.engine = s.newEngine()
	damaged := named(s.objects, "indexes/")[0]
	put(t, store, damaged, "not an index")
	armed = true
	if _, err := s.engine.CheckCloud(t.Context(), everything, untold); cairn.CodeOf(err) != cairn.CodeExpired {
		t.Errorf("it returned %v", err)
	}
	if !strings.Contains(log.String(), damaged) {
		t.Errorf("the log does not name %s: %s", damaged, log.String())
	}
}
