package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// idStream reads the stream of identifiers.
type idStream struct {
	t    *testing.T
	conn *websocket.Conn
}

func (d *daemon) openStream() idStream {
	d.t.Helper()
	conn, _, err := websocket.Dial(d.t.Context(), "ws"+strings.TrimPrefix(d.url, "http")+"/assets/stream/identifiers",
		&websocket.DialOptions{HTTPClient: d.http})
	if err != nil {
		d.t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	d.t.Cleanup(func() { conn.CloseNow() })
	return idStream{d.t, conn}
}

// next returns the identifiers of the next frame, deleted ones behind a minus.
func (s idStream) next() []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	kind, frame, err := s.conn.Read(ctx)
	if err != nil || kind != websocket.MessageText {
		s.t.Fatalf("the next frame is of type %v: %v", kind, err)
	}
	if err := jsonConforms(specification().Components.Schemas["StreamedIdentifiers"].Value, frame); err != nil {
		s.t.Errorf("%.300s: %v", frame, err)
	}
	var got struct {
		Iterable []struct {
			Asset   struct{ ID string }
			Deleted bool
		}
	}
	if err := json.Unmarshal(frame, &got); err != nil {
		s.t.Fatal(err)
	}
	ids := []string{}
	for _, item := range got.Iterable {
		if item.Deleted {
			item.Asset.ID = "-" + item.Asset.ID
		}
		ids = append(ids, item.Asset.ID)
	}
	return ids
}

func (s idStream) want(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), s.next()); diff != "" {
		s.t.Errorf("the next frame: (-want +got)\n%s", diff)
	}
}

// TestIdentifierStream follows a stream through all kinds of changes.
func TestIdentifierStream(t *testing.T) {
	d := start(t)
	empty := d.openStream()
	empty.want()
	d.store(document("assets", "b", `{}`), document("tags", "t", `{}`), document("assets", "a", `{}`))
	empty.want("b", "a")
	s := d.openStream()
	s.want("a", "b")
	d.ok(d.do("POST", "/v1/documents", api.NDJSON, line("tags", "u", `{}`))) // not an asset
	d.ok(d.do("POST", "/v1/documents", api.NDJSON, line("assets", "c", `{}`)))
	s.want("c")
	d.ok(d.do("POST", "/v1/documents", api.NDJSON, line("assets", "c", `{}`))) // unchanged
	d.ok(d.post("/asset/update", `{"id":"a","formats":{"iterable":[]},"name":"x"}`))
	s.want("a")
	d.ok(d.post("/assets/b/delete", ""))
	s.want("-b")
	d.ok(d.post("/assets/b/delete", "")) // again
	d.store(document("assets", "b", `{}`))
	s.want("b")
}

// TestIdentifierStreamIsComplete opens streams while documents are written:
// state and changes together miss none.
func TestIdentifierStreamIsComplete(t *testing.T) {
	t.Parallel()
	d := start(t)
	const n, batch = 2500, 50
	stored := make(chan struct{})
	go func() {
		defer close(stored)
		for from := 0; from < n; from += batch {
			var docs []cairn.Document
			for i := range batch {
				docs = append(docs, document("assets", fmt.Sprintf("%06d", from+i), `{}`))
			}
			if _, err := d.db.Apply(t.Context(), docs); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 5 {
		s := d.openStream()
		seen := map[string]bool{}
		for len(seen) < n {
			ids := s.next()
			if len(ids) > 1000 {
				t.Fatalf("a frame has %d identifiers, want at most 1,000", len(ids))
			}
			for _, id := range ids {
				seen[id] = true
			}
		}
		s.conn.CloseNow()
	}
	<-stored
}

// TestShutdown closes the server: streams are told, and no new ones begin.
func TestShutdown(t *testing.T) {
	d := start(t)
	s := d.openStream()
	s.want()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.server.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err := s.conn.Read(ctx)
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("the stream ends with status %v: %v", got, err)
	}
	<-closed
	a := d.do("GET", "/assets/stream/identifiers", "", "", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	d.wantErrors = 1
	d.refused("a stream afterwards", a, cairn.CodeShuttingDown, "stopping")
	d.ok(d.get("/assets/stream/identifiers"))
	d.ok(d.get("/assets"))
}

// TestShutdownRace opens streams while the server closes.
func TestShutdownRace(t *testing.T) {
	for range 10 {
		d := start(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 5 {
				conn, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(d.url, "http")+"/assets/stream/identifiers", nil)
				if err == nil {
					conn.CloseNow()
				} else if resp == nil || resp.StatusCode != http.StatusInternalServerError { // the log has why
					t.Errorf("opening a stream: %v", err)
				}
			}
		}()
		d.server.Close()
		<-done
		d.wantErrors = d.log.count(0, "shutting_down")
	}
}

// TestBadHandshakes asks for a websocket in ways that are none.
func TestBadHandshakes(t *testing.T) {
	d := start(t)
	for _, header := range []string{
		"Upgrade: websocket\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\n",
		"Upgrade: WebSocket\r\nConnection: keep-alive\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
		upgrade + "Sec-WebSocket-Key: BAAAAAAAAAAAAAAAAAAAAA==\r\n",
	} {
		const path = "/assets/stream/identifiers"
		d.refused(header, d.raw("GET", path, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n"), cairn.CodeInvalid, "websocket")
	}
	// Another upgrade is none that a server has to take.
	d.ok(d.raw("GET", "/assets/stream/identifiers", "GET /assets/stream/identifiers HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"))
}

// TestStreamFails has the database fail under a stream: the client is told
// that it failed, the log why.
func TestStreamFails(t *testing.T) {
	d := start(t, func(c *httpapi.Config) {
		c.Documents = &failingDocuments{Documents: c.Documents, docs: 3, err: errSecret}
	})
	d.wantErrors = 1
	s := d.openStream()
	_, _, err := s.conn.Read(t.Context())
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusInternalError || closed.Reason != "internal" {
		t.Errorf("the stream ends with %v, want status 1011 and the code", err)
	}
	if d.log.count(0, "secret-of-the-process") != 1 {
		t.Errorf("the log does not say why:\n%s", d.log)
	}
}

// TestStreamReplaced has a restoration replace the database under a stream, by
// one with lower revisions: the client is told to begin anew.
func TestStreamReplaced(t *testing.T) {
	d := start(t)
	d.store(document("assets", "x", `{}`), document("assets", "y", `{}`))
	s := d.openStream()
	s.want("x", "y")
	nothing := func(func(int, []cairn.Document) (func() error, error)) error { return nil }
	if err := d.db.Replace(t.Context(), cairn.Replacement{}, nothing); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.conn.Read(t.Context())
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusServiceRestart {
		t.Errorf("the stream ends with %v, want status 1012", err)
	}
	s = d.openStream()
	s.want()
	d.store(document("assets", "z", `{}`))
	s.want("z")
}

// TestStreamClientGoes has clients of the stream go away without a word.
func TestStreamClientGoes(t *testing.T) {
	d := start(t)
	for i := range 20 {
		s := d.openStream()
		if i%2 == 0 {
			s.want()
		}
		s.conn.CloseNow()
		d.store(document("assets", "x", fmt.Sprintf(`{"n":%d}`, i)), cairn.Document{Collection: "assets", ID: "x"})
	}
	// What a client says means nothing, but does no harm.
	s := d.openStream()
	s.want()
	if err := s.conn.Write(t.Context(), websocket.MessageText, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	d.store(document("assets", "y", `{}`))
	s.want("y")
	if err := s.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("the close was not answered: %v", err)
	}
}

// TestStalledStream takes nothing of a stream, which is given up in time.
func TestStalledStream(t *testing.T) {
	docs := &endlessDocuments{ended: make(chan struct{})}
	d := start(t, func(c *httpapi.Config) {
		docs.Documents = c.Documents
		c.Documents = docs
		c.WriteStall = 100 * time.Millisecond
	})
	d.openStream()
	select {
	case <-docs.ended:
	case <-time.After(patience):
		t.Fatal("the stream is not given up")
	}
	if docs.bytes > 64<<20 {
		t.Errorf("%d MiB were produced for a client that takes nothing", docs.bytes>>20)
	}
}
