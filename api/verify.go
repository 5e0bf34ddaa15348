package api

import "cairn"

// A Verification is the answer of POST /v1/backups/{backup}/verify and of POST
// /v1/cloud/check: what looking at a backup, or at all that is in the cloud, has
// found. All is well when damaged and unchecked are empty.
type Verification struct {
	Backups   int64 `json:"backups"`    // that were looked into
	Objects   int64 `json:"objects"`    // of them: manifests, indexes and parts, each once
	Bytes     int64 `json:"bytes"`      // that these take in the bucket
	ReadParts int64 `json:"read_parts"` // whose content was read
	ReadBytes int64 `json:"read_bytes"`

	// What no backup names, and what cairn names nothing like; of the cloud only.
	Unreferenced      int64 `json:"unreferenced"`
	UnreferencedBytes int64 `json:"unreferenced_bytes"`
	Foreign           int64 `json:"foreign"`

	Damaged       []Finding        `json:"damaged"` // by name, at most cairn.MaxFindings
	MoreDamaged   int64            `json:"more_damaged"`
	Unchecked     []Finding        `json:"unchecked"` // the store did not give these, or they are newer
	MoreUnchecked int64            `json:"more_unchecked"`
	Affected      []AffectedBackup `json:"affected"` // that need a damaged object, newest first
}

// A Finding is an object that is damaged or could not be looked at, and why.
type Finding struct {
	Object string `json:"object"` // its name in the bucket
	Cause
	Backups     []string `json:"backups"` // ids of those that need it, newest first, at most cairn.MaxFindingBackups
	MoreBackups int64    `json:"more_backups"`
}

// An AffectedBackup is one that needs a damaged object.
type AffectedBackup struct {
	ID         string `json:"id"`
	Created    string `json:"created"`     // as [Timestamp] writes it
	DeviceName string `json:"device_name"` // "" when its manifest cannot be read
	Objects    int64  `json:"objects"`     // of it that are damaged
}

// VerificationOf returns what the wire shows of a verification.
func VerificationOf(v cairn.Verification) Verification {
	all := Verification{
		Backups:           v.Backups,
		Objects:           v.Objects,
		Bytes:             v.Bytes,
		ReadParts:         v.Read,
		ReadBytes:         v.ReadBytes,
		Unreferenced:      v.Unreferenced,
		UnreferencedBytes: v.UnreferencedBytes,
		Foreign:           v.Foreign,
		Damaged:           findingsOf(v.Damaged),
		MoreDamaged:       v.MoreDamaged,
		Unchecked:         findingsOf(v.Unchecked),
		MoreUnchecked:     v.MoreUnchecked,
		Affected:          make([]AffectedBackup, len(v.Affected)),
	}
	for i, a := range v.Affected {
		all.Affected[i] = AffectedBackup{ID: a.ID, Created: Timestamp(a.Created), DeviceName: a.DeviceName, Objects: a.Objects}
	}
	return all
}

func findingsOf(list []cairn.Finding) []Finding {
	all := make([]Finding, len(list))
	for i, f := range list {
		all[i] = Finding{Object: f.Object, Backups: append([]string{}, f.Backups...), MoreBackups: f.MoreBackups}
		if cause := CauseOf(f.Problem); cause != nil {
			all[i].Cause = *cause
		}
	}
	return all
}
