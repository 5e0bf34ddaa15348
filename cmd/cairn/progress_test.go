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
	"cairn/client"
)

// TestWatched follows a creation that waits for another one, and is interrupted.
func TestWatched(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	asked := 0
	d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		job := func(id, backup string, st cairn.JobStatus) string {
			return fmt.Sprintf(`{"id":%q,"kind":"creation","backup":{"id":%q},"status":%q,"percentage":40,"done_bytes":4,"total_bytes":10}`, id, backup, st)
		}
		jobs := []string{job("other", "not-ours", cairn.JobInProgress)}
		switch asked {
		case 0: // before the request
		case 1:
			jobs = append(jobs, job("own", "", cairn.JobInitialized))
		case 2:
			jobs = append(jobs, job("own", "", cairn.JobInitialized), job("later", "", cairn.JobInitialized))
		case 3:
			jobs = []string{job("own", "ours", cairn.JobInProgress), job("later", "", cairn.JobInitialized)}
		default:
			interrupt()
		}
		asked++
		w.Header().Set("Content-Type", api.JSON)
		fmt.Fprintf(w, `{"iterable":[%s]}`, strings.Join(jobs, ","))
	}))
	defer d.Close()
	var out bytes.Buffer
	c := call{ctx: ctx, client: client.New(d.URL), err: &out}
	_, err := watched(c, cairn.Creation, "", func() (api.Backup, error) {
		<-ctx.Done()
		return api.Backup{}, ctx.Err()
	})
	want := `creating: waiting for the work before it
creating ours: 40 %, 4 B of 10 B
the daemon goes on with it; cairn backup status ours shows the outcome
`
	if err == nil || out.String() != want {
		t.Errorf("%v, and it prints\n%swant\n%s", err, out.String(), want)
	}
}

// TestFind follows the restoration of one backup only.
func TestFind(t *testing.T) {
	jobs := []api.Job{
		{ID: "1", Kind: cairn.Restoration, Backup: api.Backup{ID: "other"}, Status: cairn.JobInProgress},
		{ID: "2", Kind: cairn.Creation, Backup: api.Backup{ID: "ours"}, Status: cairn.JobInitialized},
		{ID: "3", Kind: cairn.Restoration, Backup: api.Backup{ID: "ours"}, Status: cairn.JobInitialized},
		{ID: "4", Kind: cairn.Restoration, Backup: api.Backup{ID: "ours"}, Status: cairn.JobFailed},
	}
	// One that was there before does the work for this request too.
	w := watch{kind: cairn.Restoration, backup: "ours", earlier: map[string]bool{"3": true}}
	if j, ok := w.find(jobs); !ok || j.ID != "3" {
		t.Errorf("found %+v, %t", j, ok)
	}
	if j, ok := w.find(jobs[3:]); ok {
		t.Errorf("found %+v, which has ended", j)
	}
}

// TestCreated prints the id of a backup that nothing more can be learned of.
func TestCreated(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backups/create", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", api.JSON)
		fmt.Fprint(w, `{"id":"ours","bytes":1234}`)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	d := httptest.NewServer(mux)
	defer d.Close()
	t.Setenv("CAIRN_URL", d.URL)
	if code, stdout, stderr := verb(t, "", "backup", "create"); code != exitOK || stdout != "created ours: 1.2 kB\n" || stderr != "" {
		t.Errorf("backup create ends with %d: %q, %q", code, stdout, stderr)
	}
}
