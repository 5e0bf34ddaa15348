package jobs

import (
	"context"
	"time"

	"cairn"
)

// publish tells all who watch that a task has changed. mu must be held.
func (j *Jobs) publish(t *task) {
	t.version++
	t.told = time.Now()
	if t.job.Kind != undoing {
		j.version++
	}
	close(j.changed)
	j.changed = make(chan struct{})
}

// tell is publish for how far a task is, which changes often: now, or when it is
// time again. mu must be held.
func (j *Jobs) tell(t *task) {
	if t.telling {
		return
	}
	wait := tellEvery - time.Since(t.told)
	if wait <= 0 {
		j.publish(t)
		return
	}
	t.telling = true
	time.AfterFunc(wait, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		t.telling = false
		if !t.left { // else all is told
			j.publish(t)
		}
	})
}

// watch returns a watch of a task, which says nothing before the history has it: a
// crash must not make a job unknown that somebody has heard of. mu must be held.
func (j *Jobs) watch(t *task) cairn.Watch {
	first, seen, begun := t.job, t.version, false
	return func(ctx context.Context) (cairn.Job, error) {
		if !begun {
			select {
			case <-t.noted:
			case <-ctx.Done():
			}
			select {
			case <-t.noted: // also when ctx has ended
			default:
				return cairn.Job{}, context.Cause(ctx)
			}
			begun = true
			return first, nil
		}
		for {
			over := ctx.Err() != nil // before a look, so that what came first is seen
			j.mu.Lock()
			job, version, left, changed := t.job, t.version, t.left, j.changed
			j.mu.Unlock()
			// One that has ended, but not left yet, is about to be stored.
			if left || version > seen && !job.Status.Ended() {
				seen = version
				return job, nil
			}
			if over {
				return cairn.Job{}, context.Cause(ctx)
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// end notes a job that has ended, for feeds. mu must be held.
func (j *Jobs) end(job cairn.Job) {
	j.ended++
	j.ends = append(j.ends, job)
	if n := len(j.ends); n >= 2*keptEnds {
		j.ends = append([]cairn.Job(nil), j.ends[n-keptEnds:]...)
	}
}

// Feed returns a feed of the jobs from now on.
func (j *Jobs) Feed() cairn.Feed {
	j.mu.Lock()
	heard, seen := j.ended, int64(-1)
	j.mu.Unlock()
	return func(ctx context.Context) ([]cairn.Job, error) {
		for {
			over := ctx.Err() != nil // before a look, so that what came first is seen
			j.mu.Lock()
			if j.version > seen {
				defer j.mu.Unlock()
				missed := int(j.ended - heard)
				if missed > len(j.ends) {
					return nil, tooSlow()
				}
				jobs := append([]cairn.Job{}, j.ends[len(j.ends)-missed:]...)
				for _, t := range j.queue {
					if t.job.Kind != undoing && !t.job.Status.Ended() {
						jobs = append(jobs, t.job)
					}
				}
				heard, seen = j.ended, j.version
				return jobs, nil
			}
			changed := j.changed
			j.mu.Unlock()
			if over {
				return nil, context.Cause(ctx)
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}
