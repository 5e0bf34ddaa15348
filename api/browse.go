package api

import "cairn"

// AllBackups is the answer of GET /v1/backups.
type AllBackups struct {
	Iterable []BackupDetails `json:"iterable"` // newest first
}

// A BackupDocument is a line of GET /v1/backups/{backup}/documents.
type BackupDocument struct {
	Collection string `json:"collection"`
	ID         string `json:"id"`
	Revision   int64  `json:"revision"` // that it has in the backup
	Bytes      int64  `json:"bytes"`    // of compacted JSON
	Name       string `json:"name,omitempty"`
	Language   string `json:"language,omitempty"` // as a file extension
	Created    string `json:"created,omitempty"`
}

// BackupDocumentOf returns what the wire shows of a document in a backup.
func BackupDocumentOf(d cairn.BackupDocument) BackupDocument {
	return BackupDocument{
		Collection: d.Collection,
		ID:         d.ID,
		Revision:   d.Revision,
		Bytes:      d.Bytes,
		Name:       d.Name,
		Language:   d.Language,
		Created:    d.Created,
	}
}

// A RestoredDocument tells what became of a document of a backup that was written
// into the database.
type RestoredDocument struct {
	Collection string `json:"collection"`
	ID         string `json:"id"`
	Outcome    string `json:"outcome"`  // added, changed or unchanged
	Revision   int64  `json:"revision"` // that it has in the database now
}

// A RestoredLine is a line of POST /v1/backups/{backup}/documents/restore: a
// document, or the last line, which counts them.
type RestoredLine struct {
	*RestoredDocument
	Restored *DocumentsRestored `json:"restored,omitempty"`
}

// DocumentsRestored is the last line of POST
// /v1/backups/{backup}/documents/restore.
type DocumentsRestored struct {
	Added     int64    `json:"added"`
	Changed   int64    `json:"changed"`
	Unchanged int64    `json:"unchanged"`
	Revision  int64    `json:"revision"`          // of the database afterwards
	Problem   *Problem `json:"problem,omitempty"` // why those that are left were not restored
}

// Total returns how many documents were restored.
func (r DocumentsRestored) Total() int64 { return r.Added + r.Changed + r.Unchanged }

// Count counts a document.
func (r *DocumentsRestored) Count(d RestoredDocument) {
	switch d.Outcome {
	case cairn.Added.String():
		r.Added++
	case cairn.Changed.String():
		r.Changed++
	default:
		r.Unchanged++
	}
}
