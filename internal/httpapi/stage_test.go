package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
	"cairn/internal/jobs"
	"cairn/test/pipe"
)

// A stage is a server with the jobs of the daemon, whose work the test does. It is
// for a bubble of testing/synctest, and its connections are pipes: what a client
// does not take, the server has not written.
type stage struct {
	t       *testing.T
	jobs    *jobs.Jobs
	engine  *actor
	cloud   *fakeCloud
	device  *fakeDevice
	server  *httpapi.Server
	http    *http.Server
	cut     context.CancelFunc // ends the contexts of all requests
	pipes   *pipe.Listener
	client  *http.Client // holds answers to the specification
	log     *logbook
	history *history
	stopped bool // by the test
}

// perform runs fn on a stage of its own, in a bubble.
func perform(t *testing.T, fn func(*testing.T, *stage), changes ...func(*httpapi.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, newStage(t, changes...)) })
}

func newStage(t *testing.T, changes ...func(*httpapi.Config)) *stage {
	s := &stage{
		t:       t,
		engine:  &actor{},
		cloud:   &fakeCloud{backups: []cairn.Backup{sample()}},
		device:  &fakeDevice{},
		log:     &logbook{},
		history: &history{},
		pipes:   pipe.Listen(),
	}
	s.engine.cloud = s.cloud
	s.jobs = jobs.New(jobs.Config{Engine: s.engine, History: s.history, Log: slog.New(slog.DiscardHandler)})
	cfg := httpapi.Config{
		Documents: noDocuments{}, Device: s.device, Backups: s.cloud, Jobs: s.jobs,
		Spool: t.TempDir(), Log: slog.New(s.log),
	}
	for _, change := range changes {
		change(&cfg)
	}
	s.server = httpapi.New(cfg)
	life, cut := context.WithCancel(context.Background())
	s.cut = cut
	s.http = &http.Server{
		Handler: s.server, ErrorLog: slog.NewLogLogger(s.log, slog.LevelInfo),
		BaseContext: func(net.Listener) context.Context { return life },
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.http.Serve(s.pipes) // until it is closed
	}()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return s.pipes.Dial() }}
	s.client = &http.Client{Transport: validator{t, transport}}
	t.Cleanup(func() {
		if !s.stopped {
			s.jobs.Close()
			s.server.Close()
		}
		transport.CloseIdleConnections()
		s.http.Close()
		cut()
		s.server.Wait()
		<-served
		if s.log.count(slog.LevelInfo, "") > 0 {
			t.Errorf("the log:\n%s", s.log)
		}
	})
	return s
}

// An actor is an Engine that does what the test says.
type actor struct {
	cloud *fakeCloud
	// work does all work, whose name is create, from, undo or restore; b is what
	// it is of. Nil means that it is done at once.
	work func(ctx context.Context, name string, b cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error)

	mu   sync.Mutex
	made int      // backups
	did  []string // names
}

func (a *actor) do(ctx context.Context, name string, b cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	a.mu.Lock()
	a.did = append(a.did, name)
	a.mu.Unlock()
	if a.work == nil {
		b.Bytes = 359503462
		return b, nil
	}
	return a.work(ctx, name, b, report)
}

// names returns what was done.
func (a *actor) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.did)
}

func (a *actor) NewBackup(scope cairn.Scope) cairn.Backup {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	b := sample()
	b.Bytes, b.Scope = 0, scope
	b.ID, b.Timestamp = cairn.NewBackupID(b.Version, b.Created, uint32(a.made))
	return b
}

func (a *actor) Create(ctx context.Context, b cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return a.do(ctx, "create", b, report)
}

func (a *actor) CreateFrom(ctx context.Context, b cairn.Backup, documents iter.Seq2[cairn.Document, error], report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	for range documents {
	}
	return a.do(ctx, "from", b, report)
}

func (a *actor) Restore(ctx context.Context, _, id string, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	b, err := a.cloud.Backup(ctx, id)
	if err != nil {
		return b, err
	}
	return a.do(ctx, "restore", b, report)
}

func (a *actor) Undo(ctx context.Context) error {
	_, err := a.do(ctx, "undo", cairn.Backup{}, func(cairn.Backup, cairn.Progress) {})
	return err
}

func (a *actor) Restored() string { return "" }
func (a *actor) Backup(ctx context.Context, id string) (cairn.Backup, error) {
	return a.cloud.Backup(ctx, id)
}

// history is a jobs.History that keeps nothing.
type history struct {
	hold chan struct{} // what saving waits for, if not nil
}

func (h *history) SaveJob(context.Context, cairn.Job) error {
	if h.hold != nil {
		<-h.hold
	}
	return nil
}
func (*history) ForgetJobs(context.Context, ...string) error { return nil }
func (*history) Jobs(context.Context) ([]cairn.Job, error)   { return nil, nil }

// noDocuments is an empty database.
type noDocuments struct{ httpapi.Documents }

func (noDocuments) List(context.Context, string) iter.Seq2[cairn.Document, error] {
	return func(func(cairn.Document, error) bool) {}
}

// A play is work that says after each step of a time how much of 100 bytes is done,
// and ends one step later.
func play(step time.Duration, err error, done ...int64) func(context.Context, string, cairn.Backup, func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return func(ctx context.Context, _ string, b cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
		for i := range len(done) + 1 {
			select {
			case <-time.After(step):
			case <-ctx.Done():
				return cairn.Backup{}, fmt.Errorf("working: %w", ctx.Err())
			}
			if i < len(done) {
				report(b, cairn.Progress{Done: done[i], Total: 100})
			}
		}
		b.Bytes = 359503462
		return b, err
	}
}

// An operation begins a job of a backup, which it may have to draw an id for.
type operation struct {
	name, post, get string
	kind            cairn.JobKind
}

var (
	creating  = operation{"creation", "/backups/create/streamed", "/backups/create/streamed/websocket", cairn.Creation}
	restoring = operation{"restoration", "/backup/" + sampleID + "/restore/streamed", "/backup/" + sampleID + "/restore/streamed/websocket", cairn.Restoration}
	// following is the feed.
	following = operation{"feed", "", "/backups/streamed/progress", ""}
)

// transports are the ways in which a stream comes.
var transports = []string{api.NDJSON, api.JSONLines, api.SSE, "websocket"}

// A stream is what comes to a client, in pieces.
type stream struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Reader // of lines and events
	media    string
	socket   *websocket.Conn // of a websocket
	leave    context.CancelFunc
}

// open opens a stream, which sends nothing of its own.
func (s *stage) open(op operation, transport string) *stream {
	s.t.Helper()
	st, err := s.tryOpen(op, transport)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// tryOpen opens a stream, or returns an error with the code of the problem document
// that comes instead.
func (s *stage) tryOpen(op operation, transport string) (*stream, error) {
	ctx, leave := context.WithCancel(s.t.Context())
	if transport == "websocket" {
		conn, resp, err := websocket.Dial(ctx, "ws://localhost"+op.get, &websocket.DialOptions{HTTPClient: s.client})
		if err != nil {
			leave()
			if resp == nil {
				return nil, err
			}
			text, _ := io.ReadAll(resp.Body)
			return nil, &cairn.Error{Code: problemOf(text).Code}
		}
		s.t.Cleanup(func() { conn.CloseNow(); leave() })
		return &stream{t: s.t, socket: conn, leave: func() { conn.CloseNow(); leave() }}, nil
	}
	method, path := "POST", op.post
	if path == "" {
		method, path = "GET", op.get
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", transport)
	resp, err := s.client.Do(req)
	if err != nil {
		leave()
		return nil, err
	}
	s.t.Cleanup(func() { leave(); resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return nil, &cairn.Error{Code: problemOf(text).Code}
	}
	return &stream{t: s.t, response: resp, lines: bufio.NewReaderSize(resp.Body, 16), media: transport, leave: leave}, nil
}

// errEnd is a clean end of a stream.
var errEnd = errors.New("the end")

// next returns the next piece, or errEnd.
func (st *stream) next() (string, error) {
	if st.socket != nil {
		kind, text, err := st.socket.Read(st.t.Context())
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return "", errEnd
		}
		if err == nil && kind != websocket.MessageText {
			err = errors.New("a frame is not text")
		}
		return string(text), err
	}
	line, err := st.lines.ReadString('\n')
	switch {
	case err == io.EOF && line == "": // and not io.ErrUnexpectedEOF
		return "", errEnd
	case err != nil:
		return "", fmt.Errorf("after %q: %w", line, err)
	case st.media != api.SSE:
		return strings.TrimSuffix(line, "\n"), nil
	}
	if end, err := st.lines.ReadString('\n'); err != nil || end != "\n" {
		return line, fmt.Errorf("behind %q comes %q: %w", line, end, err)
	}
	data, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data: ")
	if !ok {
		return line, fmt.Errorf("the event %q has no data", line)
	}
	return data, nil
}

// rest reads a stream of a job to its end, which must be a clean one.
func (st *stream) rest() []api.Progress {
	st.t.Helper()
	var all []api.Progress
	for {
		text, err := st.next()
		if err == errEnd {
			return all
		}
		if err != nil {
			st.t.Fatalf("after %+v comes %q, %v", all, text, err)
		}
		all = append(all, progressOf(st.t, text))
	}
}

// event reads one event.
func (st *stream) event() api.Progress {
	st.t.Helper()
	text, err := st.next()
	if err != nil {
		st.t.Fatalf("the next event: %q, %v", text, err)
	}
	return progressOf(st.t, text)
}

// progressOf parses an event, which must conform.
func progressOf(t *testing.T, text string) (p api.Progress) {
	t.Helper()
	parseAs(t, "Progress", text, &p)
	return p
}

// parseAs parses a text that must conform to a schema.
func parseAs(t *testing.T, schema, text string, v any) {
	t.Helper()
	if err := jsonConforms(specification().Components.Schemas[schema].Value, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}

// document sends a request that is answered with one document, once.
func (s *stage) document(method, path string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	began := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v after %q", method, path, err, text)
	}
	return newAnswer(resp, text, began)
}

// A recorder reads all that comes on a connection, with its time.
type recorder struct {
	conn   net.Conn
	begun  time.Time
	done   chan struct{} // closed when the connection is
	mu     sync.Mutex
	pieces []piece
}

type piece struct {
	at   time.Duration
	text string
}

// record sends the text of a request, and reads whatever comes.
func (s *stage) record(request string) *recorder {
	s.t.Helper()
	conn, err := s.pipes.Dial()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	r := &recorder{conn: conn, begun: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if n > 0 {
				r.mu.Lock()
				r.pieces = append(r.pieces, piece{time.Since(r.begun), string(buf[:n])})
				r.mu.Unlock()
			}
			if err != nil {
				return
			}
		}
	}()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// text returns what has come.
func (r *recorder) text() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var all bytes.Buffer
	for _, p := range r.pieces {
		all.WriteString(p.text)
	}
	return all.String()
}

func (noDocuments) Stats() cairn.Stats { return cairn.Stats{} }
