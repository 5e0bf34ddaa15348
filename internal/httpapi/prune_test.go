package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

func (f *fakeCloud) Undelete(ctx context.Context, id string) (cairn.Backup, error) {
	return sample(), f.begin(ctx, "undelete "+id)
}

func (f *fakeCloud) Deleted(ctx context.Context) ([]cairn.DeletedBackup, error) {
	at := sample().Created
	return []cairn.DeletedBackup{{Backup: sample(), Deleted: at, Until: at.Add(time.Hour)}}, f.begin(ctx, "deleted")
}

// Prune tells of a step before it does its work.
func (f *fakeCloud) Prune(ctx context.Context, dry bool, report func(cairn.PruneProgress)) (cairn.Pruned, error) {
	report(cairn.PruneProgress{Step: cairn.PruneReading, Done: 1, Total: 2})
	name := "prune"
	if dry {
		name = "dry prune"
	}
	err := f.begin(ctx, name)
	return cairn.Pruned{DryRun: dry, Dead: cairn.Count{Objects: 3, Bytes: 7}, Deleted: cairn.Count{Objects: 1, Bytes: 5}, Backups: 2}, err
}

// prunedJSON is what answers show of the fake Prune.
const prunedJSON = `{"dry_run":false,"live":{"objects":0,"bytes":0},"young":{"objects":0,"bytes":0},"dead":{"objects":3,"bytes":7},` +
	`"deleted":{"objects":1,"bytes":5},"backups":2,"trash":0,"emptied":0,"foreign":0}`

// TestPruneRoutes asks for deleted backups, brings one back, and prunes.
func TestPruneRoutes(t *testing.T) {
	d, f := startCloud(t)
	id := sample().ID
	late := &cairn.Error{Code: cairn.CodeTooLate, Message: "Too late.", Hint: "Be faster."}
	deleted := `{"backups":[` + strings.TrimSuffix(sampleJSON, "}") + `,"scope":"` + string(sample().Scope) + `","deleted":{"value":"2026-11-23T07:25:41.123Z"},"until":{"value":"2026-11-23T08:25:41.123Z"}}]}`
	for _, test := range []struct {
		method, path string
		body         string
		err          error
		status       int
		want         string // of the answer; "" for a problem
		called       string
	}{
		{"GET", "/v1/backups/deleted", "", nil, 200, deleted, "deleted"},
		{"GET", "/v1/backups/deleted", "", late, 409, "", "deleted"},
		{"POST", "/v1/backups/" + id + "/undelete", "", nil, 200, sampleJSON, "undelete " + id},
		{"POST", "/v1/backups/" + id + "/undelete", sampleJSON, nil, 200, sampleJSON, "undelete " + id},
		{"POST", "/v1/backups/" + id + "/undelete", `{"id":"x"}`, nil, 400, "", ""},
		{"POST", "/v1/backups/%20/undelete", "", nil, 500, "", ""},
		{"POST", "/v1/backups/" + id + "/undelete", "", late, 409, "", "undelete " + id},
		{"POST", "/v1/cloud/prune", "", nil, 200, prunedJSON, "ready,prune"},
		{"POST", "/v1/cloud/prune?dry_run=false", "{}", nil, 200, prunedJSON, "ready,prune"},
		{"POST", "/v1/cloud/prune?dry_run=true", "", nil, 200, strings.Replace(prunedJSON, "false", "true", 1), "ready,dry prune"},
		{"POST", "/v1/cloud/prune?dry_run=yes", "", nil, 400, "", ""},
		{"POST", "/v1/cloud/prune?dry_run=true;x", "", nil, 400, "", ""}, // it is not to prune
		{"POST", "/v1/cloud/prune?dry_run=true%", "", nil, 400, "", ""},
		{"POST", "/v1/cloud/prune?dry_run=false&dry_run=true", "", nil, 400, "", ""},
		{"POST", "/v1/cloud/prune", "", late, 409, "", "ready"},
	} {
		f.err = test.err
		a := d.do(test.method, test.path, "", test.body)
		if test.body != "" {
			a = d.post(test.path, test.body)
		}
		if a.status != test.status || test.want != "" && strings.TrimSpace(a.body) != test.want {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, a.status, a.body, test.status, test.want)
		}
		if got := strings.Join(f.called(), ","); got != test.called {
			t.Errorf("%s %s called %q, want %q", test.method, test.path, got, test.called)
		}
	}
	d.device.signedOut.Store(true)
	for _, route := range []string{"GET /v1/backups/deleted", "POST /v1/backups/" + id + "/undelete", "POST /v1/cloud/prune"} {
		method, path, _ := strings.Cut(route, " ")
		d.refused(route, d.do(method, path, "", ""), cairn.CodeSignedOut, "signed out")
	}
}

// TestPruneStream hears how far prune is, as lines and as events, and how it ends.
func TestPruneStream(t *testing.T) {
	for name, test := range map[string]struct {
		accept, before string
		err            error
		end            string
	}{
		"lines":  {api.NDJSON, "", nil, `"status":"COMPLETED"`},
		"events": {api.SSE, "data: ", nil, `"status":"COMPLETED"`},
		"failed": {api.NDJSON, "", &cairn.Error{Code: cairn.CodeDamaged, Message: "It is damaged.", Hint: "Mend it."}, `"status":"FAILED"`},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := startCloud(t)
			f.working = func(_ context.Context, name string) error {
				if name == "ready" {
					return nil
				}
				return test.err
			}
			a := d.do("POST", "/v1/cloud/prune", "", "", "Accept", test.accept)
			var lines []string
			for line := range strings.SplitSeq(strings.TrimSpace(a.body), "\n") {
				if line != "" {
					lines = append(lines, strings.TrimPrefix(line, test.before))
				}
			}
			want := `{` + test.end + `,"step":"reading","done":1,"total":2,"result":` + prunedJSON
			if test.err != nil {
				want += `,"problem":{"code":"damaged","detail":"It is damaged.","hint":"Mend it."}`
				d.wantErrors++
			}
			if last := lines[len(lines)-1]; a.status != 200 || last != want+"}" {
				t.Errorf("%d, the last event is %s, want %s}", a.status, last, want)
			}
			for _, line := range lines[:len(lines)-1] {
				if !strings.HasPrefix(line, `{"status":"IN-PROGRESS","step":"`) {
					t.Errorf("%s comes before the end", line)
				}
			}
		})
	}
}

// TestPruneWait has prune take its time: an answer of one document begins with white
// space. Then its client goes away, and prune ends with that.
func TestPruneWait(t *testing.T) {
	d, f := startCloud(t, func(c *httpapi.Config) { c.Patience, c.Pulse = time.Millisecond, time.Millisecond })
	goOn, ended := make(chan struct{}), make(chan error, 1)
	f.working = func(ctx context.Context, name string) error {
		if name == "ready" {
			return nil
		}
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			ended <- ctx.Err()
			return ctx.Err()
		}
	}
	for _, stays := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", d.url+"/v1/cloud/prune", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		first := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, first); err != nil || first[0] != ' ' {
			t.Fatalf("the answer begins with %q, %v", first, err)
		}
		if !stays {
			cancel()
			if err := <-ended; err == nil {
				t.Error("prune goes on without its client")
			}
			d.wantErrors = d.log.count(slog.LevelError, "")
			return
		}
		goOn <- struct{}{}
		rest, err := io.ReadAll(resp.Body)
		if err != nil || strings.TrimSpace(string(rest)) != prunedJSON {
			t.Errorf("the answer is %s, %v", rest, err)
		}
	}
}
