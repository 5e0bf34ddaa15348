package device

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"cairn"
	"cairn/internal/sqlitefile"
)

// storedBackup is a cairn.Backup in the history. Fields are added, never
// renamed.
type storedBackup struct {
	ID           string      `json:"id"`
	Version      string      `json:"version,omitzero"`
	Timestamp    string      `json:"timestamp,omitzero"`
	Created      time.Time   `json:"created,omitzero"`
	Bytes        int64       `json:"bytes,omitzero"`
	DeviceName   string      `json:"device_name,omitzero"`
	Platform     string      `json:"platform,omitzero"`
	Installation string      `json:"installation,omitzero"`
	Line         string      `json:"line,omitzero"`
	Scope        cairn.Scope `json:"scope,omitzero"`
	Revision     int64       `json:"revision,omitzero"`
	Documents    int64       `json:"documents,omitzero"`
	Deletions    int64       `json:"deletions,omitzero"`
	JSONBytes    int64       `json:"json_bytes,omitzero"`
	Digest       string      `json:"digest,omitzero"` // 32 hexadecimal digits
}

// encodeBackup returns b as the history holds it.
func encodeBackup(b cairn.Backup) (string, error) {
	data, err := json.Marshal(storedBackup{
		b.ID, b.Version, b.Timestamp, b.Created.UTC(), b.Bytes, b.DeviceName, b.Platform, b.Installation, b.Line,
		b.Scope, b.Revision, b.Documents, b.Deletions, b.JSONBytes, b.Digest.String(),
	})
	return string(data), err
}

// decodeBackup reads what encodeBackup wrote.
func decodeBackup(data string) (cairn.Backup, error) {
	var s storedBackup
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		return cairn.Backup{}, err
	}
	raw, err := hex.DecodeString(s.Digest)
	if err != nil {
		return cairn.Backup{}, err
	}
	digest, err := cairn.ParseDigest(raw)
	if err != nil {
		return cairn.Backup{}, err
	}
	return cairn.Backup{
		ID: s.ID, Version: s.Version, Timestamp: s.Timestamp, Created: s.Created, Bytes: s.Bytes,
		DeviceName: s.DeviceName, Platform: s.Platform, Installation: s.Installation, Line: s.Line,
		Scope: s.Scope, Revision: s.Revision, Documents: s.Documents, Deletions: s.Deletions,
		JSONBytes: s.JSONBytes, Digest: digest,
	}, nil
}

// SaveJob stores all of a job but its progress, and of its reason what may
// leave the process, in the place of what was stored of it before. It keeps the
// promises of [Device.SetSignedIn].
func (d *Device) SaveJob(ctx context.Context, job cairn.Job) error {
	data, err := encodeBackup(job.Backup)
	if err != nil {
		return failure("writing", d.path, err)
	}
	reason := job.Reason
	if reason == nil {
		reason = &cairn.Error{}
	}
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO jobs (id, kind, backup, data, status, code, message, hint, started, ended)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET
				kind = excluded.kind, backup = excluded.backup, data = excluded.data, status = excluded.status,
				code = excluded.code, message = excluded.message, hint = excluded.hint,
				started = excluded.started, ended = excluded.ended`,
			job.ID, string(job.Kind), job.Backup.ID, data, string(job.Status),
			string(reason.Code), reason.Message, reason.Hint, formatTime(job.Started), formatTime(job.Ended))
		return err
	})
}

// ForgetJobs removes jobs by their ids, all or none. One that is not there is
// no error. It keeps the promises of [Device.SetSignedIn].
func (d *Device) ForgetJobs(ctx context.Context, ids ...string) error {
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `DELETE FROM jobs WHERE id = ?`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Jobs returns the history, the job that was saved for the first time last
// first. Its errors are those of [Device.SetSignedIn].
func (d *Device) Jobs(ctx context.Context) ([]cairn.Job, error) {
	jobs, err := d.readJobs(ctx)
	return jobs, d.readFailure(ctx, err)
}

func (d *Device) readJobs(ctx context.Context) ([]cairn.Job, error) {
	rows, err := d.db.QueryContext(ctx, `
		SELECT id, kind, data, status, code, message, hint, started, ended FROM jobs ORDER BY number DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var jobs []cairn.Job
	for rows.Next() {
		var (
			job                  cairn.Job
			reason               cairn.Error
			data, started, ended string
		)
		if err := rows.Scan(&job.ID, &job.Kind, &data, &job.Status,
			&reason.Code, &reason.Message, &reason.Hint, &started, &ended); err != nil {
			return nil, err
		}
		if err := fill(&job, data, started, ended); err != nil {
			told := sqlitefile.Damaged(d.path, fmt.Sprintf("it holds a job %q that cannot be read", job.ID))
			told.Err = err
			return nil, told
		}
		if reason.Code != "" {
			job.Reason = &reason
		}
		jobs = append(jobs, job)
	}
	return jobs, rows.Err()
}

// fill gives a job what its row holds in other forms.
func fill(job *cairn.Job, data, started, ended string) (err error) {
	if job.Backup, err = decodeBackup(data); err != nil {
		return err
	}
	if job.Started, err = parseTime(started); err != nil {
		return err
	}
	job.Ended, err = parseTime(ended)
	return err
}

// formatTime returns t as RFC 3339 in UTC, or "" for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// parseTime reads what formatTime wrote.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
