package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"cairn"
	"cairn/internal/httpapi"
)

// TestMetrics holds that the metrics are behind the guard, and not there unless
// they are configured.
func TestMetrics(t *testing.T) {
	d := start(t)
	if got := d.ok(d.get("/metrics")); got != "cairn_build_info 1\n" {
		t.Errorf("the metrics are %q", got)
	}
	d.refused("of another page", d.do("GET", "/metrics", "", "", "Origin", "https://example.com"), cairn.CodeForbidden, "may not use")
	d.refused("posted", d.post("/metrics", ""), cairn.CodeNotAllowed, "does not take POST")
	d = start(t, func(c *httpapi.Config) { c.Metrics = nil })
	d.refused("without", d.get("/metrics"), cairn.CodeNotFound, "nothing at")
}

// TestObserve holds what is told of each request.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var told []string
	observed := make(chan struct{}, 100)
	d := start(t, func(c *httpapi.Config) {
		c.Observe = func(route string, status int) {
			mu.Lock()
			told = append(told, fmt.Sprintf("%s: %d", route, status))
			mu.Unlock()
			observed <- struct{}{}
		}
	})
	d.store(snippet("one", "format", "text"))
	for _, request := range []struct{ method, path, body, origin, want string }{
		{"GET", "/asset/one", "", "", "GET /asset/{id}: 200"},
		{"GET", "/asset/two", "", "", "GET /asset/{id}: 410"},
		{"POST", "/asset/update", "{", "", "POST /asset/update: 400"},
		{"GET", "/v1/documents?after=9", "", "", "GET /v1/documents: 200"}, // which is empty
		{"POST", "/assets/one/delete", "", "", "POST /assets/{id}/delete: 200"},
		{"GET", "/nowhere", "", "", ": 404"},
		{"PUT", "/assets", "", "", ": 405"},
		{"GET", "/assets", "", "https://example.com", ": 403"},
	} {
		media := ""
		if request.body != "" {
			media = "application/json"
		}
		headers := []string{"Origin", request.origin}
		if request.origin == "" {
			headers = nil
		}
		d.do(request.method, request.path, media, request.body, headers...)
		<-observed
		mu.Lock()
		if got := told[len(told)-1]; got != request.want {
			t.Errorf("of %s %s is told %q, want %q", request.method, request.path, got, request.want)
		}
		mu.Unlock()
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(d.url, "http", "ws", 1)+"/assets/stream/identifiers", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow() // its end is what counts
	<-observed
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(told, "GET /assets/stream/identifiers: 101") {
		t.Errorf("of the websocket is told %q", told[len(told)-1])
	}
}
