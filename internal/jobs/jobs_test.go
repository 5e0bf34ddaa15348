package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/jobs"
)

// TestOrder queues all kinds of work behind each other.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		first := f.create(t.Context())
		second := f.restore(t.Context(), "A")
		third := f.undo(t.Context())
		fourth := f.createFrom(t.Context(), documents(3))
		want := []string{"j1 creation IN-PROGRESS ", "j2 restoration INITIALIZED A", "j4 creation INITIALIZED "}
		if diff := cmp.Diff(want, f.list()); diff != "" {
			t.Errorf("while the first runs (-want +got):\n%s", diff)
		}

		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		first.check(t, "B", "")
		c := f.engine.last(t, "restore A")
		if c.job != "j2" {
			t.Errorf("the restoration runs on behalf of job %q, want j2", c.job)
		}
		c.end <- ending{backup: backup("A")}
		second.check(t, "A", "")
		f.engine.last(t, "undo").end <- ending{err: &cairn.Error{Code: cairn.CodeNothingToUndo}}
		third.check(t, "", cairn.CodeNothingToUndo)
		f.engine.last(t, "from").end <- ending{backup: backup("C")}
		fourth.check(t, "C", "")
		if fourth.backup.Documents != 3 {
			t.Errorf("the engine read %d documents, want 3", fourth.backup.Documents)
		}

		if f.engine.most != 1 {
			t.Errorf("%d ran at the same time", f.engine.most)
		}
		want = []string{"j4 creation COMPLETED C", "j2 restoration COMPLETED A", "j1 creation COMPLETED B"}
		if diff := cmp.Diff(want, f.list()); diff != "" {
			t.Errorf("at the end (-want +got):\n%s", diff)
		}
		close(f.ended)
		var ended []cairn.Job
		for job := range f.ended {
			ended = append([]cairn.Job{job}, ended...)
		}
		if diff := cmp.Diff(f.List(), ended, digests); diff != "" {
			t.Errorf("those that ended were told otherwise (-want +got):\n%s", diff)
		}
		want = []string{"INITIALIZED A", "IN-PROGRESS A", "COMPLETED A"}
		if diff := cmp.Diff(want, f.history.saves("j2")); diff != "" {
			t.Errorf("saved of the restoration (-want +got):\n%s", diff)
		}
		if got := f.history.saves("j3"); got != nil {
			t.Errorf("saved of the undo: %q", got)
		}
	})
}

// TestTimes has the clock of the job.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		start := time.Now()
		f.create(t.Context())
		time.Sleep(time.Minute)
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		synctest.Wait()
		want := []cairn.Job{{
			ID: "j1", Kind: cairn.Creation, Backup: backup("B"), Status: cairn.JobCompleted,
			Started: start, Ended: start.Add(time.Minute),
		}}
		if diff := cmp.Diff(want, f.List(), digests); diff != "" {
			t.Errorf("the job (-want +got):\n%s", diff)
		}
	})
}

// TestJoin asks for restorations while the first things of each row wait.
func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		queue string // r is a creation, A and B restorations, u an undo
		then  string
		joins bool
	}{
		{"A", "A", true},
		{"A", "B", false},
		{"rA", "A", true},
		{"Ar", "A", true},
		{"AB", "B", true},
		{"AB", "A", false}, // B would be the last word
		{"Au", "A", false},
		{"uA", "A", true},
		{"r", "A", false},
		{"u", "A", false},
	} {
		t.Run(tt.queue+" "+tt.then, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setUp()
				defer f.Close()
				var all []*answer
				for _, what := range tt.queue {
					switch what {
					case 'r':
						all = append(all, f.create(t.Context()))
					case 'u':
						all = append(all, f.undo(t.Context()))
					default:
						all = append(all, f.restore(t.Context(), string(what)))
					}
				}
				asked := f.restore(t.Context(), tt.then)
				n := len(all)
				if !tt.joins {
					n++
				}
				for i := range n {
					if i == n-1 && asked.returned() {
						t.Error("the restoration is over before its turn")
					}
					name := "restore " + tt.then
					if i < len(tt.queue) {
						name = map[byte]string{'r': "create", 'u': "undo", 'A': "restore A", 'B': "restore B"}[tt.queue[i]]
					}
					f.engine.last(t, name).end <- ending{backup: backup(strings.TrimPrefix(name, "restore "))}
					synctest.Wait()
					if tt.joins && name == "restore "+tt.then {
						break
					}
				}
				asked.check(t, tt.then, "")
			})
		})
	}
}

// TestJoinFailure gives all callers the one error; the next one tries again.
func TestJoinFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		first, second := f.restore(t.Context(), "A"), f.restore(t.Context(), "A")
		f.engine.last(t, "restore A").end <- ending{err: &cairn.Error{Code: cairn.CodeDamaged}}
		first.check(t, "", cairn.CodeDamaged)
		second.check(t, "", cairn.CodeDamaged)
		third := f.restore(t.Context(), "A")
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		third.check(t, "A", "")
	})
}

// TestCallerLeaves lets callers go while their work runs, and while it waits.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		running, waiting, undo := f.create(ctx), f.restore(ctx, "A"), f.undo(ctx)
		joined := f.restore(t.Context(), "A") // starts anew, since undo is behind
		cancel(gone)
		for _, a := range []*answer{running, waiting, undo} {
			if !a.returned() || !errors.Is(a.err, gone) {
				t.Errorf("a caller that left got %v", a.err)
			}
		}
		c := f.engine.last(t, "create")
		if c.ctx.Err() != nil {
			t.Error("the work was cancelled")
		}
		c.end <- ending{err: errors.New("nobody would hear of this")}
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		f.engine.last(t, "restore A").end <- ending{err: errors.New("the caller hears of this")} // nothing is undone
		joined.check(t, "", cairn.CodeInternal)
		want := []string{"j4 restoration FAILED A", "j2 restoration COMPLETED A", "j1 creation FAILED "}
		if diff := cmp.Diff(want, f.list()); diff != "" {
			t.Errorf("the jobs (-want +got):\n%s", diff)
		}
		if log := f.log.String(); !strings.Contains(log, "nobody would hear") || !strings.Contains(log, "the caller hears") {
			t.Errorf("the log has not both failures:\n%s", log)
		}

		early := f.create(ctx)
		if !early.returned() || !errors.Is(early.err, gone) || len(f.List()) != 3 {
			t.Errorf("a caller that had left before got %v, and the list is %q", early.err, f.list())
		}
	})
}

// TestClose ends work in each state.
func TestClose(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := setUp()
			f.engine.stubborn = stubborn
			running, waiting := f.create(t.Context()), f.restore(t.Context(), "A")
			from, undo := f.createFrom(t.Context(), documents(1)), f.undo(t.Context())
			closed := ask(func() (cairn.Backup, error) { f.Close(); return cairn.Backup{}, nil })
			for _, a := range []*answer{waiting, from, undo} {
				a.check(t, "", cairn.CodeShuttingDown)
			}
			if stubborn { // as at its commit point
				if running.returned() || closed.returned() {
					t.Fatal("Close did not wait for work that goes on")
				}
				c := f.engine.last(t, "create")
				if cairn.CodeOf(context.Cause(c.ctx)) != cairn.CodeShuttingDown {
					t.Errorf("the cause is %v", context.Cause(c.ctx))
				}
				c.end <- ending{backup: backup("B")}
				running.check(t, "B", "")
			} else {
				running.check(t, "", cairn.CodeShuttingDown)
			}
			closed.check(t, "", "")
			f.Close() // once more does nothing

			for _, a := range []*answer{f.create(t.Context()), f.restore(t.Context(), "A"), f.createFrom(t.Context(), documents(1)), f.undo(t.Context())} {
				a.check(t, "", cairn.CodeShuttingDown)
			}
			if got := f.engine.names(); !slices.Equal(got, []string{"create"}) {
				t.Errorf("the engine did %q", got)
			}
			for _, id := range []string{"j1", "j2", "j3"} {
				if saves := f.history.saves(id); stubborn && id == "j1" != strings.Contains(saves[len(saves)-1], "COMPLETED") ||
					!stubborn && !strings.Contains(saves[len(saves)-1], "FAILED") {
					t.Errorf("saved of %s: %q", id, saves)
				}
			}
			if job, err := f.Restoration(t.Context(), "A"); err != nil || job.Reason.Code != cairn.CodeShuttingDown {
				t.Errorf("the restoration in the queue is %+v, %v", job, err)
			}
		})
	}
}

// TestHistoryFails does the work all the same, and says so in the log.
func TestHistoryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.history.err = errors.New("the disk is full")
		if err := f.Recover(t.Context()); !errors.Is(err, f.history.err) {
			t.Errorf("Recover: %v", err)
		}
		a := f.create(t.Context())
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		a.check(t, "B", "")
		if job, err := f.Creation(t.Context(), "B"); err != nil || job.Status != cairn.JobCompleted {
			t.Errorf("the creation is %+v, %v", job, err)
		}
		if !strings.Contains(f.log.String(), "the disk is full") {
			t.Errorf("the log does not say why:\n%s", f.log)
		}
	})
}

// TestPanic has an engine that breaks in each kind of work, and goes on.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		bad := func(func(cairn.Document, error) bool) { panic("in the documents") }
		for _, tt := range []struct {
			name string
			a    *answer
		}{
			{"create", f.create(t.Context())},
			{"restore A", f.restore(t.Context(), "A")},
			{"undo", f.undo(t.Context())},
		} {
			f.engine.last(t, tt.name).end <- ending{panics: "broken " + tt.name}
			tt.a.check(t, "", cairn.CodeInternal)
			if log := f.log.String(); !strings.Contains(log, "broken "+tt.name) || !strings.Contains(log, "fake_test.go") {
				t.Errorf("the log has no panic of %s with its stack:\n%s", tt.name, log)
			}
		}
		a := f.createFrom(t.Context(), bad)
		f.engine.last(t, "from").end <- ending{}
		a.check(t, "", cairn.CodeInternal)
		for _, job := range f.List() {
			if job.Status != cairn.JobFailed || job.Reason.Code != cairn.CodeInternal || job.Reason.Message == "" || strings.Contains(job.Reason.Message, "broken") {
				t.Errorf("the job is %+v, its reason %+v", job, job.Reason)
			}
		}
		a = f.create(t.Context())
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		a.check(t, "B", "")
	})
}

// TestFailedAfterSwap has restorations that replaced the database and then
// failed or panicked: they are complete, since that is what is served.
func TestFailedAfterSwap(t *testing.T) {
	for _, end := range []ending{{err: errors.New("late")}, {panics: "late"}} {
		synctest.Test(t, func(t *testing.T) {
			f := setUp()
			defer f.Close()
			a := f.restore(t.Context(), "A")
			c := f.engine.last(t, "restore A")
			c.report(backup("A"), cairn.Progress{})
			f.engine.restored = c.job
			c.end <- end
			a.check(t, "A", "")
			if job, err := f.Restoration(t.Context(), "A"); err != nil || job.Status != cairn.JobCompleted || job.Reason != nil {
				t.Errorf("the restoration is %+v, %v", job, err)
			}
			if !strings.Contains(f.log.String(), "late") {
				t.Errorf("the log does not say what failed:\n%s", f.log)
			}
		})
	}
}

// TestBound remembers the newest 100 of each kind.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.restore(t.Context(), "A")
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		for range 120 {
			f.create(t.Context())
			f.engine.last(t, "create").end <- ending{backup: backup("B")}
		}
		synctest.Wait()
		list := f.list()
		if len(list) != 101 || list[0] != "j121 creation COMPLETED B" || list[99] != "j22 creation COMPLETED B" || list[100] != "j1 restoration COMPLETED A" {
			t.Errorf("the list has %d jobs, %q", len(list), list)
		}
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint("j", i+2))
		}
		if diff := cmp.Diff(want, f.history.forgot); diff != "" {
			t.Errorf("the history on disk forgot (-want +got):\n%s", diff)
		}
	})
}

// TestQueueFull asks for more than can wait: nothing is begun, but what joins, until
// one has left.
func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.restore(t.Context(), "A")
		var last *answer
		for range 256 {
			last = f.create(t.Context())
		}
		f.create(t.Context()).check(t, "", cairn.CodeQueueFull)
		f.undo(t.Context()).check(t, "", cairn.CodeQueueFull)
		joined := f.restore(t.Context(), "A")
		if n := len(f.List()); n != 257 || last.returned() || joined.returned() {
			t.Errorf("there are %d jobs, want 257", n)
		}
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		joined.check(t, "A", "")
		if f.create(t.Context()).returned() {
			t.Error("one that has left leaves no room")
		}
	})
}

// TestBoundRecovered has a history that is longer than what is remembered.
func TestBoundRecovered(t *testing.T) {
	f := setUp()
	defer f.Close()
	for i := range 103 {
		f.history.load = append(f.history.load, cairn.Job{ID: fmt.Sprint("h", i), Kind: cairn.Creation, Status: cairn.JobCompleted})
	}
	if err := f.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := f.list()
	slices.Sort(f.history.forgot)
	if len(list) != 100 || list[0] != "h0 creation COMPLETED " || !slices.Equal(f.history.forgot, []string{"h100", "h101", "h102"}) {
		t.Errorf("the list has %d jobs, and %q were forgotten", len(list), f.history.forgot)
	}
}

// TestSlowHistory has a job that has ended and is being saved: it cannot be
// joined any more, and the next one waits.
func TestSlowHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.history.slow = make(chan struct{})
		first := f.restore(t.Context(), "A")
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		synctest.Wait()
		second := f.restore(t.Context(), "A")
		want := []string{"j1 restoration COMPLETED A", "j2 restoration INITIALIZED A"}
		if diff := cmp.Diff(want, f.list()); diff != "" || first.returned() || len(f.engine.calls) != 1 {
			t.Errorf("while the end is saved, and the first caller has returned %t (-want +got):\n%s", first.returned(), diff)
		}
		close(f.history.slow)
		first.check(t, "A", "")
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		second.check(t, "A", "")
	})
}

// TestConcurrent has many callers, and an end amid them.
func TestConcurrent(t *testing.T) {
	e := &engine{backups: map[string]cairn.Backup{}}
	j := jobs.New(jobs.Config{Engine: busy{e}, History: &history{}, Log: slog.New(slog.DiscardHandler)})
	if b, err := outcome(t.Context())(j.Create(t.Context())); b.ID != "B" || err != nil {
		t.Fatalf("Create: %q, %v", b.ID, err)
	}
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				cancel()
			}
			var err error
			switch i % 5 {
			case 0:
				_, err = outcome(ctx)(j.Create(ctx))
			case 1:
				_, err = outcome(ctx)(j.CreateFrom(ctx, documents(i)))
			case 2:
				_, err = outcome(ctx)(j.Restore(ctx, cairn.Backup{ID: "A"}))
			case 3:
				_, err = outcome(ctx)(j.Undo(ctx))
			case 4:
				j.List()
				_, err = j.Restoration(ctx, "A")
				_, _ = j.Creation(ctx, "B")
			}
			if code := cairn.CodeOf(err); err != nil && code != cairn.CodeShuttingDown && code != cairn.CodeJobNotFound && !errors.Is(err, context.Canceled) {
				t.Errorf("caller %d: %v", i, err)
			}
			if i == 150 {
				j.Close()
			}
		})
	}
	callers.Wait()
	j.Close()
	if e.most != 1 {
		t.Errorf("%d ran at the same time", e.most)
	}
	for _, job := range j.List() {
		if !job.Status.Ended() || job.Ended.IsZero() {
			t.Errorf("after the end: %+v", job)
		}
	}
}

// busy is an engine whose work ends by itself.
type busy struct{ *engine }

func (b busy) Create(ctx context.Context, _ cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	var reports sync.WaitGroup
	for i := range 4 {
		reports.Go(func() { report(backup("B"), cairn.Progress{Done: int64(i), Total: 4}) })
	}
	reports.Wait()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(100))*time.Microsecond)
	defer cancel()
	if _, err := b.engine.do(ctx, "create", "", report); errors.Is(err, context.DeadlineExceeded) {
		return backup("B"), nil
	} else {
		return cairn.Backup{}, err
	}
}

func (b busy) Restore(ctx context.Context, _, _ string, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return b.Create(ctx, cairn.Backup{}, report)
}

func (b busy) Undo(ctx context.Context) error {
	_, err := b.Create(ctx, cairn.Backup{}, func(cairn.Backup, cairn.Progress) {})
	return err
}
