package httpapi_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"cairn"
	"cairn/api"
	"cairn/internal/device"
	"cairn/internal/httpapi"
)

// TestHealth asks while a write holds the database.
func TestHealth(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	held, release := make(chan struct{}), make(chan struct{})
	finished := make(chan error)
	go func() {
		_, err := d.db.Update(t.Context(), "assets", "one", func(old []byte) ([]byte, error) {
			close(held)
			<-release
			return old, nil
		})
		finished <- err
	}()
	<-held
	d.get("/.well-known/health") // connects
	for range 5 {
		for method, want := range map[string]string{"GET": "ok:" + installation, "HEAD": ""} {
			a := d.do(method, "/.well-known/health", "", "")
			if a.status != 200 || a.body != want || a.took > 100*time.Millisecond {
				t.Errorf("%s: status %d, %q after %s, want %q within 100ms", method, a.status, a.body, a.took, want)
			}
		}
	}
	// What else waits for no writer.
	for _, path := range []string{"/.well-known/version", "/user", "/", "/v1/status", "/v1/daemon", "/assets", "/assets/identifiers", "/asset/one", "/v1/documents"} {
		d.ok(d.get(path))
	}
	d.ok(d.post("/connect", ""))
	close(release)
	if err := <-finished; err != nil {
		t.Error(err)
	}
}

func TestVersion(t *testing.T) {
	d := start(t)
	a := d.get("/.well-known/version")
	if d.ok(a) != "12.5.0" || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("the version is %q of type %q", a.body, a.header.Get("Content-Type"))
	}
}

func TestOpenAPI(t *testing.T) {
	d := start(t)
	if got := d.ok(d.get("/openapi.yaml")); got != string(api.Spec) {
		t.Errorf("openapi.yaml has %d bytes, want the %d of the specification", len(got), len(api.Spec))
	}
}

func TestStatus(t *testing.T) {
	d := start(t)
	d.store(document("tags", "a", `{"n":1}`), document("tags", "b", `{}`))
	d.store(cairn.Document{Collection: "tags", ID: "b"})
	stats := d.db.Stats()
	want := map[string]any{
		"version": "1.2.3", "api_level": "12.5.0", "device_name": "dev box", "user": userID,
		"platform": cairn.Platform(runtime.GOOS), "data": "/data <b>", "urls": []any{d.url},
		"database": map[string]any{
			"documents": 1.0, "deletions": 1.0, "bytes": 7.0, "revision": 3.0, "line": stats.Line, "digest": stats.Digest.String(),
		},
		"cloud": map[string]any{
			"url": "file:///b", "state": "ready", "local": false, "backups": 0.0, "backups_made": 0.0, "unreadable": []any{},
		},
		"automatic": map[string]any{"on": false, "running": false, "failures": 0.0},
	}
	if diff := cmp.Diff(want, parsed(t, d.ok(d.get("/v1/status")))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDaemon(t *testing.T) {
	d := start(t)
	want := map[string]any{
		"version": "1.2.3", "api_level": "12.5.0", "platform": cairn.Platform(runtime.GOOS), "data": "/data <b>", "urls": []any{d.url},
	}
	if diff := cmp.Diff(want, parsed(t, d.ok(d.get("/v1/daemon")))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestConnect introduces clients in more and less detail.
func TestConnect(t *testing.T) {
	d := start(t)
	application := func(fields map[string]any) map[string]any {
		app := map[string]any{"name": "UNKNOWN", "version": "0.0.0", "platform": "UNKNOWN", "privacy": "OPEN", "onboarded": true}
		for name, v := range fields {
			app[name] = v
		}
		app["id"] = uuid.NewSHA1(uuid.MustParse(installation), []byte(app["name"].(string))).String()
		return app
	}
	unknown := application(nil)
	for _, odd := range []string{`"x"`, `[1]`, `7`, `false`} {
		d.refused("application", d.post("/connect", `{"application":`+odd+`}`), cairn.CodeInvalid, "is no object")
	}
	for body, want := range map[string]map[string]any{
		"":                                unknown,
		"null":                            unknown,
		"{}":                              unknown,
		`{"application":null}`:            unknown,
		`{"application":{}}`:              unknown,
		`{"application":{"name":null}}`:   unknown,
		`{"application":{"name":7}}`:      unknown,
		`{"application":{"name":{}}}`:     unknown,
		`{"application":{"id":"theirs"}}`: unknown,
		`{"application":{"onboarded":false,"privacy":"CLOSED"}}`:                                                                        application(map[string]any{"privacy": "CLOSED"}),
		`{"application":{"name":"VS_CODE","version":"1.2.3","platform":"LINUX"}}`:                                                       application(map[string]any{"name": "VS_CODE", "version": "1.2.3", "platform": "LINUX"}),
		`{"application":{"name":"\u00e9\"<","version":"","automaticUnload":true,"x":{"y":[1]}},"other":1}`:                              application(map[string]any{"name": "é\"<", "version": "", "automaticUnload": true, "x": map[string]any{"y": []any{1.0}}}),
		`{"schema":{"migration":0,"semantic":"MAJOR_0_MINOR_0_PATCH_1"},"application":{"name":"a","name":"OBSIDIAN","platform":"WEB"}}`: application(map[string]any{"name": "OBSIDIAN", "platform": "WEB"}),
	} {
		got := parsed(t, d.ok(d.post("/connect", body)))
		if diff := cmp.Diff(want, got["application"]); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", body, diff)
		}
		delete(got, "application")
		rest := map[string]any{
			"os":     installation,
			"health": map[string]any{"os": map[string]any{"id": installation, "version": "12.5.0"}},
			"user":   profile(),
		}
		if diff := cmp.Diff(rest, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", body, diff)
		}
	}
}

// profile returns the user as clients see it, with another field besides.
func profile(more ...any) map[string]any {
	user := map[string]any{
		"id": userID, "name": "local", "email": "local@localhost.localdomain",
		"aesthetics": map[string]any{"theme": map[string]any{"dark": false}, "font": map[string]any{"size": 14.0}},
	}
	if len(more) == 2 {
		user[more[0].(string)] = more[1]
	}
	return user
}

// TestSignInAndOut holds what is shown of the user to whether it is signed in.
func TestSignInAndOut(t *testing.T) {
	dir := t.TempDir()
	open := func() *device.Device {
		dev, err := device.Open(t.Context(), device.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dev.Close() })
		return dev
	}
	dev := open()
	d := start(t, func(c *httpapi.Config) { c.Device = dev })
	d.store(snippet("one", "format", "text"))
	shown := func(want bool) {
		t.Helper()
		user := parsed(t, d.ok(d.get("/user")))
		context := parsed(t, d.ok(d.post("/connect", "")))
		if got := at(user, "user", "id") == dev.User(); got != want {
			t.Errorf("GET /user shows the user: %t, want %t", got, want)
		}
		if got := at(context, "user", "id") == dev.User(); got != want {
			t.Errorf("POST /connect shows the user: %t, want %t", got, want)
		}
	}
	d.unchanged(func() {
		shown(true)
		for range 2 {
			if got := d.ok(d.post("/os/sign_out", "")); got != `{"iterable":[]}` {
				t.Errorf("signing out answers %s", got)
			}
			shown(false)
		}
		if again := open(); again.SignedIn() {
			t.Error("signing out did not reach the disk")
		}
		for range 2 {
			if got := parsed(t, d.ok(d.do("POST", "/os/sign_in", "", ""))); got["id"] != dev.User() {
				t.Errorf("signing in answers %v", got)
			}
			shown(true)
		}
		if got := d.ok(d.get("/allocations")); got != `{"iterable":[]}` {
			t.Errorf("the allocations are %s", got)
		}
	})
}

// TestSignInFails has the device fail.
func TestSignInFails(t *testing.T) {
	d := start(t)
	d.device.err = &cairn.Error{Code: cairn.CodeDiskFull, Message: "There is no room.", Hint: "Free some space."}
	for i, path := range []string{"/os/sign_out", "/os/sign_in"} {
		d.refused(path, d.post(path, ""), cairn.CodeDiskFull, "There is no room.")
		d.wantErrors = i + 1
		if !d.device.SignedIn() {
			t.Errorf("%s failed and did something", path)
		}
	}
}

// TestPage looks at the page as a browser gets it.
func TestPage(t *testing.T) {
	d := start(t)
	a := d.get("/")
	if !strings.Contains(d.ok(a), "/data &lt;b&gt;") || strings.Contains(a.body, "<b>") {
		t.Errorf("the data folder is not in the page, or not escaped:\n%s", a.body)
	}
	if got := a.header.Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors 'none'") {
		t.Errorf("Content-Security-Policy is %q", got)
	}
	tab := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	d.ok(d.do("GET", "/", "", "", tab...))
	d.refused("a link to data", d.do("GET", "/assets", "", "", tab...), cairn.CodeForbidden, "another site")
	for _, dest := range []string{"iframe", "frame", "embed", "object", "image", ""} {
		a := d.do("GET", "/", "", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", dest)
		d.refused(dest, a, cairn.CodeForbidden, "another site")
	}

	d = start(t, func(c *httpapi.Config) { c.Page = nil })
	resp, err := http.Get(d.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("without a page the status is %d, want 404", resp.StatusCode)
	}
}
