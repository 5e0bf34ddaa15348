package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"cairn/api"
)

// Backups returns the backups of whole databases that are in the cloud, newest
// first.
func (c *Client) Backups(ctx context.Context) ([]api.Backup, error) {
	return listed[api.Backup](ctx, c, http.MethodGet, "/backups")
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
// the cloud. The work goes on when ctx ends earlier; [Client.Jobs] tells of it,
// and [Client.StreamCreate] while it goes on.
func (c *Client) CreateBackup(ctx context.Context) (api.Backup, error) {
	return answer[api.Backup](ctx, c, http.MethodPost, "/backups/create")
}

// RestoreBackup replaces the whole database by a backup, and returns when it
// has. The work goes on when ctx ends earlier. [Client.StreamRestore] tells how
// far it is.
func (c *Client) RestoreBackup(ctx context.Context, id string) (api.Backup, error) {
	return answer[api.Backup](ctx, c, http.MethodPost, "/backup/"+segment(id)+"/restore")
}

// BackUpAssets backs the given assets up as they are. Nobody lists such a backup:
// restoring it would replace the whole database by them. It returns when the
// backup is in the cloud; the work goes on when ctx ends earlier.
func (c *Client) BackUpAssets(ctx context.Context, assets ...json.RawMessage) error {
	var body bytes.Buffer
	body.WriteString(`{"iterable":[`)
	for i, asset := range assets {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(asset)
	}
	body.WriteString(`]}`)
	return c.post(ctx, "/backup", body.Bytes())
}

// BackUpAllAssets is [Client.BackUpAssets] of all assets that the daemon has.
func (c *Client) BackUpAllAssets(ctx context.Context) error {
	return c.post(ctx, "/backup", nil)
}

// BackUpAsset is [Client.BackUpAssets] of one asset.
func (c *Client) BackUpAsset(ctx context.Context, asset json.RawMessage) error {
	return c.post(ctx, "/backup/asset", asset)
}

// DeleteBackup deletes a backup from the cloud. One that is not there is
// cairn.CodeBackupNotFound.
func (c *Client) DeleteBackup(ctx context.Context, id string) error {
	return c.post(ctx, "/backups/"+segment(id)+"/delete", nil)
}

// ForgetBackups deletes the backups that rules do not keep. When Forgotten.Problem
// is set, not all of them were: asking again goes on. A request without rules is
// for those of the daemon's configuration; cairn.CodeInvalid when there are none.
func (c *Client) ForgetBackups(ctx context.Context, request api.ForgetRequest) (api.Forgotten, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return api.Forgotten{}, err
	}
	return answerTo[api.Forgotten](ctx, c, http.MethodPost, "/v1/backups/forget", body)
}

// UndoRestore brings back the database that the last restoration replaced, or
// restores again what the last UndoRestore took away. There may be none:
// cairn.CodeNothingToUndo.
func (c *Client) UndoRestore(ctx context.Context) error {
	return c.post(ctx, "/v1/restoration/undo", nil)
}
