package test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// A gate holds the requests of one kind up until it is opened.
type gate struct {
	op, folder string // such as put and parts/
	come       chan struct{}
	open       chan struct{}

	coming, opening sync.Once
}

func newGate(op, folder string) *gate {
	return &gate{op: op, folder: folder, come: make(chan struct{}), open: make(chan struct{})}
}

// unlock opens the gate.
func (g *gate) unlock() { g.opening.Do(func() { close(g.open) }) }

// handle is for a front.
func (g *gate) handle(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	request := s3server.RequestOf(r)
	if request.Op == g.op && strings.Contains(request.Key, g.folder) {
		g.coming.Do(func() { close(g.come) })
		<-g.open
	}
	forward.ServeHTTP(w, r)
}

// TestCancelSilentStore cancels jobs while the store does not answer: at once, as
// long as there is something to cancel. A manifest that is on its way is waited
// for, and its backup is there then.
func TestCancelSilentStore(t *testing.T) {
	t.Parallel()
	const (
		soon = 5 * time.Second
		hold = time.Second // for which a manifest is held up
	)
	s := s3server.Shared(t)
	cloud := bucketOf(t, s)
	front := s3server.NewFront(t, s, nil)
	data := t.TempDir()
	start := func() (*harness.Daemon, *client.Client) {
		d := cloud.behind(front).serve(t, harness.Options{Data: data})
		return d, client.New(d.URL)
	}
	d, c := start()
	storeDocuments(t, d, oddDocuments()...)
	text := `"` + strings.Repeat("a part of its own ", 9<<20/18) + `"`
	storeDocuments(t, d, oddAsset("large", text, ""))
	made, err := c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	backups := 1
	for n, test := range []struct {
		kind       cairn.JobKind
		op, folder string
		fresh      bool // the daemon has not opened the cloud yet
		assets     bool // a creation of chosen assets
		late       bool // it is too late to cancel
	}{
		{kind: cairn.Creation, op: "get", folder: "cairn.json", fresh: true},
		{kind: cairn.Creation, op: "get", folder: "cairn.json", assets: true},
		{kind: cairn.Creation, op: "head", folder: "backups/"},
		{kind: cairn.Creation, op: "put", folder: "parts/"},
		{kind: cairn.Creation, op: "put", folder: "parts/", assets: true},
		{kind: cairn.Creation, op: "put", folder: "indexes/"},
		{kind: cairn.Creation, op: "put", folder: "backups/", late: true},
		{kind: cairn.Restoration, op: "get", folder: "cairn.json", fresh: true},
		{kind: cairn.Restoration, op: "get", folder: "cairn.json"},
		{kind: cairn.Restoration, op: "get", folder: "indexes/"},
		{kind: cairn.Restoration, op: "get", folder: "parts/"},
	} {
		what := fmt.Sprintf("%s (of assets: %t) at %s %s", test.kind, test.assets, test.op, test.folder)
		if test.fresh {
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			front.Handle(s3server.Answer(http.StatusForbidden, "SignatureDoesNotMatch", "Not now."))
			d, c = start()
		}
		if test.kind == cairn.Creation { // it has two parts to send
			storeDocuments(t, d, oddAsset("large", strings.Replace(text, "a part", fmt.Sprint(n, " parts"), 1), ""), oddAsset("small", fmt.Sprintf(`"%d"`, n), ""))
		}
		before := databaseStatus(t, d)
		g := newGate(test.op, test.folder)
		front.Handle(g.handle)
		ended := make(chan error, 1)
		go func() {
			var err error
			switch {
			case test.assets:
				err = backUpAssets(d.URL)
			case test.kind == cairn.Creation:
				_, err = c.CreateBackup(t.Context())
			default:
				_, err = c.RestoreBackup(t.Context(), made.ID)
			}
			ended <- err
		}()
		select {
		case <-g.come:
		case <-time.After(20 * time.Second):
			g.unlock()
			t.Fatalf("%s: there is no such request", what)
		}
		job := runningJobOf(t, c)
		begun := time.Now()
		opening := 4 * soon // which is too late
		if test.late {
			opening = hold
		}
		time.AfterFunc(opening, g.unlock)
		answer := cancelJob(t, d.URL, test.kind, job.Backup.ID)
		took, workErr := time.Since(begun), <-ended
		want := cairn.CodeCanceled
		if test.late {
			backups++
			want = ""
		}
		if (answer == nil) == test.late || test.late && took < hold || took > soon || cairn.CodeOf(workErr) != want {
			t.Errorf("%s: after %s, cancelling was answered with %v, and the work returned %v", what, took, answer, workErr)
		}
		front.Handle(nil)
		g.unlock() // what was given up is done all the same
		if list, err := c.Backups(t.Context()); err != nil || len(list) != backups {
			t.Errorf("%s: then %d backups are listed, %v, want %d", what, len(list), err, backups)
		}
		if after := databaseStatus(t, d); after.Digest != before.Digest || after.Revision != before.Revision {
			t.Errorf("%s: then the database is %+v, and it was %+v", what, after, before)
		}
		checkTidy(t, data)
	}
	restoresTo(t, c, made.ID)
}

// backUpAssets backs all assets up, as a backup of chosen ones.
func backUpAssets(daemon string) error {
	resp, err := http.Post(daemon+"/backup", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return refusal(resp, http.StatusNoContent)
}

// runningJobOf returns the job that runs.
func runningJobOf(t *testing.T, c *client.Client) api.Job {
	t.Helper()
	jobs, err := c.Jobs(t.Context())
	if err != nil || len(jobs) == 0 || jobs[0].Status.Ended() {
		t.Fatalf("no job is in progress: %+v, %v", jobs, err)
	}
	return jobs[0]
}
