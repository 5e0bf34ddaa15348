package client

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"cairn/api"
)

// UndeleteBackup brings a deleted backup back. One that is there is fine;
// cairn.CodeBackupNotFound when nothing is left of it, CodeTooLate when that may
// be removed at any time.
func (c *Client) UndeleteBackup(ctx context.Context, id string) (api.Backup, error) {
	return answer[api.Backup](ctx, c, http.MethodPost, "/v1/backups/"+segment(id)+"/undelete")
}

// DeletedBackups returns the deleted backups of either scope that can be brought
// back, the last deleted first.
func (c *Client) DeletedBackups(ctx context.Context) ([]api.DeletedBackup, error) {
	all, err := answer[api.DeletedBackups](ctx, c, http.MethodGet, "/v1/backups/deleted")
	if err == nil && all.Backups == nil {
		err = notOurs(errNoList)
	}
	return all.Backups, err
}

// errNoResult says what the last event of prune lacks.
var errNoResult = errors.New("the last event has no result")

// Prune removes from the cloud what no backup needs any more, or says what that is
// if the run is dry, and yields how far it is. The last event has ended: its Err
// says why unless it is complete, and its Result is there in any case. Or the last
// is an error: the daemon refused, it does not answer, its answer was cut off, or
// ctx ended. Prune stops then, as it does when the loop is left.
func (c *Client) Prune(ctx context.Context, dry bool) iter.Seq2[api.PruneProgress, error] {
	path := "/v1/cloud/prune"
	if dry {
		path += "?dry_run=true"
	}
	return func(yield func(api.PruneProgress, error) bool) {
		for p, err := range events[api.PruneProgress](ctx, c, http.MethodPost, path) {
			switch {
			case err == nil && p.Status == "":
				p, err = api.PruneProgress{}, notOurs(errNoStatus)
			case err == nil && p.Status.Ended() && p.Result == nil:
				p, err = api.PruneProgress{}, notOurs(errNoResult)
			}
			if !yield(p, err) || err != nil || p.Status.Ended() {
				return
			}
		}
	}
}
