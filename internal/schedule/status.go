package schedule

import (
	"time"

	"cairn"
)

// A Status says what a scheduler has done and is about to do. Times are zero
// where there is nothing to tell.
type Status struct {
	// Cron, Quiet and AtMostEvery are those of Config; On reports that there are
	// backups at all.
	On                 bool
	Cron               string
	Quiet, AtMostEvery time.Duration

	// Running reports that a backup is made, or tidied up after. Next is when the
	// next one comes if nothing happens before, and Why.
	Running bool
	Next    time.Time
	Why     Trigger
	// LastSuccess is when the newest backup of the database was made, by whomever,
	// or found to be all that is needed.
	LastSuccess time.Time
	// Failures counts tries that failed, one after the other, from FailingSince to
	// LastFailure, and Problem is why the last one did.
	Failures                  int
	FailingSince, LastFailure time.Time
	Problem                   *cairn.Error
	// OverdueSince is when a backup should have been made, once that is an hour ago.
	OverdueSince time.Time
	// Tidying is why Config.After failed the last time; nil when it did not.
	Tidying *cairn.Error
}

// Status returns how things stand. It waits for nothing.
func (s *Scheduler) Status() Status {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.plan
	st := Status{
		On:    p.isOn(),
		Quiet: p.quiet, AtMostEvery: p.atMostEvery,
		Running: p.trying, LastSuccess: p.success,
		Failures: p.failures, FailingSince: p.since, LastFailure: p.failed, Problem: p.problem,
		OverdueSince: p.overdue(now), Tidying: p.tidying,
	}
	if p.cron != nil {
		st.Cron = p.cron.String()
	}
	if !p.trying {
		st.Next, st.Why = p.next()
	}
	return st
}
