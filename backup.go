package cairn

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Scope says what a backup holds.
type Scope string

// The scopes.
const (
	ScopeAll    Scope = "all"    // a whole database at one moment
	ScopeAssets Scope = "assets" // chosen assets; restoring it as a whole would lose the others
)

// A Backup describes one backup in a cloud. It never changes.
type Backup struct {
	ID        string    // version_timestamp, unique in its cloud
	Version   string    // of the cairn that made it
	Timestamp string    // nine fraction digits, the last six of them random
	Created   time.Time // UTC, in whole milliseconds
	Bytes     int64     // that its objects take in the bucket; 0 until it is complete

	DeviceName   string
	Platform     string // PlatformEnum of the wire contract
	Installation string // id of the installation that made it
	Line         string // id of the history that it is a moment of

	Scope     Scope
	Revision  int64 // of the newest change in it
	Documents int64
	Deletions int64 // in it: documents that it says are deleted
	JSONBytes int64 // of compacted JSON in its documents
	Digest    Digest
}

// NewBackupID returns the id and the timestamp of a backup made at a time, in
// whole milliseconds, by a version of cairn. random is drawn anew for each, so
// that ids are unique even in a store that cannot refuse a second object of
// the same name; of it six decimal digits count.
func NewBackupID(version string, created time.Time, random uint32) (id, timestamp string) {
	created = created.UTC()
	timestamp = fmt.Sprintf("%s.%03d%06dZ", created.Format("20060102T150405"), created.Nanosecond()/1e6, random%1e6)
	return version + "_" + timestamp, timestamp
}

// ParseBackupID returns what an id says of its backup: ID, Version, Timestamp
// and Created. ok is false for one that [NewBackupID] cannot have made; then
// only ID is set.
func ParseBackupID(id string) (b Backup, ok bool) {
	const layout = "20060102T150405.000000000Z"
	i := strings.LastIndexByte(id, '_')
	if i <= 0 || id[0] == '.' || ValidateID(id) != nil {
		return Backup{ID: id}, false
	}
	t, err := time.Parse(layout, id[i+1:])
	if err != nil || t.Format(layout) != id[i+1:] {
		return Backup{ID: id}, false
	}
	return Backup{ID: id, Version: id[:i], Timestamp: id[i+1:], Created: t.Truncate(time.Millisecond)}, true
}

// A Base is a backup that a generation knows it can build on.
type Base struct {
	Cloud    string // id of the cloud that holds it
	Backup   string // id of the backup
	Created  time.Time
	Revision int64  // the backup holds all changes up to it
	Segments []byte // JSON: what of the bucket it consists of; package cloud knows its form
}

// A Replacement says what a new generation must turn out to be, before it may
// take the place of the live one.
type Replacement struct {
	Job  string // id of the job that makes it
	Base Base   // the backup it comes from, which its line can build on
	Want Stats  // what the backup's manifest says; Line is ignored
	// Plain is how many bytes of lines are to be read, from which the room on
	// the disk is reckoned that they will take.
	Plain int64
}

// ErrUnlike is in the error with which a database refuses rows that are not what a
// Replacement wants, as opposed to one about its own disk.
var ErrUnlike = errors.New("the rows are not what the backup says")
