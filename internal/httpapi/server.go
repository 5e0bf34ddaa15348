// Package httpapi serves the daemon's HTTP API: the operations of the wire
// contract under their original paths, and cairn's own under /v1/.
//
//	server := httpapi.New(httpapi.Config{Documents: db, Device: dev, Backups: engine, Jobs: jobs, ...})
//	http.Serve(listener, server)
//	server.Close() // ends the streams; then drain the http.Server
//	server.Wait()  // no handler runs any more
//
// Each request passes the guard of the local port, which looks at who asks, then
// the token, if there is one, then the route, then its handler, which returns an
// error instead of writing one: a single adapter turns it into a problem document.
package httpapi

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"cairn"
	"cairn/api"
)

// Documents is the database as the API needs it. The methods return the codes
// that package database documents for its methods of the same names.
type Documents interface {
	Get(ctx context.Context, collection, id string) (cairn.Document, error)
	Find(ctx context.Context, collection, ref string) (cairn.Document, error)
	List(ctx context.Context, collection string) iter.Seq2[cairn.Document, error]
	IDs(ctx context.Context, collection string) iter.Seq2[string, error]
	Changes(ctx context.Context, collection string, after int64) iter.Seq2[cairn.Document, error]
	Apply(ctx context.Context, docs []cairn.Document) ([]cairn.Result, error)
	Update(ctx context.Context, collection, id string, edit func(json []byte) ([]byte, error)) (cairn.Document, error)
	Stats() cairn.Stats
	Changed() <-chan struct{}
}

// Device is the installation as the API needs it.
type Device interface {
	Installation() string
	User() string
	Name() string
	SignedIn() bool
	SetSignedIn(ctx context.Context, in bool) error
}

// Config is what a Server works with. Documents, Device, Backups, Clouds, Jobs and
// Contents are required.
type Config struct {
	Documents Documents
	Device    Device
	Backups   Backups
	Clouds    Clouds
	Jobs      Jobs
	// User is raised when something may have changed of the user: signed in or out,
	// a cloud opened or lost. Nil means by the server itself alone.
	User *Signal
	// Retention are the rules of the configuration, for requests without any, until
	// SetRetention says otherwise.
	Retention cairn.Retention
	Contents  Contents
	// Spool is the folder for request bodies too large for memory. Empty means
	// the system's folder for temporary files.
	Spool string
	// Page serves GET /. Nil means an ordinary 404.
	Page http.Handler
	// Metrics serves GET /metrics. Nil means an ordinary 404. Observe hears of each
	// request that has ended: the pattern of its route, "" without one, and the
	// status of its answer, 0 without one. It must not wait; nil means nobody.
	Metrics http.Handler
	Observe func(route string, status int)
	// Status tells version, data folder and addresses; the server adds device
	// and database. Nil means an empty description.
	Status func() api.Status
	// Access says who is let in, until SetAccess says otherwise.
	Access Access
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// NewID draws ids; nil means random UUIDs.
	NewID func() string
	// ReadStall is how long a client may send nothing of its body, WriteStall
	// how long it may take nothing of an answer; then the connection is cut. A
	// slow client is fine: each piece has this time anew. Zero means a minute
	// and five.
	ReadStall, WriteStall time.Duration
	// StreamStall is WriteStall for what tells of progress, whose events are never
	// many, and whose last one a client may want to read much later. Zero means an
	// hour.
	StreamStall time.Duration
	// Patience is how long a document that waits for a job sends nothing, and Pulse
	// how often an answer that has begun says something while nothing changes. Zero
	// means 60 seconds and 15.
	Patience, Pulse time.Duration
	// Log gets each request at debug level and each failure; nil means
	// slog.Default.
	Log *slog.Logger
}

// A Server is an http.Handler.
type Server struct {
	cfg       Config
	door      atomic.Pointer[door]
	tries     *tries
	retention atomic.Pointer[cairn.Retention]
	bodies    *budget
	mux       *http.ServeMux
	// literals has the methods of each path without parameters.
	literals map[string][]string

	// life ends when Close is called; streams counts what it ends. closing
	// orders the two: nothing is counted any more when life has ended. In the
	// same way requests counts those under way until over is set.
	life     context.Context
	end      context.CancelFunc
	closing  sync.Mutex
	streams  sync.WaitGroup
	over     bool
	requests sync.WaitGroup
}

// New returns a server. It starts nothing.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = uuid.NewString
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.ReadStall == 0 {
		cfg.ReadStall = time.Minute
	}
	if cfg.WriteStall == 0 {
		cfg.WriteStall = 5 * time.Minute
	}
	if cfg.StreamStall == 0 {
		cfg.StreamStall = time.Hour
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	if cfg.Pulse == 0 {
		cfg.Pulse = 15 * time.Second
	}
	if cfg.User == nil {
		cfg.User = new(Signal)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, int) {}
	}
	if cfg.Status == nil {
		cfg.Status = func() api.Status { return api.Status{} }
	}
	s := &Server{cfg: cfg, tries: newTries(cfg.Now), bodies: newBudget(largeBodies), mux: http.NewServeMux(), literals: map[string][]string{}}
	s.SetAccess(cfg.Access)
	s.SetRetention(cfg.Retention)
	s.life, s.end = context.WithCancel(context.Background())
	s.routes()
	return s
}

// SetRetention has requests without rules of their own use these from now on.
func (s *Server) SetRetention(rules cairn.Retention) { s.retention.Store(&rules) }

// Close ends the streams that would otherwise never end, and waits for those
// which left HTTP (websockets). Requests that come afterwards are served, but
// for streams without end: those get cairn.CodeShuttingDown.
func (s *Server) Close() {
	s.closing.Lock()
	s.end()
	s.closing.Unlock()
	s.streams.Wait()
}

// Wait waits for the requests under way, and refuses any that still come. Call
// it when the http.Server is closed, before what the handlers use.
func (s *Server) Wait() {
	s.closing.Lock()
	s.over = true
	s.closing.Unlock()
	s.requests.Wait()
}

// beginRequest counts a request, unless Wait was called.
func (s *Server) beginRequest() bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.over {
		return false
	}
	s.requests.Add(1)
	return true
}

// beginStream counts a stream that Close ends, unless Close was called. The
// stream calls s.streams.Done at its end.
func (s *Server) beginStream() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.life.Err() != nil {
		return shuttingDown()
	}
	s.streams.Add(1)
	return nil
}

func shuttingDown() *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeShuttingDown,
		Message: "The daemon is stopping.",
		Hint:    "Start it again with cairn serve.",
	}
}

// ServeHTTP guards, routes and serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.beginRequest() {
		panic(http.ErrAbortHandler) // its connection is closed already
	}
	defer s.requests.Done()
	rw := newResponse(w, s.cfg.WriteStall)
	defer rw.finish()
	ended := false // and not cut off
	defer func() {
		if ended && rw.status == 0 {
			rw.status = http.StatusOK // an empty answer
		}
		s.cfg.Observe(r.Pattern, rw.status)
	}()
	r, release := s.timeBody(r, rw.control)
	defer release()
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	done, err := s.admit(rw, r)
	if err != nil {
		dropBody(r, rw.control)
	} else if !done {
		err = s.route(rw, r)
	}
	switch {
	case err != nil:
		s.fail(rw, r, err)
	case !done:
		s.mux.ServeHTTP(rw, r)
	}
	ended = true
}

// handler answers a request or returns why not.
type handler func(w http.ResponseWriter, r *http.Request) error

// adapter makes an http.Handler of a handler.
type adapter struct {
	s *Server
	h handler
}

func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.h(w, r); err != nil {
		a.s.fail(w.(*response), r, err)
	}
}

// fail answers with a problem document, or cuts the connection when an answer
// is on its way already: a client must not take half of it for the whole. It
// logs the error.
func (s *Server) fail(w *response, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil || errors.Is(err, errClientGone) {
		panic(http.ErrAbortHandler) // the client went away; returning would send 200
	}
	s.logFailure(r, err)
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	problem, left := api.ProblemOf(err), bodyLeft(r)
	if left {
		w.Header().Set("Connection", "close")
	}
	writeJSON(w, api.ProblemType, problem.Status, problem)
	if left {
		linger(r, w.control)
	}
}

// logFailure logs the error of a handler.
func (s *Server) logFailure(r *http.Request, err error) {
	code := cairn.CodeOf(err)
	level := levelOf(code)
	if _, told := errors.AsType[reported](err); told {
		level = slog.LevelDebug
	}
	s.cfg.Log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path, "code", code, "err", err)
}

// levelOf returns how an error of the code is logged: as an error when the
// daemon failed, and for debugging when it was asked for what cannot be.
func levelOf(code cairn.Code) slog.Level {
	switch code {
	case cairn.CodeBackupNotFound, cairn.CodeBackupIsPartial, cairn.CodeNotInProgress, cairn.CodeCanceled:
		return slog.LevelDebug // the original API has no 400 or 404 there
	}
	switch status := api.StatusOf(code); status {
	case http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return slog.LevelDebug
	default:
		if status < 500 {
			return slog.LevelDebug
		}
		return slog.LevelError
	}
}
