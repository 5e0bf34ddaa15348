package api

import "cairn"

// Progress is how far a creation or a restoration is: BackupStreamedProgress of
// the original API, with more that its clients pass over.
type Progress struct {
	Status     cairn.JobStatus `json:"status"`
	Percentage int             `json:"percentage"` // 0 to 100; 100 is COMPLETED, and nothing else is
	Backup     Backup          `json:"backup"`

	DoneBytes  int64  `json:"done_bytes"`        // of JSON text
	TotalBytes int64  `json:"total_bytes"`       // 0 as long as it is not known
	Problem    *Cause `json:"problem,omitempty"` // why it failed or was cancelled
}

// ProgressOf returns what the original API shows of a job.
func ProgressOf(j cairn.Job) Progress {
	return Progress{
		Status:     j.Status,
		Percentage: j.Percentage(),
		Backup:     BackupOf(j.Backup),
		DoneBytes:  j.Progress.Done,
		TotalBytes: j.Progress.Total,
		Problem:    CauseOf(j.Reason),
	}
}

// Err returns why a job did not become complete; nil when it is, or goes on.
func (p Progress) Err() error {
	switch {
	case !p.Status.Ended() || p.Status == cairn.JobCompleted:
		return nil
	case p.Problem == nil:
		return &cairn.Error{Code: cairn.CodeInternal, Message: "It ended as " + string(p.Status) + ".", Hint: "The log of the daemon says why."}
	}
	return &cairn.Error{Code: p.Problem.Code, Message: p.Problem.Detail, Hint: p.Problem.Hint}
}

// AllProgress is how far all creations and restorations are: those in progress,
// and those that have ended since it was said last. It is BackupsStreamedProgress
// of the original API.
type AllProgress struct {
	Backups      []Progress `json:"backups"` // creations
	Restorations []Progress `json:"restorations"`
}

// AllProgressOf returns what the original API shows of jobs, in their order.
func AllProgressOf(jobs []cairn.Job) AllProgress {
	all := AllProgress{Backups: []Progress{}, Restorations: []Progress{}}
	for _, j := range jobs {
		switch j.Kind {
		case cairn.Creation:
			all.Backups = append(all.Backups, ProgressOf(j))
		case cairn.Restoration:
			all.Restorations = append(all.Restorations, ProgressOf(j))
		}
	}
	return all
}

// StatusUnknown is the status of work that nobody has begun. Nothing that has
// begun is ever in it.
const StatusUnknown cairn.JobStatus = "UNKNOWN"

// A State is what there is to say of work that nobody has begun: a Progress
// without most of it.
type State struct {
	Status cairn.JobStatus `json:"status"` // UNKNOWN
	Backup *Backup         `json:"backup,omitempty"`
}
