package schedule

import (
	"errors"
	"time"

	"cairn"
)

// A Trigger says why a backup is made.
type Trigger string

// The triggers.
const (
	TriggerSchedule Trigger = "schedule" // a time of the cron expression has come, or was missed
	TriggerChange   Trigger = "change"   // documents have changed
	TriggerRetry    Trigger = "retry"    // the last try failed
)

const (
	// firstPause and longestPause are about how long after a failure the next try
	// comes: twice as long after each further one.
	firstPause   = time.Minute
	longestPause = time.Hour
	// mostQuiets is how many quiet times after the first change a backup is made at
	// the latest.
	mostQuiets = 10
	// futureTime is how far ahead of the clock something can be that was noted: a
	// clock that is set right by less does not bring back times that are done with.
	futureTime = time.Hour
)

// A plan is what is known, and when a backup is due. Its times have no monotonic
// part.
type plan struct {
	cron               *Cron
	quiet, atMostEvery time.Duration
	zone               *time.Location
	started            time.Time

	// Of the database.
	line        string
	revision    int64     // that was seen last
	first, last time.Time // changes that no backup has; zero without any

	// Of its newest backup, and scheduled times.
	backed     int64     // it holds all changes up to this revision
	lastBackup time.Time // when it was asked for; zero without one
	done       time.Time // scheduled times up to then are done with
	scheduled  time.Time // the first one after that; zero without a cron expression

	// Of the tries here.
	trying   bool
	begun    time.Time // the newest try
	due      time.Time // since when the backup was that is tried; zero when all is well
	warned   bool      // that it is overdue
	success  time.Time // the newest backup or look that found that none is needed
	failures int       // in a row
	since    time.Time // the first of them
	failed   time.Time // the newest of them
	problem  *cairn.Error
	retry    time.Time    // zero without one
	tidying  *cairn.Error // why what comes after a backup failed the last time
}

// isOn reports whether backups are made at all.
func (p *plan) isOn() bool { return p.cron != nil || p.quiet > 0 }

// configure has backups made at other times, and reports whether they are others.
func (p *plan) configure(cron *Cron, quiet, atMostEvery time.Duration, now time.Time) (changed bool) {
	other := (cron == nil) != (p.cron == nil) || cron != nil && cron.String() != p.cron.String()
	changed = other || quiet != p.quiet || atMostEvery != p.atMostEvery
	p.quiet, p.atMostEvery = quiet, atMostEvery
	if other {
		p.cron = cron
		switch isDue := !p.scheduled.IsZero() && !p.scheduled.After(now); {
		case cron == nil:
			p.scheduled = time.Time{}
		case !isDue:
			p.passed(now)
		}
	}
	if !p.isOn() {
		p.retry, p.due, p.warned = time.Time{}, time.Time{}, false
	}
	return changed
}

// take notes the state of another generation, of which base is the newest backup.
func (p *plan) take(stats cairn.Stats, base cairn.Base, now time.Time) {
	p.line, p.revision, p.backed = stats.Line, stats.Revision, base.Revision
	p.lastBackup = base.Created.Round(0)
	p.first, p.last = time.Time{}, time.Time{}
	if p.revision > p.backed {
		p.first, p.last = now, now
	}
	if p.success.Before(p.lastBackup) {
		p.success = p.lastBackup
	}
	switch {
	case p.revision == 0: // nothing was missed
		p.passed(now)
	case p.done.Before(p.lastBackup) || p.scheduled.IsZero():
		p.passed(p.lastBackup)
	}
}

// see notes changes of the database.
func (p *plan) see(stats cairn.Stats, now time.Time) {
	if stats.Line != p.line || stats.Revision == p.revision {
		return
	}
	p.revision = stats.Revision
	if p.revision <= p.backed {
		return
	}
	if p.first.IsZero() {
		p.first = now
	}
	p.last = now
}

// passed notes that scheduled times up to t are done with.
func (p *plan) passed(t time.Time) {
	p.done = t
	if p.cron != nil {
		p.scheduled = p.cron.Next(t.In(p.zone)).Round(0)
	}
}

// clock corrects what lies ahead, where the clock was set back: it was wrong, and
// nothing is to wait until it is as late again.
func (p *plan) clock(now time.Time) {
	ahead := now.Add(futureTime)
	if p.done.After(ahead) {
		p.passed(now)
	}
	if p.lastBackup.After(ahead) {
		p.lastBackup = now
	}
	if p.retry.After(now.Add(2 * longestPause)) {
		p.retry = now.Add(firstPause)
	}
	for _, t := range []*time.Time{&p.started, &p.first, &p.last, &p.begun, &p.due} {
		if t.After(now) {
			*t = now
		}
	}
}

// next returns when a backup is due, and why; the zero time when none is foreseen.
func (p *plan) next() (at time.Time, why Trigger) {
	if !p.scheduled.IsZero() {
		at, why = p.scheduled, TriggerSchedule
		if at.Before(p.started) {
			at = p.started.Add(settleTime)
		}
	}
	other, cause := p.quieted(), TriggerChange
	if !p.retry.IsZero() {
		// Else a store that cannot be reached would be asked at each pause of work.
		other, cause = p.retry, TriggerRetry
	}
	if !other.IsZero() && (at.IsZero() || other.Before(at)) {
		return other, cause
	}
	return at, why
}

// quieted returns when the changes have been left alone for long enough.
func (p *plan) quieted() time.Time {
	if p.quiet == 0 || p.first.IsZero() {
		return time.Time{}
	}
	at := p.last.Add(p.quiet)
	if latest := p.first.Add(mostQuiets * p.quiet); at.After(latest) {
		at = latest
	}
	if earliest := p.lastBackup.Add(p.atMostEvery); at.Before(earliest) {
		at = earliest
	}
	return at
}

// begin notes a try of a backup that has been due for some time.
func (p *plan) begin(due, now time.Time) {
	if !p.scheduled.IsZero() && !p.scheduled.After(now) {
		due = p.scheduled // it may have waited for the start to settle
	}
	if p.due.IsZero() {
		p.due = due
	}
	p.trying, p.begun, p.retry = true, now, time.Time{}
	if p.done.Before(now) {
		p.passed(now)
	}
}

// succeed notes a backup of the whole database.
func (p *plan) succeed(b cairn.Backup, now time.Time) {
	p.well(now)
	if b.Line != p.line || b.Revision < p.backed {
		return
	}
	p.lastBackup = b.Created.Round(0)
	p.hold(b.Revision, p.lastBackup)
	if p.done.Before(p.lastBackup) {
		p.passed(p.lastBackup)
	}
}

// skip notes that no backup was needed, since the newest one holds all changes up
// to a revision.
func (p *plan) skip(held int64, now time.Time) {
	p.well(now)
	p.hold(held, p.begun)
}

// hold notes that there is a backup of all changes up to a revision, which stood
// at some time.
func (p *plan) hold(revision int64, at time.Time) {
	p.backed = max(p.backed, revision)
	switch {
	case p.revision <= p.backed:
		p.first, p.last = time.Time{}, time.Time{}
	case !p.first.IsZero() && p.first.Before(at):
		p.first = at // what came before is in it
	}
}

// well notes that nothing is wrong.
func (p *plan) well(now time.Time) {
	p.success, p.failures, p.problem = now, 0, nil
	p.since, p.failed, p.retry, p.due, p.warned = time.Time{}, time.Time{}, time.Time{}, time.Time{}, false
}

// cancel notes that somebody did not want the backup: the next change or time
// leads to one.
func (p *plan) cancel() {
	p.due = time.Time{}
	if p.last.After(p.begun) {
		p.first = p.last
		return
	}
	p.first, p.last = time.Time{}, time.Time{}
}

// fail notes that a try failed. random is a number from 0 to 1.
func (p *plan) fail(err error, now time.Time, random float64) {
	p.problem, p.failed = problem(err), now
	if p.failures == 0 {
		p.since = now
	}
	p.failures++
	switch {
	case !p.isOn(): // it was turned off meanwhile
	case mends(p.problem.Code):
		p.retry = now.Add(pauseAfter(p.failures, random))
	case p.quiet > 0: // changes have no next time of their own
		p.retry = now.Add(spread(longestPause, random))
	default:
		p.retry = time.Time{}
	}
}

// pauseAfter returns how long after so many failures the next try comes.
func pauseAfter(failures int, random float64) time.Duration {
	pause := longestPause
	if failures < 7 { // 64 minutes
		pause = min(pause, firstPause<<(failures-1))
	}
	return spread(pause, random)
}

// spread returns from 3/4 to 5/4 of a pause, so that many devices do not come
// together.
func spread(pause time.Duration, random float64) time.Duration {
	return pause*3/4 + time.Duration(random*float64(pause/2))
}

// mends reports whether trying again can help against a failure, without anybody
// doing something.
func mends(code cairn.Code) bool {
	switch code {
	case cairn.CodeSignedOut, cairn.CodeNoCloud, cairn.CodeCloudLocked, cairn.CodeKeyWrong, cairn.CodePassphraseWrong, cairn.CodeNotCloud,
		cairn.CodeFormatTooNew, cairn.CodeSchemaTooNew, cairn.CodeRegion, cairn.CodeNotStore,
		cairn.CodeKeyUnknown, cairn.CodeNoCredentials, cairn.CodeDamaged:
		return false
	}
	return true
}

// overdue returns since when a backup should have been made, when that is worth a
// warning, else the zero time.
func (p *plan) overdue(now time.Time) time.Time {
	late := now.Sub(p.due) > overdueTime && (p.failures > 0 || now.Sub(p.begun) > overdueTime)
	if p.due.IsZero() || !late {
		return time.Time{}
	}
	return p.due
}

// problem returns what a person may know of an error, or nil.
func problem(err error) *cairn.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		return e
	}
	return &cairn.Error{Code: cairn.CodeInternal, Message: "The daemon failed at this.", Hint: "Its log says why.", Err: err}
}
