package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// sampleID is the id of the sample, as in paths.
var sampleID = sample().ID

// backupRoutes are the operations on backups, with what they ask for, the status
// of success, whether they need the user, and whether they do jobs, which log how
// they end. Those with POST read a body.
var backupRoutes = []struct {
	method, path, call string
	status             int
	user, job          bool
}{
	{"POST", "/backup", "create from", 204, true, true},
	{"POST", "/backup/asset", "create from", 204, true, true},
	{"GET", "/backup/" + sampleID, "backup " + sampleID, 200, true, false},
	{"POST", "/backup/" + sampleID + "/restore", "restore " + sampleID, 200, true, true},
	{"GET", "/backup/" + sampleID + "/creation/status", "creation " + sampleID, 200, false, false},
	{"GET", "/backup/" + sampleID + "/restoration/status", "restoration " + sampleID, 200, false, false},
	{"GET", "/backups", "list", 200, true, false},
	{"POST", "/backups/create", "create", 200, true, true},
	{"POST", "/backup/" + sampleID + "/restore/streamed", "restore " + sampleID, 200, true, true},
	{"GET", "/backup/" + sampleID + "/restore/streamed/websocket", "restoration " + sampleID, 200, true, false},
	{"POST", "/backup/" + sampleID + "/creation/cancel", "cancel creation " + sampleID, 204, false, false},
	{"POST", "/backup/" + sampleID + "/restoration/cancel", "cancel restoration " + sampleID, 204, false, false},
	{"POST", "/backups/create/streamed", "create", 200, true, true},
	{"POST", "/backups/" + sampleID + "/delete", "delete " + sampleID, 204, true, false},
	{"GET", "/v1/backups/" + sampleID, "backup " + sampleID, 200, true, false},
	{"POST", "/v1/restoration/undo", "undo", 204, false, true},
}

// work sends a request with a body that the route takes.
func (d *daemon) work(method, path string) answer {
	d.t.Helper()
	if path == "/backup/asset" {
		return d.post(path, `{"id":"one"}`)
	}
	return d.do(method, path, "", "")
}

// answered fails the test unless the answer has the body, but for white space at
// its end, and the route's status.
func answered(t *testing.T, name string, a answer, status int, body string) {
	t.Helper()
	if got := strings.TrimSpace(a.body); a.status != status || got != body {
		t.Errorf("%s: status %d %s, want %d %s", name, a.status, got, status, body)
	}
}

// TestBackups reads one backup in all answers that show it: it is the same,
// field by field.
func TestBackups(t *testing.T) {
	d, f := startCloud(t)
	f.jobs = []cairn.Job{
		{ID: "a", Kind: cairn.Creation, Backup: sample(), Status: cairn.JobCompleted},
		{ID: "b", Kind: cairn.Restoration, Backup: sample(), Status: cairn.JobCompleted},
	}
	want := map[string]string{
		"POST /backup":       "",
		"POST /backup/asset": "",
		"GET /backups":       `{"iterable":[` + sampleJSON + `],"indices":{"` + sampleID + `":0}}`,
		"GET /v1/backups/" + sampleID: sampleJSON[:len(sampleJSON)-1] + `,"scope":"all","documents":7,"deletions":3,"json_bytes":480,"revision":12,` +
			`"line":"` + sample().Line + `","installation":"` + installation + `","digest":"` + sample().Digest.String() + `"}`,
		"GET /backup/" + sampleID + "/creation/status":            `{"value":"COMPLETED","percentage":100,"backup":` + sampleJSON + `}`,
		"GET /backup/" + sampleID + "/restoration/status":         `{"value":"COMPLETED","percentage":100,"backup":` + sampleJSON + `}`,
		"GET /backup/" + sampleID:                                 sampleJSON,
		"POST /backup/" + sampleID + "/restore":                   sampleJSON,
		"POST /backups/create":                                    sampleJSON,
		"POST /backups/create/streamed":                           progressJSON,
		"POST /backup/" + sampleID + "/restore/streamed":          progressJSON,
		"GET /backup/" + sampleID + "/restore/streamed/websocket": progressJSON,
		"POST /backups/" + sampleID + "/delete":                   "",
		"POST /v1/restoration/undo":                               "",
	}
	for _, route := range backupRoutes {
		name := route.method + " " + route.path
		d.unchanged(func() { answered(t, name, d.work(route.method, route.path), route.status, want[name]) })
		if got := f.called(); !slices.Equal(got, []string{route.call}) {
			t.Errorf("%s asked for %q, want %q", name, got, route.call)
		}
	}
	f.backups = nil
	answered(t, "no backups", d.get("/backups"), 200, `{"iterable":[],"indices":{}}`)
	first, second := sample(), sample()
	second.ID = "0.1.0_20261122T072541.000000000Z"
	f.backups = []cairn.Backup{first, second}
	all := parsed(t, d.ok(d.get("/backups")))
	if diff := cmp.Diff(map[string]any{first.ID: 0.0, second.ID: 1.0}, all["indices"]); diff != "" {
		t.Errorf("the indices: (-want +got)\n%s", diff)
	}
}

// TestBackupBodies sends bodies to all operations that read one.
func TestBackupBodies(t *testing.T) {
	d, f := startCloud(t)
	seeded := `{"schema":{"migration":0,"semantic":"MAJOR_0_MINOR_0_PATCH_1"},"other":[1]}`
	other := strings.Replace(sampleJSON, "0.1.0_2026", "0.1.0_2027", 1)
	const backup, assets, asset, any = "/backup/0.1.0_20261123T072541.123456789Z/restore", "/backup", "/backup/asset", ""
	for _, test := range []struct {
		name, path, media, body string
		code                    cairn.Code // "" when it is taken
		cause                   string
	}{
		{"nothing", any, "", "", "", ""},
		{"nothing of a type", any, api.JSON, "", "", ""},
		{"null", any, api.JSON, "null", "", ""},
		{"null and spaces", any, api.JSON, " null\r\n", "", ""},
		{"an empty object", any, api.JSON, "{}", "", ""},
		{"spaces in an object", any, "application/json; charset=utf-8", " { }\n", "", ""},
		{"no JSON", any, api.JSON, `{"a":`, cairn.CodeInvalid, "the text ends too early"},
		{"spaces alone", any, api.JSON, " \n", cairn.CodeInvalid, "the text ends too early"},
		{"single quotes", any, api.JSON, `{'a':1}`, cairn.CodeInvalid, "not JSON"},
		{"a comma too many", any, api.JSON, `{"a":1,}`, cairn.CodeInvalid, "not JSON"},
		{"two values", any, api.JSON, `{} {}`, cairn.CodeInvalid, "something follows the value"},
		{"null twice", any, api.JSON, `null null`, cairn.CodeInvalid, "something follows the value"},
		{"a byte order mark", any, api.JSON, "\ufeff{}", cairn.CodeInvalid, "not JSON"},
		{"bad UTF-8", any, api.JSON, "{\"a\":\"\xff\"}", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 6"},
		{"bad UTF-8 in a name", any, api.JSON, "{\"a\xc3\":1}", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 3"},
		{"bad UTF-8 at the end", any, api.JSON, "{}\xe2\x82", cairn.CodeInvalid, "The body is not"},
		{"a control character", any, api.JSON, "{\"a\":\"\x00\"}", cairn.CodeInvalid, "not JSON"},
		{"too deep", any, api.JSON, `{"a":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + "}", cairn.CodeInvalid, "not JSON"},
		{"an array", any, api.JSON, `[]`, cairn.CodeInvalid, "not an object"},
		{"a string", any, api.JSON, `"x"`, cairn.CodeInvalid, "not an object"},
		{"no Content-Type", any, "", `{}`, cairn.CodeMediaType, `the Content-Type ""`},
		{"text", any, "text/plain", `{}`, cairn.CodeMediaType, `"text/plain"`},
		{"lines", any, api.NDJSON, `{}`, cairn.CodeMediaType, "ndjson"},

		{"the backup", backup, api.JSON, sampleJSON, "", ""},
		{"its id in escapes", backup, api.JSON, strings.Replace(sampleJSON, `"0.1.0_`, `"\u0030.1.0_`, 1), "", ""},
		{"no id in it", backup, api.JSON, `{"id":null,"version":"x"}`, "", ""},
		{"another backup", backup, api.JSON, other, cairn.CodeInvalid, "of another backup than the path"},
		{"a number for its id", backup, api.JSON, `{"id":1}`, cairn.CodeInvalid, "of another backup"},
		{"an empty id", backup, api.JSON, `{"id":""}`, cairn.CodeInvalid, "of another backup"},
		{"the backup to delete", "/backups/" + sampleID + "/delete", api.JSON, sampleJSON, "", ""},
		{"another to delete", "/backups/" + sampleID + "/delete", api.JSON, other, cairn.CodeInvalid, "of another backup"},
		{"a seed", "/backups/create", api.JSON, seeded, "", ""},
		{"an asset", asset, api.JSON, `{"id":"one","x":1.0}`, "", ""},
		{"an asset without id", asset, api.JSON, `{"x":1}`, cairn.CodeInvalid, "is not an asset with an id"},
		{"an asset with a number", asset, api.JSON, `{"id":1}`, cairn.CodeInvalid, "is not an asset with an id"},
		{"an asset with a path", asset, api.JSON, `{"id":"../x"}`, cairn.CodeInvalid, "is not an id"},
		{"assets", assets, api.JSON, `{"iterable":[{"id":"one"}]}`, "", ""},
	} {
		for _, route := range backupRoutes {
			if route.method != "POST" || test.path != any && test.path != route.path {
				continue
			}
			name := test.name + " to " + route.path
			a := d.do("POST", route.path, test.media, test.body)
			calls := f.called()
			switch {
			case test.code == "" && route.path == asset && test.path == any:
				d.refused(name, a, cairn.CodeInvalid, "The body is not an asset with an id.")
			case test.code == "":
				if a.status != route.status || !slices.Equal(calls, []string{route.call}) {
					t.Errorf("%s: status %d, asked for %q: %s", name, a.status, calls, a.body)
				}
				continue
			default:
				d.refused(name, a, test.code, test.cause)
			}
			if len(calls) > 0 {
				t.Errorf("%s: asked for %q all the same", name, calls)
			}
		}
	}
	for _, route := range backupRoutes {
		if route.method != "POST" {
			continue
		}
		a := d.raw("POST", route.path, "POST "+route.path+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n")
		d.refused("1 GiB to "+route.path, a, cairn.CodeTooLarge, "The body is larger than")
		a = d.raw("POST", route.path, "POST "+route.path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Type: application/json\r\n\r\n")
		if want := map[bool]int{true: 400, false: route.status}[route.path == asset]; a.status != want {
			t.Errorf("no bytes to %s: status %d, want %d", route.path, a.status, want)
		}
	}
}

// TestBackupCodes has each operation fail with each code that its work can: the
// answer has a status that the specification declares.
func TestBackupCodes(t *testing.T) {
	d, f := startCloud(t)
	const statuses, undo = "/status", "/undo"
	for _, test := range []struct {
		code   cairn.Code
		status int
		only   string // the end of the paths that it is for; "" for all
	}{
		{"signed_out", 511, ""},
		{"no_cloud", 511, ""},
		{"cloud_locked", 511, ""},
		{"credentials_refused", 511, ""},
		{"format_too_new", 505, ""},
		{"backup_not_found", 500, ""},
		{"backup_is_partial", 500, ""},
		{"not_a_cloud", 500, ""},
		{"cloud_unreachable", 500, ""},
		{"bucket_missing", 500, ""},
		{"read_only", 500, ""},
		{"disk_full", 500, ""},
		{"damaged", 500, ""},
		{"internal", 500, ""},
		{"no_permission", 500, ""},
		{"shutting_down", 500, ""},
		{"job_not_found", 404, statuses},
		{"nothing_to_undo", 409, undo},
	} {
		f.err = fmt.Errorf("outer: %w", &cairn.Error{Code: test.code, Message: "What happened.", Hint: "Do this.", Err: errSecret})
		for _, route := range backupRoutes {
			if !strings.HasSuffix(route.path, test.only) {
				continue
			}
			code, status := test.code, test.status
			if status > 500 && (strings.HasSuffix(route.path, statuses) || strings.HasSuffix(route.path, "/cancel")) {
				code, status = cairn.CodeCloudLost, 500
			}
			logged := status == 500 && code != "backup_not_found" && code != "backup_is_partial" && !route.job
			before := d.log.count(slog.LevelError, "")
			a := d.work(route.method, route.path)
			d.refused(route.path, a, code, "What happened.")
			if a.status != status || a.problem.Hint != "Do this." || strings.Contains(a.body, "secret") {
				t.Errorf("%s: %s has status %d, want %d: %s", route.path, test.code, a.status, status, a.body)
			}
			if got := d.log.count(slog.LevelError, "") - before; (got == 1) != logged {
				t.Errorf("%s: %s is logged as an error %d times, want it: %t", route.path, test.code, got, logged)
			}
		}
	}
	f.err = errSecret
	for _, route := range append(backupRoutes, backupRoutes[0]) {
		d.refused(route.path, d.work(route.method, route.path), cairn.CodeInternal, "The daemon failed at this")
	}
	// Who looks into a damaged database gets a status all the same.
	if a := d.get("/v1/status"); a.status != 200 || strings.Contains(a.body, "last_backup") {
		t.Errorf("the status is %d: %s", a.status, a.body)
	}
	d.wantErrors = d.log.count(slog.LevelError, "")
}

// TestSignedOut asks for what is the user's.
func TestSignedOut(t *testing.T) {
	d, f := startCloud(t)
	for _, kind := range []cairn.JobKind{cairn.Creation, cairn.Restoration} {
		f.jobs = append(f.jobs, cairn.Job{Kind: kind, Backup: sample(), Status: cairn.JobCompleted})
	}
	d.device.signedOut.Store(true)
	for _, route := range backupRoutes {
		a := d.work(route.method, route.path)
		if calls := f.called(); route.user == (len(calls) > 0) {
			t.Errorf("%s asked for %q", route.path, calls)
		}
		if route.user {
			d.refused(route.path, a, cairn.CodeSignedOut, "signed out")
		}
	}
}

// TestBackupIDs puts ids that cannot be into each path that has one.
func TestBackupIDs(t *testing.T) {
	d, f := startCloud(t)
	for id, ordinary := range map[string]bool{
		"unknown": true, "create": true, "streamed": true, "...": true, strings.Repeat("a", 128): true,
		"a%2Fb": true, "%2e%2e%2fone": true, "%00": true, "%C3%A9": true, "%FF": true, "%0D%0Aa:b": true, "%20": true, "%25": true,
		"*": true, strings.Repeat("a", 1000): true,
		"": false, ".": false, "..": false, "%2e%2e": false, ".%2e": false, "/": false, "%2F": false, "../x": false, "x//": false,
	} {
		for _, route := range []struct {
			method, before, after string
			code                  cairn.Code
		}{
			{"GET", "/backup/", "", cairn.CodeBackupNotFound},
			{"POST", "/backup/", "/restore", cairn.CodeBackupNotFound},
			{"GET", "/backup/", "/creation/status", cairn.CodeJobNotFound},
			{"GET", "/backup/", "/restoration/status", cairn.CodeJobNotFound},
			{"POST", "/backups/", "/delete", cairn.CodeBackupNotFound},
			{"GET", "/v1/backups/", "", cairn.CodeBackupNotFound},
		} {
			f.working = func(_ context.Context, name string) error {
				return &cairn.Error{Code: route.code, Message: "There is none.", Hint: name}
			}
			path, code := route.before+id+route.after, route.code
			if !ordinary {
				code = cairn.CodeNotFound
			}
			a := d.raw(route.method, path, route.method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
			d.refused(route.method+" "+path, a, code, "")
			for _, call := range f.called() {
				if _, asked, _ := strings.Cut(call, " "); cairn.ValidateID(asked) != nil && code != cairn.CodeJobNotFound {
					t.Errorf("%s: the cloud is asked for %q", path, asked)
				}
			}
		}
	}
}

// TestOtherBackupPaths asks for what is not there, and for names that could be
// taken for ids.
func TestOtherBackupPaths(t *testing.T) {
	d, f := startCloud(t)
	for _, request := range []string{
		"GET /backup/" + sampleID + "/restore/websocket", "GET /backup/" + sampleID + "/creation", "GET /backups/create/websocket",
		"GET /backups/" + sampleID, "GET /backups/streamed", "GET /v1/backup", "POST /backups/", "GET /backup/",
	} {
		method, path, _ := strings.Cut(request, " ")
		d.refused(request, d.do(method, path, "", ""), cairn.CodeNotFound, "There is nothing at")
	}
	for _, request := range []string{"GET /backup/asset", "GET /backup", "POST /backups", "POST /v1/backups", "GET /backups/create", "GET /backup/" + sampleID + "/restore",
		"GET /backup/" + sampleID + "/restore/streamed", "GET /backup/" + sampleID + "/creation/cancel", "POST /backup/" + sampleID + "/creation/status",
		"GET /backups/create/streamed", "POST /backups/create/streamed/websocket", "POST /backups/streamed/progress"} {
		method, path, _ := strings.Cut(request, " ")
		d.refused(request, d.do(method, path, "", ""), cairn.CodeNotAllowed, "does not take "+method)
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("the cloud was asked for %q", calls)
	}
}

// TestClientLeaves has clients go away while their work is done: it is theirs
// no more, and nothing is wrong.
func TestClientLeaves(t *testing.T) {
	for _, path := range []string{"/backups/create", "/backup/" + sampleID + "/restore", "/v1/restoration/undo", "/backup"} {
		d, f := startCloud(t)
		working, done := make(chan struct{}), make(chan struct{})
		f.working = func(ctx context.Context, _ string) error {
			defer close(done)
			close(working)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", d.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-working
			cancel()
		}()
		if _, err := d.http.Do(req); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the client got %v", path, err)
		}
		<-done
	}
}

// TestLongWork answers work that takes longer than a client may stall.
func TestLongWork(t *testing.T) {
	d, f := startCloud(t, func(c *httpapi.Config) { c.ReadStall, c.WriteStall = 50*time.Millisecond, 50*time.Millisecond })
	f.working = func(context.Context, string) error {
		<-time.After(100 * time.Millisecond)
		return nil
	}
	for _, body := range []string{"", "{}"} {
		answered(t, "create", d.post("/backups/create", body), 200, sampleJSON)
		answered(t, "restore", d.post("/backup/"+sampleID+"/restore", body), 200, sampleJSON)
		answered(t, "assets", d.post("/backup", body), 204, "")
	}
}
