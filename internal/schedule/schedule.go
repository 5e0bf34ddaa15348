// Package schedule decides when backups are made by themselves: at times of a
// cron expression, and when documents have changed and then been left alone for a
// while.
//
//	s := schedule.New(schedule.Config{Cron: cron, Quiet: quiet, Database: db, Begin: jobs.Create, ...})
//	go s.Run(ctx) // until ctx ends
//	s.Ended(job)  // of each job, so that what others do counts
//	s.Status()
//
// It makes one backup at a time, and keeps nothing on the disk: when it starts,
// the newest backup of the database says what was missed meanwhile.
package schedule

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"cairn"
)

const (
	// lookEvery is how often the clock on the wall is looked at: timers stand
	// still while a computer sleeps.
	lookEvery = time.Minute
	// settleTime is how long after the start a time that was missed is made up: at
	// the start of a computer the network comes later.
	settleTime = time.Minute
	// overdueTime is how late a backup can be before that is worth a warning.
	overdueTime = time.Hour
)

// A Database tells of changes. Package database describes its methods.
type Database interface {
	Stats() cairn.Stats
	Changed() <-chan struct{}
}

// Config says when backups are made, and how. Without Cron and Quiet there are
// none, until Configure says otherwise. Database, Last, Confirm and Begin are
// required.
type Config struct {
	// Cron has the times; nil means none. A time that is missed is made up once.
	Cron *Cron
	// Quiet is how long after the last change a backup is made; if changes never
	// pause, ten times as long after the first. 0 means never.
	Quiet time.Duration
	// AtMostEvery is how long after a backup, whoever made it, Quiet makes none.
	AtMostEvery time.Duration

	Database Database
	// Last returns the newest backup that the database can build on, as far as is
	// known without asking the cloud; ok is false when there is none.
	Last func(ctx context.Context) (base cairn.Base, ok bool, err error)
	// Confirm asks the cloud whether it has a backup: cairn.CodeBackupNotFound.
	Confirm func(ctx context.Context, id string) error
	// Begin begins a backup of the whole database.
	Begin func(ctx context.Context) (cairn.Watch, error)
	// After does what is to be done after each backup that was made here or was
	// not needed; nil means nothing. The next one waits for it.
	After func(ctx context.Context) error

	// Zone is that of Cron; nil means time.Local.
	Zone *time.Location
	// Now tells the time of the clock on the wall; nil means time.Now.
	Now func() time.Time
	// Random draws a number from 0 to 1, for pauses; nil means the runtime's.
	Random func() float64
	// Log gets what happens; nil means slog.Default.
	Log *slog.Logger
}

// A Scheduler makes backups while Run runs. Its methods may be called at the
// same time.
type Scheduler struct {
	cfg  Config
	wake chan struct{} // holds a token when the plan has changed

	mu   sync.Mutex // guards the rest; never held while something is waited for
	plan plan
}

// New returns a scheduler. It starts nothing.
func New(cfg Config) *Scheduler {
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Scheduler{
		cfg:  cfg,
		wake: make(chan struct{}, 1),
		plan: plan{cron: cfg.Cron, quiet: cfg.Quiet, atMostEvery: cfg.AtMostEvery, zone: cfg.Zone},
	}
}

// now returns the time without what the monotonic clock says, which stands still
// while a computer sleeps.
func (s *Scheduler) now() time.Time { return s.cfg.Now().Round(0) }

// Run makes backups until ctx ends; then it returns at once, and a backup under way
// is left to who makes it. Call it once.
func (s *Scheduler) Run(ctx context.Context) {
	s.mu.Lock()
	s.plan.started = s.now()
	s.mu.Unlock()
	s.tell(false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var trying chan struct{} // closed when the backup under way has ended; nil without one
	for {
		var changed <-chan struct{}
		if s.isOn() {
			changed = s.cfg.Database.Changed() // before the look, which it may make old
			s.look(ctx)
			if trying == nil {
				trying = s.try(ctx)
			}
		}
		timer.Reset(s.pause(trying != nil))
		select {
		case <-ctx.Done():
			if trying != nil {
				<-trying
			}
			return
		case <-trying:
			trying = nil
		case <-changed:
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// isOn reports whether there are backups at all.
func (s *Scheduler) isOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan.isOn()
}

// tell logs when backups are made, or if it is news, that none are.
func (s *Scheduler) tell(news bool) {
	switch st := s.Status(); {
	case st.On:
		s.cfg.Log.Info("backups are made by themselves", "schedule", st.Cron, "quiet", st.Quiet, "at_most_every", st.AtMostEvery)
	case news:
		s.cfg.Log.Info("backups are not made by themselves any more")
	}
}

// Configure has backups made at other times from now on. What is known stays: the
// newest backup, changes that wait for one, and failures. A time of the new expression
// that has passed was not missed; one of the old that is due stays due. A backup under
// way goes on. It waits for nothing.
func (s *Scheduler) Configure(cron *Cron, quiet, atMostEvery time.Duration) {
	now := s.now()
	s.mu.Lock()
	changed := s.plan.configure(cron, quiet, atMostEvery, now)
	s.mu.Unlock()
	if !changed {
		return
	}
	s.tell(true)
	s.stir()
}

// Connected has what failed tried again: somebody has connected a cloud, and may have
// done something about the cause. It waits for nothing.
func (s *Scheduler) Connected() {
	now := s.now()
	s.mu.Lock()
	if s.plan.failures > 0 && !s.plan.trying && s.plan.isOn() {
		s.plan.retry = now
	}
	s.mu.Unlock()
	s.stir()
}

// stir has Run look at what has changed.
func (s *Scheduler) stir() {
	select {
	case s.wake <- struct{}{}:
	default: // it will
	}
}

// look notes what has become of the database and of the clock.
func (s *Scheduler) look(ctx context.Context) {
	stats, now := s.cfg.Database.Stats(), s.now()
	s.mu.Lock()
	other := stats.Line != s.plan.line
	s.mu.Unlock()
	if other { // another generation, or the first look
		base, ok, err := s.cfg.Last(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("the newest backup of the database is not known", "err", err)
		}
		if !ok {
			base = cairn.Base{}
		}
		s.mu.Lock()
		s.plan.take(stats, base, now)
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.plan.clock(now)
	s.plan.see(stats, now)
	since := s.plan.overdue(now)
	warn := !since.IsZero() && !s.plan.warned
	s.plan.warned = s.plan.warned || warn
	s.mu.Unlock()
	if warn {
		s.cfg.Log.Warn("an automatic backup is overdue", "since", since)
	}
}

// pause returns how long nothing is to be done but to look at the clock.
func (s *Scheduler) pause(busy bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := s.plan.next()
	if busy || at.IsZero() || !s.plan.isOn() {
		return lookEvery
	}
	return max(0, min(lookEvery, at.Sub(s.now())))
}

// try makes a backup if one is due. It returns what is closed at the end of that.
func (s *Scheduler) try(ctx context.Context) chan struct{} {
	if ctx.Err() != nil {
		return nil
	}
	at, why, due := s.begin()
	if !due {
		return nil
	}
	s.cfg.Log.Info("an automatic backup is due", "why", why, "since", at)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if s.finish(ctx, s.make(ctx)) {
			s.after(ctx)
		}
		s.mu.Lock()
		s.plan.trying = false
		s.mu.Unlock()
	}()
	return ended
}

// begin notes that a try begins, if one is due.
func (s *Scheduler) begin() (at time.Time, why Trigger, due bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, why = s.plan.next()
	if at.IsZero() || at.After(now) {
		return at, why, false
	}
	s.plan.begin(at, now)
	return at, why, true
}

// An outcome is what a try has come to.
type outcome struct {
	backup  cairn.Backup
	skipped bool  // none was needed
	held    int64 // by the newest one: all changes up to this revision
	logged  bool  // err, by who made it
	err     error
}

// make makes a backup, unless nothing has changed since the newest one, and the
// cloud still has that.
func (s *Scheduler) make(ctx context.Context) outcome {
	stats := s.cfg.Database.Stats()
	if stats.Revision == 0 {
		return outcome{skipped: true} // there has never been a document
	}
	// Where the newest one is not known, one more is made.
	if base, ok, err := s.cfg.Last(ctx); err == nil && ok && base.Revision >= stats.Revision {
		switch err := s.cfg.Confirm(ctx, base.Backup); {
		case err == nil:
			return outcome{skipped: true, held: base.Revision}
		case cairn.CodeOf(err) != cairn.CodeBackupNotFound:
			return outcome{err: err}
		}
		s.cfg.Log.Info("the newest backup is not in the cloud any more", "backup", base.Backup)
	}
	watch, err := s.cfg.Begin(ctx)
	if err != nil {
		return outcome{err: err}
	}
	backup, err := watch.Wait(ctx)
	return outcome{backup: backup, logged: true, err: err}
}

// finish notes how a try has ended, and reports whether it was well.
func (s *Scheduler) finish(ctx context.Context, o outcome) bool {
	if o.err != nil && (ctx.Err() != nil || cairn.CodeOf(o.err) == cairn.CodeShuttingDown) {
		return false // the daemon stops
	}
	failures, next := s.note(o)
	switch {
	case o.skipped:
		s.cfg.Log.Info("an automatic backup was not needed: nothing has changed since the newest one")
	case o.err == nil: // who made it tells
	case cairn.CodeOf(o.err) == cairn.CodeCanceled:
		s.cfg.Log.Info("an automatic backup was cancelled")
	case o.logged:
		s.cfg.Log.Warn("an automatic backup failed", "code", cairn.CodeOf(o.err), "failures", failures, "next", next)
	default:
		s.cfg.Log.Error("an automatic backup failed", "code", cairn.CodeOf(o.err), "failures", failures, "next", next, "err", o.err)
	}
	return o.err == nil
}

// note has the plan know how a try has ended. It returns how many have failed in a
// row, and when the next one comes.
func (s *Scheduler) note(o outcome) (failures int, next time.Time) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case o.skipped:
		s.plan.skip(o.held, now)
	case o.err == nil:
		s.plan.succeed(o.backup, now)
	case cairn.CodeOf(o.err) == cairn.CodeCanceled:
		s.plan.cancel()
	default:
		s.plan.fail(o.err, now, s.cfg.Random())
	}
	next, _ = s.plan.next()
	return s.plan.failures, next
}

// after does what is to be done after a backup.
func (s *Scheduler) after(ctx context.Context) {
	if s.cfg.After == nil {
		return
	}
	err := s.cfg.After(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.cfg.Log.Error("tidying up after an automatic backup failed", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan.tidying = problem(err)
}

// Ended hears that a job has ended, of whoever began it: a backup of the whole
// database counts like one that was made here. It waits for nothing.
func (s *Scheduler) Ended(job cairn.Job) {
	if job.Kind != cairn.Creation || job.Status != cairn.JobCompleted || job.Backup.Scope != cairn.ScopeAll {
		return
	}
	s.mu.Lock()
	s.plan.succeed(job.Backup, s.now())
	s.mu.Unlock()
	s.stir()
}
