package httpapi_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// refused fails the test unless the answer is a problem of the code whose
// detail names the cause, with a hint.
func (d *daemon) refused(name string, a answer, code cairn.Code, cause string) {
	d.t.Helper()
	if a.status != api.StatusOf(code) || a.problem.Code != code {
		d.t.Errorf("%s: status %d, code %q, want %d %s: %.300s", name, a.status, a.problem.Code, api.StatusOf(code), code, a.body)
		return
	}
	if a.problem.Hint == "" {
		d.t.Errorf("%s: no hint: %s", name, a.body)
	}
	if !strings.Contains(a.problem.Detail, cause) {
		d.t.Errorf("%s: the detail does not say %q: %s", name, cause, a.problem.Detail)
	}
}

// objectRoutes take a JSON object. The bodies would change the database.
var objectRoutes = map[string]string{
	"/assets/create":       `{"type":"SEEDED_ASSET","asset":{"application":{"id":"x"},"format":{"fragment":{"string":{"raw":"t"}}}}}`,
	"/asset/update":        `{"id":"one","name":"changed"}`,
	"/format/update/value": `{"id":"format","fragment":{"string":{"raw":"changed"}}}`,
	"/connect":             `{}`,
}

// TestBadBodies sends bodies that none of the routes takes.
func TestBadBodies(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	for _, test := range []struct {
		name, media, body string
		code              cairn.Code
		cause             string
	}{
		{"no JSON", api.JSON, `{"a":`, cairn.CodeInvalid, "the text ends too early at byte 5"},
		{"single quotes", api.JSON, `{'a':1}`, cairn.CodeInvalid, "not JSON"},
		{"two values", api.JSON, `{} {}`, cairn.CodeInvalid, "something follows the value at byte 3"},
		{"white space alone", api.JSON, "  \n", cairn.CodeInvalid, "the text ends too early"},
		{"a byte order mark", api.JSON, "\ufeff{}", cairn.CodeInvalid, "not JSON"},
		{"bad UTF-8", api.JSON, "{\"a\":\"\xff\"}", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 6"},
		{"UTF-16", api.JSON, "{\x00}\x00", cairn.CodeInvalid, "not JSON"},
		{"a control character", api.JSON, "{\"a\":\"\x00\"}", cairn.CodeInvalid, "control character"},
		{"too deep", api.JSON, strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), cairn.CodeInvalid, "nested deeper than 10000"},
		{"an array", api.JSON, `[{}]`, cairn.CodeInvalid, "not an object"},
		{"a string", api.JSON, `"x"`, cairn.CodeInvalid, "not an object"},
		{"false", api.JSON, `false`, cairn.CodeInvalid, "not an object"},
		{"no Content-Type", "", `{}`, cairn.CodeMediaType, `the Content-Type ""`},
		{"text", "text/plain", `{}`, cairn.CodeMediaType, `"text/plain"`},
		{"a form", "application/x-www-form-urlencoded", `a=b`, cairn.CodeMediaType, "urlencoded"},
		{"nonsense", "json;;;", `{}`, cairn.CodeMediaType, `"json;;;"`},
		{"lines", api.NDJSON, `{}`, cairn.CodeMediaType, "ndjson"},
	} {
		for route := range objectRoutes {
			d.unchanged(func() {
				d.refused(test.name+" to "+route, d.do("POST", route, test.media, test.body), test.code, test.cause)
			})
		}
	}
}

// TestEmptyBodies sends what means an empty object.
func TestEmptyBodies(t *testing.T) {
	d := start(t)
	for _, empty := range []struct{ media, body string }{
		{"", ""}, {api.JSON, ""}, {"text/plain", ""}, {api.JSON, "null"}, {api.JSON, "{}"}, {api.JSON, " null "},
		{"application/json; charset=utf-8", "{ }"}, {"APPLICATION/JSON", "{}"}, {"application/problem+json", "{}"},
	} {
		d.unchanged(func() {
			d.ok(d.do("POST", "/connect", empty.media, empty.body))
			d.refused("create", d.do("POST", "/assets/create", empty.media, empty.body), cairn.CodeInvalid, "seed has no asset")
			d.refused("update", d.do("POST", "/asset/update", empty.media, empty.body), cairn.CodeInvalid, "names no asset")
			d.refused("format", d.do("POST", "/format/update/value", empty.media, empty.body), cairn.CodeInvalid, "names no format")
		})
	}
}

// TestHugeBodies sends bodies that have no end in sight: they are refused
// without being read to it, and without being held in memory.
func TestHugeBodies(t *testing.T) {
	d := start(t)
	const gib = 1 << 30
	for route := range objectRoutes {
		a := d.raw("POST", route, "POST "+route+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n")
		d.refused("a length of 1 GiB to "+route, a, cairn.CodeTooLarge, "larger than 40 MiB")
	}
	for _, test := range []struct{ route, media, cause string }{
		{"/assets/create", api.JSON, "The body is larger than 40 MiB"},
		{"/v1/documents", api.NDJSON, "Line 1 is longer than 40 MiB"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := d.dial()
		sent := make(chan int)
		go func() {
			sent <- c.endless("POST " + test.route + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + test.media + "\r\n")
		}()
		a, err := c.answer("POST", test.route)
		if err != nil {
			t.Fatal(err)
		}
		d.refused("an endless body to "+test.route, a, cairn.CodeTooLarge, test.cause)
		c.Close()
		if n := <-sent; n > 64<<20 {
			t.Errorf("%s took %d MiB of the body", test.route, n>>20)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > gib/2 {
			t.Errorf("%s allocated %d MiB for the body", test.route, n>>20)
		}
	}
	if got := d.db.Stats().Revision; got != 0 {
		t.Errorf("the database changed: revision %d", got)
	}
}

// endless sends a chunked body until nobody takes it, and returns how much was
// taken.
func (c *connection) endless(head string) int {
	const piece = 64 << 10
	chunk := "10000\r\n" + strings.Repeat("1", piece) + "\r\n"
	if _, err := io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n"); err != nil {
		return 0
	}
	for n := 0; ; n += piece {
		if _, err := io.WriteString(c, chunk); err != nil {
			return n
		}
	}
}

// TestBrokenBodies sends bodies that end before their announced end.
func TestBrokenBodies(t *testing.T) {
	d := start(t)
	for _, test := range []struct{ name, head, body string }{
		{"cut off", "Content-Length: 1000\r\n", `{"a":1`},
		{"nothing at all", "Content-Length: 1000\r\n", ""},
		{"cut off between chunks", "Transfer-Encoding: chunked\r\n", "3\r\n{\"a\r\n"},
		{"cut off within a chunk", "Transfer-Encoding: chunked\r\n", "30\r\n{\"a"},
		{"no chunks", "Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n"},
	} {
		for _, route := range []string{"/assets/create", "/v1/documents"} {
			c := d.dial()
			media := map[bool]string{true: api.NDJSON, false: api.JSON}[route == "/v1/documents"]
			if _, err := io.WriteString(c, "POST "+route+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+media+"\r\n"+test.head+"\r\n"+test.body); err != nil {
				t.Fatal(err)
			}
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			a, err := c.answer("POST", route)
			if err != nil {
				t.Errorf("%s to %s: %v", test.name, route, err)
				continue
			}
			d.refused(test.name+" to "+route, a, cairn.CodeInvalid, "could not be read to its end")
		}
	}
}

// TestStalledBodies sends part of a body, then nothing.
func TestStalledBodies(t *testing.T) {
	const stall = 50 * time.Millisecond
	d := start(t, func(c *httpapi.Config) { c.ReadStall = stall })
	stalled := func(route, head, body string) answer {
		t.Helper()
		a := d.raw("POST", route, "POST "+route+" HTTP/1.1\r\nHost: localhost\r\n"+head+"\r\n"+body)
		if a.took > patience/2 {
			t.Errorf("%s: the answer came after %s", route, a.took)
		}
		return a
	}
	const length = "Content-Type: application/json\r\nContent-Length: 1000000\r\n"
	for route := range objectRoutes {
		d.refused("some, then nothing", stalled(route, length, `{"id":"`), cairn.CodeTimeout, "Nothing of the body came for 50ms. Nothing was changed.")
	}
	d.refused("nothing", stalled("/asset/update", length, ""), cairn.CodeTimeout, "for 50ms")
	d.refused("a few bytes are missing", stalled("/asset/update", "Content-Type: application/json\r\nContent-Length: 3\r\n", "{"), cairn.CodeTimeout, "for 50ms")
	d.refused("chunks", stalled("/asset/update", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", "1\r\n{\r\n"), cairn.CodeTimeout, "for 50ms")

	// Whoever does not look at the body does not wait for it for ever.
	d.refused("an unknown path", stalled("/no/such/path", "Content-Length: 3\r\n", ""), cairn.CodeNotFound, `"/no/such/path"`)
	d.refused("signing in", stalled("/os/sign_in", "Content-Length: 3\r\n", ""), cairn.CodeTimeout, "for 50ms")
	d.ok(d.raw("GET", "/user", "GET /user HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"))

	// What was stored before is told.
	lines := strings.Repeat(`{"collection":"c","id":"x","document":{}}`+"\n", 999) + `{"collection":"c","id":"y","document":{}}` + "\n"
	d.refused("lines", stalled("/v1/documents", "Content-Type: application/x-ndjson\r\nContent-Length: 1000000\r\n", lines),
		cairn.CodeTimeout, "for 50ms. Before that, 2 documents of this request were stored; sending all of it again is safe.")
	if got := d.db.Stats().Documents; got != 2 {
		t.Errorf("%d documents were stored, want 2", got)
	}
}

// TestSlowBody sends a body whose pieces are each in time, though all of it
// takes longer than that. It runs beside no other test: the pieces must be in
// time on a busy machine too.
func TestSlowBody(t *testing.T) {
	const stall = 2 * time.Second
	d := start(t, func(c *httpapi.Config) { c.ReadStall = stall })
	c := d.dial()
	if _, err := io.WriteString(c, "POST /connect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(stall / 8)
	defer tick.Stop()
	for range 13 {
		<-tick.C
		if _, err := io.WriteString(c, " "); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(c, "}"); err != nil {
		t.Fatal(err)
	}
	a, err := c.answer("POST", "/connect")
	if err != nil {
		t.Fatal(err)
	}
	d.ok(a)
	// The connection has no deadline left from the body.
	if _, err := io.WriteString(c, "GET /user HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if a, err = c.answer("GET", "/user"); err != nil || a.status != 200 {
		t.Errorf("the next request on the connection: status %d, %v", a.status, err)
	}
}
