package cairn

import (
	"context"
	"time"
)

// A JobKind says what a job does.
type JobKind string

// The kinds of jobs.
const (
	Creation    JobKind = "creation"
	Restoration JobKind = "restoration"
)

// A JobStatus is where a job stands, in the words of the wire contract
// (BackupStatusEnum).
type JobStatus string

// The statuses. A job ends in exactly one of the last three.
const (
	JobInitialized JobStatus = "INITIALIZED"
	JobInProgress  JobStatus = "IN-PROGRESS"
	JobCompleted   JobStatus = "COMPLETED"
	JobFailed      JobStatus = "FAILED"
	JobCanceled    JobStatus = "CANCELED"
)

// Ended reports whether nothing comes after s.
func (s JobStatus) Ended() bool {
	return s == JobCompleted || s == JobFailed || s == JobCanceled
}

// A Job is a creation or a restoration of a backup.
type Job struct {
	ID       string // a UUID
	Kind     JobKind
	Backup   Backup // Bytes is 0 until a creation is complete
	Status   JobStatus
	Progress Progress
	Reason   *Error // why it failed or was cancelled; else nil
	Started  time.Time
	Ended    time.Time // zero while it is not
}

// Percentage returns how far the job is, from 0 to 100; 100 is COMPLETED, and
// nothing else is.
func (j Job) Percentage() int {
	if j.Status == JobCompleted {
		return 100
	}
	return j.Progress.Percentage()
}

// Progress counts bytes of JSON text that are done, of all there are to do.
type Progress struct {
	Done, Total int64
}

// Percentage returns whole percents, from 0 to 99: only its end makes a job
// complete.
func (p Progress) Percentage() int {
	if p.Total <= 0 || p.Done <= 0 {
		return 0
	}
	return int(min(99, float64(p.Done)/float64(p.Total)*100))
}

// A Watch follows one job. Its first call returns the job as it was when the
// watch began, as soon as a crash cannot make it unknown any more; each further one
// waits until there is something newer, and returns the newest there is then:
// nothing is kept for a watch that is slow. When the job has ended, all calls return
// its end, at once. When ctx ends before that, its cause is returned, and the next
// call goes on. It must not be called by two goroutines at the same time.
type Watch func(ctx context.Context) (Job, error)

// Wait returns the backup of the job when it is complete, or why it is not. When
// ctx ends before that, its cause is returned and the job goes on.
func (w Watch) Wait(ctx context.Context) (Backup, error) {
	for {
		job, err := w(ctx)
		switch {
		case err != nil:
			return Backup{}, err
		case job.Status == JobCompleted:
			return job.Backup, nil
		case job.Status.Ended():
			return Backup{}, job.Reason
		}
	}
}

// A Feed follows all jobs. Its first call returns those that run or wait; each
// further one waits until something is newer, and returns those that run or wait
// then, in their order, and before them those that have ended since the last
// call, each once, however short they were. When ctx ends before that, its cause
// is returned, and the next call goes on. A feed that is too far behind is an
// error of [CodeTimeout]. It must not be called by two goroutines at the same
// time.
type Feed func(ctx context.Context) ([]Job, error)
