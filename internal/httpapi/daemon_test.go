package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/asset"
	"cairn/internal/database"
	"cairn/internal/httpapi"
	"cairn/internal/web"
)

// daemon is a server over a database of its own. All that it answers is held
// to the specification, and at its end nothing may stand in its log as an
// error that the test did not expect.
type daemon struct {
	t      *testing.T
	url    string
	addr   string
	db     *database.DB
	device *fakeDevice
	log    *logbook
	server *httpapi.Server
	user   httpapi.Signal
	// http holds answers to the specification.
	http *http.Client
	// wantErrors is how many entries the log has as errors.
	wantErrors int
}

const (
	installation = "0b5cf0b9-5bd3-4b0f-8e0f-3f1a7e0c6f10"
	userID       = "7d1c6c2e-60c5-4a4e-9a2d-0a3c9f0b1e22"
	// hostName and hostOrigin are configured besides those of loopback.
	hostName   = "cairn.test"
	hostOrigin = "https://tools.cairn.test"
)

// start starts a daemon with a cloud that holds the sample. Each change may
// replace parts of its configuration.
func start(t *testing.T, changes ...func(*httpapi.Config)) *daemon {
	t.Helper()
	d := &daemon{t: t, device: &fakeDevice{}, log: &logbook{}}
	var err error
	d.db, err = database.Open(t.Context(), database.Config{
		Dir: t.TempDir(), Installation: installation, References: references, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	status := func() api.Status {
		return api.Status{Version: "1.2.3", Platform: cairn.Platform(runtime.GOOS), Data: "/data <b>", URLs: []string{d.url}}
	}
	f := &fakeCloud{backups: []cairn.Backup{sample()}, status: cairn.CloudStatus{URL: "file:///b", State: cairn.CloudReady}}
	page, err := web.New(web.Config{Status: status, Stats: d.db.Stats, Last: f.Last, Cloud: f.Cloud})
	if err != nil {
		t.Fatal(err)
	}
	cfg := httpapi.Config{
		Documents: d.db,
		Device:    d.device,
		Backups:   f,
		Clouds:    &fakeClouds{f: f},
		User:      &d.user,
		Jobs:      fakeJobs{f},
		Contents:  newContents(f),
		Page:      page,
		Metrics:   http.HandlerFunc(fakeMetrics),
		Status:    status,
		Access:    httpapi.Access{Hosts: []string{hostName}, Origins: []string{hostOrigin}},
		Log:       slog.New(d.log),
	}
	for _, change := range changes {
		change(&cfg)
	}
	d.server = httpapi.New(cfg)
	s := httptest.NewUnstartedServer(d.server)
	s.Config.ErrorLog = slog.NewLogLogger(d.log, slog.LevelInfo)
	s.Config.DisableGeneralOptionsHandler = true
	s.Start()
	d.url, d.addr = s.URL, s.Listener.Addr().String()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	d.http = &http.Client{
		Transport:     validator{t, transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		d.server.Close()
		s.Close() // waits for the requests under way
		if err := d.db.Close(); err != nil {
			t.Errorf("closing the database: %v", err)
		}
		if got := d.log.count(slog.LevelError, ""); got != d.wantErrors {
			t.Errorf("the log has %d errors, want %d:\n%s", got, d.wantErrors, d.log)
		}
		if d.log.count(slog.LevelInfo, "panic") > 0 {
			t.Errorf("a handler panicked:\n%s", d.log)
		}
	})
	return d
}

// fakeMetrics answers as package metrics does.
func fakeMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, "cairn_build_info 1\n") // the test reads it
}

func references(collection string, json []byte) []string {
	if collection != cairn.CollectionAssets {
		return nil
	}
	return asset.FormatIDs(json)
}

// answer is an answer that was read to its end.
type answer struct {
	status  int
	header  http.Header
	body    string
	problem api.Problem // of an answer that is one
	took    time.Duration
}

// do sends a request with a body of the media type; neither when both are "".
func (d *daemon) do(method, path, mediaType, body string, headers ...string) answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	began := time.Now()
	resp, err := d.http.Do(req)
	if err != nil {
		d.t.Fatalf("%s %.100s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("%s %.100s: reading the answer: %v", method, path, err)
	}
	return newAnswer(resp, text, began)
}

func newAnswer(resp *http.Response, body []byte, began time.Time) answer {
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body), took: time.Since(began)}
	if len(body) > 0 && a.status >= 400 {
		a.problem = problemOf(body)
	}
	return a
}

func (d *daemon) get(path string) answer {
	d.t.Helper()
	return d.do("GET", path, "", "")
}

func (d *daemon) post(path, body string) answer {
	d.t.Helper()
	return d.do("POST", path, api.JSON, body)
}

// ok fails the test unless the answer has status 200; it returns the body.
func (d *daemon) ok(a answer) string {
	d.t.Helper()
	if a.status != http.StatusOK {
		d.t.Fatalf("status %d, want 200: %.300s", a.status, a.body)
	}
	return a.body
}

// store writes documents to the database, past the API.
func (d *daemon) store(docs ...cairn.Document) {
	d.t.Helper()
	if _, err := d.db.Apply(d.t.Context(), docs); err != nil {
		d.t.Fatal(err)
	}
}

func document(collection, id, json string) cairn.Document {
	return cairn.Document{Collection: collection, ID: id, JSON: []byte(json)}
}

// unchanged calls fn, after which the database must be as it was.
func (d *daemon) unchanged(fn func()) {
	d.t.Helper()
	before := d.db.Stats()
	fn()
	if after := d.db.Stats(); after != before {
		d.t.Errorf("the database changed from %+v to %+v", before, after)
	}
}

// snippet returns a stored asset with one format.
func snippet(id, format, text string) cairn.Document {
	return document(cairn.CollectionAssets, id, `{"id":"`+id+`","name":"n","formats":{"iterable":[{"id":"`+format+
		`","fragment":{"string":{"raw":"`+text+`"}}}]},"original":{"id":"`+format+`"},"preview":{"base":{"id":"`+format+`"}}}`)
}

// connection is a connection for requests that no client would send.
type connection struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
	// known holds answers that conform, where a test gets the same ones over
	// and over.
	known *sync.Map
}

// patience is how long a test waits for what is to come at once.
const patience = 20 * time.Second

// dial connects. A daemon that does not answer in time fails the test.
func (d *daemon) dial() *connection {
	d.t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
	return newConnection(d.t, conn)
}

// raw sends the text of a request on a connection of its own and returns the
// answer, which is held to the specification as that of method and path.
func (d *daemon) raw(method, path, request string) answer {
	d.t.Helper()
	c := d.dial()
	defer c.Close()
	began := time.Now()
	if _, err := io.WriteString(c, request); err != nil {
		d.t.Fatalf("sending %.100q: %v", request, err)
	}
	a, err := c.answer(method, path)
	if err != nil {
		d.t.Fatalf("%.100q: %v", request, err)
	}
	a.took = time.Since(began)
	return a
}

// fakeDevice is an installation in memory.
type fakeDevice struct {
	signedOut atomic.Bool
	err       error // of SetSignedIn
}

func (f *fakeDevice) Installation() string { return installation }
func (f *fakeDevice) User() string         { return userID }
func (f *fakeDevice) Name() string         { return "dev box" }
func (f *fakeDevice) SignedIn() bool       { return !f.signedOut.Load() }

func (f *fakeDevice) SetSignedIn(_ context.Context, in bool) error {
	if f.err == nil {
		f.signedOut.Store(!in)
	}
	return f.err
}

// logbook is a slog.Handler that keeps what it gets, but for debugging.
type logbook struct {
	mu      sync.Mutex
	entries []entry
}

type entry struct {
	level slog.Level
	text  string
}

func (l *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logbook) WithGroup(string) slog.Handler                    { return l }

func (l *logbook) Handle(ctx context.Context, r slog.Record) error {
	var text bytes.Buffer
	if err := slog.NewTextHandler(&text, nil).Handle(ctx, r); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry{r.Level, text.String()})
	return nil
}

// count returns how many entries of at least the level hold the text.
func (l *logbook) count(level slog.Level, text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.entries {
		if e.level >= level && strings.Contains(e.text, text) {
			n++
		}
	}
	return n
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all strings.Builder
	for _, e := range l.entries {
		if all.Len() < 2000 {
			all.WriteString(e.text)
		}
	}
	return all.String()
}

// serve serves the daemon's API once more, with requests that live no longer
// than ctx, and returns the URL.
func serve(t *testing.T, d *daemon, ctx context.Context) string {
	s := httptest.NewUnstartedServer(d.server)
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}
