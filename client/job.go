package client

import (
	"context"
	"net/http"

	"cairn/api"
)

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
	return listed[api.Job](ctx, c, http.MethodGet, "/v1/jobs")
}

// CancelCreation stops the creation of a backup, and returns when no backup will
// be made. cairn.CodeNotInProgress when there is none to stop, or when it came to
// its end first. When ctx ends earlier, it is stopped all the same.
func (c *Client) CancelCreation(ctx context.Context, id string) error {
	return c.post(ctx, "/backup/"+segment(id)+"/creation/cancel", nil)
}

// CancelRestoration stops the restoration of a backup, for all who wait for it,
// and returns when the database stays as it is. Its errors are those of
// [Client.CancelCreation].
func (c *Client) CancelRestoration(ctx context.Context, id string) error {
	return c.post(ctx, "/backup/"+segment(id)+"/restoration/cancel", nil)
}
