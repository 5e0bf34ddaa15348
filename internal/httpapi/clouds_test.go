package httpapi_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// fakeClouds notes what it is asked for. It connects f, and disconnects it.
type fakeClouds struct {
	f   *fakeCloud
	err error
	// listing is why passphrases cannot be listed.
	listing error

	mu    sync.Mutex
	calls []string
}

const cloudID = "3c0d3f6e-7b1e-4d64-9c58-4a6b8f1f6f11"

func (c *fakeClouds) begin(format string, values ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprintf(format, values...))
	return c.err
}

// called returns what was asked for since the last call.
func (c *fakeClouds) called() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := strings.Join(c.calls, "; ")
	c.calls = nil
	return calls
}

func (c *fakeClouds) Connect(_ context.Context, r cairn.CloudRequest) (cairn.Connection, error) {
	err := c.begin("connect %q %t %q %q", r.URL, r.Create, r.Key.Reveal(), r.Passphrase.Reveal())
	if err == nil {
		c.f.setConnected(cloudID)
	}
	return c.connection(), err
}

func (c *fakeClouds) Disconnect(context.Context) (string, error) {
	err := c.begin("disconnect")
	if err == nil {
		c.f.setConnected("")
	}
	return cloudID, err
}

func (c *fakeClouds) connection() cairn.Connection {
	seen := time.Date(2026, 11, 23, 8, 25, 41, 0, time.FixedZone("", 3600))
	return cairn.Connection{URL: "file:///b", ID: cloudID, Current: true, Key: cairn.KeyInFile, Made: 3, Seen: seen, Kit: seen.Add(time.Hour)}
}

func (c *fakeClouds) List(context.Context) ([]cairn.Connection, error) {
	return []cairn.Connection{c.connection(), {URL: "s3://b/p", Local: true, Disconnected: true}}, c.begin("list")
}

func (c *fakeClouds) Lock(context.Context) error { return c.begin("lock") }

func (c *fakeClouds) MoveKey(_ context.Context, to cairn.KeyPlace) error {
	return c.begin("move %s", to)
}

func (c *fakeClouds) AcknowledgeKit(_ context.Context, code string) error {
	return c.begin("acknowledge %s", code)
}

func (c *fakeClouds) slot() cairn.Slot { return cairn.Slot{Name: "ab12", Created: c.connection().Seen} }

func (c *fakeClouds) Passphrases(context.Context) ([]cairn.Slot, error) {
	return []cairn.Slot{c.slot()}, cmp.Or(c.listing, c.begin("passphrases"))
}

func (c *fakeClouds) AddPassphrase(_ context.Context, p cairn.Secret) (cairn.Slot, error) {
	return c.slot(), c.begin("add %s", p.Reveal())
}

func (c *fakeClouds) ChangePassphrase(_ context.Context, before, now cairn.Secret) error {
	return c.begin("change %s to %s", before.Reveal(), now.Reveal())
}

func (c *fakeClouds) RemovePassphrase(_ context.Context, p cairn.Secret) ([]cairn.Slot, error) {
	return []cairn.Slot{c.slot()}, c.begin("remove %s", p.Reveal())
}

func (c *fakeClouds) RemoveSlot(_ context.Context, name string) error {
	return c.begin("remove slot %s", name)
}

// startClouds is startCloud, and returns the clouds too.
func startClouds(t *testing.T) (*daemon, *fakeCloud, *fakeClouds) {
	t.Helper()
	var c *fakeClouds
	d, f := startCloud(t, func(cfg *httpapi.Config) { c = cfg.Clouds.(*fakeClouds) })
	return d, f, c
}

// TestClouds is each request about clouds and their keys: what is asked for, and
// what is answered.
func TestClouds(t *testing.T) {
	t.Parallel()
	d, f, c := startClouds(t)
	f.status = cairn.CloudStatus{URL: "file:///b", ID: cloudID, State: cairn.CloudReady}
	const (
		connected = `{"url":"file:///b","id":"` + cloudID + `","local":false,"current":true,"disconnected":false,"key":"file","backups_made":3,` +
			`"seen":"2026-11-23T07:25:41.000Z","recovery_kit":"2026-11-23T08:25:41.000Z"}`
		other  = `{"url":"s3://b/p","local":true,"current":false,"disconnected":true,"backups_made":0}`
		slot   = `{"name":"ab12","created":"2026-11-23T07:25:41.000Z"}`
		status = `{"url":"file:///b","id":"` + cloudID + `","state":"ready","local":false,"backups":0,"backups_made":0,"unreadable":[]}`
	)
	for _, test := range []struct {
		method, path, body string
		calls, answer      string // "" for an answer without a body
	}{
		{"GET", "/v1/clouds", "", "list", `{"clouds":[` + connected + `,` + other + `]}`},
		{"GET", "/v1/cloud", "", "list; passphrases", `{"connection":` + connected + `,"status":` + status + `,"passphrases":1}`},
		{"POST", "/v1/cloud/connect", "", `connect "" false "" ""`, connected},
		{"POST", "/v1/cloud/connect", `{"url":"s3://b/p","create":true}`, `connect "s3://b/p" true "" ""`, connected},
		{"POST", "/v1/cloud/connect", `{"key":"K","passphrase":"P"}`, `connect "" false "K" "P"`, connected},
		{"POST", "/v1/cloud/disconnect", "", "disconnect", ""},
		{"POST", "/v1/cloud/lock", "{}", "lock", ""},
		{"POST", "/v1/cloud/key", `{"store":"keychain"}`, "move keychain", ""},
		{"POST", "/v1/cloud/recovery-kit/acknowledge", `{"code":"AB"}`, "acknowledge AB", ""},
		{"GET", "/v1/cloud/passphrases", "", "passphrases", `{"passphrases":[` + slot + `]}`},
		{"POST", "/v1/cloud/passphrases", `{"passphrase":"P"}`, "add P", slot},
		{"POST", "/v1/cloud/passphrases/change", `{"passphrase":"P","new":"Q"}`, "change P to Q", ""},
		{"POST", "/v1/cloud/passphrases/remove", `{"passphrase":"P"}`, "remove P", `{"passphrases":[` + slot + `]}`},
		{"POST", "/v1/cloud/passphrases/remove", `{"name":"ab12"}`, "remove slot ab12", `{"passphrases":[{"name":"ab12"}]}`},
	} {
		want := 200
		if test.answer == "" {
			want = 204
		}
		a := d.do(test.method, test.path, api.JSON, test.body)
		if a.status != want || strings.TrimSpace(a.body) != test.answer {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, a.status, a.body, want, test.answer)
		}
		if got := c.called(); got != test.calls {
			t.Errorf("%s %s asked for %q, want %q", test.method, test.path, got, test.calls)
		}
	}
}

// TestCloudsRefused holds what keeps requests about clouds from being done: bodies
// that mean nothing, whose secrets no answer repeats, a user who is signed out, and
// failures.
func TestCloudsRefused(t *testing.T) {
	t.Parallel()
	d, _, c := startClouds(t)
	const secret = "CANARY"
	for path, bodies := range map[string][]string{
		"/v1/cloud/connect": {
			`{"key":["CANARY"]}`, `{"passphrase":{"CANARY":1}}`, `{"url":1,"key":"CANARY"}`, `{"pass":"CANARY"}`, `["CANARY"]`, `{"key":"CANARY"`, `{"CANARY":1}`,
		},
		"/v1/cloud/passphrases":        {`{"passphrase":7}`, `{"passphrase":"CANARY","old":""}`},
		"/v1/cloud/passphrases/change": {`{"new":["CANARY"]}`},
		"/v1/cloud/passphrases/remove": {`{"name":7}`, `{"name":"ab12","passphrase":"CANARY"}`},
		"/v1/cloud/key":                {`{"store":1}`},
		"/v1/cloud/lock":               {`[1]`, `{`},
		"/v1/cloud/disconnect":         {`[1]`},
		"/allocations/connect":         {`[1]`},
		"/allocations/disconnect":      {`{`},
	} {
		for _, body := range bodies {
			a := d.post(path, body)
			d.refused(path+" "+body, a, cairn.CodeInvalid, "")
			if strings.Contains(a.body, secret) {
				t.Errorf("%s %s answers %s", path, body, a.body)
			}
		}
	}
	if calls := c.called(); calls != "" {
		t.Errorf("it was asked for %s", calls)
	}
	d.device.signedOut.Store(true)
	for _, path := range []string{
		"/v1/cloud/connect", "/v1/cloud/passphrases", "/v1/cloud/passphrases/change", "/v1/cloud/passphrases/remove", "/allocations/connect", "/allocations/reconnect",
	} {
		d.refused(path, d.post(path, "{}"), cairn.CodeSignedOut, "")
	}
	d.refused("listing", d.get("/v1/cloud/passphrases"), cairn.CodeSignedOut, "")
	if calls := c.called(); calls != "" {
		t.Errorf("signed out, it was asked for %s", calls)
	}
	d.device.signedOut.Store(false)
	c.err = &cairn.Error{Code: cairn.CodeKeyNeeded, Message: "It is the only one.", Hint: "Print a kit."}
	for path, body := range map[string]string{
		"/v1/cloud/connect": "", "/v1/cloud/disconnect": "", "/v1/cloud/lock": "", "/v1/cloud/key": `{"store":"file"}`,
		"/v1/cloud/recovery-kit/acknowledge": "", "/v1/cloud/passphrases": "", "/v1/cloud/passphrases/change": "", "/v1/cloud/passphrases/remove": "",
		"/allocations/connect": "", "/allocations/disconnect": "",
	} {
		d.refused(path, d.post(path, body), cairn.CodeKeyNeeded, "It is the only one.")
	}
	for _, path := range []string{"/v1/clouds", "/v1/cloud", "/v1/cloud/passphrases"} {
		d.refused(path, d.get(path), cairn.CodeKeyNeeded, "")
	}
}

// TestAllocationsConnect connects and disconnects the cloud as the SDKs do.
func TestAllocationsConnect(t *testing.T) {
	t.Parallel()
	d, f, c := startClouds(t)
	f.setConnected(cloudID)
	for _, body := range []string{"", "null", `{"id":"` + cloudID + `"}`} {
		if got := d.ok(d.post("/allocations/disconnect", body)); got != cloudID {
			t.Errorf("disconnecting %s answers %q", body, got)
		}
		if got := parsed(t, d.ok(d.get("/user"))); at(got, "user", "allocation") != nil {
			t.Errorf("disconnected, the user is %v", got)
		}
		for _, path := range []string{"/allocations/connect", "/allocations/reconnect"} {
			got := parsed(t, d.ok(d.post(path, `{"id":"x"}`)))
			if got["id"] != cloudID || at(got, "status", "cloud") != "RUNNING" {
				t.Errorf("%s answers %v", path, got)
			}
		}
	}
	c.called()
	d.refused("another cloud", d.post("/allocations/disconnect", `{"id":"`+userID+`"}`), cairn.CodeInvalid, "not the one that is connected")
	if calls := c.called(); calls != "" {
		t.Errorf("it was asked for %s", calls)
	}
}

// TestUserStream watches the user: the state first, and each change of it, an empty
// frame for signed out.
func TestUserStream(t *testing.T) {
	t.Parallel()
	d, f, _ := startClouds(t)
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(d.url, "http")+"/user/stream", &websocket.DialOptions{HTTPClient: d.http})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	next := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		kind, frame, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageText {
			t.Fatalf("reading: %v, %v", kind, err)
		}
		got := "signed out"
		if len(frame) > 0 {
			got = "not connected"
			if at(parsed(t, string(frame)), "allocation", "status", "cloud") == "RUNNING" {
				got = "connected"
			}
		}
		if got != want {
			t.Fatalf("the user is %s, want %s: %s", got, want, frame)
		}
	}
	next("not connected")
	d.ok(d.post("/os/sign_in", "")) // changes nothing, and is not told
	d.ok(d.post("/allocations/connect", ""))
	d.user.Raise() // as the engine does
	next("connected")
	d.ok(d.post("/os/sign_out", ""))
	next("signed out")
	if got := d.ok(d.get("/user/stream")); strings.TrimSpace(got) != "null" {
		t.Errorf("without an upgrade the state is %s", got)
	}
	d.ok(d.post("/os/sign_in", ""))
	next("connected")
	if got := parsed(t, d.ok(d.get("/user/stream"))); got["id"] != userID {
		t.Errorf("without an upgrade the state is %v", got)
	}
	f.setConnected("")
	d.user.Raise()
	next("not connected")
	closing := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(t.Context())
		closing <- err
	}()
	d.server.Close()
	if err := <-closing; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at the end of the daemon: %v", err)
	}
}

// TestCloudWithoutPassphrases asks for a cloud whose passphrases cannot be listed, as
// where that is not allowed: all else is told.
func TestCloudWithoutPassphrases(t *testing.T) {
	t.Parallel()
	d, f, c := startClouds(t)
	f.status = cairn.CloudStatus{URL: "file:///b", ID: cloudID, State: cairn.CloudReady}
	c.listing = &cairn.Error{Code: cairn.CodeDenied, Message: "It is not allowed.", Hint: "Allow it."}
	a := d.do("GET", "/v1/cloud", "", "")
	if a.status != 200 || !strings.Contains(a.body, `"state":"ready"`) || strings.Contains(a.body, `"passphrases"`) {
		t.Errorf("it answers %d %s", a.status, a.body)
	}
}
