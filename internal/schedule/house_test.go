package schedule_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/schedule"
)

// A house is a database, a cloud and a scheduler in a bubble of testing/synctest,
// whose time begins at midnight. Its fields are changed between sleeps only.
type house struct {
	t    *testing.T
	s    *schedule.Scheduler
	stop context.CancelFunc // ends the scheduler, and waits for that

	slept atomic.Int64 // a time.Duration by the computer: the clock on the wall is so far ahead
	zone  *time.Location
	log   logbook

	mu      sync.Mutex
	stats   cairn.Stats
	changed chan struct{}
	base    *cairn.Base // the newest backup of the database
	gone    bool        // the cloud does not have it
	takes   time.Duration
	fails   error    // what backups and questions to the cloud come to
	began   []string // when backups were begun, and which number they have
	asked   int      // questions to the cloud
	tidied  int
	untidy  error
	running int
}

// sleep has the computer sleep, which nobody notices at once. A negative duration
// sets the clock back.
func (h *house) sleep(d time.Duration) { h.slept.Add(int64(d)) }

// A logbook is text that several goroutines write.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start is when a bubble's time begins.
func start() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// live runs fn in a house whose scheduler runs. change may set what New gets; the
// database has one document, which no backup has.
func live(t *testing.T, change func(*house, *schedule.Config), fn func(*house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, zone: time.UTC, takes: time.Second, changed: make(chan struct{}), stats: cairn.Stats{Line: "line", Revision: 1, Documents: 1}}
		cfg := schedule.Config{
			Database: h, Last: h.last, Confirm: h.confirm, Begin: h.begin, After: h.after,
			Zone: h.zone, Now: h.now, Random: func() float64 { return 0.5 },
			Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		}
		change(h, &cfg)
		h.zone = cfg.Zone
		h.run(cfg)
		fn(h)
		h.stop()
	})
}

// run starts a scheduler, as the start of a daemon does.
func (h *house) run(cfg schedule.Config) {
	h.s = schedule.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.s.Run(ctx)
	}()
	h.stop = func() {
		cancel()
		<-ended
	}
	synctest.Wait()
}

func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.slept.Load())).In(h.zone) }

// wait lets time pass on which the computer is awake.
func (h *house) wait(d time.Duration) {
	_ = h.Stats() // its lock has the others see what the test has changed
	time.Sleep(d)
	synctest.Wait()
}

// until lets time pass until the wall shows a time of the day.
func (h *house) until(clock string) {
	h.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", clock, h.zone)
	if err != nil {
		h.t.Fatal(err)
	}
	h.wait(at.Sub(h.now()))
}

// write changes a document.
func (h *house) write() {
	h.mu.Lock()
	h.stats.Revision++
	close(h.changed)
	h.changed = make(chan struct{})
	h.mu.Unlock()
	synctest.Wait()
}

func (h *house) Stats() cairn.Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stats
}

func (h *house) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func (h *house) last(context.Context) (cairn.Base, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.base == nil {
		return cairn.Base{}, false, nil
	}
	return *h.base, true, nil
}

func (h *house) confirm(_ context.Context, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	switch {
	case h.fails != nil:
		return h.fails
	case h.gone || h.base == nil || h.base.Backup != id:
		return &cairn.Error{Code: cairn.CodeBackupNotFound, Message: "It is gone."}
	}
	return nil
}

// begin is a backup that is made by a queue of jobs: it goes on when nobody waits.
func (h *house) begin(context.Context) (cairn.Watch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := fmt.Sprint(len(h.began) + 1)
	h.began = append(h.began, h.now().Format("01-02 15:04:05"))
	b := cairn.Backup{ID: id, Scope: cairn.ScopeAll, Created: h.now(), Line: h.stats.Line, Revision: h.stats.Revision}
	h.running++
	if h.running > 1 {
		h.t.Error("two backups at once")
	}
	done := time.After(h.takes)
	return func(ctx context.Context) (cairn.Job, error) {
		select {
		case <-ctx.Done():
			return cairn.Job{}, context.Cause(ctx)
		case <-done:
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running--
		if h.fails != nil {
			reason, _ := h.fails.(*cairn.Error)
			return cairn.Job{Status: cairn.JobFailed, Reason: reason}, nil
		}
		h.take(b)
		return cairn.Job{Kind: cairn.Creation, Status: cairn.JobCompleted, Backup: b}, nil
	}, nil
}

// take makes b the newest backup. mu must be held.
func (h *house) take(b cairn.Backup) {
	h.base = &cairn.Base{Backup: b.ID, Created: b.Created, Revision: b.Revision}
	h.gone = false
}

// manual is a backup that somebody asks for, and that is made at once.
func (h *house) manual() {
	h.mu.Lock()
	b := cairn.Backup{ID: "manual", Scope: cairn.ScopeAll, Created: h.now(), Line: h.stats.Line, Revision: h.stats.Revision}
	h.take(b)
	h.mu.Unlock()
	h.s.Ended(cairn.Job{Kind: cairn.Creation, Status: cairn.JobCompleted, Backup: b})
	synctest.Wait()
}

func (h *house) after(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tidied++
	return h.untidy
}

// wantBegan fails the test unless backups were begun at these times since it was
// called last.
func (h *house) wantBegan(want ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.began, want) {
		h.t.Errorf("backups were begun at %q, want %q\n%s", h.began, want, h.log.String())
	}
	h.began = nil
}

// wantNext fails the test unless the next backup comes at a time, and why.
func (h *house) wantNext(want string, why schedule.Trigger) {
	h.t.Helper()
	st := h.s.Status()
	got := ""
	if !st.Next.IsZero() {
		got = st.Next.In(h.zone).Format("01-02 15:04:05")
	}
	if got != want || st.Why != why {
		h.t.Errorf("the next one comes at %q, %q; want %q, %q", got, st.Why, want, why)
	}
}

// cron returns a change of the configuration: times, and a backup that is there
// already, of all changes.
func cron(text string) func(*house, *schedule.Config) {
	return func(h *house, cfg *schedule.Config) {
		c, err := schedule.ParseCron(text)
		if err != nil {
			h.t.Fatal(err)
		}
		cfg.Cron = c
		h.base = &cairn.Base{Backup: "old", Created: start(), Revision: 1}
	}
}

// quiet returns a change of the configuration.
func quiet(quiet, atMostEvery time.Duration) func(*house, *schedule.Config) {
	return func(h *house, cfg *schedule.Config) {
		cfg.Quiet, cfg.AtMostEvery = quiet, atMostEvery
		h.base = &cairn.Base{Backup: "old", Created: start().Add(-time.Minute), Revision: 1}
	}
}

// lost is a failure that may pass by itself.
func lost() error {
	return &cairn.Error{Code: cairn.CodeCloudLost, Message: "The cloud does not answer.", Hint: "Wait."}
}

// discard is a log for tests that do not look at it.
func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
