// Package jobs runs the creations and restorations of backups, one at a time,
// and remembers what became of them.
//
// Start with [New] and [Jobs.Recover], before the first request comes in:
//
//	j := jobs.New(jobs.Config{Engine: engine, History: device})
//	defer j.Close()
//	if err := j.Recover(ctx); err != nil {
//		// the history cannot be read: everything works, without it
//	}
//	watch, err := j.Create(ctx)
//	backup, err := watch.Wait(ctx)
//
// A job belongs to the daemon, not to the request that began it: who begins one
// gets a watch, and the work goes on whether that is used or not. Only
// [Jobs.Cancel] and [Jobs.Close] stop it.
//
// All who watch wait for one signal, that something has changed, and then look.
// So nothing is kept for any of them, and none can hold the work up.
package jobs

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"cairn"
)

// An Engine does the work. Its report functions take the backup as it is known
// so far, with the id that it will have, and may be called from any goroutine
// of the work. Work whose ctx has ended stops soon, leaves nothing behind, and
// returns the cause of ctx or an error that wraps context.Canceled; but if it is
// past its commit point, it goes on to its end.
type Engine interface {
	// NewBackup returns a backup that is to be created, with its id.
	NewBackup(scope cairn.Scope) cairn.Backup
	// Create makes a backup of the whole database.
	Create(ctx context.Context, b cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error)
	// CreateFrom makes a backup of scope cairn.ScopeAssets. It does not use
	// documents any more when it has returned.
	CreateFrom(ctx context.Context, b cairn.Backup, documents iter.Seq2[cairn.Document, error], report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error)
	// Restore replaces the live database by a backup, on behalf of a job.
	Restore(ctx context.Context, job, backup string, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error)
	// Restored returns the id of the job that made the live database, or "".
	Restored() string
	// Undo swaps the database before the newest restoration back.
	Undo(ctx context.Context) error
	// Backup returns a backup in the cloud: cairn.CodeBackupNotFound.
	Backup(ctx context.Context, id string) (cairn.Backup, error)
}

// A History keeps jobs across restarts. Its methods may be called at the same
// time.
type History interface {
	// SaveJob stores a job in the place of what was stored with its id. Of
	// Progress nothing need be kept.
	SaveJob(ctx context.Context, job cairn.Job) error
	// ForgetJobs removes jobs by their ids. One that is not there is no error.
	ForgetJobs(ctx context.Context, ids ...string) error
	// Jobs returns the jobs that are kept, newest first.
	Jobs(ctx context.Context) ([]cairn.Job, error)
}

const (
	// keptJobs is how many ended jobs of each kind are remembered.
	keptJobs = 100
	// mostQueued is how many jobs can wait: a client that asks again each time that
	// it gives up must not fill the daemon.
	mostQueued = 256
	// keptEnds is how many jobs can end before a feed has to have heard of them.
	keptEnds = 1000
	// tellEvery is how often those who watch hear how far a job is, at most.
	tellEvery = 250 * time.Millisecond
	// lookUpTime bounds a question to the cloud that may stay without answer.
	lookUpTime = 5 * time.Second
)

// Config holds what Jobs need. Engine and History are required.
type Config struct {
	Engine Engine
	// History gets each job at each change of its status or of its backup's id.
	// What it fails at is logged, never fails a job, and is tried again when the
	// next job comes and when Jobs are closed.
	History History
	// NewID draws the ids of jobs; nil means random UUIDs.
	NewID func() string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Ended hears of each job that has ended, before those who wait for it. It must
	// not wait; nil means nobody.
	Ended func(cairn.Job)
	// Log gets how jobs end; nil means slog.Default.
	Log *slog.Logger
}

// Jobs is a queue of work. Its methods may be called at the same time. The
// Reason of a job that they return must not be changed.
type Jobs struct {
	cfg Config

	// life is the context of all work. Close ends it, then waits for work.
	life context.Context
	stop context.CancelCauseFunc
	work sync.WaitGroup

	// writing holds a token while nobody writes the history on disk: one at a
	// time, so that what is newest is written last.
	writing chan struct{}

	mu      sync.Mutex // guards the rest and the fields of tasks; never held while something is waited for
	closed  bool
	queue   []*task     // in order; the first has its turn
	history []cairn.Job // that have ended, newest first
	// owed are ids of jobs that have ended, or are gone, of which the history on
	// disk says something else, since writing it failed.
	owed map[string]struct{}

	changed chan struct{} // closed when something has, and replaced
	version int64         // how often that was a job
	ends    []cairn.Job   // the newest that have ended, in their order
	ended   int64         // how many ever have
}

// New returns Jobs with nothing to do and no history.
func New(cfg Config) *Jobs {
	if cfg.NewID == nil {
		cfg.NewID = uuid.NewString
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ended == nil {
		cfg.Ended = func(cairn.Job) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	j := &Jobs{cfg: cfg, writing: make(chan struct{}, 1), owed: map[string]struct{}{}, changed: make(chan struct{})}
	j.writing <- struct{}{}
	j.life, j.stop = context.WithCancelCause(context.Background())
	return j
}

// Close cancels the running job and those in the queue with
// cairn.CodeShuttingDown as the cause, and waits for their end. Nothing starts
// afterwards; what is known can still be asked for.
func (j *Jobs) Close() {
	j.mu.Lock()
	j.closed = true
	j.stop(shuttingDown()) // before anybody sees that it is closed
	j.mu.Unlock()
	j.work.Wait()
	j.catchUp()
}

// Create begins a backup of the whole database. Its errors are
// cairn.CodeShuttingDown, cairn.CodeQueueFull when 256 jobs wait, and the cause of
// a ctx that has ended; the job fails with those of Engine.Create.
func (j *Jobs) Create(ctx context.Context) (cairn.Watch, error) {
	b := j.cfg.Engine.NewBackup(cairn.ScopeAll)
	return j.enter(ctx, j.cfg.NewID(), cairn.Creation, b, func(ctx context.Context, report reporter) (cairn.Backup, error) {
		return j.cfg.Engine.Create(ctx, b, report)
	})
}

// CreateFrom begins a backup of documents that are the caller's: they are in use
// until the job has ended. Its errors are those of [Jobs.Create].
func (j *Jobs) CreateFrom(ctx context.Context, documents iter.Seq2[cairn.Document, error]) (cairn.Watch, error) {
	b := j.cfg.Engine.NewBackup(cairn.ScopeAssets)
	return j.enter(ctx, j.cfg.NewID(), cairn.Creation, b, func(ctx context.Context, report reporter) (cairn.Backup, error) {
		return j.cfg.Engine.CreateFrom(ctx, b, documents, report)
	})
}

// Restore begins to replace the live database by a backup, of which all may be
// known or the ID only. It joins a restoration of the same backup that runs or is in
// the queue, unless something behind that replaces the database again. Its errors
// are those of [Jobs.Create]. Nothing is remembered of the restoration of a backup
// that is not there.
func (j *Jobs) Restore(ctx context.Context, b cairn.Backup) (cairn.Watch, error) {
	job := j.cfg.NewID()
	if b.Bytes == 0 {
		b, _ = cairn.ParseBackupID(b.ID) // the rest comes with the first report
	}
	return j.enter(ctx, job, cairn.Restoration, b, func(ctx context.Context, report reporter) (cairn.Backup, error) {
		return j.cfg.Engine.Restore(ctx, job, b.ID, report)
	})
}

// Undo swaps the database before the newest restoration back, when its turn has
// come, unless ctx has ended by then. It is no job: nothing is remembered of it, no
// feed has it, nobody can cancel it, and the watch is for [cairn.Watch.Wait] only.
// Its errors are those of [Jobs.Create].
func (j *Jobs) Undo(ctx context.Context) (cairn.Watch, error) {
	return j.enter(ctx, j.cfg.NewID(), undoing, cairn.Backup{}, func(work context.Context, _ reporter) (cairn.Backup, error) {
		if ctx.Err() != nil {
			return cairn.Backup{}, canceled(undoing)
		}
		return cairn.Backup{}, j.cfg.Engine.Undo(work)
	})
}

// Cancel stops the creation or the restoration of a backup, in the queue too, for
// all who wait for it. It returns when that has ended: what it was doing is undone,
// and the next job has its turn. cairn.CodeNotInProgress when there is none, or
// when it came to its end first. When ctx ends before, its cause is returned, and
// the job is cancelled all the same.
func (j *Jobs) Cancel(ctx context.Context, kind cairn.JobKind, backup string) error {
	var all []*task
	j.mu.Lock()
	for _, t := range j.queue {
		if t.job.Kind == kind && t.job.Backup.ID == backup && !t.job.Status.Ended() {
			all = append(all, t)
		}
	}
	j.mu.Unlock()
	if len(all) == 0 {
		return notInProgress(kind, backup)
	}
	for _, t := range all {
		t.cancel(canceled(kind))
	}
	var lost error
	for _, t := range all {
		select {
		case <-t.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if cairn.CodeOf(t.err) != cairn.CodeCanceled {
			lost = endedFirst(kind, t.err)
		}
	}
	return lost
}

// List returns the running job, those in the queue in their order, and those
// that have ended, newest first: the newest 100 of each kind.
func (j *Jobs) List() []cairn.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	jobs := make([]cairn.Job, 0, len(j.queue)+len(j.history))
	for _, t := range j.queue {
		if t.job.Kind != undoing {
			jobs = append(jobs, t.job)
		}
	}
	return append(jobs, j.history...)
}

// Restoration returns the newest restoration of a backup, which may be any
// text: cairn.CodeJobNotFound. What is not known of the backup is asked of the
// cloud, for at most five seconds.
func (j *Jobs) Restoration(ctx context.Context, id string) (cairn.Job, error) {
	job, known := j.newest(cairn.Restoration, id)
	if known && job.Backup.Bytes == 0 { // its manifest was not read
		if backup, err := j.lookUp(ctx, id); err == nil {
			j.note(job.ID, backup)
		}
		job, known = j.newest(cairn.Restoration, id) // it went on meanwhile
	}
	if !known {
		return cairn.Job{}, jobNotFound(id)
	}
	return job, nil
}

// Creation returns the newest creation of a backup, which may be any text. One
// that the cloud holds is complete, whatever this device knows of it: another
// device may have made it, or the answer of the cloud got lost. Its errors are
// of cairn.CodeJobNotFound and, where only the cloud could know, those of
// Engine.Backup.
func (j *Jobs) Creation(ctx context.Context, id string) (cairn.Job, error) {
	job, known := j.newest(cairn.Creation, id)
	switch {
	case known && (!job.Status.Ended() || job.Status == cairn.JobCompleted):
		return job, nil
	case known:
		backup, err := j.lookUp(ctx, id)
		if err != nil {
			return job, nil // the cloud does not have it, or cannot be asked
		}
		return j.complete(job, backup), nil
	case cairn.ValidateID(id) != nil:
		return cairn.Job{}, jobNotFound(id)
	}
	backup, err := j.cfg.Engine.Backup(ctx, id)
	switch {
	case cairn.CodeOf(err) == cairn.CodeBackupNotFound:
		return cairn.Job{}, jobNotFound(id)
	case err != nil:
		return cairn.Job{}, err
	}
	return cairn.Job{
		Kind: cairn.Creation, Backup: backup, Status: cairn.JobCompleted,
		Started: backup.Created, Ended: backup.Created,
	}, nil
}

// lookUp asks the cloud for the backup of a job that can be told of without.
func (j *Jobs) lookUp(ctx context.Context, id string) (cairn.Backup, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	return j.cfg.Engine.Backup(ctx, id)
}

// newest returns the newest job of a kind for a backup.
func (j *Jobs) newest(kind cairn.JobKind, backup string) (cairn.Job, bool) {
	is := func(job cairn.Job) bool { return job.Kind == kind && job.Backup.ID == backup && backup != "" }
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range slices.Backward(j.queue) {
		if is(t.job) {
			return t.job, true
		}
	}
	if i := slices.IndexFunc(j.history, is); i >= 0 {
		return j.history[i], true
	}
	return cairn.Job{}, false
}

// complete corrects the history: the cloud holds the backup of a creation that
// was taken for failed.
func (j *Jobs) complete(job cairn.Job, backup cairn.Backup) cairn.Job {
	job.Backup, job.Status, job.Reason = backup, cairn.JobCompleted, nil
	j.mu.Lock()
	i := slices.IndexFunc(j.history, func(old cairn.Job) bool { return old.ID == job.ID })
	if i >= 0 {
		j.history[i] = job
	}
	j.mu.Unlock()
	if i >= 0 {
		j.store(job.ID)
	}
	return job
}

// note gives a job the backup that it is of, as the cloud has it.
func (j *Jobs) note(id string, backup cairn.Backup) {
	j.mu.Lock()
	for _, t := range j.queue { // which is stored when it ends
		if t.job.ID == id && t.job.Backup.Bytes == 0 {
			t.job.Backup = backup
		}
	}
	i := slices.IndexFunc(j.history, func(old cairn.Job) bool { return old.ID == id })
	if i < 0 {
		j.mu.Unlock()
		return
	}
	j.history[i].Backup = backup
	j.mu.Unlock()
	j.store(id)
}

// remember puts a job that has ended at the front of the history, and drops the
// oldest of its kind when there are too many: it returns their ids, to be
// forgotten. mu must be held.
func (j *Jobs) remember(job cairn.Job) (dropped []string) {
	j.history = slices.Insert(j.history, 0, job)
	left := keptJobs
	j.history = slices.DeleteFunc(j.history, func(old cairn.Job) bool {
		if old.Kind != job.Kind {
			return false
		}
		left--
		if left < 0 {
			dropped = append(dropped, old.ID)
		}
		return left < 0
	})
	return dropped
}

// store writes a job to the history on disk as it is now, also when all work is
// cancelled. It reports whether that was possible.
func (j *Jobs) store(id string) bool {
	<-j.writing
	defer func() { j.writing <- struct{}{} }()
	job, known := j.job(id)
	if !known {
		return true // dropped since, and to be forgotten
	}
	err := j.cfg.History.SaveJob(context.WithoutCancel(j.life), job)
	if err != nil {
		j.cfg.Log.Warn("the history of jobs was not written", "kind", job.Kind, "job", job.ID, "status", job.Status, "err", err)
	}
	if job.Status.Ended() { // else there is more to come
		j.owe(err, job.ID)
	}
	return err == nil
}

// job returns a job as it is now.
func (j *Jobs) job(id string) (job cairn.Job, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range j.queue {
		if t.job.ID == id {
			return t.job, true
		}
	}
	if i := slices.IndexFunc(j.history, func(old cairn.Job) bool { return old.ID == id }); i >= 0 {
		return j.history[i], true
	}
	return cairn.Job{}, false
}

// forget removes jobs from the history on disk, as store writes them.
func (j *Jobs) forget(ids ...string) {
	if len(ids) == 0 {
		return
	}
	<-j.writing
	defer func() { j.writing <- struct{}{} }()
	err := j.cfg.History.ForgetJobs(context.WithoutCancel(j.life), ids...)
	if err != nil {
		j.cfg.Log.Warn("the history of jobs was not written", "forgotten", ids, "err", err)
	}
	j.owe(err, ids...)
}

// owe notes whether the history on disk says what became of jobs, after a write
// that returned err.
func (j *Jobs) owe(err error, ids ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		if err != nil {
			j.owed[id] = struct{}{}
		} else {
			delete(j.owed, id)
		}
	}
}

// catchUp tries again what writing the history on disk has failed at. What a job
// has led to is not found out at the next start if by then another one has
// replaced the database, or the backup was deleted.
func (j *Jobs) catchUp() {
	var ended, gone []string
	j.mu.Lock()
	known := map[string]struct{}{}
	for _, t := range j.queue {
		known[t.job.ID] = struct{}{} // which is not at its end yet
	}
	for _, job := range slices.Backward(j.history) {
		known[job.ID] = struct{}{}
		if _, owed := j.owed[job.ID]; owed {
			ended = append(ended, job.ID)
		}
	}
	for id := range j.owed {
		if _, ok := known[id]; !ok {
			gone = append(gone, id)
		}
	}
	j.mu.Unlock()
	for _, id := range ended {
		if !j.store(id) {
			return // nor would the others be written
		}
	}
	j.forget(gone...)
}
