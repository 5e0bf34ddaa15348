package api

import (
	"cmp"
	"time"

	"cairn"
)

// A GroupedTimestamp is a time in the models of the original API.
type GroupedTimestamp struct {
	Value string `json:"value"` // as [Timestamp] writes it
}

// Timestamp writes a time as every answer does: RFC 3339 in UTC with three
// fraction digits and Z.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// A Backup describes one backup, as clients of the original API read it.
type Backup struct {
	ID         string           `json:"id"` // version_timestamp
	Version    string           `json:"version"`
	Timestamp  string           `json:"timestamp"`
	Bytes      int64            `json:"bytes"` // that its objects take in the bucket; 0 until it is complete
	Created    GroupedTimestamp `json:"created"`
	DeviceName string           `json:"device_name"`
	Platform   string           `json:"platform"` // PlatformEnum
}

// BackupOf returns what the original API shows of a backup.
func BackupOf(b cairn.Backup) Backup {
	return Backup{
		ID:         b.ID,
		Version:    b.Version,
		Timestamp:  b.Timestamp,
		Bytes:      b.Bytes,
		Created:    GroupedTimestamp{Timestamp(b.Created)},
		DeviceName: b.DeviceName,
		Platform:   cmp.Or(b.Platform, cairn.Platform("")),
	}
}

// Backups is the answer of GET /backups.
type Backups struct {
	Iterable []Backup       `json:"iterable"` // newest first
	Indices  map[string]int `json:"indices"`  // id -> index in Iterable
}

// BackupsOf returns the list of the given backups, in their order.
func BackupsOf(list []cairn.Backup) Backups {
	all := Backups{Iterable: make([]Backup, len(list)), Indices: make(map[string]int, len(list))}
	for i, b := range list {
		all.Iterable[i] = BackupOf(b)
		all.Indices[b.ID] = i
	}
	return all
}

// A BackupStatus tells how far a creation or a restoration is.
type BackupStatus struct {
	Value      cairn.JobStatus `json:"value"`
	Percentage int             `json:"percentage"` // 0 to 100; 100 is COMPLETED, and nothing else is
	Backup     Backup          `json:"backup"`
}

// BackupStatusOf returns what the original API shows of a job.
func BackupStatusOf(j cairn.Job) BackupStatus {
	return BackupStatus{Value: j.Status, Percentage: j.Percentage(), Backup: BackupOf(j.Backup)}
}

// BackupDetails is the answer of GET /v1/backups/{backup}: the Backup, and what
// the original API has no word for.
type BackupDetails struct {
	Backup
	Scope        cairn.Scope `json:"scope"`
	Documents    int64       `json:"documents"`
	Deletions    int64       `json:"deletions"`  // documents that it says are deleted
	JSONBytes    int64       `json:"json_bytes"` // of compacted JSON in its documents
	Revision     int64       `json:"revision"`   // of the newest change in it
	Line         string      `json:"line"`
	Installation string      `json:"installation"` // that made it
	Digest       string      `json:"digest"`       // of the set of documents, 32 hexadecimal digits
}

// BackupDetailsOf returns all that is known of a backup.
func BackupDetailsOf(b cairn.Backup) BackupDetails {
	return BackupDetails{
		Backup:       BackupOf(b),
		Scope:        b.Scope,
		Documents:    b.Documents,
		Deletions:    b.Deletions,
		JSONBytes:    b.JSONBytes,
		Revision:     b.Revision,
		Line:         b.Line,
		Installation: b.Installation,
		Digest:       b.Digest.String(),
	}
}
