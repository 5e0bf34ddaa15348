package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"

	"cairn"
	"cairn/api"
)

// StreamCreate backs the whole database up and yields how far that is: at once,
// at each change, and from time to time when there is none. The first event names
// the backup. The last one is of a job that has ended, whose Err says why unless
// it is complete.
//
// Or the last is an error: the daemon refused, then no job began; it does not
// answer, its answer was cut off, or ctx ended. Then the job may go on, as it does
// when the loop is left; [Client.CreationStatus] tells of it, and
// [Client.CancelCreation] stops it.
func (c *Client) StreamCreate(ctx context.Context) iter.Seq2[api.Progress, error] {
	return c.streamJob(ctx, "/backups/create/streamed")
}

// StreamRestore replaces the whole database by a backup and yields how far that
// is, as [Client.StreamCreate] does. It joins a restoration of the same backup
// that is in progress.
func (c *Client) StreamRestore(ctx context.Context, id string) iter.Seq2[api.Progress, error] {
	return c.streamJob(ctx, "/backup/"+segment(id)+"/restore/streamed")
}

// StreamProgress yields how far all creations and restorations are: at once, at
// each change, and from time to time when there is none. Each that ends is there
// once more. It goes on until the loop is left, and never ends without an error:
// the daemon stopped, its answer was cut off, or ctx ended.
func (c *Client) StreamProgress(ctx context.Context) iter.Seq2[api.AllProgress, error] {
	return func(yield func(api.AllProgress, error) bool) {
		for all, err := range events[api.AllProgress](ctx, c, http.MethodGet, "/backups/streamed/progress") {
			if err == nil && (all.Backups == nil || all.Restorations == nil) {
				all, err = api.AllProgress{}, notOurs(errNoList)
			}
			if !yield(all, err) || err != nil {
				return
			}
		}
	}
}

// errNoStatus says what an event lacks.
var errNoStatus = errors.New("an event has no status")

// streamJob begins a job, and yields its events up to the one in which it has
// ended. What a server says afterwards is of no interest.
func (c *Client) streamJob(ctx context.Context, path string) iter.Seq2[api.Progress, error] {
	return func(yield func(api.Progress, error) bool) {
		for p, err := range events[api.Progress](ctx, c, http.MethodPost, path) {
			if err == nil && p.Status == "" {
				p, err = api.Progress{}, notOurs(errNoStatus)
			}
			if !yield(p, err) || err != nil || p.Status.Ended() {
				return
			}
		}
	}
}

// events sends a request and yields the lines of the answer as they come. They
// have no end of their own: it is an error.
func events[T any](ctx context.Context, c *Client, method, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.send(ctx, method, path, http.Header{"Accept": {api.NDJSON}}, nil)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		given := resp.Header.Get("Content-Type")
		if media, _, err := mime.ParseMediaType(given); err != nil || media != api.NDJSON {
			yield(none, notOurs(fmt.Errorf("the answer is %q, not lines of JSON", given)))
			return
		}
		d := json.NewDecoder(resp.Body)
		for {
			var v T
			if err := d.Decode(&v); err != nil {
				yield(none, c.streamBroken(ctx, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// streamBroken is broken for a stream, whose work need not end with it.
func (c *Client) streamBroken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	err = c.broken(ctx, err)
	if e, ok := errors.AsType[*cairn.Error](err); ok && e.Code == cairn.CodeUnreachable {
		e.Message = "The daemon at " + c.at + " does not tell any more how far it is."
		e.Hint = "See whether it still runs; its log may say why. What was in progress has a status when it answers again."
	}
	return err
}
