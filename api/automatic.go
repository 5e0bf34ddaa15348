package api

// Automatic says how the backups stand that are made by themselves. Times are as
// [Timestamp] writes them, and "" where there is nothing to tell.
type Automatic struct {
	On bool `json:"on"`
	// Schedule is a cron expression. Quiet is how long after the last change a backup
	// is made, and AtMostEvery how long after any backup none is made for changes; in
	// seconds. Each is absent when it is not set.
	Schedule    string  `json:"schedule,omitempty"`
	Quiet       float64 `json:"quiet_seconds,omitempty"`
	AtMostEvery float64 `json:"at_most_every_seconds,omitempty"`
	// Running reports that one is made now, or tidied up after.
	Running bool `json:"running"`
	// Next is when the next one is due, if nothing happens before, and Why is
	// schedule, change or retry.
	Next string `json:"next,omitempty"`
	Why  string `json:"why,omitempty"`
	// LastSuccess is when the newest backup of the database was made, by whomever, or
	// found to be all that is needed.
	LastSuccess string `json:"last_success,omitempty"`
	// Failures counts tries that failed in a row, from FailingSince to LastFailure,
	// which Problem is about.
	Failures     int    `json:"failures"`
	FailingSince string `json:"failing_since,omitempty"`
	LastFailure  string `json:"last_failure,omitempty"`
	Problem      *Cause `json:"problem,omitempty"`
	// OverdueSince is when a backup should have been made, once that is an hour ago.
	OverdueSince string `json:"overdue_since,omitempty"`
	// TidyingProblem is why what follows a backup, retention and pruning, failed the
	// last time.
	TidyingProblem *Cause `json:"tidying_problem,omitempty"`
}
