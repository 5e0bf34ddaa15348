package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cairn"
)

// routes sets the mux up.
func (s *Server) routes() {
	for pattern, h := range map[string]handler{
		"GET /.well-known/health":                         s.health,
		"GET /.well-known/version":                        s.version,
		"POST /connect":                                   s.connect,
		"GET /user":                                       s.user,
		"POST /os/sign_in":                                s.signIn,
		"POST /os/sign_out":                               s.signOut,
		"GET /user/stream":                                s.streamUser,
		"GET /allocations":                                s.allocations,
		"POST /allocations/connect":                       s.connectAllocation,
		"POST /allocations/reconnect":                     s.connectAllocation,
		"POST /allocations/disconnect":                    s.disconnectAllocation,
		"POST /assets/create":                             s.createAsset,
		"GET /assets":                                     s.listAssets,
		"GET /assets/identifiers":                         s.assetIdentifiers,
		"GET /assets/stream/identifiers":                  s.streamIdentifiers,
		"GET /assets/{id}":                                s.getAsset,
		"GET /asset/{id}":                                 s.getAsset,
		"POST /asset/update":                              s.updateAsset,
		"POST /assets/{id}/delete":                        s.deleteAsset,
		"GET /format/{id}":                                s.getFormat,
		"POST /format/update/value":                       s.updateFormatValue,
		"POST /backup":                                    s.backUpAssets,
		"POST /backup/asset":                              s.backUpAsset,
		"GET /backup/{backup}":                            s.getBackup,
		"POST /backup/{backup}/restore":                   s.restoreBackup,
		"POST /backup/{backup}/restore/streamed":          s.streamRestoration,
		"GET /backup/{backup}/restore/streamed/websocket": s.watchRestoration,
		"POST /backup/{backup}/creation/cancel":           s.cancelCreation,
		"POST /backup/{backup}/restoration/cancel":        s.cancelRestoration,
		"POST /backups/create/streamed":                   s.streamCreation,
		"GET /backups/create/streamed/websocket":          s.watchCreation,
		"GET /backups/streamed/progress":                  s.watchAll,
		"GET /backup/{backup}/creation/status":            s.creationStatus,
		"GET /backup/{backup}/restoration/status":         s.restorationStatus,
		"GET /backups":                                    s.listBackups,
		"POST /backups/create":                            s.createBackup,
		"POST /backups/{backup}/delete":                   s.deleteBackup,
		"GET /v1/backups/{backup}":                        s.backupDetails,
		"GET /v1/backups/deleted":                         s.deletedBackups,
		"POST /v1/backups/{backup}/undelete":              s.undeleteBackup,
		"GET /v1/clouds":                                  s.listClouds,
		"GET /v1/cloud":                                   s.cloudDetails,
		"POST /v1/cloud/connect":                          s.connectCloud,
		"POST /v1/cloud/disconnect":                       s.disconnectCloud,
		"POST /v1/cloud/lock":                             s.lockCloud,
		"POST /v1/cloud/key":                              s.moveKey,
		"POST /v1/cloud/recovery-kit/acknowledge":         s.acknowledgeKit,
		"GET /v1/cloud/passphrases":                       s.listPassphrases,
		"POST /v1/cloud/passphrases":                      s.addPassphrase,
		"POST /v1/cloud/passphrases/change":               s.changePassphrase,
		"POST /v1/cloud/passphrases/remove":               s.removePassphrase,
		"POST /v1/cloud/prune":                            s.prune,
		"POST /v1/backups/forget":                         s.forgetBackups,
		"POST /v1/backups/{backup}/verify":                s.verifyBackup,
		"POST /v1/cloud/check":                            s.checkCloud,
		"GET /v1/jobs":                                    s.listJobs,
		"POST /v1/restoration/undo":                       s.undoRestoration,
		"GET /v1/daemon":                                  s.daemon,
		"GET /v1/status":                                  s.status,
		"GET /v1/documents":                               s.readDocuments,
		"POST /v1/documents":                              s.writeDocuments,
		"GET /v1/documents/{collection}/{id}":             s.readDocument,
		"GET /openapi.yaml":                               s.openAPI,

		"GET /v1/backups":                                               s.allBackups,
		"GET /v1/backups/{backup}/documents":                            s.backupDocuments,
		"POST /v1/backups/{backup}/documents/restore":                   s.restoreDocuments,
		"GET /v1/backups/{backup}/documents/{collection}/{id}":          s.backupDocument,
		"POST /v1/backups/{backup}/documents/{collection}/{id}/restore": s.restoreDocument,
	} {
		s.mux.Handle(pattern, adapter{s, h})
		if method, path, _ := strings.Cut(pattern, " "); !strings.Contains(path, "{") {
			s.literals[path] = append(s.literals[path], method)
		}
	}
	if s.cfg.Metrics != nil {
		s.mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	if s.cfg.Page != nil {
		s.mux.Handle("GET /{$}", s.cfg.Page)
	}
}

// route returns an error unless the mux has a handler of ours for the request.
func (s *Server) route(w http.ResponseWriter, r *http.Request) error {
	if !plainPath(r.URL.EscapedPath()) || reserved(r.URL.Path) {
		return notFound(r)
	}
	h, pattern := s.mux.Handler(r)
	switch {
	case pattern == "":
		return s.unrouted(h, w, r)
	case !strings.Contains(pattern, "{"):
		return nil
	case s.literals[r.URL.Path] != nil: // GET /assets/create is not for an asset of that name
		return s.notAllowed(w, r, "")
	}
	return nil
}

// plainPath reports whether a path, still escaped, means what it says: no part
// is empty, ".", ".." or "/", escaped or not. The standard mux would redirect
// others, and a redirected POST loses its body; it takes %2F for an empty part.
func plainPath(escaped string) bool {
	parts := strings.Split(escaped, "/")
	if len(parts) < 2 || parts[0] != "" {
		return false
	}
	for _, part := range parts[1:] {
		text, err := url.PathUnescape(part)
		if err != nil || text == "." || text == ".." || text == "/" || text == "" && escaped != "/" {
			return false
		}
	}
	return true
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
func (s *Server) unrouted(h http.Handler, w http.ResponseWriter, r *http.Request) error {
	probe := &headerProbe{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if probe.status != http.StatusMethodNotAllowed {
		return notFound(r)
	}
	return s.notAllowed(w, r, probe.header.Get("Allow"))
}

// notAllowed returns the error for a method that a path does not take. allow is
// what the mux says of it, which counts paths with parameters in.
func (s *Server) notAllowed(w http.ResponseWriter, r *http.Request, allow string) error {
	if methods := slices.Sorted(slices.Values(s.literals[r.URL.Path])); methods != nil {
		allow = strings.Replace(strings.Join(methods, ", "), "GET", "GET, HEAD", 1)
	}
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
