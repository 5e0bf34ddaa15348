package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// frameTime is how long a frame that is due may take on a busy machine.
const frameTime = 10 * time.Second

// TestIdentifiers follows the stream of identifiers from an empty database
// through changes to the end of the daemon.
func TestIdentifiers(t *testing.T) {
	d := harness.Start(t, harness.Options{})
	c := client.New(d.URL)
	s := follow(t, d.URL, nil)
	if got := s.next(t); len(got) != 0 {
		t.Errorf("the first frame of an empty database is %v", got)
	}

	one, two := create(t, c, "one"), create(t, c, "two")
	s.until(t, one, present)
	s.until(t, two, present)
	if _, err := c.UpdateAsset(t.Context(), json.RawMessage(`{"id":"`+one+`","name":"changed"}`), nil); err != nil {
		t.Fatal(err)
	}
	s.until(t, one, present)
	if err := c.DeleteAsset(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	s.until(t, one, deleted)
	if err := c.DeleteAsset(t.Context(), one); err != nil { // changes nothing
		t.Fatal(err)
	}
	three := create(t, c, "three")
	if got := s.next(t); len(got) != 1 || got[three] != present {
		t.Errorf("after a delete that changed nothing, and a new asset %s, a frame of %v", three, got)
	}

	// Who comes later gets the state first.
	late := follow(t, d.URL, nil)
	if got := late.next(t); len(got) != 2 || got[two] != present || got[three] != present {
		t.Errorf("the first frame of a later client is %v, want %s and %s", got, two, three)
	}
	if err := c.DeleteAsset(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	s.until(t, two, deleted)
	late.until(t, two, deleted)

	if err := late.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing: %v", err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- d.Stop() }()
	if _, _, err := s.conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at the daemon's end the stream ends with %v, want the status going away", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stopping the daemon: %v", err)
	}
}

// TestIdentifiersOrigins opens the stream from pages of this machine and of
// others.
func TestIdentifiersOrigins(t *testing.T) {
	d := harness.Start(t, harness.Options{})
	v := harness.NewValidator(t, d.URL)
	for _, origin := range []string{"", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "app://obsidian.md"} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		follow(t, v.URL, header).next(t)
	}
	for _, origin := range []string{"https://evil.example", "null", "http://localhost.evil.example", "file://"} {
		conn, resp, err := websocket.Dial(t.Context(), v.URL+"/assets/stream/identifiers",
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if err == nil {
			conn.CloseNow()
			t.Errorf("a page of %s may follow the stream", origin)
			continue
		}
		if resp == nil || resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != api.ProblemType {
			t.Errorf("a page of %s is refused with %v (%v), want 403 and a problem", origin, resp, err)
		}
	}
}

// TestIdentifiersStalled has a client stop reading: nobody else waits for it,
// it gets the rest once it reads on, and the daemon ends without it.
func TestIdentifiersStalled(t *testing.T) {
	d := harness.Start(t, harness.Options{})
	c := client.New(d.URL)
	all := map[string]state{}
	for _, id := range fill(t, c, 60_000) {
		all[id] = present
	}
	// One frame of each reader arrives; the megabytes of frames behind it are
	// more than the buffers in between hold.
	stalled, forever := follow(t, d.URL, nil), follow(t, d.URL, nil)
	got := stalled.next(t)
	forever.next(t)

	for range 20 {
		all[create(t, c, "beside a reader that stalls")] = present
	}
	for id := range all {
		if err := c.DeleteAsset(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		all[id] = deleted
		break
	}
	other := follow(t, d.URL, nil)
	if len(other.next(t)) == 0 {
		t.Error("another reader gets an empty first frame")
	}

	last := create(t, c, "last")
	all[last] = present
	for got[last] != present {
		for id, is := range stalled.next(t) {
			got[id] = is
		}
	}
	for id, want := range all {
		// A reader to whom an id was never told needs no deletion of it.
		if is, told := got[id]; is != want && (told || want == present) {
			t.Errorf("the reader that stalled has %s as %v, want %v", id, is, want)
		}
	}
	if len(got) > len(all) {
		t.Errorf("the reader that stalled knows %d ids of %d", len(got), len(all))
	}
	if err := d.Stop(); err != nil {
		t.Errorf("stopping the daemon beside a reader that stalls: %v", err)
	}
}

// state is what the stream says of an id.
type state int

const (
	unknown state = iota
	present
	deleted
)

// stream is a client of GET /assets/stream/identifiers.
type stream struct {
	conn *websocket.Conn
	spec *harness.Spec
}

// follow opens the stream, with a small buffer for what was not read yet.
func follow(t *testing.T, url string, header http.Header) *stream {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn, conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	}}
	conn, resp, err := websocket.Dial(t.Context(), url+"/assets/stream/identifiers",
		&websocket.DialOptions{HTTPHeader: header, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		body := []byte{}
		if resp != nil {
			body, _ = io.ReadAll(resp.Body) // what there is of it
		}
		t.Fatalf("opening the stream: %v %s", err, body)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	spec, err := harness.LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	return &stream{conn, spec}
}

// next returns what the next frame says.
func (s *stream) next(t *testing.T) map[string]state {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), frameTime)
	defer cancel()
	kind, text, err := s.conn.Read(ctx)
	if err != nil {
		t.Fatalf("reading a frame: %v", err)
	}
	if kind != websocket.MessageText {
		t.Errorf("a frame is no text: %v", kind)
	}
	if err := s.spec.CheckSchema("StreamedIdentifiers", text); err != nil {
		t.Errorf("a frame differs from the OpenAPI document: %v", err)
	}
	var frame struct {
		Iterable []struct {
			Asset   struct{ ID string }
			Deleted bool
		}
	}
	if err := json.Unmarshal(text, &frame); err != nil {
		t.Fatal(err)
	}
	if len(frame.Iterable) > 1000 {
		t.Errorf("a frame has %d identifiers", len(frame.Iterable))
	}
	says := map[string]state{}
	for _, item := range frame.Iterable {
		says[item.Asset.ID] = present
		if item.Deleted {
			says[item.Asset.ID] = deleted
		}
	}
	return says
}

// until reads frames up to one that says so of an id, and nothing else of it.
func (s *stream) until(t *testing.T, id string, want state) {
	t.Helper()
	for {
		is := s.next(t)[id]
		if is == want {
			return
		}
		if is != unknown {
			t.Fatalf("the stream says %v of %s, want %v", is, id, want)
		}
	}
}

// create makes an asset, which must not take long, and returns its id.
func create(t *testing.T, c *client.Client, text string) string {
	t.Helper()
	seed := fmt.Sprintf(`{"asset":{"application":{"id":"c1111111-1111-4111-8111-111111111111","name":"OPEN_SOURCE",`+
		`"version":"0.0.1","platform":"LINUX","onboarded":true,"privacy":"OPEN"},`+
		`"format":{"fragment":{"string":{"raw":%q}}}}}`, text)
	ctx, cancel := context.WithTimeout(t.Context(), frameTime)
	defer cancel()
	body, err := c.CreateAsset(ctx, json.RawMessage(seed))
	if err != nil {
		t.Fatal(err)
	}
	var a struct{ ID string }
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// fill stores n small assets with long ids.
func fill(t *testing.T, c *client.Client, n int) []string {
	t.Helper()
	ids := make([]string, n)
	lines := make([]api.DocumentLine, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%08d", strings.Repeat("x", 119), i)
		lines[i] = api.DocumentLine{Collection: "assets", ID: ids[i], Document: json.RawMessage(`{}`)}
	}
	written, err := c.WriteDocuments(t.Context(), lines)
	if err != nil {
		t.Fatal(err)
	}
	if written.Added != int64(n) {
		t.Fatalf("%d of %d assets were stored: %v", written.Added, n, written.Refused)
	}
	return ids
}
