package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestAutomatic has a daemon that backs up a second after the last change and keeps
// two backups, as its configuration file says; then takes its cloud away.
func TestAutomatic(t *testing.T) {
	dir := t.TempDir()
	file, cloud := filepath.Join(dir, "config.toml"), filepath.Join(dir, "cloud")
	text := "cloud = \"cloud\"\n[backup]\nschedule = \"0 3 1 1 *\"\nquiet = \"1s\"\nat_most_every = \"1s\"\n[retention]\nkeep_last = 2\nprune = \"1h\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.Start(t, harness.Options{Args: []string{"--config", file}})
	v := harness.NewValidator(t, d.URL)
	c := client.New(v.URL)
	write := func(id string) {
		t.Helper()
		line := api.DocumentLine{Collection: "notes", ID: id, Document: json.RawMessage(`{"id":"` + id + `"}`)}
		if _, err := c.WriteDocuments(t.Context(), []api.DocumentLine{line}); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, ok func(api.Status) bool) api.Status {
		t.Helper()
		return awaitStatus(t, c, what, ok)
	}

	st := until("a next time", func(st api.Status) bool { return st.Automatic.Next != "" })
	if a := st.Automatic; !a.On || a.Schedule != "0 3 1 1 *" || a.Quiet != 1 || a.AtMostEvery != 1 || a.Why != "schedule" {
		t.Errorf("the status at first is %+v", a)
	}
	write("one")
	st = until("a backup", func(st api.Status) bool {
		return st.Cloud.Backups == 1 && st.LastBackup != nil && !st.Automatic.Running
	})
	if *st.ChangesSinceBackup != 0 || st.Automatic.Failures != 0 || st.Automatic.LastSuccess == "" {
		t.Errorf("after the backup the status is %+v", st)
	}
	m := scrape(t, c)
	for name, want := range map[string]float64{
		`cairn_jobs_total{kind="creation",status="completed"}`: 1, "cairn_database_documents": 1, "cairn_cloud_reachable": 1,
		"cairn_automatic_backup_enabled": 1, "cairn_automatic_backup_failures": 0,
		`cairn_http_requests_total{code="200",route="POST /v1/documents"}`: 1,
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if made := m["cairn_backup_last_success_timestamp_seconds"]; time.Since(time.Unix(int64(made), 0)) > time.Minute || m["cairn_cloud_sent_bytes_total"] < 100 {
		t.Errorf("the newest backup is of %v, and %v bytes were sent", made, m["cairn_cloud_sent_bytes_total"])
	}

	if err := os.Rename(cloud, cloud+".away"); err != nil {
		t.Fatal(err)
	}
	write("two")
	st = until("a failure", func(st api.Status) bool { return st.Automatic.Failures > 0 })
	a := st.Automatic
	if a.Problem == nil || a.Problem.Code != cairn.CodeBucketMissing || a.Why != "retry" || a.FailingSince == "" || a.Next <= a.LastFailure {
		t.Errorf("with the cloud away the status is %+v", a)
	}
	m = scrape(t, c)
	if m["cairn_automatic_backup_failures"] != 1 || m["cairn_cloud_reachable"] != 0 || m["cairn_automatic_backup_next_timestamp_seconds"] == 0 {
		t.Errorf("with the cloud away the metrics are %v", m)
	}
	out, _, _ := harness.Cairn(t, d.Env(), "status")
	for _, want := range []string{`automatic  at 0 3 1 1 \*; 1s after changes, at most every 1s; next try \d{4}-`, `\nfailing    since \d{4}-[^\n]+: the cloud \S+ is not there`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("cairn status says\n%s\nwant %s", out, want)
		}
	}
	if log := d.Stderr(); !strings.Contains(log, "an automatic backup failed") {
		t.Errorf("the log says\n%s", log)
	}

	// A backup of somebody's ends the failure.
	if err := os.Rename(cloud+".away", cloud); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateBackup(t.Context()); err != nil {
		t.Fatal(err)
	}
	until("no failure", func(st api.Status) bool { return st.Automatic.Failures == 0 && st.Automatic.Problem == nil })
	write("three")
	st = until("a third backup, and the first gone", func(st api.Status) bool {
		return st.ChangesSinceBackup != nil && *st.ChangesSinceBackup == 0 && st.Cloud.BackupsMade == 3 && st.Cloud.Backups == 2 && !st.Automatic.Running
	})
	if st.Automatic.TidyingProblem != nil {
		t.Errorf("tidying up failed: %+v", st.Automatic.TidyingProblem)
	}
	if n := strings.Count(d.Stderr(), "the cloud was pruned"); n != 1 { // since once an hour is enough
		t.Errorf("the cloud was pruned %d times:\n%s", n, d.Stderr())
	}
}

// awaitStatus asks for the status until it is what is waited for, for up to 20
// seconds.
func awaitStatus(t *testing.T, c *client.Client, what string, ok func(api.Status) bool) api.Status {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("there is not %s; the status is %+v", what, st)
		}
	}
}

// scrape returns the metrics of a daemon by their names and labels.
func scrape(t *testing.T, c *client.Client) map[string]float64 {
	t.Helper()
	text, err := c.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		i := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		if values[line[:i]], err = strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err != nil {
			t.Fatalf("the metrics have the line %q", line)
		}
	}
	return values
}
