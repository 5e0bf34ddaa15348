package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/httpapi"
)

// secret is the token of the tests.
const secret = "SsSsSsSsSsSsSsSsSsSsSsSsSsSsSsSs"

// withToken has the server want the token.
func withToken(c *httpapi.Config) { c.Access.Token = httpapi.NewToken(secret) }

// TestToken holds what is let in with a token in force.
func TestToken(t *testing.T) {
	d := start(t, withToken)
	foreign := []string{"Origin", "https://evil.example"}
	ours := []string{"Origin", hostOrigin}
	for _, test := range []struct {
		name         string
		method, path string
		headers      []string
		want         int
	}{
		{"none", "GET", "/assets", nil, 401},
		{"the right one", "GET", "/assets", []string{"Authorization", "Bearer " + secret}, 200},
		{"in lower case", "GET", "/assets", []string{"Authorization", "bearer  " + secret + " "}, 200},
		{"another", "GET", "/assets", []string{"Authorization", "Bearer " + strings.ToLower(secret)}, 401},
		{"a part", "GET", "/assets", []string{"Authorization", "Bearer " + secret[1:]}, 401},
		{"more", "GET", "/assets", []string{"Authorization", "Bearer " + secret + "S"}, 401},
		{"empty", "GET", "/assets", []string{"Authorization", "Bearer"}, 401},
		{"as a password", "GET", "/assets", []string{"Authorization", "Basic " + secret}, 401},
		{"twice", "GET", "/assets", []string{"Authorization", "Bearer " + secret, "Authorization", "Bearer " + secret}, 401},
		{"for the page", "GET", "/", nil, 401},
		{"for a navigation", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 401},
		{"for the metrics", "GET", "/metrics", nil, 401},
		{"before the route", "GET", "/nothing/here", nil, 401},
		{"before the method", "DELETE", "/assets", nil, 401},
		{"of a page of ours", "GET", "/assets", ours, 401},
		{"behind the guard", "GET", "/assets", append(foreign, "Authorization", "Bearer "+secret), 403},
		{"not for a preflight", "OPTIONS", "/assets", append(ours, "Access-Control-Request-Method", "GET"), 204},
		{"not for a preflight of nothing", "OPTIONS", "/nothing", append(ours, "Access-Control-Request-Method", "GET"), 404},
		{"for what looks like one", "OPTIONS", "/assets", []string{"Access-Control-Request-Method", "GET"}, 401},
	} {
		d.unchanged(func() {
			a := d.do(test.method, test.path, "", "", test.headers...)
			if a.status != test.want {
				t.Errorf("%s: status %d, want %d: %s", test.name, a.status, test.want, a.body)
			}
			if challenge := a.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (a.status == 401) {
				t.Errorf("%s: status %d with the challenge %q", test.name, a.status, challenge)
			}
			if a.status == 401 && (a.problem.Code != cairn.CodeUnauthorized || strings.Contains(a.body, secret)) {
				t.Errorf("%s: %s", test.name, a.body)
			}
			if shared := a.header.Get("Access-Control-Allow-Origin") == hostOrigin; shared != (len(test.headers) > 1 && test.headers[1] == hostOrigin) {
				t.Errorf("%s: a page of ours may read it: %t", test.name, shared)
			}
		})
	}
	if a := d.do("GET", "/assets", "", "", "Authorization", "Bearer "+strings.Repeat("x", 8000)); a.status != 401 {
		t.Errorf("a long one: status %d", a.status)
	}
	d.server.SetAccess(httpapi.Access{})
	if a := d.get("/assets"); a.status != 200 {
		t.Errorf("when none is wanted any more: status %d", a.status)
	}
	if a := d.do("GET", "/assets", "", "", "Origin", hostOrigin); a.status != 403 {
		t.Errorf("a page that is not allowed any more: status %d", a.status)
	}
}

// TestTokenBeforeBody holds that a token is asked for before a byte of the body came.
func TestTokenBeforeBody(t *testing.T) {
	d := start(t, withToken)
	for _, body := range []string{"Content-Length: 1073741824\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 10\r\nExpect: 100-continue\r\n"} {
		if a := d.raw("POST", "/assets/create", "POST /assets/create HTTP/1.1\r\nHost: localhost\r\n"+body+"\r\n"); a.status != 401 {
			t.Errorf("%q: status %d, want 401", body, a.status)
		}
	}
}

// TestTokenSecret prints a token in all ways.
func TestTokenSecret(t *testing.T) {
	access := httpapi.Access{Token: httpapi.NewToken(secret)}
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	log.Info("x", "token", access.Token, "access", access)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "token", access.Token, "access", access)
	fmt.Fprintf(&text, "%v %+v %#v %s %q %v", access.Token, access, access, access.Token, access.Token, &access)
	if err := json.NewEncoder(&text).Encode(access); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), secret) || strings.Count(text.String(), "**redacted**") < 8 {
		t.Errorf("it is printed as %s", text.String())
	}
}

// from asks a server for its health from an address, and returns the status and how
// many seconds it says to wait.
func from(s *httpapi.Server, remote, token string, local net.Addr) (status int, wait string) {
	r := httptest.NewRequest("GET", "http://localhost/.well-known/health", nil)
	r.RemoteAddr = remote
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if local != nil {
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Retry-After")
}

// TestTokenTries guesses: after ten wrong ones nothing helps, until one more is
// allowed every six seconds.
func TestTokenTries(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		want := func(what, remote, token string, status int, wait string) {
			t.Helper()
			if got, seconds := from(s.server, remote, token, nil); got != status || seconds != wait {
				t.Errorf("%s: status %d, Retry-After %q, want %d, %q", what, got, seconds, status, wait)
			}
		}
		const here, there = "192.0.2.1:1000", "192.0.2.2:1000"
		for range 50 {
			want("no token is no guess", here, "", 401, "")
			want("the right one is none", here, secret, 200, "")
		}
		for range 10 {
			want("a guess", here, "wrong", 401, "")
		}
		want("a guess too many", here, "wrong", 429, "6")
		want("the right one then", here, secret, 429, "6")
		want("none then", "192.0.2.1:2000", "", 429, "6")
		want("another address", there, secret, 200, "")
		time.Sleep(5500 * time.Millisecond)
		want("too early", here, secret, 429, "1")
		time.Sleep(500 * time.Millisecond)
		want("in time", here, secret, 200, "")
		want("one more guess", here, "wrong", 401, "")
		want("and no second one", here, "wrong", 429, "6")
		time.Sleep(time.Minute)
		for range 10 {
			want("a minute later", here, "wrong", 401, "")
		}
		want("a minute later", here, secret, 429, "6")
		if status, _ := from(s.server, "@", "wrong", &net.UnixAddr{Name: "socket", Net: "unix"}); status != 200 {
			t.Errorf("over the socket: status %d", status)
		}
		synctest.Wait()
	}, withToken)
}

// TestTokenNeighbourhoods guesses from many addresses.
func TestTokenNeighbourhoods(t *testing.T) {
	for _, test := range []struct {
		name, guesser, other string
		together             bool
	}{
		{"one machine", "192.0.2.1:1", "192.0.2.1:2", true},
		{"two machines", "192.0.2.1:1", "192.0.2.3:1", false},
		{"one network of IPv6", "[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true},
		{"two networks of IPv6", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"IPv4 in IPv6", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"a zone", "[fe80::1%eth0]:1", "[fe80::1]:1", true},
		{"loopback", "127.0.0.1:1", "127.9.9.9:1", true},
		{"both kinds of loopback", "127.0.0.1:1", "[::1]:1", true},
		{"loopback and others", "127.0.0.1:1", "192.0.2.1:1", false},
	} {
		perform(t, func(t *testing.T, s *stage) {
			for range 10 {
				from(s.server, test.guesser, "wrong", nil)
			}
			want := 200
			if test.together {
				want = 429
			}
			if status, _ := from(s.server, test.other, secret, nil); status != want {
				t.Errorf("%s: status %d, want %d", test.name, status, want)
			}
		}, withToken)
	}
}

// TestTokenManyNeighbourhoods guesses from more addresses than are remembered: who
// guesses most is not forgotten.
func TestTokenManyNeighbourhoods(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		for range 10 {
			from(s.server, "192.0.2.1:1", "wrong", nil)
		}
		before := heap()
		for n := range 20_000 {
			from(s.server, fmt.Sprintf("[2001:db8:%x:%x::1]:1", n>>8, n&255), "wrong", nil)
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		if status, _ := from(s.server, "192.0.2.1:1", secret, nil); status != 429 {
			t.Errorf("the first one is forgotten: status %d", status)
		}
	}, withToken)
}
