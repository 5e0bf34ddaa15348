package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// The tables say by hand what the rules of the local port mean for each value;
// nothing here is computed as the guard computes it.

var guardHosts = []struct {
	host string
	ours bool
}{
	{"127.0.0.1", true},
	{"localhost", true},
	{"LOCALHOST", true},
	{"[::1]", true},
	{"127.0.0.1:39300", true},
	{"localhost:1000", true},
	{"[::1]:65535", true},
	{"127.8.9.1", true},
	{hostName, true},
	{"CAIRN.test:8080", true},
	{"evil.example", false},
	{"evil.example:39300", false},
	{"10.0.0.1", false},
	{"0.0.0.0:39300", false},
	{"[::]:39300", false},
	{"localhost.evil.com", false},
	{"127.0.0.1.evil.com", false},
	{"evil-localhost", false},
	{"", false},
}

var guardOrigins = []struct {
	values []string
	ours   bool // of those that are there
}{
	{nil, false},
	{[]string{"http://localhost"}, true},
	{[]string{"http://127.0.0.1:3000"}, true},
	{[]string{"https://[::1]:8"}, true},
	{[]string{"app://obsidian.md"}, true},
	{[]string{hostOrigin}, true},
	{[]string{"https://evil.example"}, false},
	{[]string{"null"}, false},
	{[]string{"http://localhost.evil.com"}, false},
	{[]string{"http://127.0.0.1.evil.com"}, false},
	{[]string{"file://"}, false},
	{[]string{"http://localhost", "https://evil.example"}, false},
	{[]string{""}, false},
}

var guardFetches = []struct {
	header     string
	cross      bool   // from another site
	navigation bool   // of a whole tab
	asks       string // in OPTIONS, whether a page may send this method
}{
	{"", false, false, ""},
	{"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", false, true, ""},
	{"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n", false, false, ""},
	{"Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n", false, false, ""},
	{"Sec-Fetch-Site: cross-site\r\n", true, false, ""},
	{"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", true, true, ""},
	{"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n", true, false, ""},
	{"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: document\r\n", true, false, ""},
	{"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: application,content-type\r\n", true, false, "POST"},
	{"Access-Control-Request-Method: GET\r\nAccess-Control-Request-Private-Network: true\r\n", false, false, "GET"},
	{"Access-Control-Request-Method: DELETE\r\n", false, false, "DELETE"},
}

// guardPaths have the status of each method once the guard lets it pass; the
// methods that are not named have other.
var guardPaths = []struct {
	path, header string
	statuses     map[string]int
	other        int
}{
	{"/", "", map[string]int{"GET": 200, "HEAD": 200}, 405},
	{"/assets", "", map[string]int{"GET": 200, "HEAD": 200}, 405},
	{"/os/sign_in", "", map[string]int{"POST": 200}, 405},
	{"/nothing/here", "", nil, 404},
	{"/assets/stream/identifiers", upgrade, map[string]int{"GET": 101, "HEAD": 400}, 405},
}

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// guardCase is one request of the product of all tables.
type guardCase struct{ host, origin, fetch, method, path int }

var guardMethods = []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"}

// want is what the rules say, and whether a page is let read the answer.
func (c guardCase) want() (status int, shared bool) {
	origin, fetch, method, path := guardOrigins[c.origin], guardFetches[c.fetch], guardMethods[c.method], guardPaths[c.path]
	passes := guardHosts[c.host].ours
	switch {
	case origin.values != nil:
		passes = passes && origin.ours
	case fetch.cross:
		passes = passes && fetch.navigation && method == "GET" && path.path == "/"
	}
	if !passes {
		return 403, false
	}
	shared = origin.values != nil
	if shared && method == "OPTIONS" && fetch.asks != "" {
		if path.statuses[fetch.asks] != 0 {
			return 204, true
		}
		return path.other, true
	}
	if status, ok := path.statuses[method]; ok {
		return status, shared
	}
	return path.other, shared
}

// checkSharing returns an error unless the header says of an answer, to a preflight
// or not, what browsers are to know of it.
func (c guardCase) checkSharing(h http.Header, shared, preflight bool) error {
	want := map[string]string{}
	if shared {
		want["Allow-Origin"] = guardOrigins[c.origin].values[0]
		want["Expose-Headers"] = "ETag, Allow, Retry-After, WWW-Authenticate"
		if h.Get("Vary") != "Origin" {
			return fmt.Errorf("Vary is %q", h.Get("Vary"))
		}
	}
	if preflight {
		fetch := guardFetches[c.fetch]
		want["Allow-Methods"], want["Max-Age"] = fetch.asks, "600"
		want["Allow-Headers"] = "application, x-application-id, content-type, accept, authorization, if-match"
		if strings.Contains(fetch.header, "Private-Network") {
			want["Allow-Private-Network"] = "true"
		}
	}
	got := map[string]string{}
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			got[rest] = strings.Join(values, " and ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("Access-Control- differs (-want +got):\n%s", diff)
	}
	return nil
}

func (c guardCase) request() string {
	var r strings.Builder
	path := guardPaths[c.path]
	fmt.Fprintf(&r, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n", guardMethods[c.method], path.path, guardHosts[c.host].host)
	for _, origin := range guardOrigins[c.origin].values {
		fmt.Fprintf(&r, "Origin: %s\r\n", origin)
	}
	r.WriteString(guardFetches[c.fetch].header)
	r.WriteString(path.header)
	return r.String() + "\r\n"
}

// TestGuard sends one in eleven of the combinations of the tables, and TestLargeGuard
// all of them.
func TestGuard(t *testing.T) {
	t.Parallel()
	start(t).guard(11)
}

// guard sends one in share of all combinations of the tables.
func (d *daemon) guard(share int) {
	d.t.Helper()
	before := d.db.Stats()
	var known sync.Map
	var workers sync.WaitGroup
	for host := range guardHosts {
		workers.Go(func() {
			c := d.dial()
			c.known = &known
			defer func() { c.Close() }()
			n := 0
			for origin := range guardOrigins {
				for fetch := range guardFetches {
					for method := range guardMethods {
						for path := range guardPaths {
							if n++; n%share == host%share {
								c = d.guarded(c, guardCase{host, origin, fetch, method, path})
							}
						}
					}
				}
			}
		})
	}
	workers.Wait()
	if after := d.db.Stats(); after != before {
		d.t.Errorf("the database changed from %+v to %+v", before, after)
	}
}

// guarded sends one request and returns the connection for the next. After a
// failure it sends none: the first tell enough.
func (d *daemon) guarded(c *connection, g guardCase) *connection {
	if d.t.Failed() {
		return c
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		d.t.Error(err)
	}
	method, path := guardMethods[g.method], guardPaths[g.path].path
	want, shared := g.want()
	if _, err := io.WriteString(c, g.request()); err != nil {
		d.t.Errorf("%q: %v", g.request(), err)
	}
	a, err := c.answer(method, path)
	switch {
	case err != nil:
		d.t.Errorf("%q: %v", g.request(), err)
	case a.status != want:
		d.t.Errorf("%q: status %d, want %d", g.request(), a.status, want)
	}
	if err == nil {
		if err := g.checkSharing(a.header, shared, a.status == http.StatusNoContent); err != nil {
			d.t.Errorf("%q: %v", g.request(), err)
		}
	}
	switch {
	case d.t.Failed():
	case a.status != http.StatusSwitchingProtocols && a.header.Get("Connection") != "close":
		return c
	}
	c.Close()
	next := d.dial()
	next.known = c.known
	return next
}

// TestGuardOddHosts sends what no browser does. The http.Server refuses some
// of it itself; what counts is that nothing is served.
func TestGuardOddHosts(t *testing.T) {
	d := start(t)
	for _, request := range []string{
		"GET /assets HTTP/1.0\r\n\r\n",
		"GET /assets HTTP/1.0\r\nHost: evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost:80@evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: evil.example@localhost\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost/.evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost#.evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost:39300:39300\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost:http\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost:999999\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: localhost.\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: [::1%25lo]\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: 2130706433\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: 127.1\r\n\r\n",
		"GET /assets HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n",
		"GET http://evil.example/assets HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET http://localhost@evil.example/assets HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n",
	} {
		c := d.dial()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Errorf("%q: %v", request, err)
			continue
		}
		if resp.StatusCode != 403 && resp.StatusCode != 400 {
			t.Errorf("%q: status %d, want 403 or 400", request, resp.StatusCode)
		}
		c.Close()
	}
	if a := d.raw("GET", "/assets", "GET /assets HTTP/1.0\r\nHost: localhost\r\n\r\n"); a.status != 200 {
		t.Errorf("HTTP/1.0 with a host of ours: status %d, want 200", a.status)
	}
	if a := d.raw("OPTIONS", "*", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"); a.status != 404 {
		t.Errorf("OPTIONS *: status %d, want 404", a.status)
	}
}

// TestGuardFirst sends requests that have many faults at once: the guard comes
// before body, content type, method and route are looked at, so it answers
// though no byte of the body has come.
func TestGuardFirst(t *testing.T) {
	d := start(t)
	for _, foreign := range []string{
		"Host: evil.example\r\n",
		"Host: localhost\r\nOrigin: https://evil.example\r\n",
		"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
	} {
		for _, route := range []string{"POST /assets/create", "POST /v1/documents", "POST /no/such/path", "DELETE /assets", "GET /assets/../x", "GET /assets?transferables=maybe"} {
			for _, body := range []string{
				"Content-Length: 1073741824\r\n",
				"Content-Length: 10\r\n",
				"Content-Length: 1073741824\r\nExpect: 100-continue\r\n",
				"Transfer-Encoding: chunked\r\n",
				"Content-Length: 10\r\nContent-Type: text/plain\r\n\r\nxx",
			} {
				method, path, _ := strings.Cut(route, " ")
				head, begun, _ := strings.Cut(body, "\r\n\r\n")
				request := route + " HTTP/1.1\r\n" + foreign + strings.TrimSuffix(head, "\r\n") + "\r\n\r\n" + begun
				path, _, _ = strings.Cut(path, "?")
				if a := d.raw(method, path, request); a.status != 403 {
					t.Errorf("%q: status %d, want 403", request, a.status)
				}
			}
		}
	}
}

// TestGuardWebsocket opens websockets as a library does.
func TestGuardWebsocket(t *testing.T) {
	d := start(t)
	url := "ws" + strings.TrimPrefix(d.url, "http") + "/assets/stream/identifiers"
	for _, test := range []struct {
		name string
		opts websocket.DialOptions
		want int
	}{
		{"a program", websocket.DialOptions{}, 101},
		{"a page of this machine", websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://localhost:3000"}}}, 101},
		{"Obsidian", websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"app://obsidian.md"}}}, 101},
		{"a configured page", websocket.DialOptions{HTTPHeader: http.Header{"Origin": {hostOrigin}}}, 101},
		{"a configured host", websocket.DialOptions{Host: hostName}, 101},
		{"a foreign page", websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}, 403},
		{"a page without an origin", websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"null"}}}, 403},
		{"a foreign host", websocket.DialOptions{Host: "evil.example"}, 403},
		{"a foreign host and its own page", websocket.DialOptions{Host: "evil.example", HTTPHeader: http.Header{"Origin": {"http://evil.example"}}}, 403},
	} {
		test.opts.HTTPClient = d.http
		conn, resp, err := websocket.Dial(t.Context(), url, &test.opts)
		switch {
		case resp == nil:
			t.Errorf("%s: no answer: %v", test.name, err)
		case resp.StatusCode != test.want:
			t.Errorf("%s: status %d, want %d", test.name, resp.StatusCode, test.want)
		}
		if conn != nil {
			if _, frame, err := conn.Read(t.Context()); err != nil || string(frame) != `{"iterable":[]}` {
				t.Errorf("%s: the first frame is %q, %v", test.name, frame, err)
			}
			conn.CloseNow()
		}
	}
}

// TestGuardLocalAddress asks by the address that the request came in on, which is ours,
// and by others.
func TestGuardLocalAddress(t *testing.T) {
	d := start(t)
	for _, test := range []struct {
		local, host string
		want        int
	}{
		{"192.0.2.7", "192.0.2.7:39300", 200},
		{"192.0.2.7", "192.0.2.7", 200},
		{"::ffff:192.0.2.7", "192.0.2.7", 200},
		{"192.0.2.7", "[::ffff:192.0.2.7]", 403},
		{"192.0.2.7", "192.0.2.8", 403},
		{"192.0.2.7", "evil.example", 403},
		{"192.0.2.7", "localhost", 200},
		{"2001:db8::7", "[2001:db8::7]:39300", 200},
		{"2001:db8::7", "[2001:DB8:0::7]", 200},
		{"2001:db8::7", "[2001:db8::8]", 403},
		{"fe80::7%eth0", "[fe80::7]", 200},
		{"0.0.0.0", "192.0.2.7", 403},
		{"127.0.0.1", "192.0.2.7", 403},
		{"", "192.0.2.7", 403},
	} {
		r := httptest.NewRequest("GET", "/.well-known/health", nil)
		r.Host = test.host
		if test.local != "" {
			local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(test.local), 39300))
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
		}
		w := httptest.NewRecorder()
		d.server.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("on %q, the host %q: status %d, want %d", test.local, test.host, w.Code, test.want)
		}
	}
}
