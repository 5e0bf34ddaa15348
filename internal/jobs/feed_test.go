package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/jobs"
)

// pollFeed returns what a feed says now, as "id STATUS percentage backup"; nil
// when it would wait.
func pollFeed(t *testing.T, feed cairn.Feed) []string {
	t.Helper()
	synctest.Wait()
	list, err := feed(over)
	switch {
	case errors.Is(err, errNothing):
		return nil
	case err != nil:
		t.Fatalf("the feed returned %v", err)
	}
	lines := []string{}
	for _, job := range list {
		lines = append(lines, job.ID+" "+shown(job))
	}
	return lines
}

// tells fails the test unless a feed says this now; nothing at all means that it
// waits.
func tells(t *testing.T, feed cairn.Feed, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, pollFeed(t, feed)); diff != "" {
		t.Errorf("the feed (-want +got):\n%s", diff)
	}
}

// TestFeed follows all jobs.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.create(t.Context())
		f.engine.last(t, "create").end <- ending{backup: backup("before")}
		synctest.Wait()
		feed := f.Feed()
		tells(t, feed, []string{}...)
		if got := pollFeed(t, f.Feed()); got == nil || len(got) > 0 {
			t.Errorf("a new feed says %q, want that there is nothing", got)
		}
		f.create(t.Context())
		f.restore(t.Context(), "A")
		f.createFrom(t.Context(), documents(1))
		tells(t, feed, "j2 IN-PROGRESS 0 ", "j3 INITIALIZED 0 A", "j4 INITIALIZED 0 ")
		tells(t, feed)
		f.engine.last(t, "create").report(backup("B"), percent(20))
		tells(t, feed)
		time.Sleep(250 * time.Millisecond)
		tells(t, feed, "j2 IN-PROGRESS 20 B", "j3 INITIALIZED 0 A", "j4 INITIALIZED 0 ")
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		tells(t, feed, "j2 COMPLETED 100 B", "j3 IN-PROGRESS 0 A", "j4 INITIALIZED 0 ")
		tells(t, f.Feed(), "j3 IN-PROGRESS 0 A", "j4 INITIALIZED 0 ") // from now on
		f.engine.last(t, "restore A").end <- ending{err: &cairn.Error{Code: cairn.CodeBackupNotFound}}
		tells(t, feed, "j3 FAILED 0 A", "j4 IN-PROGRESS 0 ") // which nothing else remembers
		f.Close()
		tells(t, feed, "j4 FAILED 0 ")
		tells(t, feed)
		if want := []string{"j4 creation FAILED ", "j2 creation COMPLETED B", "j1 creation COMPLETED before"}; !slices.Equal(want, f.list()) {
			t.Errorf("the list is %q, want %q", f.list(), want)
		}
	})
}

// TestFeedShort has many jobs begin and end between two calls: each of them comes
// once, with its end, in their order.
func TestFeedShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		feed := f.Feed()
		var want []string
		for i := range 50 {
			f.restore(t.Context(), "A")
			f.engine.last(t, "restore A").end <- ending{backup: backup("A")}
			synctest.Wait()
			want = append(want, fmt.Sprintf("j%d COMPLETED 100 A", i+1))
		}
		f.create(t.Context())
		want = append(want, "j51 IN-PROGRESS 0 ")
		tells(t, feed, want...)
		tells(t, feed)
		f.engine.last(t, "create").end <- ending{err: errors.New("failed")}
		tells(t, feed, "j51 FAILED 0 ")
	})
}

// TestFeedUndo has an undo, of which feeds say nothing.
func TestFeedUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		feed := f.Feed()
		if got := pollFeed(t, feed); got == nil || len(got) > 0 {
			t.Errorf("the feed begins with %q, want that there is nothing", got)
		}
		a := f.undo(t.Context())
		tells(t, feed)
		f.restore(t.Context(), "A")
		tells(t, feed, "j2 INITIALIZED 0 A")
		f.engine.last(t, "undo").end <- ending{}
		a.check(t, "", "")
		tells(t, feed, "j2 IN-PROGRESS 0 A")
	})
}

// TestFeedStored says of a job whose end is still to be stored neither that it
// goes on nor that it has ended, and then its end.
func TestFeedStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.history.slow = make(chan struct{})
		feed := f.Feed()
		f.restore(t.Context(), "A")
		tells(t, feed, "j1 IN-PROGRESS 0 A")
		c := f.engine.last(t, "restore A")
		c.report(cairn.Backup{ID: "A"}, percent(50)) // still to be told
		c.end <- ending{backup: backup("A")}
		tells(t, feed)
		f.create(t.Context())
		tells(t, feed, "j2 INITIALIZED 0 ")
		close(f.history.slow)
		tells(t, feed, "j1 COMPLETED 100 A", "j2 IN-PROGRESS 0 ")
		time.Sleep(time.Second) // all is told of the first
		tells(t, feed)
	})
}

// TestFeedLeaves ends the context of a feed that waits, which then goes on.
func TestFeedLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		feed := f.Feed()
		if _, err := feed(t.Context()); err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, gone)
		defer cancel()
		if _, err := feed(ctx); !errors.Is(err, gone) {
			t.Errorf("a feed whose context has ended returned %v", err)
		}
		f.create(t.Context())
		tells(t, feed, "j1 IN-PROGRESS 0 ")
	})
}

// A trap is a context that springs when somebody is about to wait for its end.
type trap struct {
	context.Context
	spring func()
}

func (t trap) Done() <-chan struct{} {
	t.spring()
	return t.Context.Done()
}

// TestEndOfContext has a job change, and then the context of those who are about
// to wait for that end: the change came first, and is told.
func TestEndOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		watch, feed := watched(t)(f.Create(t.Context())), f.Feed()
		c := f.engine.last(t, "create")
		for n := range int64(99) {
			for poll(t, watch) != "" || pollFeed(t, feed) != nil {
			}
			time.Sleep(time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			sprung := trap{ctx, func() {
				c.report(backup("B"), percent(n+1)) // told at once
				cancel()
			}}
			if n%2 == 0 {
				if list, err := feed(sprung); err != nil || list[0].Progress.Done != n+1 {
					t.Fatalf("the feed says %+v, %v", list, err)
				}
			} else if job, err := watch(sprung); err != nil || job.Progress.Done != n+1 {
				t.Fatalf("the watch says %+v, %v", job, err)
			}
		}
	})
}

// TestFeedBehind has feeds that are behind by so many jobs: by a thousand they may
// be at any time, and none hears of a part of them only.
func TestFeedBehind(t *testing.T) {
	const most = 1000
	j := jobs.New(jobs.Config{Engine: quick{}, History: nothing{}, Log: slog.New(slog.DiscardHandler)})
	defer j.Close()
	var feeds []cairn.Feed
	poll := func(i int) (tooFar bool) {
		t.Helper()
		behind := len(feeds) - i
		list, err := feeds[i](t.Context())
		if cairn.CodeOf(err) == cairn.CodeTimeout && behind > most {
			_, err := feeds[i](t.Context())
			return cairn.CodeOf(err) == cairn.CodeTimeout // still
		}
		if err != nil || len(list) != behind {
			t.Errorf("a feed that is %d jobs behind says %d, %v", behind, len(list), err)
		}
		return false
	}
	for range 3 * most {
		feeds = append(feeds, j.Feed())
		if _, err := outcome(t.Context())(j.Create(t.Context())); err != nil {
			t.Fatal(err)
		}
		if n := len(feeds); n >= most && n%10 == 0 {
			poll(n - most)
		}
	}
	if !poll(1) {
		t.Errorf("a feed that is %d jobs behind is not too far behind", len(feeds)-1)
	}
	if list, err := j.Feed()(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("a new feed says %v, %v", list, err)
	}
}

// TestWatchAll does random things in an order that the seed draws, and polls
// watches and feeds amid them. What each of them says is a whole story.
func TestWatchAll(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			f := setUp()
			w := &watchers{t: t, f: f}
			for range 150 {
				w.step(random)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
			f.Close()
			w.finish()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// watchers are all who watch, with what they have heard.
type watchers struct {
	t       *testing.T
	f       *fixture
	watches []*story
	feeds   []*feedStory
}

// A story is what one watch, or a feed of one job, has said.
type story struct {
	watch cairn.Watch
	said  []cairn.Job
}

// add adds what comes next, which must fit.
func (s *story) add(t *testing.T, job cairn.Job) {
	t.Helper()
	if n := len(s.said); n > 0 {
		last := s.said[n-1]
		switch {
		case last.ID != job.ID || last.Kind != job.Kind,
			job.Percentage() < last.Percentage() || job.Progress.Done < last.Progress.Done,
			last.Status == cairn.JobInProgress && job.Status == cairn.JobInitialized,
			last.Status.Ended() && job.Status != last.Status:
			t.Errorf("after %+v comes %+v", last, job)
		}
	}
	if (job.Percentage() == 100) != (job.Status == cairn.JobCompleted) || job.Status.Ended() == job.Ended.IsZero() {
		t.Errorf("it is said: %+v", job)
	}
	s.said = append(s.said, job)
}

// A feedStory is what a feed has said of each job.
type feedStory struct {
	feed  cairn.Feed
	jobs  map[string]*story
	order []string // of those that have ended
}

func (s *feedStory) add(t *testing.T, list []cairn.Job) {
	t.Helper()
	running := false
	for _, job := range list {
		st := s.jobs[job.ID]
		if st == nil {
			st = &story{}
			s.jobs[job.ID] = st
		}
		if n := len(st.said); n > 0 && st.said[n-1].Status.Ended() {
			t.Errorf("the feed says once more: %+v", job)
		}
		st.add(t, job)
		if job.Status.Ended() {
			s.order = append(s.order, job.ID)
			if running {
				t.Errorf("those that have ended are not the first: %+v", list)
			}
		}
		running = running || !job.Status.Ended()
	}
}

// step does one thing.
func (w *watchers) step(random *rand.Rand) {
	t := w.t
	keep := func(watch cairn.Watch, err error) {
		if err != nil {
			t.Fatal(err)
		}
		w.watches = append(w.watches, &story{watch: watch})
	}
	switch random.IntN(10) {
	case 0:
		keep(w.f.Create(t.Context()))
	case 1:
		keep(w.f.Restore(t.Context(), cairn.Backup{ID: string("AB"[random.IntN(2)])}))
	case 2:
		if random.IntN(3) == 0 {
			if _, err := w.f.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	case 3:
		w.feeds = append(w.feeds, &feedStory{feed: w.f.Feed(), jobs: map[string]*story{}})
	case 4, 5:
		if c := w.running(); c != nil && c.report != nil {
			c.report(cairn.Backup{}, cairn.Progress{Done: random.Int64N(120), Total: 100 + 100*random.Int64N(2)})
		}
	case 6:
		if c := w.running(); c != nil {
			c.end <- []ending{{backup: backup("B")}, {err: errors.New("failed")}, {panics: "broken"}}[random.IntN(3)]
		}
	case 7:
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
	case 8:
		if len(w.watches) > 0 {
			w.poll(w.watches[random.IntN(len(w.watches))])
		}
	case 9:
		if len(w.feeds) > 0 {
			w.pollFeed(w.feeds[random.IntN(len(w.feeds))])
		}
	}
	if random.IntN(2) == 0 {
		synctest.Wait()
	}
}

// running returns the work that goes on, or nil.
func (w *watchers) running() *call {
	synctest.Wait()
	w.f.engine.mu.Lock()
	defer w.f.engine.mu.Unlock()
	if w.f.engine.running == 0 {
		return nil
	}
	return w.f.engine.calls[len(w.f.engine.calls)-1]
}

func (w *watchers) poll(s *story) {
	if job, err := s.watch(over); err == nil {
		s.add(w.t, job)
	} else if !errors.Is(err, errNothing) {
		w.t.Errorf("a watch returned %v", err)
	}
}

func (w *watchers) pollFeed(s *feedStory) {
	if list, err := s.feed(over); err == nil {
		s.add(w.t, list)
	} else if !errors.Is(err, errNothing) {
		w.t.Errorf("a feed returned %v", err)
	}
}

// finish reads all stories to their ends, when all jobs have ended.
func (w *watchers) finish() {
	t := w.t
	for _, s := range w.watches {
		for range 3 {
			w.poll(s)
		}
		n := len(s.said)
		if n < 3 || s.said[0].Status.Ended() || !s.said[n-1].Status.Ended() || !s.said[n-2].Status.Ended() {
			t.Errorf("a watch said %+v", s.said)
		}
	}
	ends := map[string]cairn.Job{}
	for _, s := range w.watches {
		if n := len(s.said); n > 0 {
			ends[s.said[n-1].ID] = s.said[n-1]
		}
	}
	var order []string // of the first feed
	for i, s := range w.feeds {
		for range 2 {
			w.pollFeed(s)
		}
		for id, st := range s.jobs {
			if last := st.said[len(st.said)-1]; last.Status != ends[id].Status {
				t.Errorf("a feed says of %s %s at last, and a watch %s", id, last.Status, ends[id].Status)
			}
		}
		if i == 0 {
			order = s.order
		} else if n := len(order) - len(s.order); n < 0 || !slices.Equal(order[n:], s.order) {
			t.Errorf("a feed says the ends of %q, an earlier one of %q", s.order, order)
		}
	}
}

// TestWatchConcurrent has many begin and watch jobs that end in no time, with
// feeds beside them: each hears the end of each job.
func TestWatchConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which notices who is never woken
		e := &engine{backups: map[string]cairn.Backup{}}
		j := jobs.New(jobs.Config{Engine: busy{e}, History: &history{}, Log: slog.New(slog.DiscardHandler)})
		var callers, feeds sync.WaitGroup
		var mu sync.Mutex
		begun := map[string]bool{}
		life, end := context.WithCancel(t.Context())
		heard := make([]map[string]int, 4) // by each feed: how often a job has ended
		for i := range heard {
			heard[i] = map[string]int{}
			feed := j.Feed()
			feeds.Go(func() { countEnds(life, feed, heard[i]) })
		}
		for i := range 40 {
			callers.Go(func() {
				for range 10 {
					begin := j.Create
					if i%2 == 0 {
						begin = func(ctx context.Context) (cairn.Watch, error) { return j.Restore(ctx, cairn.Backup{ID: "A"}) }
					}
					watch, err := begin(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					id := watchToEnd(t, watch)
					mu.Lock()
					begun[id] = true
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		j.Close()
		end()
		feeds.Wait()
		for i, ends := range heard {
			for id := range begun {
				if ends[id] != 1 {
					t.Errorf("feed %d says %d times that %s has ended", i, ends[id], id)
				}
			}
		}
	})
}

// countEnds counts the ends that a feed tells of, those at the end of ctx too.
func countEnds(ctx context.Context, feed cairn.Feed, ends map[string]int) {
	for {
		list, err := feed(ctx)
		for _, job := range list {
			if job.Status.Ended() {
				ends[job.ID]++
			}
		}
		if err != nil {
			return
		}
	}
}

// watchToEnd reads a watch until its job is complete, and returns the job's id.
func watchToEnd(t *testing.T, watch cairn.Watch) (id string) {
	var said []cairn.Job
	for n := 0; n == 0 || !said[n-1].Status.Ended(); n++ {
		job, err := watch(t.Context())
		if err != nil {
			t.Error(err)
			return ""
		}
		said = append(said, job)
	}
	if len(said) < 2 || said[len(said)-1].Status != cairn.JobCompleted {
		t.Errorf("a watch said %+v", said)
	}
	return said[0].ID
}
