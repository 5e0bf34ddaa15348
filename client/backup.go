package client

import (
	"context"
	"errors"
	"net/http"

	"cairn/api"
)

// errNoList says what an answer lacks.
var errNoList = errors.New("the list is missing")

// Backups returns the backups of whole databases that are in the cloud, newest
// first.
func (c *Client) Backups(ctx context.Context) ([]api.Backup, error) {
	list, err := answer[api.Backups](ctx, c, http.MethodGet, "/backups")
	if err == nil && list.Iterable == nil {
		err = notOurs(errNoList)
	}
	return list.Iterable, err
}

// Backup returns one backup, or cairn.CodeBackupNotFound.
func (c *Client) Backup(ctx context.Context, id string) (api.Backup, error) {
	return answer[api.Backup](ctx, c, http.MethodGet, "/backup/"+segment(id))
}

// BackupDetails returns all that is known of one backup, or
// cairn.CodeBackupNotFound.
func (c *Client) BackupDetails(ctx context.Context, id string) (api.BackupDetails, error) {
	return answer[api.BackupDetails](ctx, c, http.MethodGet, "/v1/backups/"+segment(id))
}

// CreateBackup backs the whole database up, and returns when the backup is in
// the cloud. The work goes on when ctx ends earlier; [Client.Jobs] tells of it.
func (c *Client) CreateBackup(ctx context.Context) (api.Backup, error) {
	return answer[api.Backup](ctx, c, http.MethodPost, "/backups/create")
}

// RestoreBackup replaces the whole database by a backup, and returns when it
// has. The work goes on when ctx ends earlier.
func (c *Client) RestoreBackup(ctx context.Context, id string) (api.Backup, error) {
	return answer[api.Backup](ctx, c, http.MethodPost, "/backup/"+segment(id)+"/restore")
}

// DeleteBackup deletes a backup from the cloud. One that is not there is
// cairn.CodeBackupNotFound.
func (c *Client) DeleteBackup(ctx context.Context, id string) error {
	return c.post(ctx, "/backups/"+segment(id)+"/delete")
}

// UndoRestore brings back the database that the last restoration replaced, or
// restores again what the last UndoRestore took away. There may be none:
// cairn.CodeNothingToUndo.
func (c *Client) UndoRestore(ctx context.Context) error {
	return c.post(ctx, "/v1/restoration/undo")
}

// CreationStatus returns how far the creation of a backup is, or
// cairn.CodeJobNotFound.
func (c *Client) CreationStatus(ctx context.Context, id string) (api.BackupStatus, error) {
	return answer[api.BackupStatus](ctx, c, http.MethodGet, "/backup/"+segment(id)+"/creation/status")
}

// RestorationStatus returns how far the newest restoration of a backup is, or
// cairn.CodeJobNotFound.
func (c *Client) RestorationStatus(ctx context.Context, id string) (api.BackupStatus, error) {
	return answer[api.BackupStatus](ctx, c, http.MethodGet, "/backup/"+segment(id)+"/restoration/status")
}

// Jobs returns the creations and restorations that run or wait, then those that
// ended, newest first.
func (c *Client) Jobs(ctx context.Context) ([]api.Job, error) {
	list, err := answer[api.Jobs](ctx, c, http.MethodGet, "/v1/jobs")
	if err == nil && list.Iterable == nil {
		err = notOurs(errNoList)
	}
	return list.Iterable, err
}
