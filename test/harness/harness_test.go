package harness_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// verdict is a testing.TB that keeps what it is told instead of failing.
type verdict struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (v *verdict) Helper()                   {}
func (v *verdict) Failed() bool              { return len(v.errors) > 0 }
func (v *verdict) Logf(string, ...any)       {}
func (v *verdict) Cleanup(f func())          { v.cleanups = append(v.cleanups, f) }
func (v *verdict) Error(args ...any)         { v.errors = append(v.errors, fmt.Sprint(args...)) }
func (v *verdict) Errorf(f string, a ...any) { v.errors = append(v.errors, fmt.Sprintf(f, a...)) }

// end runs the cleanups as the end of a test does, and returns the errors.
func (v *verdict) end() []string {
	for i := len(v.cleanups) - 1; i >= 0; i-- {
		v.cleanups[i]()
	}
	return v.errors
}

// TestDaemonVerdict checks which ends of a daemon fail a test.
func TestDaemonVerdict(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options harness.Options
		end     func(d *harness.Daemon)
		want    string // in the error, "" for none
	}{
		{"left to the cleanup", harness.Options{}, func(*harness.Daemon) {}, ""},
		{"stopped", harness.Options{}, func(d *harness.Daemon) { _ = d.Stop() }, ""},
		{"killed", harness.Options{}, func(d *harness.Daemon) { d.Kill() }, ""},
		{"gone by itself", harness.Options{}, abort, "ended by itself"},
		{"any exit", harness.Options{AnyExit: true}, abort, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := &verdict{TB: t}
			d := harness.Start(v, tt.options)
			tt.end(d)
			got := strings.Join(v.end(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("the test's verdict is %q, want %q", got, tt.want)
			}
			if d.Running() {
				t.Error("the daemon is still there")
			}
		})
	}
}

// abort ends a daemon from outside.
func abort(d *harness.Daemon) {
	p, err := os.FindProcess(d.PID)
	if err == nil {
		err = p.Signal(syscall.SIGQUIT)
	}
	if err != nil {
		panic(err)
	}
	d.ExitCode() // wait
}

// TestDaemon checks that a daemon answers, tells of its end, and goes on with
// its data.
func TestDaemon(t *testing.T) {
	d := harness.Start(t, harness.Options{Args: []string{"--log-level", "debug"}})
	first, err := client.New(d.URL).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := harness.Cairn(t, d.Env(), "status")
	if code != 0 || stderr != "" || !strings.Contains(stdout, d.URL) {
		t.Errorf("cairn status: code %d, standard output %q, standard error %q", code, stdout, stderr)
	}
	if err := d.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if got := d.ExitCode(); got != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", got)
	}
	if !strings.Contains(d.Stderr(), "stopping") {
		t.Errorf("the log does not tell of the end: %s", d.Stderr())
	}
	if _, stderr, code := harness.Cairn(t, d.Env(), "status"); code != 3 {
		t.Errorf("cairn status without a daemon: code %d, want 3; standard error %q", code, stderr)
	}

	again := harness.Start(t, harness.Options{Data: d.Data})
	second, err := client.New(again.URL).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Database, second.Database); diff != "" {
		t.Errorf("the database after a restart (-before +after):\n%s", diff)
	}
	again.Kill()
	if got := again.ExitCode(); got != -1 {
		t.Errorf("exit code %d after SIGKILL, want -1", got)
	}
}

// answer is what a fake daemon sends.
type answer struct {
	status int
	header string // "Name: value", several separated by newlines
	body   string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for _, line := range strings.Split(a.header, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

const (
	isJSON    = "Content-Type: application/json"
	isText    = "Content-Type: text/plain; charset=utf-8"
	isLines   = "Content-Type: application/x-ndjson"
	isProblem = "Content-Type: application/problem+json"
	gone      = `{"type":"about:blank","title":"Gone","status":410,"detail":"No.","code":"gone","hint":"Look."}`
	unknown   = `{"type":"about:blank","title":"Not Found","status":404,"detail":"No.","code":"not_found"}`
	notHere   = `{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"No.","code":"method_not_allowed"}`
	format    = `{"id":"f","asset":{"id":"a","formats":{"iterable":[]}},"x":1e999}`
	asset     = `{"id":"a","formats":{"iterable":[` + format + `]},"deep":[[["\ud800"]]]}`
)

// TestValidator shows the validator answers that are right, and wrong ones of
// every kind: it must tell them apart.
func TestValidator(t *testing.T) {
	for _, tt := range []struct {
		name, method, path string
		answer             answer
		want               string // in the violation, "" for none
	}{
		{"text", "GET", "/.well-known/version", answer{200, isText, "12.5.0"}, ""},
		{"text of another form", "GET", "/.well-known/version", answer{200, isText, "12.5.0+build"}, "regular expression"},
		{"health", "GET", "/.well-known/health", answer{200, isText, "ok:nobody"}, "regular expression"},
		{"asset", "GET", "/asset/a", answer{200, isJSON, asset}, ""},
		{"all assets", "GET", "/assets?transferables=false", answer{200, isJSON, `{"iterable":[` + asset + `]}`}, ""},
		{"all assets under an id's path", "GET", "/assets/identifiers", answer{200, isJSON, `{"iterable":[{}]}`}, "id"},
		{"asset without formats", "GET", "/assets/a%2Fb", answer{200, isJSON, `{"id":"a"}`}, "formats"},
		{"format without asset", "GET", "/asset/a", answer{200, isJSON, `{"formats":{"iterable":[{}]}}`}, "asset"},
		{"two documents", "GET", "/asset/a", answer{200, isJSON, asset + "\n" + asset}, "follows"},
		{"half a document", "GET", "/asset/a", answer{200, isJSON, asset[:30]}, "decode"},
		{"wrong media type", "GET", "/asset/a", answer{200, isText, asset}, "Content-Type"},
		{"status that is not described", "GET", "/asset/a", answer{204, isText, ""}, "Content-Type"},
		{"error that is not described", "GET", "/backups", answer{410, isProblem, gone}, "status is not supported"},
		{"error of another operation", "GET", "/backup/b", answer{404, isProblem, unknown}, "status is not supported"},
		{"error that is described", "GET", "/backup/b/creation/status", answer{404, isProblem, unknown}, ""},
		{"redirect", "GET", "/asset/a", answer{307, "Location: /asset/b", ""}, "redirect"},
		{"uuid that is none", "POST", "/os/sign_in", answer{200, isJSON, `{"id":"x","name":"","email":"","aesthetics":{"theme":{},"font":{}}}`}, "id"},
		{"field that is not described", "GET", "/user", answer{200, isJSON, `{"person":{}}`}, "person"},
		{"problem", "GET", "/asset/a", answer{410, isProblem, gone}, ""},
		{"problem of another status", "GET", "/asset/a", answer{500, isProblem, gone}, "status"},
		{"problem without code", "GET", "/asset/a", answer{410, isProblem, strings.Replace(gone, `"code":"gone",`, "", 1)}, "code"},
		{"problem with an unknown code", "GET", "/asset/a", answer{410, isProblem, strings.Replace(gone, `"gone"`, `"away"`, 1)}, "code"},
		{"problem as JSON", "GET", "/asset/a", answer{410, isJSON, gone}, "Content-Type"},
		{"error in text", "GET", "/asset/a", answer{500, isText, "Internal Server Error"}, "Content-Type"},
		{"unknown route", "GET", "/nothing", answer{404, isProblem, unknown}, ""},
		{"unknown route without a problem", "GET", "/nothing", answer{404, isText, "404 page not found"}, "Content-Type"},
		{"unknown route that answers", "GET", "/nothing", answer{200, isJSON, "{}"}, "no such operation"},
		{"unknown route that is gone", "GET", "/nothing", answer{410, isProblem, gone}, "no such operation"},
		{"unknown method", "PUT", "/asset/a", answer{405, isProblem + "\nAllow: GET", notHere}, ""},
		{"unknown method of a path that could be an id's", "GET", "/backup/asset", answer{405, isProblem + "\nAllow: POST", notHere}, ""},
		{"unknown method without Allow", "PUT", "/asset/a", answer{405, isProblem, notHere}, "Allow"},
		{"head", "HEAD", "/.well-known/health", answer{200, isText, ""}, ""},
		{"head of what is read", "HEAD", "/assets", answer{200, isJSON, ""}, ""},
		{"head of what is not there", "HEAD", "/nothing", answer{200, isJSON, ""}, "no such operation"},
		{"lines", "GET", "/v1/documents", answer{200, isLines, `{"collection":"c","id":"i","revision":1,"document":{}}` + "\n"}, ""},
		{"no lines", "GET", "/v1/documents", answer{200, isLines, ""}, ""},
		{"a bad line", "GET", "/v1/documents", answer{200, isLines, `{"collection":"c","id":"i"}` + "\n" + `{"collection":"C","id":"i"}` + "\n"}, "line 2"},
		{"a cut line", "GET", "/v1/documents", answer{200, isLines, `{"collection":"c","id":"i"}`}, "no end"},
		{"page", "GET", "/", answer{200, "Content-Type: text/html; charset=utf-8", "<!doctype html>"}, ""},
		{"the document", "GET", "/openapi.yaml", answer{200, "Content-Type: application/yaml", "openapi: 3.0.3"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := httptest.NewServer(tt.answer)
			defer fake.Close()
			v := &verdict{TB: t}
			validator := harness.NewValidator(v, fake.URL)
			got, body := request(t, tt.method, validator.URL+tt.path)
			if got != tt.answer.status || body != tt.answer.body {
				t.Errorf("the answer came through as %d %q", got, body)
			}
			violations := strings.Join(v.end(), "\n")
			if tt.want == "" && violations != "" || !strings.Contains(violations, tt.want) {
				t.Errorf("violations %q, want %q", violations, tt.want)
			}
		})
	}
}

// TestValidatorStreams lets lines and events through as they come, and looks at them
// when the stream has ended, was cut off, or nobody reads on.
func TestValidatorStreams(t *testing.T) {
	const (
		good = `{"backups":[],"restorations":[]}`
		bad  = `{"backups":[],"restorations":[{}]}`
	)
	for _, tt := range []struct {
		name, media   string
		first, second string // what the daemon sends; after the first it waits
		end           string // of the stream: well, cut, or away
		want          string // in the violation, "" for none
	}{
		{"good lines", api.NDJSON, good + "\n", good + "\n", "well", ""},
		{"a bad line", api.JSONLines, good + "\n", bad + "\n", "well", "line 2"},
		{"good events", api.SSE, "data: " + good + "\n\n", "data: " + good + "\n\n", "well", ""},
		{"a bad event", api.SSE, "data: " + good + "\n\n", "data: " + bad + "\n\n", "well", "line 2"},
		{"half a line", api.NDJSON, good + "\n", good, "well", "no end"},
		{"half a line, cut off", api.NDJSON, good + "\n", bad, "cut", ""},
		{"half an event, cut off", api.SSE, "data: " + good + "\n\n", "data: " + bad + "\n", "cut", ""},
		{"a bad line, then cut off", api.NDJSON, good + "\n", bad + "\n" + good, "cut", "line 2"},
		{"nobody reads on", api.NDJSON, bad + "\n", "", "away", "line 1"},
		{"nobody reads on, events", api.SSE, "data: " + good + "\n\ndata: " + bad + "\n\n", "", "away", "line 2"},
		{"nothing wrong, nobody reads on", api.NDJSON, good + "\n", "", "away", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			heard := make(chan struct{})
			fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.media)
				_, _ = io.WriteString(w, tt.first)
				_ = http.NewResponseController(w).Flush()
				if tt.end == "away" {
					<-r.Context().Done()
					return
				}
				<-heard
				_, _ = io.WriteString(w, tt.second)
				if tt.end == "cut" {
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
			}))
			defer fake.Close()
			v := &verdict{TB: t}
			resp, err := http.Get(harness.NewValidator(v, fake.URL).URL + "/backups/streamed/progress")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got := make([]byte, len(tt.first))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != tt.first {
				t.Errorf("what comes first came through as %q, %v", got, err)
			}
			close(heard)
			if tt.end != "away" {
				rest, err := io.ReadAll(resp.Body)
				if (err != nil) != (tt.end == "cut") || string(rest) != tt.second {
					t.Errorf("the rest came through as %q, %v", rest, err)
				}
			}
			violations := strings.Join(v.end(), "\n")
			if tt.want == "" && violations != "" || !strings.Contains(violations, tt.want) {
				t.Errorf("violations %q, want %q", violations, tt.want)
			}
		})
	}
}

// TestValidatorUnused checks that a validator nobody went through fails.
func TestValidatorUnused(t *testing.T) {
	v := &verdict{TB: t}
	harness.NewValidator(v, "http://127.0.0.1:1")
	if len(v.end()) == 0 {
		t.Error("a validator that saw no answer is content")
	}
}

// TestValidatorTransparent checks what of a request reaches the daemon.
func TestValidatorTransparent(t *testing.T) {
	var got *http.Request
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer{410, isProblem, gone}.ServeHTTP(w, r)
	}))
	defer fake.Close()
	v := harness.NewValidator(t, fake.URL)
	request(t, "GET", v.URL+"/asset/a%2Fb?x=1;2&y=%zz")
	if want := "/asset/a%2Fb?x=1;2&y=%zz"; got.RequestURI != want {
		t.Errorf("the daemon is asked for %s, want %s", got.RequestURI, want)
	}
	if want := strings.TrimPrefix(v.URL, "http://"); got.Host != want {
		t.Errorf("the daemon sees the host %s, want %s", got.Host, want)
	}
	if got.Header.Get("X-Forwarded-For") != "" {
		t.Error("the daemon sees a proxy's header")
	}
}

func request(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
