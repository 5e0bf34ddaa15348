package api

import "cairn"

// A Count is a number of objects and the bytes that they take.
type Count struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Pruned says what prune found and removed: see [cairn.Pruned].
type Pruned struct {
	DryRun  bool  `json:"dry_run"`
	Live    Count `json:"live"`
	Young   Count `json:"young"`
	Dead    Count `json:"dead"`
	Deleted Count `json:"deleted"` // of the dead
	Backups int64 `json:"backups"` // whose objects live
	Trash   int64 `json:"trash"`   // objects of deletions whose time is over
	Emptied int64 `json:"emptied"` // of those, how many were removed
	Foreign int64 `json:"foreign"` // objects that are not cairn's, and stay
}

// PrunedOf returns what the wire says of p.
func PrunedOf(p cairn.Pruned) Pruned {
	return Pruned{
		DryRun: p.DryRun, Live: Count(p.Live), Young: Count(p.Young), Dead: Count(p.Dead), Deleted: Count(p.Deleted),
		Backups: p.Backups, Trash: p.Trash, Emptied: p.Emptied, Foreign: p.Foreign,
	}
}

// PruneProgress is how far prune is. The last one has ended, and says what was
// found and removed, also when it failed on the way.
type PruneProgress struct {
	Status  cairn.JobStatus `json:"status"` // IN-PROGRESS, COMPLETED or FAILED
	Step    cairn.PruneStep `json:"step"`   // listing, reading or deleting
	Done    int64           `json:"done"`   // objects of this step
	Total   int64           `json:"total"`  // 0 as long as it is not known
	Result  *Pruned         `json:"result,omitempty"`
	Problem *Cause          `json:"problem,omitempty"` // why it failed
}

// PruneProgressOf returns what the wire says of p, while prune goes on.
func PruneProgressOf(p cairn.PruneProgress) PruneProgress {
	return PruneProgress{Status: cairn.JobInProgress, Step: p.Step, Done: p.Done, Total: p.Total}
}

// Err returns why prune did not become complete; nil when it did, or goes on.
func (p PruneProgress) Err() error { return Progress{Status: p.Status, Problem: p.Problem}.Err() }

// A DeletedBackup is one that can be brought back.
type DeletedBackup struct {
	Backup
	Scope   cairn.Scope      `json:"scope"`
	Deleted GroupedTimestamp `json:"deleted"`
	Until   GroupedTimestamp `json:"until"` // can be brought back, by the clock of the bucket
}

// DeletedBackups is the answer of GET /v1/backups/deleted.
type DeletedBackups struct {
	Backups []DeletedBackup `json:"backups"` // the last deleted first
}

// DeletedBackupsOf returns the list of the given backups, in their order.
func DeletedBackupsOf(list []cairn.DeletedBackup) DeletedBackups {
	all := DeletedBackups{Backups: make([]DeletedBackup, len(list))}
	for i, d := range list {
		all.Backups[i] = DeletedBackup{BackupOf(d.Backup), d.Scope, GroupedTimestamp{Timestamp(d.Deleted)}, GroupedTimestamp{Timestamp(d.Until)}}
	}
	return all
}
