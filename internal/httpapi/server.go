// Package httpapi serves the daemon's HTTP API: the operations of the wire
// contract under their original paths, and cairn's own under /v1/.
//
//	server := httpapi.New(httpapi.Config{Documents: db, Device: dev, ...})
//	http.Serve(listener, server)
//	server.Close() // ends the streams; then drain the http.Server
//
// Each request passes the guard of the local port, then the route, then its
// handler, which returns an error instead of writing one: a single adapter
// turns it into a problem document.
package httpapi

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"sync"
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

// Config is what a Server works with. Documents and Device are required.
type Config struct {
	Documents Documents
	Device    Device
	// Page serves GET /. Nil means an ordinary 404.
	Page http.Handler
	// Status tells version, data folder and addresses; the server adds device
	// and database. Nil means an empty description.
	Status func() api.Status
	// Hosts and Origins are allowed besides those of loopback.
	Hosts, Origins []string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// NewID draws ids; nil means random UUIDs.
	NewID func() string
	// Log gets each request at debug level and each failure; nil means
	// slog.Default.
	Log *slog.Logger
}

// A Server is an http.Handler.
type Server struct {
	cfg   Config
	guard guard
	mux   *http.ServeMux

	// life ends when Close is called; streams counts what it ends.
	life    context.Context
	end     context.CancelCauseFunc
	streams sync.WaitGroup
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
	if cfg.Status == nil {
		cfg.Status = func() api.Status { return api.Status{} }
	}
	s := &Server{cfg: cfg, guard: newGuard(cfg.Hosts, cfg.Origins), mux: http.NewServeMux()}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.routes()
	return s
}

// Close ends the streams that would otherwise never end, and waits for those
// which left HTTP (websockets). Requests that come afterwards are served.
func (s *Server) Close() {
	s.end(errShuttingDown)
	s.streams.Wait()
}

var errShuttingDown = &cairn.Error{
	Code:    cairn.CodeShuttingDown,
	Message: "The daemon is stopping.",
	Hint:    "Start it again with cairn serve.",
}

// handler answers a request or returns why not.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) routes() {
	for pattern, h := range map[string]handler{
		"GET /.well-known/health":             s.health,
		"GET /.well-known/version":            s.version,
		"POST /connect":                       s.connect,
		"GET /user":                           s.user,
		"POST /os/sign_in":                    s.signIn,
		"POST /os/sign_out":                   s.signOut,
		"GET /allocations":                    s.allocations,
		"POST /assets/create":                 s.createAsset,
		"GET /assets":                         s.listAssets,
		"GET /assets/identifiers":             s.assetIdentifiers,
		"GET /assets/stream/identifiers":      s.streamIdentifiers,
		"GET /assets/{id}":                    s.getAsset,
		"GET /asset/{id}":                     s.getAsset,
		"POST /asset/update":                  s.updateAsset,
		"POST /assets/{id}/delete":            s.deleteAsset,
		"GET /format/{id}":                    s.getFormat,
		"POST /format/update/value":           s.updateFormatValue,
		"GET /v1/status":                      s.status,
		"GET /v1/documents":                   s.readDocuments,
		"POST /v1/documents":                  s.writeDocuments,
		"GET /v1/documents/{collection}/{id}": s.readDocument,
		"GET /openapi.yaml":                   s.openAPI,
	} {
		s.mux.Handle(pattern, adapter{s, h})
	}
	if s.cfg.Page != nil {
		s.mux.Handle("GET /{$}", s.cfg.Page)
	}
}

// ServeHTTP guards, routes and serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rw := newResponse(w)
	defer rw.finish()
	r.Body = &body{ReadCloser: r.Body, control: rw.control}
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	if err := s.guard.check(r); err != nil {
		s.fail(rw, r, err)
		return
	}
	if !plainPath(r.URL.Path) || reserved(r.URL.Path) {
		s.fail(rw, r, notFound(r))
		return
	}
	h, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.fail(rw, r, unrouted(h, rw, r))
		return
	}
	s.mux.ServeHTTP(rw, r)
}

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
// is the only place that logs the errors of handlers.
func (s *Server) fail(w *response, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client went away
	}
	code := cairn.CodeOf(err)
	level := slog.LevelDebug
	if api.StatusOf(code) >= 500 {
		level = slog.LevelError
	}
	s.cfg.Log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path, "code", code, "err", err)
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	problem := api.ProblemOf(err)
	writeJSON(w, api.ProblemType, problem.Status, problem)
}

// plainPath reports whether a path means what it says: no empty, "." or ".."
// part. The standard mux would redirect others, and a redirected POST loses
// its body.
func plainPath(path string) bool {
	if path == "/" {
		return true
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		switch path[start:i] {
		case "", ".", "..":
			return false
		}
		start = i + 1
	}
	return len(path) > 0 && path[0] == '/'
}

// reserved reports whether the original API has a path of its own where ours
// would see an id.
func reserved(path string) bool {
	switch path {
	case "/assets/draft", "/assets/recommended", "/assets/related", "/assets/pseudo",
		"/assets/search", "/assets/stream", "/asset/reclassify", "/format/reclassify":
		return true
	}
	return false
}

func notFound(r *http.Request) error {
	return &cairn.Error{
		Code:    cairn.CodeNotFound,
		Message: "There is nothing at " + cairn.Quote(r.URL.Path) + ".",
		Hint:    "GET /openapi.yaml describes the paths that exist.",
	}
}

// unrouted returns the error for a request that no pattern matches. The mux
// knows the methods of a path, and tells them in the Allow header only.
func unrouted(h http.Handler, w http.ResponseWriter, r *http.Request) error {
	probe := &headerProbe{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if probe.status != http.StatusMethodNotAllowed {
		return notFound(r)
	}
	allow := probe.header.Get("Allow")
	w.Header().Set("Allow", allow)
	return &cairn.Error{
		Code:    cairn.CodeNotAllowed,
		Message: cairn.Quote(r.URL.Path) + " does not take " + r.Method + ".",
		Hint:    "It takes " + allow + ".",
	}
}

// headerProbe is a ResponseWriter that keeps status and header alone.
type headerProbe struct {
	header http.Header
	status int
}

func (p *headerProbe) Header() http.Header         { return p.header }
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *headerProbe) WriteHeader(status int)      { p.status = status }
