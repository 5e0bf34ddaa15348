package cairn

import "time"

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
