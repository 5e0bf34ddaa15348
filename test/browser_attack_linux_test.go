package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// foreignNames has the browser find names of others on this machine, as a resolver
// does that rebinds them.
var foreignNames = chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1, MAP rebind.example 127.0.0.1")

// An attack is what a page does to a daemon that it may not use. In script, D is the
// URL of the daemon and W the same for websockets, B a backup and C the backup that a
// creation in progress makes. It may return a promise, of 'read' when the page could
// read an answer, or got a websocket.
type attack struct {
	name, script string
	page         string // it is run in; "" for one of evil.example
}

// attacks are made of each way in which a page can send something.
var attacks = []attack{
	{name: "no-cors POST to creation/cancel", script: "fetch(D + '/backup/' + C + '/creation/cancel', {method: 'POST', mode: 'no-cors'}).then(opaque)"},
	{name: "no-cors POST to restore", script: "fetch(D + '/backup/' + B + '/restore', {method: 'POST', mode: 'no-cors'}).then(opaque)"},
	{name: "no-cors POST to restore, streamed", script: "fetch(D + '/backup/' + B + '/restore/streamed', {method: 'POST', mode: 'no-cors'}).then(opaque)"},
	{name: "no-cors POST to delete a backup", script: "fetch(D + '/backups/' + B + '/delete', {method: 'POST', mode: 'no-cors'}).then(opaque)"},
	{name: "no-cors POST to delete an asset", script: "fetch(D + '/assets/small/delete', {method: 'POST', mode: 'no-cors'}).then(opaque)"},
	{name: "no-cors POST to create a backup", script: "fetch(D + '/backups/create', {method: 'POST', mode: 'no-cors'}).then(opaque)"},
	{name: "no-cors POST of text", script: "fetch(D + '/assets/create', {method: 'POST', mode: 'no-cors', body: seed}).then(opaque)"},
	{name: "no-cors POST to sign out", script: "fetch(D + '/os/sign_out', {method: 'POST', mode: 'no-cors', credentials: 'include'}).then(opaque)"},
	{name: "no-cors POST to undo", script: "fetch(D + '/v1/restoration/undo', {method: 'POST', mode: 'no-cors', keepalive: true}).then(opaque)"},
	{name: "beacon", script: "navigator.sendBeacon(D + '/backup/' + C + '/creation/cancel', seed)"},
	{name: "form post, urlencoded", script: "form('/backups/' + B + '/delete', 'application/x-www-form-urlencoded')"},
	{name: "form post, text/plain", script: "form('/assets/create', 'text/plain')"},
	{name: "form post, multipart", script: "form('/backup/' + B + '/restore', 'multipart/form-data')"},
	{name: "image GET", script: "element('img', 'src', '/assets')"},
	{name: "script GET", script: "element('script', 'src', '/assets')"},
	{name: "style sheet GET", script: "element('link', 'href', '/assets')"},
	{name: "iframe of the page", script: "element('iframe', 'src', '/')"},
	{name: "iframe of the assets", script: "element('iframe', 'src', '/assets')"},
	{name: "websocket that restores", script: "socket('/backup/' + B + '/restore/streamed/websocket')"},
	{name: "websocket that creates", script: "socket('/backups/create/streamed/websocket')"},
	{name: "websocket of the assets", script: "socket('/assets/stream/identifiers')"},
	{name: "event source", script: "new Promise((done) => { const e = new EventSource(D + '/backups/streamed/progress'); e.onopen = () => done('read'); e.onerror = () => { e.close(); done(); }; })"},
	{name: "preflight of JSON", script: "fetch(D + '/assets/create', {method: 'POST', headers: {'content-type': 'application/json'}, body: seed}).then(readable, () => 0)"},
	{name: "preflight of a header of the SDK", script: "fetch(D + '/backups/create', {method: 'POST', headers: {application: 'x'}}).then(readable, () => 0)"},
	{name: "preflight of a token", script: "fetch(D + '/assets', {headers: {authorization: 'Bearer x'}}).then(readable, () => 0)"},
	{name: "preflight of DELETE", script: "fetch(D + '/assets', {method: 'DELETE'}).then(readable, () => 0)"},
	{name: "cors GET", script: "fetch(D + '/assets').then(readable, () => 0)"},
	{name: "cors GET with credentials", script: "fetch(D + '/v1/status', {credentials: 'include'}).then(readable, () => 0)"},
	{name: "cors POST", script: "fetch(D + '/backups/' + B + '/delete', {method: 'POST'}).then(readable, () => 0)"},
	{name: "null origin, sandboxed", script: "sandbox(`fetch('${D}/backups/${B}/delete', {method: 'POST', mode: 'no-cors'})`)"},
	{name: "null origin, that reads", script: "sandbox(`fetch('${D}/assets')`)"},
	{name: "null origin, websocket", script: "sandbox(`new WebSocket('${W}/backups/create/streamed/websocket')`)"},
	{name: "null origin, data URL", script: "data(`fetch('${D}/backup/${C}/creation/cancel', {method: 'POST', mode: 'no-cors'})`)"},
	{name: "a link to the assets", script: "void setTimeout(() => { location = D + '/assets'; })"},
	{name: "rebinding, the page", script: "0", page: "http://rebind.example:PORT/"},
	{name: "rebinding, POST to cancel", script: "fetch('/backup/' + C + '/creation/cancel', {method: 'POST'}).then(refused)", page: "http://rebind.example:PORT/"},
	{name: "rebinding, POST of JSON", script: "fetch('/assets/create', {method: 'POST', headers: {'content-type': 'application/json'}, body: seed}).then(refused)", page: "http://rebind.example:PORT/"},
	{name: "rebinding, GET", script: "fetch('/assets').then(refused)", page: "http://rebind.example:PORT/"},
	{name: "rebinding, websocket", script: "socket('/backups/create/streamed/websocket', 'ws://' + location.host)", page: "http://rebind.example:PORT/"},
}

// attackTools are what the scripts of attacks use.
const attackTools = `
const seed = JSON.stringify({type: 'SEEDED_ASSET', asset: {application: {}, format: {fragment: {string: {raw: 'evil'}}}}});
const opaque = (answer) => { if (answer.type !== 'opaque') return 'read'; };
const readable = () => 'read';
const refused = (answer) => { if (answer.status !== 403) return 'read'; };
function element(name, attribute, path) {
	const e = document.createElement(name);
	if (name === 'link') e.rel = 'stylesheet';
	e[attribute] = D + path;
	document.documentElement.append(e);
}
function frame(change) {
	const f = document.createElement('iframe');
	change(f);
	document.documentElement.append(f);
}
function form(path, type) {
	frame((f) => { f.name = 'target'; });
	const e = document.createElement('form');
	Object.assign(e, {method: 'POST', action: D + path, enctype: type, target: 'target'});
	const field = document.createElement('input');
	Object.assign(field, {name: seed, value: ''});
	e.append(field);
	document.documentElement.append(e);
	e.submit();
}
const socket = (path, at = W) => new Promise((done) => {
	const s = new WebSocket(at + path);
	s.onopen = () => { s.send('{}'); done('read'); };
	s.onerror = () => done();
});
const sandbox = (script) => frame((f) => { f.sandbox = 'allow-scripts'; f.srcdoc = '<script>' + script + '</script>'; });
const data = (script) => frame((f) => { f.src = 'data:text/html,' + encodeURIComponent('<script>' + script + '</script>'); });
`

// A witness stands before a daemon, changes nothing, and keeps what came and how it
// was answered.
type witness struct {
	url string // where it listens

	mu   sync.Mutex
	seen []testimony
}

// A testimony is a request as it came, and the status of its answer.
type testimony struct {
	method, uri, host string
	header            http.Header
	body              string
	status            int
}

func newWitness(t *testing.T, daemon string) *witness {
	t.Helper()
	target, err := url.Parse(daemon)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			of := resp.Request.Context().Value(w).(testimony)
			of.status = resp.StatusCode
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, of)
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/favicon.ico" { // which the browser wants for itself, of what it shows
			http.NotFound(rw, r)
			return
		}
		body, _ := io.ReadAll(r.Body) // what came of it
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		of := testimony{method: r.Method, uri: r.RequestURI, host: r.Host, header: r.Header.Clone(), body: string(body)}
		proxy.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), w, of)))
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// wait returns what came after the first n, once there is something.
func (w *witness) wait(t *testing.T, n int) []testimony {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		seen := slices.Clone(w.seen[n:])
		w.mu.Unlock()
		if len(seen) > 0 {
			return seen
		}
		select {
		case <-tick.C:
		case <-giveUp:
			return nil
		}
	}
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// refusals matches what a daemon counts of requests that its guard refused.
var refusals = regexp.MustCompile(`(?m)^cairn_http_requests_total\{code="403",route="none"\} (\d+)$`)

// refusedBy returns how many requests the guard of a daemon has refused.
func refusedBy(t *testing.T, c *client.Client) int {
	t.Helper()
	text, err := c.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := refusals.FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A victim is a daemon with documents, a backup, and a creation in progress that
// could be cancelled.
type victim struct {
	*harness.Daemon
	c                 *client.Client
	backup, creation  string
	letCreationFinish func()
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	s := s3server.Shared(t)
	front := s3server.NewFront(t, s, nil)
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	v := &victim{Daemon: d, c: client.New(d.URL)}
	storeDocuments(t, d, oddAsset("small", `"text"`, ""), oddAsset("other", `"text"`, ""))
	made, err := v.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.backup = made.ID
	storeDocuments(t, d, oddAsset("new", `"text"`, ""))
	g := newGate("put", "parts/")
	front.Handle(g.handle)
	ended := make(chan error, 1)
	go func() {
		_, err := v.c.CreateBackup(context.WithoutCancel(t.Context()))
		ended <- err
	}()
	v.letCreationFinish = func() {
		g.unlock()
		if err := <-ended; err != nil {
			t.Errorf("the creation in progress did not end well: %v", err)
		}
	}
	t.Cleanup(g.unlock)
	select {
	case <-g.come:
	case <-time.After(20 * time.Second):
		t.Fatal("the creation sends nothing")
	}
	v.creation = runningJobOf(t, v.c).Backup.ID
	return v
}

// A condition is all that an attack could change.
type condition struct {
	Database api.DatabaseStatus
	Backups  []api.Backup
	Jobs     []api.Job
	User     string
}

func (v *victim) state(t *testing.T) condition {
	t.Helper()
	st := condition{Database: databaseStatus(t, v.Daemon)}
	var err error
	if st.Backups, err = v.c.Backups(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st.Jobs, err = v.c.Jobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	user, err := v.c.User(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st.User = string(user)
	return st
}

// TestBrowserAttacks has pages of others attack a daemon, each attack in a real
// browser. Each reaches the daemon, is refused, and changes nothing; and the same
// requests are refused again without the browser.
func TestBrowserAttacks(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	w := newWitness(t, v.URL)
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<!doctype html><link rel=icon href='data:,'><title>evil</title>") // the test looks at what it does
	}))
	defer evil.Close()
	_, evilPort, _ := strings.Cut(strings.TrimPrefix(evil.URL, "http://"), ":")
	_, port, _ := strings.Cut(strings.TrimPrefix(w.url, "http://"), ":")
	ctx, cancel := context.WithTimeout(openBrowser(t, foreignNames), 3*time.Minute)
	defer cancel()
	before := v.state(t)
	for _, a := range attacks {
		page := "http://evil.example:" + evilPort + "/"
		n, counted := w.count(), refusedBy(t, v.c)
		if a.page != "" {
			page = strings.Replace(a.page, "PORT", port, 1)
		}
		if _, err := chromedp.Run(ctx, chromedp.Navigate(page)); err != nil {
			t.Fatalf("%s: opening the page: %v", a.name, err)
		}
		if a.script != "0" && a.page != "" {
			n = w.count() // without the page itself
		}
		script := fmt.Sprintf("(async () => { const D = %q, W = %q, B = %q, C = %q; %s; return String(await (%s) ?? ''); })()",
			w.url, "ws"+strings.TrimPrefix(w.url, "http"), v.backup, v.creation, attackTools, a.script)
		result, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Errorf("%s: %v", a.name, err)
			continue
		}
		if result == "read" {
			t.Errorf("%s: the page got something", a.name)
		}
		seen := w.wait(t, n)
		if len(seen) == 0 {
			t.Errorf("%s: nothing came to the daemon", a.name)
		}
		for _, s := range seen {
			if s.status != http.StatusForbidden {
				t.Errorf("%s: %s %s got %d", a.name, s.method, s.uri, s.status)
			}
		}
		if now := refusedBy(t, v.c); now < counted+len(seen) {
			t.Errorf("%s: the daemon has refused %d requests, and %d more came", a.name, now-counted, len(seen))
		}
		if diff := cmp.Diff(before, v.state(t)); diff != "" {
			t.Fatalf("%s: it changed something (-before +after):\n%s", a.name, diff)
		}
	}
	for _, s := range w.wait(t, 0) {
		if s.status != http.StatusForbidden { // it came when the next attack had begun
			t.Errorf("%s %s got %d", s.method, s.uri, s.status)
		}
		if status, err := s.again(v.URL); err != nil || status != http.StatusForbidden {
			t.Errorf("without the browser, %s %s of %v got %d, %v", s.method, s.uri, s.header, status, err)
		}
	}
	if diff := cmp.Diff(before, v.state(t)); diff != "" {
		t.Errorf("without the browser, something was changed (-before +after):\n%s", diff)
	}
	v.letCreationFinish()
	if job := v.state(t).Jobs[0]; job.Status != cairn.JobCompleted {
		t.Errorf("in the end the creation is %+v", job)
	}
}

// again sends the same request to a daemon, byte by byte.
func (s testimony) again(daemon string) (status int, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(daemon, "http://"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return 0, err
	}
	if s.body != "" {
		s.header.Set("Content-Length", strconv.Itoa(len(s.body)))
	}
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "%s %s HTTP/1.1\r\nHost: %s\r\n", s.method, s.uri, s.host)
	if err := s.header.Write(w); err != nil {
		return 0, err
	}
	fmt.Fprintf(w, "\r\n%s", s.body)
	if err := w.Flush(); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: s.method})
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// TestBrowserAllowed has a page of another origin, which the configuration allows, do
// all that the SDK does.
func TestBrowserAllowed(t *testing.T) {
	t.Parallel()
	installSDK(t)
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<!doctype html><title>tools</title>") // the test looks at what it does
	}))
	defer other.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(other.URL, "http://"), ":")
	origin := "http://evil.example:" + port
	d := harness.Start(t, harness.Options{Args: []string{"--allow-origins", origin}})
	runInPage(t, openBrowser(t, foreignNames), origin+"/", d.URL)
	backups, err := client.New(d.URL).Backups(t.Context())
	if err != nil || len(backups) == 0 {
		t.Errorf("the page has made the backups %+v, %v", backups, err)
	}
}
