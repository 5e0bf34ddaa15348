package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"cairn"
)

// undoing is the kind of a task that is no job.
const undoing cairn.JobKind = "undo"

// reporter takes what is known of a backup and how far the work is.
type reporter = func(cairn.Backup, cairn.Progress)

// A task is work in the queue.
type task struct {
	run    func(context.Context, reporter) (cairn.Backup, error)
	ctx    context.Context // of the work
	cancel context.CancelCauseFunc
	noted  chan struct{} // closed when the history has it, or could not be written
	turn   chan struct{} // closed when it is the first in the queue
	done   chan struct{} // closed when it has left the queue

	// Guarded by Jobs.mu.
	job     cairn.Job
	version int64     // of job, as those who watch are told of it
	told    time.Time // when they were
	telling bool      // a timer will tell them
	left    bool      // done is closed

	// The outcome, set before done is closed.
	backup cairn.Backup
	err    error
}

// enter puts work into the queue, or finds another task there that does the same,
// and returns a watch of it.
func (j *Jobs) enter(ctx context.Context, id string, kind cairn.JobKind, backup cairn.Backup, run func(context.Context, reporter) (cairn.Backup, error)) (cairn.Watch, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t := &task{
		run:   run,
		noted: make(chan struct{}),
		turn:  make(chan struct{}),
		done:  make(chan struct{}),
		job: cairn.Job{
			ID: id, Kind: kind, Backup: backup,
			Status: cairn.JobInitialized, Started: j.cfg.Now(),
		},
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, shuttingDown()
	}
	if same := j.same(t); same != nil {
		return j.watch(same), nil
	}
	if len(j.queue) > mostQueued { // and one of them runs
		return nil, queueFull()
	}
	t.ctx, t.cancel = context.WithCancelCause(j.life)
	j.queue = append(j.queue, t)
	if len(j.queue) == 1 {
		close(t.turn)
	}
	j.publish(t)
	j.work.Go(func() { j.do(t) })
	return j.watch(t), nil
}

// same returns the task that leads to the same database as t would, or nil. mu
// must be held.
func (j *Jobs) same(t *task) *task {
	if t.job.Kind != cairn.Restoration {
		return nil
	}
	for _, other := range slices.Backward(j.queue) {
		switch {
		case other.job.Kind == cairn.Creation:
		case other.job.Kind == t.job.Kind && other.job.Backup.ID == t.job.Backup.ID && !other.job.Status.Ended() && other.ctx.Err() == nil:
			return other
		default:
			return nil // replaces the database too
		}
	}
	return nil
}

// do carries a task from the queue to its end.
func (j *Jobs) do(t *task) {
	defer t.cancel(nil)
	j.catchUp() // so that the history has jobs in their order
	j.save(t)
	close(t.noted)
	select {
	case <-t.turn:
	case <-t.ctx.Done():
	}
	if t.err = j.begin(t); t.err == nil {
		j.catchUp() // before what the last one has led to is undone
		j.save(t)
		t.backup, t.err = j.call(t)
	}
	j.settle(t)
	if t.pointless() {
		j.forget(t.job.ID)
	} else {
		j.save(t)
	}
	j.leave(t)
}

// pointless reports whether a task that has ended was a restoration of what is
// not there. It is no job of a backup, then.
func (t *task) pointless() bool {
	return t.job.Kind == cairn.Restoration && cairn.CodeOf(t.err) == cairn.CodeBackupNotFound
}

// begin says that a task runs whose turn has come, or returns why it may not.
func (j *Jobs) begin(t *task) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return shuttingDown()
	case t.ctx.Err() != nil:
		return context.Cause(t.ctx)
	}
	t.job.Status = cairn.JobInProgress
	j.publish(t)
	return nil
}

// call runs a task. A panic is an error of it.
func (j *Jobs) call(t *task) (backup cairn.Backup, err error) {
	defer func() {
		if p := recover(); p != nil {
			j.cfg.Log.Error("a job panicked", "kind", t.job.Kind, "job", t.job.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			backup, err = j.failed(t, backup, err)
		}
	}()
	return t.run(t.ctx, func(b cairn.Backup, p cairn.Progress) {
		if j.update(t, b, p) {
			j.save(t)
		}
	})
}

// failed returns the outcome of work that returned an error, and what it knew of
// the backup: a restoration that has replaced the database is complete
// nevertheless, and the cause of a cancellation says more than that there was
// one.
func (j *Jobs) failed(t *task, backup cairn.Backup, err error) (cairn.Backup, error) {
	if t.job.Kind == cairn.Restoration && backup.Bytes > 0 {
		j.note(t.job.ID, backup)
	}
	if t.job.Kind == cairn.Restoration && j.cfg.Engine.Restored() == t.job.ID {
		j.cfg.Log.Warn("a restoration failed after it had replaced the database", "job", t.job.ID, "err", err)
		j.mu.Lock()
		defer j.mu.Unlock()
		return t.job.Backup, nil
	}
	if t.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return cairn.Backup{}, context.Cause(t.ctx)
	}
	return cairn.Backup{}, err
}

// update notes what a running task reports, and returns whether the history
// should know: the id of the backup is new, or what belongs to it.
func (j *Jobs) update(t *task, b cairn.Backup, p cairn.Progress) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t.job.Status != cairn.JobInProgress {
		return false
	}
	old := t.job
	t.job.Progress = advance(old.Progress, p)
	if b.ID != "" && (b.ID == old.Backup.ID || t.job.Kind == cairn.Creation) {
		t.job.Backup = b
	}
	if t.job != old {
		j.tell(t)
	}
	b = t.job.Backup
	return b.ID != old.Backup.ID || b.Bytes != old.Backup.Bytes || !b.Created.Equal(old.Backup.Created)
}

// advance returns the later of two states of one work: neither the bytes that
// are done nor their share ever goes down.
func advance(old, p cairn.Progress) cairn.Progress {
	if p.Done < old.Done || share(p) < share(old) {
		return old
	}
	return p
}

// share is how much is done, from 0 to 1.
func share(p cairn.Progress) float64 {
	if p.Total <= 0 || p.Done <= 0 {
		return 0
	}
	return min(1, float64(p.Done)/float64(p.Total))
}

// settle gives the job of a task its end.
func (j *Jobs) settle(t *task) {
	now := j.cfg.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	t.job.Ended = now
	if t.err != nil {
		t.job.Status, t.job.Reason = cairn.JobFailed, reasonOf(t.err)
		if t.job.Reason.Code == cairn.CodeCanceled {
			t.job.Status = cairn.JobCanceled
		}
		return
	}
	t.job.Status = cairn.JobCompleted
	if t.backup.ID != "" {
		t.job.Backup = t.backup
	}
}

// save writes a job as it is now.
func (j *Jobs) save(t *task) {
	if t.job.Kind != undoing { // which never changes
		j.store(t.job.ID)
	}
}

// leave takes a task that has ended out of the queue, and gives the next one
// its turn.
func (j *Jobs) leave(t *task) {
	if t.job.Kind != undoing { // which never changes
		j.mu.Lock()
		job := t.job
		j.mu.Unlock()
		j.cfg.Ended(job)
	}
	j.mu.Lock()
	i := slices.Index(j.queue, t)
	j.queue = slices.Delete(j.queue, i, i+1)
	if i == 0 && len(j.queue) > 0 {
		close(j.queue[0].turn)
	}
	var dropped []string
	if t.job.Kind != undoing {
		j.end(t.job)
		if !t.pointless() {
			dropped = j.remember(t.job)
		}
	}
	job := t.job
	t.left = true
	close(t.done)
	j.publish(t)
	j.mu.Unlock()
	j.forget(dropped...)
	switch {
	case t.err == nil:
		j.cfg.Log.Info("job completed", "kind", job.Kind, "job", job.ID, "backup", job.Backup.ID, "took", job.Ended.Sub(job.Started))
	case job.Status == cairn.JobCanceled || cairn.CodeOf(t.err) == cairn.CodeShuttingDown:
		j.cfg.Log.Info("job stopped", "kind", job.Kind, "job", job.ID, "backup", job.Backup.ID, "why", cairn.CodeOf(t.err), "took", job.Ended.Sub(job.Started))
	case t.pointless() || cairn.CodeOf(t.err) == cairn.CodeNothingToUndo: // whoever asked is told
	default:
		j.cfg.Log.Error("job failed", "kind", job.Kind, "job", job.ID, "backup", job.Backup.ID, "err", t.err)
	}
}
