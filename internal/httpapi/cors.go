package httpapi

import (
	"net/http"
	"strings"
)

// What a page of another origin is told by the Fetch standard's CORS protocol. The
// guard has allowed the origin by then. Credentials that a browser adds by itself,
// such as cookies, are never asked for.
const (
	// sharedRequestHeaders are what pages may send: those of the SDKs, and what
	// operations here know.
	sharedRequestHeaders = "application, x-application-id, content-type, accept, authorization, if-match"
	// sharedAnswerHeaders are what pages may read.
	sharedAnswerHeaders = "ETag, Allow, Retry-After, WWW-Authenticate"
	// preflightSeconds is how long a browser may remember a preflight: an origin
	// that is not allowed any more still meets the guard.
	preflightSeconds = "600"
)

// share lets pages of the origin read an answer.
func share(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", sharedAnswerHeaders)
	h.Add("Vary", "Origin")
}

// isPreflight reports whether a browser asks whether a page may send a request.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight says that it may, if there is such a route. It needs no token, which
// browsers do not send here.
func (s *Server) preflight(w *response, r *http.Request) error {
	meant := r.Clone(r.Context())
	meant.Method = r.Header.Get("Access-Control-Request-Method")
	if err := s.route(w, meant); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", meant.Method)
	h.Set("Access-Control-Allow-Headers", sharedRequestHeaders)
	h.Set("Access-Control-Max-Age", preflightSeconds)
	if strings.EqualFold(r.Header.Get("Access-Control-Request-Private-Network"), "true") {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
