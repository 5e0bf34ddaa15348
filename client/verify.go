package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"cairn"
	"cairn/api"
)

// VerifyBackup looks at all that a backup consists of, and with readData reads it
// and restores it on trial, beside the database. Damage is in what it returns.
// cairn.CodeBackupNotFound when there is no such backup, cairn.CodeCheckRunning
// while another verification goes on; it ends when ctx does.
func (c *Client) VerifyBackup(ctx context.Context, id string, readData bool) (api.Verification, error) {
	return answer[api.Verification](ctx, c, http.MethodPost, verifyPath(id, readData))
}

// CheckCloud looks at all backups, each object once, and reads a subset of their
// parts, in the form of [cairn.ParseSubset]; "" is none. Else it is as
// [Client.VerifyBackup].
func (c *Client) CheckCloud(ctx context.Context, subset string) (api.Verification, error) {
	return answer[api.Verification](ctx, c, http.MethodPost, checkPath(subset))
}

// StreamVerify is [Client.VerifyBackup] that yields how far it is: from time to time
// a step, the last of which has the result, or an error.
func (c *Client) StreamVerify(ctx context.Context, id string, readData bool) iter.Seq2[api.Step[api.Verification], error] {
	return steps[api.Verification](ctx, c, verifyPath(id, readData))
}

// StreamCheck is [Client.CheckCloud] that yields how far it is, as
// [Client.StreamVerify] does.
func (c *Client) StreamCheck(ctx context.Context, subset string) iter.Seq2[api.Step[api.Verification], error] {
	return steps[api.Verification](ctx, c, checkPath(subset))
}

func verifyPath(id string, readData bool) string {
	return "/v1/backups/" + segment(id) + "/verify?read_data=" + strconv.FormatBool(readData)
}

func checkPath(subset string) string {
	return "/v1/cloud/check?" + url.Values{"read_data_subset": {subset}}.Encode()
}

// steps has the daemon do work that belongs to the request, and yields its events up
// to the last. One with a problem is an error in its place.
func steps[T any](ctx context.Context, c *Client, path string) iter.Seq2[api.Step[T], error] {
	return func(yield func(api.Step[T], error) bool) {
		for step, err := range events[api.Step[T]](ctx, c, http.MethodPost, path) {
			if err == nil {
				err = step.Err()
			} else if e, ok := errors.AsType[*cairn.Error](err); ok && e.Code == cairn.CodeUnreachable {
				e.Hint = "See whether it still runs; its log may say why. Then try again."
			}
			if !yield(step, err) || err != nil || step.Ended() {
				return
			}
		}
	}
}
