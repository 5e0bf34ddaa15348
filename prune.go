package cairn

import "time"

// A Count is a number of objects in a bucket and the bytes that they take.
type Count struct {
	Objects, Bytes int64
}

// Add counts one more object.
func (c *Count) Add(bytes int64) {
	c.Objects++
	c.Bytes += bytes
}

// Pruned says what prune found in a cloud, and what it removed. Each part and
// each index is in Live, Young or Dead. All is 0 when it failed before it knew that.
type Pruned struct {
	DryRun bool // nothing was removed; ages are by the clock of this computer

	Live    Count // parts and indexes that a backup needs, or a deleted one whose grace lasts
	Young   Count // that none needs, and whose own grace lasts: something may yet
	Dead    Count // that none needs any more
	Deleted Count // of the dead; none in a dry run

	Backups int64 // whose objects live: those that are there, and deleted ones
	Trash   int64 // objects in trash/ whose time is over
	Emptied int64 // of those, how many were removed; none in a dry run
	Foreign int64 // objects among all these that cairn did not write, and leaves alone
}

// A PruneStep is what prune is doing.
type PruneStep string

// The steps of prune, in their order. It may look again.
const (
	PruneListing  PruneStep = "listing"
	PruneReading  PruneStep = "reading"
	PruneDeleting PruneStep = "deleting"
)

// A PruneProgress says how far prune is. Done and Total count objects that were
// listed, manifests and indexes that were read, or objects that were deleted;
// Total is 0 while it is not known.
type PruneProgress struct {
	Step        PruneStep
	Done, Total int64
}

// A DeletedBackup is one that can be brought back until a time by the bucket's
// clock.
type DeletedBackup struct {
	Backup
	Deleted time.Time // or the time when it was found to be deleted
	Until   time.Time
}
