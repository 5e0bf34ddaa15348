package jobs_test

import (
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
)

// errNothing is what poll returns when there is nothing newer.
var errNothing = errors.New("nothing is newer")

// over is a context that has ended with errNothing.
var over = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errNothing)
	return ctx
}()

// poll returns what a watch says now, as "STATUS percentage backup"; "" when it
// would wait.
func poll(t *testing.T, watch cairn.Watch) string {
	t.Helper()
	synctest.Wait()
	job, err := watch(over)
	switch {
	case errors.Is(err, errNothing):
		return ""
	case err != nil:
		t.Fatalf("the watch returned %v", err)
	}
	return shown(job)
}

func shown(job cairn.Job) string {
	return fmt.Sprint(job.Status, " ", job.Percentage(), " ", job.Backup.ID)
}

// says fails the test unless a watch says this now.
func says(t *testing.T, watch cairn.Watch, want string) {
	t.Helper()
	if got := poll(t, watch); got != want {
		t.Errorf("the watch says %q, want %q", got, want)
	}
}

// watched returns the watch of a job that has begun.
func watched(t *testing.T) func(cairn.Watch, error) cairn.Watch {
	return func(watch cairn.Watch, err error) cairn.Watch {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return watch
	}
}

// percent is a report of how much is done.
func percent(n int64) cairn.Progress { return cairn.Progress{Done: n, Total: 100} }

// TestWatch follows a job: its first state, the newest one whenever there is one,
// at most four in a second but with the last of them, and its end at once.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		watch := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
		says(t, watch, "INITIALIZED 0 A") // though it runs
		says(t, watch, "IN-PROGRESS 0 A")
		says(t, watch, "")
		c := f.engine.last(t, "restore A")
		report := func(n int64) { c.report(f.List()[0].Backup, percent(n)) }

		report(10)
		says(t, watch, "") // what it said last was just now
		time.Sleep(100 * time.Millisecond)
		report(20)
		report(30)
		says(t, watch, "")
		time.Sleep(149 * time.Millisecond)
		says(t, watch, "")
		time.Sleep(time.Millisecond)
		says(t, watch, "IN-PROGRESS 30 A")
		time.Sleep(time.Minute)
		says(t, watch, "")
		c.report(backup("A"), percent(40)) // with what else is known by now
		says(t, watch, "IN-PROGRESS 40 A") // after a while without any
		report(40)                         // is no change
		report(35)
		time.Sleep(time.Minute)
		says(t, watch, "")

		report(41)
		time.Sleep(time.Millisecond)
		report(42)
		says(t, watch, "IN-PROGRESS 42 A") // the newest
		time.Sleep(time.Millisecond)
		c.end <- ending{backup: backup("A")}
		says(t, watch, "COMPLETED 100 A") // which waits for nothing
		time.Sleep(time.Second)           // a report was still to be told
		says(t, watch, "COMPLETED 100 A")
		says(t, watch, "COMPLETED 100 A")
	})
}

// TestWatchWaits waits for each change, and hears of it when it may.
func TestWatchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		begun := time.Now()
		watch := watched(t)(f.Create(t.Context()))
		c := f.engine.last(t, "create")
		go func() {
			for i := range int64(10) {
				time.Sleep(90 * time.Millisecond)
				c.report(backup("B"), percent(10*i+1))
			}
			c.end <- ending{backup: backup("B")}
		}()
		var got []string
		for ended := false; !ended; {
			job, err := watch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(time.Since(begun).Milliseconds(), " ", shown(job)))
			ended = job.Status.Ended()
		}
		want := []string{
			"0 INITIALIZED 0 ", "0 IN-PROGRESS 0 ",
			"250 IN-PROGRESS 11 B", "500 IN-PROGRESS 41 B", "750 IN-PROGRESS 71 B",
			"900 COMPLETED 100 B",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the watch said (-want +got):\n%s", diff)
		}
	})
}

// TestWatchLate uses watches only when all is over: they have the first state and
// the end, for work that is done in no time too.
func TestWatchLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		for _, tt := range []struct {
			end  ending
			want string
		}{
			{ending{backup: backup("A")}, "COMPLETED 100 A"},
			{ending{err: &cairn.Error{Code: cairn.CodeDamaged}}, "FAILED 7 A"},
			{ending{panics: "broken"}, "FAILED 7 A"},
		} {
			watch := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
			c := f.engine.last(t, "restore A")
			joined := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
			c.report(cairn.Backup{ID: "A"}, percent(7))
			late := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
			c.end <- tt.end
			synctest.Wait()
			says(t, watch, "INITIALIZED 0 A")
			says(t, watch, tt.want)
			says(t, joined, "IN-PROGRESS 0 A")
			says(t, joined, tt.want)
			says(t, late, "IN-PROGRESS 7 A")
			says(t, late, tt.want)
		}
	})
}

// TestWatchStored tells the end of a job when the history has it and the next job
// has its turn, whatever else happens before.
func TestWatchStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.history.slow = make(chan struct{})
		watch := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
		says(t, watch, "INITIALIZED 0 A")
		says(t, watch, "IN-PROGRESS 0 A")
		c := f.engine.last(t, "restore A")
		c.report(cairn.Backup{ID: "A"}, percent(50)) // still to be told
		c.end <- ending{backup: backup("A")}
		says(t, watch, "")
		next := watched(t)(f.Create(t.Context()))
		says(t, watch, "")
		time.Sleep(time.Second)
		says(t, watch, "")
		says(t, next, "") // which the history does not have yet

		var saves, list []string // when the end is told
		end := ask(func() (cairn.Backup, error) {
			job, err := watch(t.Context())
			saves, list = f.history.saves("j1"), f.list()
			return job.Backup, err
		})
		close(f.history.slow)
		end.check(t, "A", "")
		if want := []string{"INITIALIZED A", "IN-PROGRESS A", "COMPLETED A"}; !slices.Equal(saves, want) || len(list) == 0 || !strings.HasPrefix(list[0], "j2 ") {
			t.Errorf("when the end is told, %q was saved, and the list is %q", saves, list)
		}
		says(t, next, "INITIALIZED 0 ")
		says(t, next, "IN-PROGRESS 0 ")
	})
}

// TestWatchLeaves ends the context of a watch that waits, which then goes on and
// has missed nothing. The work and other watches hear nothing of it.
func TestWatchLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		watch := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
		other := watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
		says(t, watch, "INITIALIZED 0 A")
		says(t, watch, "IN-PROGRESS 0 A")
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, gone)
		defer cancel()
		if _, err := watch(ctx); !errors.Is(err, gone) {
			t.Errorf("a watch whose context has ended returned %v", err)
		}
		c := f.engine.last(t, "restore A")
		if c.ctx.Err() != nil {
			t.Error("the work was cancelled")
		}
		c.report(cairn.Backup{ID: "A"}, percent(60))
		says(t, watch, "IN-PROGRESS 60 A")
		c.end <- ending{backup: backup("A")}
		says(t, watch, "COMPLETED 100 A")
		if b, err := other.Wait(t.Context()); b.ID != "A" || err != nil {
			t.Errorf("the other one returned %q, %v", b.ID, err)
		}
	})
}

// TestWatchOthers has changes of one job tell nothing to those who watch another.
func TestWatchOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		first, second := watched(t)(f.Create(t.Context())), watched(t)(f.Create(t.Context()))
		says(t, first, "INITIALIZED 0 ")
		says(t, first, "IN-PROGRESS 0 ")
		says(t, second, "INITIALIZED 0 ")
		f.engine.last(t, "create").report(backup("B"), percent(50))
		time.Sleep(time.Second)
		says(t, second, "")
		says(t, first, "IN-PROGRESS 50 B")
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		synctest.Wait()
		says(t, second, "IN-PROGRESS 0 ")
		f.engine.last(t, "create").report(backup("C"), percent(10))
		time.Sleep(time.Second)
		says(t, first, "COMPLETED 100 B")
		says(t, second, "IN-PROGRESS 10 C")
	})
}

// TestWatchCloses ends jobs in the queue and at work, whose watches hear why.
func TestWatchCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		running, waiting := watched(t)(f.Create(t.Context())), watched(t)(f.Restore(t.Context(), cairn.Backup{ID: "A"}))
		says(t, running, "INITIALIZED 0 ")
		says(t, waiting, "INITIALIZED 0 A")
		f.Close()
		for _, watch := range []cairn.Watch{running, waiting} {
			job, err := watch(t.Context())
			if err != nil || job.Status != cairn.JobFailed || job.Reason.Code != cairn.CodeShuttingDown {
				t.Errorf("after the end: %+v, %v", job, err)
			}
		}
	})
}

// TestWatchNoted tells of a job when the history has it, so that a crash cannot make
// it unknown to who has heard of it, or when that cannot be written.
func TestWatchNoted(t *testing.T) {
	for _, fails := range []error{nil, errors.New("no room")} {
		synctest.Test(t, func(t *testing.T) {
			f := setUp()
			defer f.Close()
			f.history.begin = make(chan struct{})
			watch := watched(t)(f.Create(t.Context()))
			says(t, watch, "")
			f.history.mu.Lock()
			f.history.err = fails
			f.history.mu.Unlock()
			close(f.history.begin)
			says(t, watch, "INITIALIZED 0 ")
			says(t, watch, "IN-PROGRESS 0 ")
			f.engine.last(t, "create").end <- ending{backup: backup("B")}
			says(t, watch, "COMPLETED 100 B")
		})
	}
}
