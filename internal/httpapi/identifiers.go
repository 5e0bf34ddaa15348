package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
	"cairn/internal/rawjson"
)

// identifiersPerFrame bounds a frame of the identifier stream.
const identifiersPerFrame = 1000

// assetIdentifiers is GET /assets/identifiers: FlattenedAssets of ids alone.
func (s *Server) assetIdentifiers(w http.ResponseWriter, r *http.Request) error {
	return s.writeIdentifiers(w, r, func(id []byte) []byte { return id })
}

// writeIdentifiers streams {"iterable":[...]} with an item for each asset.
func (s *Server) writeIdentifiers(w http.ResponseWriter, r *http.Request, item func(reference []byte) []byte) error {
	return stream(w, api.JSON, func(buf *bufio.Writer) error {
		buf.WriteString(`{"iterable":[`)
		first := true
		for id, err := range s.cfg.Documents.IDs(r.Context(), cairn.CollectionAssets) {
			if err != nil {
				return err
			}
			if !first {
				buf.WriteByte(',')
			}
			first = false
			if _, err := buf.Write(item(idObject(id))); err != nil {
				return clientGone(err)
			}
		}
		buf.WriteString(`]}`)
		return nil
	})
}

func idObject(id string) []byte {
	var o rawjson.Object
	return o.SetText("id", id).JSON()
}

// streamed returns a StreamedIdentifier.
func streamed(id string, deleted bool) []byte {
	var o rawjson.Object
	o.Set("asset", idObject(id))
	if deleted {
		o.Set("deleted", []byte("true"))
	}
	return o.JSON()
}

// streamIdentifiers is GET /assets/stream/identifiers: over a websocket, the
// ids of all assets, then those that change; to a plain GET, as generated
// clients send it, the ids of all assets.
func (s *Server) streamIdentifiers(w http.ResponseWriter, r *http.Request) error {
	if !websocketRequested(r) {
		return s.writeIdentifiers(w, r, func(id []byte) []byte {
			var o rawjson.Object
			return o.Set("asset", id).JSON()
		})
	}
	return s.overSocket(w, r, func(c *socket) {
		ctx, writing, end := s.endless(c)
		defer end()
		err := s.sendIdentifiers(ctx, writing, c.conn)
		switch {
		case s.life.Err() != nil:
			_ = c.conn.Close(websocket.StatusGoingAway, "the daemon is stopping")
		case errors.Is(err, errReplaced):
			_ = c.conn.Close(websocket.StatusServiceRestart, "the database was replaced: connect again")
		case ctx.Err() == nil && !errors.Is(err, errClientGone):
			s.cfg.Log.Error("identifier stream failed", "err", err)
			_ = c.conn.Close(websocket.StatusInternalError, string(cairn.CodeOf(err)))
		}
	})
}

// sendIdentifiers sends the state, then changes until ctx ends. It reads what
// changed from the database when the client is ready for it, so a slow client
// costs no memory and delays nobody. writing is the context of what is sent; see
// endless.
func (s *Server) sendIdentifiers(ctx, writing context.Context, conn *websocket.Conn) error {
	out := frames{ctx: writing, conn: conn, stall: s.cfg.WriteStall}
	docs := s.cfg.Documents
	changed, began := docs.Changed(), docs.Stats()
	seen := began.Revision
	for id, err := range docs.IDs(ctx, cairn.CollectionAssets) {
		if err != nil {
			return err
		}
		if err := out.add(streamed(id, false)); err != nil {
			return err
		}
	}
	if err := out.flush(true); err != nil {
		return err
	}
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		changed = docs.Changed()
		stats := docs.Stats()
		if stats.Line != began.Line {
			return errReplaced
		}
		for doc, err := range docs.Changes(ctx, cairn.CollectionAssets, seen) {
			if err != nil {
				return err
			}
			seen = doc.Revision
			if err := out.add(streamed(doc.ID, doc.Deleted())); err != nil {
				return err
			}
		}
		if err := out.flush(false); err != nil {
			return err
		}
		seen = max(seen, stats.Revision) // the changes of other collections are seen too
	}
}

// errReplaced is the end of a stream whose database a restoration has replaced:
// what changed in another history says nothing to its client, who gets the
// whole state when it connects again.
var errReplaced = errors.New("another database is live")

// errClientGone is the end of a stream that nobody reads any more.
var errClientGone = errors.New("the client is gone")

// frames gathers identifiers into text frames of StreamedIdentifiers.
type frames struct {
	ctx   context.Context
	conn  *websocket.Conn
	stall time.Duration // how long a frame may take
	items [][]byte
}

func (f *frames) add(item []byte) error {
	f.items = append(f.items, item)
	if len(f.items) < identifiersPerFrame {
		return nil
	}
	return f.flush(false)
}

// flush sends what was gathered; nothing only when empty says so.
func (f *frames) flush(empty bool) error {
	if len(f.items) == 0 && !empty {
		return nil
	}
	var o rawjson.Object
	o.Set("iterable", rawjson.Array(f.items...))
	f.items = f.items[:0]
	ctx, cancel := context.WithTimeout(f.ctx, f.stall)
	defer cancel()
	if err := f.conn.Write(ctx, websocket.MessageText, o.JSON()); err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	return nil
}
