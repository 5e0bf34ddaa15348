package api

import "cairn"

// Jobs is the answer of GET /v1/jobs.
type Jobs struct {
	Iterable []Job `json:"iterable"` // running, queued, then ended ones, newest first
}

// JobsOf returns the list of the given jobs, in their order.
func JobsOf(list []cairn.Job) Jobs {
	all := Jobs{Iterable: make([]Job, len(list))}
	for i, j := range list {
		all.Iterable[i] = JobOf(j)
	}
	return all
}

// A Job is a creation or a restoration of a backup.
type Job struct {
	ID         string          `json:"id"`
	Kind       cairn.JobKind   `json:"kind"`
	Backup     Backup          `json:"backup"` // its id is "" as long as it is not known
	Status     cairn.JobStatus `json:"status"`
	Percentage int             `json:"percentage"`
	DoneBytes  int64           `json:"done_bytes"`  // of JSON text
	TotalBytes int64           `json:"total_bytes"` // 0 as long as it is not known
	Started    string          `json:"started,omitempty"`
	Ended      string          `json:"ended,omitempty"`
	Problem    *Cause          `json:"problem,omitempty"` // why it failed or was cancelled
}

// JobOf returns what the wire shows of a job.
func JobOf(j cairn.Job) Job {
	job := Job{
		ID:         j.ID,
		Kind:       j.Kind,
		Backup:     BackupOf(j.Backup),
		Status:     j.Status,
		Percentage: j.Percentage(),
		DoneBytes:  j.Progress.Done,
		TotalBytes: j.Progress.Total,
		Problem:    CauseOf(j.Reason),
	}
	if !j.Started.IsZero() {
		job.Started = Timestamp(j.Started)
	}
	if !j.Ended.IsZero() {
		job.Ended = Timestamp(j.Ended)
	}
	return job
}

// A Cause tells, inside an answer that is no [Problem] itself, why something is
// as it is.
type Cause struct {
	Code   cairn.Code `json:"code"`
	Detail string     `json:"detail"` // a sentence for the person
	Hint   string     `json:"hint,omitempty"`
}

// CauseOf returns what the wire may know of err; nil for nil.
func CauseOf(err *cairn.Error) *Cause {
	if err == nil {
		return nil
	}
	return &Cause{Code: err.Code, Detail: err.Message, Hint: err.Hint}
}
