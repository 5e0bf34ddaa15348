package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"cairn"
)

// A Token is a secret that requests must show. It keeps the SHA-256 of the text
// alone, and prints nothing of it. The zero Token is none.
type Token struct {
	sum [sha256.Size]byte
	set bool
}

// NewToken returns the token of a text, which is not empty.
func NewToken(text string) Token { return Token{sum: sha256.Sum256([]byte(text)), set: true} }

// String returns what stands for a secret.
func (t Token) String() string { return "**redacted**" }

// GoString is String.
func (t Token) GoString() string { return t.String() }

// MarshalText is String.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// authorize returns an error of cairn.CodeUnauthorized unless the request shows the
// token, where one is needed, and of cairn.CodeTooManyTries whatever it shows when
// too many wrong ones came from where it comes from.
func (s *Server) authorize(w *response, r *http.Request, token Token) error {
	if !token.set || isLocalSocket(r) {
		return nil
	}
	given, ok := bearer(r)
	sum := sha256.Sum256([]byte(given))
	right := ok && subtle.ConstantTimeCompare(sum[:], token.sum[:]) == 1
	wait := s.tries.try(neighbourhood(r.RemoteAddr), ok && !right)
	if wait > 0 || !right { // whoever has no token holds no connection either
		w.Header().Set("Connection", "close")
	}
	switch {
	case wait > 0:
		seconds := int64((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
		return &cairn.Error{
			Code:    cairn.CodeTooManyTries,
			Message: "Too many wrong tokens came from this address.",
			Hint:    fmt.Sprintf("Wait %d seconds, and send the right one.", seconds),
		}
	case right:
		return nil
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	e := &cairn.Error{
		Code:    cairn.CodeUnauthorized,
		Message: "This daemon wants a token, and the request has none.",
		Hint:    "Send Authorization: Bearer TOKEN; cairn's own commands take it from the variable CAIRN_TOKEN. It is in the file that token_file names.",
	}
	if ok {
		e.Message = "The token of the request is not that of this daemon."
	}
	return e
}

// bearer returns the token that a request shows. Source: RFC 6750, section 2.1.
func bearer(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true // something else, which is wrong too
	}
	return strings.Trim(token, " "), true
}

const (
	// mostTries is how many wrong tokens may come from one neighbourhood at once,
	// and tryPause how long it takes until one more may.
	mostTries = 10
	tryPause  = 6 * time.Second
	// mostNeighbourhoods bounds what is remembered: about a megabyte.
	mostNeighbourhoods = 8192
)

// tries counts wrong tokens. Of each neighbourhood it knows when all of its tries
// are there again (the generic cell rate algorithm of ITU-T I.371).
type tries struct {
	now func() time.Time

	mu   sync.Mutex
	full map[netip.Prefix]time.Time
}

func newTries(now func() time.Time) *tries {
	return &tries{now: now, full: map[netip.Prefix]time.Time{}}
}

// try returns how long a neighbourhood has to wait; if it has not, it notes whether
// the token was wrong.
func (t *tries) try(from netip.Prefix, wrong bool) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	// A clock that is set back shuts nobody out for longer.
	owed := min(max(t.full[from].Sub(now), 0), mostTries*tryPause)
	if wait := owed - (mostTries-1)*tryPause; wait > 0 {
		t.full[from] = now.Add(owed)
		return wait
	}
	if wrong {
		if _, known := t.full[from]; !known {
			t.makeRoom(now)
		}
		t.full[from] = now.Add(owed + tryPause)
	}
	return 0
}

// makeRoom forgets those that have all their tries again, and if there are none the
// one that has them soonest.
func (t *tries) makeRoom(now time.Time) {
	if len(t.full) < mostNeighbourhoods {
		return
	}
	var soonest netip.Prefix
	for from, full := range t.full {
		if !full.After(now) {
			delete(t.full, from)
		} else if best, ok := t.full[soonest]; !ok || full.Before(best) {
			soonest = from
		}
	}
	if len(t.full) >= mostNeighbourhoods {
		delete(t.full, soonest)
	}
}

// neighbourhood returns the addresses that count as one: those which a single
// machine can have. All of loopback is this machine.
func neighbourhood(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := at.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	switch {
	case addr.IsLoopback():
		addr, bits = netip.IPv4Unspecified(), 0
	case addr.Is6():
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
