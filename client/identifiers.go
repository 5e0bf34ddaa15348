package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"

	"github.com/coder/websocket"

	"cairn"
)

// An AssetChange says that an asset is there and may have changed, or is gone.
type AssetChange struct {
	ID      string
	Deleted bool
}

// StreamAssetIDs yields the ids of all assets, then each that is added, changed or
// deleted. It goes on until the loop is left, and never ends without an error:
// cairn.CodeChanged when another database is in use, of which nothing was told; the
// daemon stopped, its answer was cut off, or ctx ended.
func (c *Client) StreamAssetIDs(ctx context.Context) iter.Seq2[AssetChange, error] {
	return func(yield func(AssetChange, error) bool) {
		conn, err := c.dial(ctx, "/assets/stream/identifiers")
		if err != nil {
			yield(AssetChange{}, err)
			return
		}
		defer func() { _ = conn.CloseNow() }() // it may be closed
		for {
			changes, err := c.readChanges(ctx, conn)
			if err != nil {
				yield(AssetChange{}, err)
				return
			}
			for _, change := range changes {
				if !yield(change, nil) {
					return
				}
			}
		}
	}
}

// dial opens a websocket.
func (c *Client) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	req, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	c.authorize(req.Header)
	conn, resp, err := websocket.Dial(ctx, req.URL.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: req.Header})
	switch {
	case err == nil:
		conn.SetReadLimit(-1) // the daemon's frames are bounded
		return conn, nil
	case resp == nil || ctx.Err() != nil:
		return nil, c.unreachable(ctx, err)
	}
	return nil, refusal(resp)
}

// readChanges reads one frame.
func (c *Client) readChanges(ctx context.Context, conn *websocket.Conn) ([]AssetChange, error) {
	_, text, err := conn.Read(ctx)
	switch {
	case websocket.CloseStatus(err) == websocket.StatusServiceRestart:
		return nil, &cairn.Error{
			Code:    cairn.CodeChanged,
			Message: "Another database is in use now.",
			Hint:    "Connect again, and take its assets for all that there are.",
			Err:     err,
		}
	case err != nil:
		return nil, c.streamBroken(ctx, err)
	}
	var frame struct {
		Iterable []struct {
			Asset   struct{ ID string }
			Deleted bool
		}
	}
	if err := json.Unmarshal(text, &frame); err != nil {
		return nil, notOurs(err)
	}
	if frame.Iterable == nil {
		return nil, notOurs(errNoList)
	}
	changes := make([]AssetChange, len(frame.Iterable))
	for i, item := range frame.Iterable {
		changes[i] = AssetChange{item.Asset.ID, item.Deleted}
	}
	return changes, nil
}
