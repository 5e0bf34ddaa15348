package api

import "cairn"

// Status is the answer of GET /v1/status.
type Status struct {
	Version    string         `json:"version"`   // of cairn
	APILevel   string         `json:"api_level"` // of the Pieces OS API that it speaks
	DeviceName string         `json:"device_name"`
	User       string         `json:"user"`                 // id of the local user
	SignedOut  bool           `json:"signed_out,omitempty"` // so that backups are refused
	Platform   string         `json:"platform"`             // PlatformEnum
	Data       string         `json:"data"`                 // the data folder
	URLs       []string       `json:"urls"`                 // where it listens
	Database   DatabaseStatus `json:"database"`
	Cloud      CloudStatus    `json:"cloud"`
	// LastBackup is the newest backup that the live database knows of, and
	// ChangesSinceBackup how many changes came after it; both nil without one.
	LastBackup         *LastBackup `json:"last_backup,omitempty"`
	ChangesSinceBackup *int64      `json:"changes_since_backup,omitempty"`
	Automatic          Automatic   `json:"automatic"`
}

// Daemon is the answer of GET /v1/daemon: what is known without asking anybody.
type Daemon struct {
	Version  string   `json:"version"`   // of cairn
	APILevel string   `json:"api_level"` // of the Pieces OS API that it speaks
	Platform string   `json:"platform"`  // PlatformEnum
	Data     string   `json:"data"`      // the data folder
	URLs     []string `json:"urls"`      // where it listens
}

// DatabaseStatus describes the live database at one moment.
type DatabaseStatus struct {
	Documents int64  `json:"documents"`
	Deletions int64  `json:"deletions"`
	Bytes     int64  `json:"bytes"` // of compacted JSON
	Revision  int64  `json:"revision"`
	Line      string `json:"line"`
	Digest    string `json:"digest"` // of the set of documents, 32 hexadecimal digits
}

// CloudStatus describes the cloud that a daemon backs up to.
type CloudStatus struct {
	URL         string             `json:"url"`          // "" when none is connected
	ID          string             `json:"id,omitempty"` // absent as long as it is not known
	State       cairn.CloudState   `json:"state"`
	Local       bool               `json:"local"`             // it is a folder below the data folder
	Backups     int64              `json:"backups"`           // of whole databases, in it; 0 as long as that is not known
	BackupsMade int64              `json:"backups_made"`      // in it, by this installation
	Problem     *Cause             `json:"problem,omitempty"` // why the state is not ready
	Unreadable  []UnreadableBackup `json:"unreadable"`        // what is there and cannot be used
}

// An UnreadableBackup is an object of the cloud that should be a backup and
// cannot be used as one.
type UnreadableBackup struct {
	Name string `json:"name"` // of the object
	Cause
}

// CloudStatusOf returns what the wire shows of a cloud.
func CloudStatusOf(c cairn.CloudStatus) CloudStatus {
	st := CloudStatus{
		URL:         c.URL,
		ID:          c.ID,
		State:       c.State,
		Local:       c.Local,
		Backups:     c.Backups,
		BackupsMade: c.Made,
		Problem:     CauseOf(c.Problem),
		Unreadable:  make([]UnreadableBackup, len(c.Unreadable)),
	}
	for i, u := range c.Unreadable {
		st.Unreadable[i].Name = u.Name
		if cause := CauseOf(u.Problem); cause != nil {
			st.Unreadable[i].Cause = *cause
		}
	}
	return st
}

// LastBackup is a backup that the live database can build on.
type LastBackup struct {
	ID       string `json:"id"`
	Created  string `json:"created"`  // as [Timestamp] writes it
	Revision int64  `json:"revision"` // it holds all changes up to it
	Cloud    string `json:"cloud"`    // id of the cloud that holds it
}

// LastBackupOf returns what the wire shows of a base.
func LastBackupOf(b cairn.Base) *LastBackup {
	return &LastBackup{ID: b.Backup, Created: Timestamp(b.Created), Revision: b.Revision, Cloud: b.Cloud}
}
