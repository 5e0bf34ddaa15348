package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
)

// answers starts what answers as a daemon does: with the texts for the requests
// given, one of a problem by its code, and else that nothing is there.
func answers(t *testing.T, texts map[string]string) {
	t.Helper()
	d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := texts[r.Method+" "+r.URL.Path]
		code, isProblem := strings.CutPrefix(text, "problem ")
		if !ok {
			code, isProblem = string(cairn.CodeNotFound), true
		}
		switch {
		case isProblem:
			p := api.ProblemOf(&cairn.Error{Code: cairn.Code(code), Message: "It is " + code + ".", Hint: "Try another."})
			w.Header().Set("Content-Type", api.ProblemType)
			w.WriteHeader(p.Status)
			fmt.Fprintf(w, `{"status":%d,"code":%q,"detail":%q,"hint":%q}`, p.Status, p.Code, p.Detail, p.Hint)
		case text == "":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Content-Type", api.JSON)
			if r.Header.Get("Accept") == api.NDJSON {
				w.Header().Set("Content-Type", api.NDJSON)
			}
			fmt.Fprint(w, text)
		}
	}))
	t.Cleanup(d.Close)
	t.Setenv("CAIRN_URL", d.URL)
}

const (
	createdEvent  = `{"status":"COMPLETED","percentage":100,"backup":{"id":"ours","version":"","timestamp":"","bytes":1234,"created":{"value":""},"device_name":"","platform":""},"done_bytes":9,"total_bytes":9}` + "\n"
	beginsEvent   = `{"status":"INITIALIZED","percentage":0,"backup":{"id":"ours"}}` + "\n"
	createStream  = "POST /backups/create/streamed"
	restoreStream = "POST /backup/ours/restore/streamed"
)

// TestCreated prints the id of a backup that nothing more can be learned of.
func TestCreated(t *testing.T) {
	answers(t, map[string]string{createStream: beginsEvent + createdEvent})
	if code, stdout, stderr := verb(t, "", "backup", "create"); code != exitOK || stdout != "created ours: 1.2 kB\n" || stderr != "" {
		t.Errorf("backup create ends with %d: %q, %q", code, stdout, stderr)
	}
}

// TestStreamedVerbs has streams end as they should not.
func TestStreamedVerbs(t *testing.T) {
	const status = "hint: when the daemon runs again, cairn backup status ours says what became of it\n"
	for _, test := range []struct {
		text   string
		code   int
		stderr string
	}{
		{beginsEvent, exitUnreachable, status},
		{beginsEvent + createdEvent[:50], exitUnreachable, status},
		{createdEvent[:50], exitUnreachable, "hint: see whether it still runs; its log may say why. What was in progress has a status when it answers again\n"},
		{beginsEvent + "<html>", exitFailed, "hint: check what else listens on this address\n"},
		{"problem signed_out", exitCloud, "cairn: it is signed_out\nhint: try another\n"},
		{"problem backup_not_found", exitGone, "cairn: it is backup_not_found\nhint: try another\n"},
	} {
		answers(t, map[string]string{createStream: test.text, restoreStream: test.text})
		for _, args := range [][]string{{"create"}, {"restore", "ours"}} {
			code, stdout, stderr := verb(t, "", append([]string{"backup"}, args...)...)
			if code != test.code || stdout != "" || !strings.HasSuffix(stderr, test.stderr) {
				t.Errorf("backup %s of %q ends with %d: %q, %q, want %d, %q", args, test.text, code, stdout, stderr, test.code, test.stderr)
			}
		}
	}
}

// TestCancel cancels the creation or the restoration, whichever there is.
func TestCancel(t *testing.T) {
	const (
		creation, restoration = "POST /backup/ours/creation/cancel", "POST /backup/ours/restoration/cancel"
		none                  = "problem not_in_progress"
	)
	for _, test := range []struct {
		creation, restoration string
		code                  int
		stdout, stderr        string
	}{
		{"", "problem internal", exitOK, "cancelled ours; no backup was made\n", ""},
		{none, "", exitOK, "cancelled ours; the documents are as they were\n", ""},
		{none, none, exitGone, "", "cairn: nothing of the backup \"ours\" is in progress\nhint: cairn backup status ID says what became of it, cairn backup watch what is in progress\n"},
		{"problem internal", "", exitFailed, "", "cairn: it is internal\nhint: try another\n"},
		{none, "problem cloud_unreachable", exitCloud, "", "cairn: it is cloud_unreachable\nhint: try another\n"},
	} {
		answers(t, map[string]string{creation: test.creation, restoration: test.restoration})
		if code, stdout, stderr := verb(t, "", "backup", "cancel", "ours"); code != test.code || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%+v: backup cancel ends with %d: %q, %q", test, code, stdout, stderr)
		}
		if code, stdout, _ := verb(t, "", "backup", "cancel", "ours", "--json"); code != test.code || (stdout == "{}\n") != (code == exitOK) {
			t.Errorf("%+v: backup cancel --json ends with %d: %q", test, code, stdout)
		}
	}
	if code, _, _ := verb(t, "", "backup", "cancel", "../x"); code != exitGone {
		t.Errorf("backup cancel of what can be no backup ends with %d", code)
	}
}

// TestStatusVerb shows jobs in each state.
func TestStatusVerb(t *testing.T) {
	const (
		creation, restoration, jobs = "GET /backup/ours/creation/status", "GET /backup/ours/restoration/status", "GET /v1/jobs"
		unknown                     = "problem job_not_found"
	)
	status := func(value cairn.JobStatus, percentage int) string {
		return fmt.Sprintf(`{"value":%q,"percentage":%d,"backup":{"id":"ours"}}`, value, percentage)
	}
	job := func(kind cairn.JobKind, value cairn.JobStatus, more string) string {
		return fmt.Sprintf(`{"kind":%q,"backup":{"id":"ours"},"status":%q%s}`, kind, value, more)
	}
	bytes, problem := `,"done_bytes":1200,"total_bytes":3400`, `,"problem":{"code":"x","detail":"It has a reason.","hint":"Do this."}`
	others := `{"kind":"restoration","backup":{"id":"other"},"status":"CANCELED","problem":{"detail":"Of another."}},` + job(cairn.Creation, cairn.JobCanceled, `,"problem":{"detail":"Of another kind."}`)
	for _, test := range []struct {
		creation, restoration, jobs, want string
		code                              int
	}{
		{status(cairn.JobInProgress, 35), unknown, job(cairn.Creation, cairn.JobInProgress, bytes), "creation     IN-PROGRESS  35 %, 1.2 kB of 3.4 kB\n", exitOK},
		{status(cairn.JobInProgress, 0), unknown, job(cairn.Creation, cairn.JobInProgress, ""), "creation     IN-PROGRESS  0 %\n", exitOK},
		{status(cairn.JobInProgress, 35), unknown, job(cairn.Creation, cairn.JobCompleted, bytes), "creation     IN-PROGRESS  35 %\n", exitOK},
		{
			status(cairn.JobCompleted, 100), status(cairn.JobInitialized, 0), job(cairn.Restoration, cairn.JobInitialized, ""),
			"creation     COMPLETED  100 %\nrestoration  INITIALIZED  0 %, waiting for the work before it\n", exitOK,
		},
		{
			status(cairn.JobCompleted, 100), status(cairn.JobCanceled, 7),
			others + "," + job(cairn.Restoration, cairn.JobCanceled, problem) + "," + job(cairn.Restoration, cairn.JobCanceled, `,"problem":{"detail":"It is older."}`),
			"creation     COMPLETED  100 %\nrestoration  CANCELED  7 %\n             it has a reason\n             hint: do this\n", exitOK,
		},
		{unknown, status(cairn.JobFailed, 7), job(cairn.Restoration, cairn.JobFailed, problem), "restoration  FAILED  7 %\n             it has a reason\n             hint: do this\n", exitOK},
		{unknown, unknown, "", "", exitGone},
		{"problem cloud_unreachable", unknown, "", "", exitCloud},
		{status(cairn.JobCompleted, 100), "problem internal", "", "", exitFailed},
	} {
		answers(t, map[string]string{creation: test.creation, restoration: test.restoration, jobs: `{"iterable":[` + test.jobs + `]}`})
		code, stdout, stderr := verb(t, "", "backup", "status", "ours")
		if code != test.code || stdout != test.want {
			t.Errorf("backup status ends with %d, want %d: %s\n%swant\n%s", code, test.code, stderr, stdout, test.want)
		}
	}
}

// TestWatchVerb watches a daemon that stops, and one that does not.
func TestWatchVerb(t *testing.T) {
	const all = `{"backups":[{"status":"IN-PROGRESS","percentage":5,"backup":{"id":"ours"}}],"restorations":[]}` + "\n"
	answers(t, map[string]string{"GET /backups/streamed/progress": all})
	code, stdout, stderr := verb(t, "", "backup", "watch")
	if code != exitUnreachable || !strings.HasPrefix(stdout, "creation     ours ") || !strings.Contains(stderr, "\nhint: see whether it still runs;") {
		t.Errorf("backup watch ends with %d: %q, %q", code, stdout, stderr)
	}
	if code, stdout, _ := verb(t, "", "backup", "watch", "--json"); code != exitUnreachable || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stdout, `{"backups":[{"status":"IN-PROGRESS",`) {
		t.Errorf("backup watch --json ends with %d: %q", code, stdout)
	}

	ctx, interrupt := context.WithCancel(t.Context())
	d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", api.NDJSON)
		fmt.Fprint(w, `{"backups":[],"restorations":[]}`+"\n")
		_ = http.NewResponseController(w).Flush()
		interrupt()
		<-r.Context().Done()
	}))
	defer d.Close()
	t.Setenv("CAIRN_URL", d.URL)
	for range 2 { // at once, the second time
		var out bytes.Buffer
		if code := run(ctx, []string{"backup", "watch"}, nil, &out, &out); code != exitOK {
			t.Errorf("an interrupted backup watch ends with %d: %q", code, out.String())
		}
	}
}
