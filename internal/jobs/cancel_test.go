package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
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

// named is an engine whose backups have the ids B1, B2, ... from the beginning.
type named struct {
	*engine
	mu    sync.Mutex
	drawn int
}

func (n *named) NewBackup(cairn.Scope) cairn.Backup {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drawn++
	return cairn.Backup{ID: fmt.Sprint("B", n.drawn)}
}

// cancel calls Cancel in the background.
func (f *fixture) cancel(ctx context.Context, kind cairn.JobKind, id string) *answer {
	return ask(func() (cairn.Backup, error) { return cairn.Backup{}, f.Cancel(ctx, kind, id) })
}

// TestCancelRunning cancels the job that runs: all who wait for it hear of that,
// and the next one has its turn.
func TestCancelRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUpNamed()
		defer f.Close()
		creation, first, joined, last := f.create(t.Context()), f.restore(t.Context(), "A"), f.restore(t.Context(), "A"), f.create(t.Context())
		c := f.engine.last(t, "create")
		c.report(cairn.Backup{ID: "B1"}, cairn.Progress{Done: 100, Total: 100})
		f.cancel(t.Context(), cairn.Creation, "B1").check(t, "", "")
		creation.check(t, "", cairn.CodeCanceled)
		if cairn.CodeOf(context.Cause(c.ctx)) != cairn.CodeCanceled {
			t.Errorf("the cause of the end is %v", context.Cause(c.ctx))
		}
		f.engine.last(t, "restore A")
		f.cancel(t.Context(), cairn.Restoration, "A").check(t, "", "")
		first.check(t, "", cairn.CodeCanceled)
		joined.check(t, "", cairn.CodeCanceled)
		f.engine.last(t, "create").end <- ending{backup: backup("B2")}
		last.check(t, "B2", "")
		want := []string{"j4 creation COMPLETED B2", "j2 restoration CANCELED A", "j1 creation CANCELED B1"}
		if diff := cmp.Diff(want, f.list()); diff != "" {
			t.Errorf("the jobs (-want +got):\n%s", diff)
		}
		for _, job := range f.List()[1:] {
			if job.Percentage() == 100 || job.Reason == nil || job.Reason.Code != cairn.CodeCanceled || job.Reason.Message == "" || job.Ended.IsZero() {
				t.Errorf("the cancelled job is %+v, %v", job, job.Reason)
			}
		}
		want = []string{"INITIALIZED B1", "IN-PROGRESS B1", "CANCELED B1"}
		if diff := cmp.Diff(want, f.history.saves("j1")); diff != "" {
			t.Errorf("saved of the creation (-want +got):\n%s", diff)
		}
	})
}

// setUpNamed is setUp with an engine that is named.
func setUpNamed() *fixture {
	return setUpWith(func(e *engine) jobs.Engine { return &named{engine: e} })
}

// TestCancelQueued cancels jobs that wait. They end at once, the others keep their
// order, and what runs hears nothing.
func TestCancelQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUpNamed()
		defer f.Close()
		running := f.create(t.Context())
		second, third, fourth := f.create(t.Context()), f.restore(t.Context(), "A"), f.undo(t.Context())
		fifth := f.restore(t.Context(), "A") // does not join: the undo is between
		f.cancel(t.Context(), cairn.Creation, "B2").check(t, "", "")
		second.check(t, "", cairn.CodeCanceled)
		f.cancel(t.Context(), cairn.Restoration, "A").check(t, "", "") // both of them
		third.check(t, "", cairn.CodeCanceled)
		fifth.check(t, "", cairn.CodeCanceled)
		if c := f.engine.last(t, "create"); c.ctx.Err() != nil {
			t.Error("what runs was cancelled")
		}
		f.engine.last(t, "create").end <- ending{backup: backup("B1")}
		running.check(t, "B1", "")
		f.engine.last(t, "undo").end <- ending{}
		fourth.check(t, "", "")
		if got := f.engine.names(); !cmp.Equal(got, []string{"create", "undo"}) {
			t.Errorf("the engine did %q", got)
		}
	})
}

// TestCancelNothing cancels what is not in progress.
func TestCancelNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUpNamed()
		defer f.Close()
		done := f.create(t.Context())
		f.engine.last(t, "create").end <- ending{backup: backup("B1")}
		done.check(t, "B1", "")
		running, undo := f.restore(t.Context(), "A"), f.undo(t.Context())
		for _, what := range []struct {
			kind cairn.JobKind
			id   string
		}{
			{cairn.Creation, "B1"},                           // over
			{cairn.Creation, "A"}, {cairn.Restoration, "B1"}, // of the other kind
			{cairn.Restoration, "none"}, {cairn.Creation, ""}, {cairn.Restoration, ""},
		} {
			f.cancel(t.Context(), what.kind, what.id).check(t, "", cairn.CodeNotInProgress)
		}
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		running.check(t, "A", "")
		f.cancel(t.Context(), cairn.Restoration, "A").check(t, "", cairn.CodeNotInProgress)
		f.engine.last(t, "undo").end <- ending{}
		undo.check(t, "", "")
	})
}

// TestCancelLate cancels jobs that come to their end all the same, as they do past
// their commit point. Cancel says which end that was, and waits for it.
func TestCancelLate(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  ending
		code cairn.Code // of the job
		lost cairn.Code // of Cancel
	}{
		{"complete", ending{backup: backup("B1")}, "", cairn.CodeNotInProgress},
		{"failed", ending{err: &cairn.Error{Code: cairn.CodeDamaged}}, cairn.CodeDamaged, cairn.CodeNotInProgress},
		{"cause", ending{}, cairn.CodeCanceled, ""}, // its error is the cause itself
		{"wrapped", ending{err: fmt.Errorf("reading: %w", context.Canceled)}, cairn.CodeCanceled, ""},
		{"beside another", ending{err: errors.Join(errors.New("closing"), context.Canceled)}, cairn.CodeCanceled, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setUpNamed()
				defer f.Close()
				f.engine.stubborn = true
				work := f.create(t.Context())
				c := f.engine.last(t, "create")
				once, twice := f.cancel(t.Context(), cairn.Creation, "B1"), f.cancel(t.Context(), cairn.Creation, "B1")
				time.Sleep(time.Hour)
				if once.returned() || twice.returned() || work.returned() {
					t.Fatal("Cancel does not wait for the end")
				}
				if tt.name == "cause" {
					tt.end.err = context.Cause(c.ctx)
				}
				c.end <- tt.end
				once.check(t, "", tt.lost)
				twice.check(t, "", tt.lost)
				work.check(t, tt.end.backup.ID, tt.code)
				want := map[cairn.Code]cairn.JobStatus{"": cairn.JobCompleted, cairn.CodeCanceled: cairn.JobCanceled, cairn.CodeDamaged: cairn.JobFailed}[tt.code]
				if job := f.List()[0]; job.Status != want {
					t.Errorf("the job is %+v, want %s", job, want)
				}
			})
		})
	}
}

// TestCancelSwapped cancels a restoration that has replaced the database, and
// ends with an error for that: it is complete, since that is what is served.
func TestCancelSwapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.engine.stubborn = true
		work := f.restore(t.Context(), "A")
		c := f.engine.last(t, "restore A")
		c.report(backup("A"), cairn.Progress{})
		asked := f.cancel(t.Context(), cairn.Restoration, "A")
		f.engine.restored = c.job
		c.end <- ending{err: context.Cause(c.ctx)}
		asked.check(t, "", cairn.CodeNotInProgress)
		work.check(t, "A", "")
	})
}

// TestCancelLeaves has the one who cancels go before the job has ended: it is
// cancelled nevertheless. Who restores the same backup meanwhile does not join
// what is about to end.
func TestCancelLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.engine.stubborn = true
		work := f.restore(t.Context(), "A")
		c := f.engine.last(t, "restore A")
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		asked := f.cancel(ctx, cairn.Restoration, "A")
		cancel(gone)
		if !asked.returned() || !errors.Is(asked.err, gone) {
			t.Errorf("Cancel returned %v", asked.err)
		}
		again := f.restore(t.Context(), "A")
		c.end <- ending{err: c.ctx.Err()}
		work.check(t, "", cairn.CodeCanceled)
		f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
		again.check(t, "A", "")
	})
}

// TestCancelOrder has a job whose end is being saved: Cancel returns when it is,
// so that a crash cannot bring it back.
func TestCancelOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.history.slow = make(chan struct{})
		work := f.restore(t.Context(), "A")
		f.engine.last(t, "restore A")
		asked := f.cancel(t.Context(), cairn.Restoration, "A")
		time.Sleep(time.Hour)
		if asked.returned() || work.returned() {
			t.Error("it has returned before the history knows")
		}
		close(f.history.slow)
		asked.check(t, "", "")
		work.check(t, "", cairn.CodeCanceled)
		if saves := f.history.saves("j1"); saves[len(saves)-1] != "CANCELED A" {
			t.Errorf("saved of the job: %q", saves)
		}
	})
}

// TestCancelAndClose has the daemon stop before and after somebody cancels: what
// came first is the reason, and nobody is told anything else.
func TestCancelAndClose(t *testing.T) {
	for _, tt := range []struct {
		first string
		code  cairn.Code // of the job
		lost  cairn.Code // of Cancel
	}{
		{"cancel", cairn.CodeCanceled, ""},
		{"close", cairn.CodeShuttingDown, cairn.CodeNotInProgress},
	} {
		t.Run(tt.first, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setUp()
				f.engine.stubborn = true
				work := f.restore(t.Context(), "A")
				c := f.engine.last(t, "restore A")
				shut := func() *answer {
					return ask(func() (cairn.Backup, error) { f.Close(); return cairn.Backup{}, nil })
				}
				var asked, closed *answer
				if tt.first == "cancel" {
					asked, closed = f.cancel(t.Context(), cairn.Restoration, "A"), shut()
				} else {
					closed, asked = shut(), f.cancel(t.Context(), cairn.Restoration, "A")
				}
				c.end <- ending{err: c.ctx.Err()}
				asked.check(t, "", tt.lost)
				work.check(t, "", tt.code)
				closed.check(t, "", "")
				f.cancel(t.Context(), cairn.Restoration, "A").check(t, "", cairn.CodeNotInProgress)
			})
		})
	}
}

// TestCancelRace has two callers cancel a job that is about to end by itself: they
// are told what became of it.
func TestCancelRace(t *testing.T) {
	e := &engine{backups: map[string]cairn.Backup{}}
	j := jobs.New(jobs.Config{Engine: busy{e}, History: &history{}, Log: slog.New(slog.DiscardHandler)})
	defer j.Close()
	ends := map[cairn.JobStatus]int{}
	for i := range 1000 {
		id := fmt.Sprint("A", i)
		watch, err := j.Restore(t.Context(), cairn.Backup{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		var told [2]error
		for n := range told {
			callers.Go(func() {
				for range rand.IntN(1 + 2*i) { // the later, the more jobs have ended by then
					runtime.Gosched()
				}
				told[n] = j.Cancel(t.Context(), cairn.Restoration, id)
			})
		}
		_, err = watch.Wait(t.Context())
		callers.Wait()
		job := j.List()[0]
		ends[job.Status]++
		for _, cancelErr := range told {
			switch {
			case cancelErr == nil && job.Status == cairn.JobCanceled && cairn.CodeOf(err) == cairn.CodeCanceled:
			case cairn.CodeOf(cancelErr) == cairn.CodeNotInProgress && job.Status == cairn.JobCompleted && err == nil:
			case cairn.CodeOf(cancelErr) == cairn.CodeNotInProgress && job.Status == cairn.JobCanceled: // the other one was faster
			default:
				t.Errorf("Cancel returned %v, the work %v, and the job is %+v", cancelErr, err, job)
			}
		}
		if job.Status == cairn.JobCanceled && told[0] != nil && told[1] != nil {
			t.Errorf("it was cancelled, and nobody is told: %v", told)
		}
	}
	if ends[cairn.JobCanceled] == 0 || ends[cairn.JobCompleted] == 0 {
		t.Errorf("that proves nothing: %v", ends)
	}
}

// TestUndoLeaves has the one who asks for an undo go before its turn: nobody could
// cancel it any more, so it is not done. One that goes later changes nothing.
func TestUndoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		first := f.create(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		left := f.undo(ctx)
		stays := f.undo(t.Context())
		cancel()
		if !left.returned() || !errors.Is(left.err, context.Canceled) {
			t.Errorf("the one who has gone was told %v", left.err)
		}
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		first.check(t, "B", "")
		f.engine.last(t, "undo").end <- ending{}
		stays.check(t, "", "")

		ctx, cancel = context.WithCancel(t.Context())
		left = f.undo(ctx)
		c := f.engine.last(t, "undo")
		cancel()
		left.returned()
		if c.ctx.Err() != nil {
			t.Error("an undo under way was cancelled")
		}
		c.end <- ending{}
		synctest.Wait()
		if want := []string{"create", "undo", "undo"}; !slices.Equal(f.engine.names(), want) {
			t.Errorf("the engine did %q, want %q", f.engine.names(), want)
		}
		if log := f.log.String(); strings.Contains(log, "level=ERROR") {
			t.Errorf("the log is\n%s", log)
		}
	})
}
