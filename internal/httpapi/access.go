package httpapi

import (
	"net"
	"net/http"
)

// Access says who is let in.
type Access struct {
	// Hosts are names and addresses of this machine besides those of loopback, and
	// Origins the pages that are allowed besides those of loopback.
	Hosts, Origins []string
	// Token is what requests over TCP must show; the zero Token is none. Those over
	// a unix socket need none: who can open it is this user.
	Token Token
}

// A door is what an Access comes to.
type door struct {
	guard guard
	token Token
}

// SetAccess says who is let in from now on. Requests under way go on.
func (s *Server) SetAccess(a Access) {
	s.door.Store(&door{guard: newGuard(a.Hosts, a.Origins), token: a.Token})
}

// admit lets a request in, or returns why not. It also answers what a browser asks
// before a request of another origin: then done is true.
func (s *Server) admit(w *response, r *http.Request) (done bool, err error) {
	d := s.door.Load()
	if err := d.guard.check(r); err != nil {
		return false, err
	}
	origin := r.Header.Get("Origin")
	if origin != "" {
		share(w.Header(), origin)
	}
	if origin != "" && isPreflight(r) {
		return true, s.preflight(w, r)
	}
	return false, s.authorize(w, r, d.token)
}

// isLocalSocket reports whether a request came over a unix socket.
func isLocalSocket(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && addr.Network() == "unix"
}
