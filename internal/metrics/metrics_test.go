package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cairn"
	"cairn/internal/metrics"
)

// used returns metrics of a daemon in which all has happened that is counted.
func used() *metrics.Metrics {
	absent := errors.New("absent")
	m := metrics.New(metrics.Config{
		Version: "1.2.3",
		Stats:   func() cairn.Stats { return cairn.Stats{Revision: 12, Documents: 7, Deletions: 2, Bytes: 4096} },
		Automatic: func() metrics.Automatic {
			return metrics.Automatic{On: true, Failures: 3, Next: time.UnixMilli(1796000000500), Overdue: true}
		},
		Absent: func(err error) bool { return errors.Is(err, absent) },
	})
	began := time.UnixMilli(1795000000250)
	for _, job := range []cairn.Job{
		{Kind: cairn.Creation, Status: cairn.JobCompleted, Backup: cairn.Backup{Scope: cairn.ScopeAll, Created: began}, Started: began, Ended: began.Add(2 * time.Second)},
		{Kind: cairn.Creation, Status: cairn.JobCompleted, Backup: cairn.Backup{Scope: cairn.ScopeAssets, Created: began.Add(time.Hour)}, Started: began, Ended: began.Add(400 * time.Millisecond)},
		{Kind: cairn.Creation, Status: cairn.JobFailed, Backup: cairn.Backup{Scope: cairn.ScopeAll, Created: began.Add(time.Hour)}, Started: began, Ended: began.Add(time.Second)},
		{Kind: cairn.Restoration, Status: cairn.JobCanceled, Started: began, Ended: began.Add(time.Second)},
	} {
		m.Ended(job)
	}
	m.Last(began.Add(-time.Hour)) // which is older
	m.Request("GET /assets/{id}", 200)
	m.Request("GET /assets/{id}", 200)
	m.Request("", 404)
	m.Request("GET /assets", 0)
	m.Called("put", nil)
	m.Called("head", fmt.Errorf("head: %w", absent))
	m.Called("list", errors.New("lost"))
	m.Called("get", context.Canceled) // says nothing of the bucket
	m.Sent(100)
	m.Sent(23)
	m.Received(5)
	return m
}

// scrape returns what is exported of cairn's own, a line each.
func scrape(t *testing.T, m *metrics.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited, application/openmetrics-text")
	r.Header.Set("Accept-Encoding", "gzip")
	m.Handler().ServeHTTP(w, r)
	if media := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(media, "text/plain; version=0.0.4") {
		t.Errorf("the answer is %d of type %s", w.Code, media)
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "cairn_") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func TestExported(t *testing.T) {
	var got []string
	for _, line := range scrape(t, used()) {
		if !strings.Contains(line, "_bucket{") && !strings.HasPrefix(line, "cairn_build_info") {
			got = append(got, line)
		}
	}
	want := []string{
		`cairn_automatic_backup_enabled 1`,
		`cairn_automatic_backup_failures 3`,
		`cairn_automatic_backup_next_timestamp_seconds 1.7960000005e+09`,
		`cairn_automatic_backup_overdue 1`,
		`cairn_backup_last_success_timestamp_seconds 1.79500000025e+09`,
		`cairn_cloud_calls_total{operation="get",outcome="canceled"} 1`,
		`cairn_cloud_calls_total{operation="head",outcome="absent"} 1`,
		`cairn_cloud_calls_total{operation="list",outcome="failed"} 1`,
		`cairn_cloud_calls_total{operation="put",outcome="ok"} 1`,
		`cairn_cloud_reachable 0`,
		`cairn_cloud_received_bytes_total 5`,
		`cairn_cloud_sent_bytes_total 123`,
		`cairn_database_deletions 2`,
		`cairn_database_documents 7`,
		`cairn_database_json_bytes 4096`,
		`cairn_database_revision 12`,
		`cairn_http_requests_total{code="200",route="GET /assets/{id}"} 2`,
		`cairn_http_requests_total{code="404",route="none"} 1`,
		`cairn_http_requests_total{code="none",route="GET /assets"} 1`,
		`cairn_job_duration_seconds_sum{kind="creation"} 2.4`,
		`cairn_job_duration_seconds_count{kind="creation"} 2`,
		`cairn_job_duration_seconds_sum{kind="restoration"} 0`,
		`cairn_job_duration_seconds_count{kind="restoration"} 0`,
		`cairn_jobs_total{kind="creation",status="canceled"} 0`,
		`cairn_jobs_total{kind="creation",status="completed"} 2`,
		`cairn_jobs_total{kind="creation",status="failed"} 1`,
		`cairn_jobs_total{kind="restoration",status="canceled"} 1`,
		`cairn_jobs_total{kind="restoration",status="completed"} 0`,
		`cairn_jobs_total{kind="restoration",status="failed"} 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
}

// TestUnknown holds that what is not known is left out.
func TestUnknown(t *testing.T) {
	m := metrics.New(metrics.Config{
		Stats:     func() cairn.Stats { return cairn.Stats{} },
		Automatic: func() metrics.Automatic { return metrics.Automatic{} },
		Absent:    func(error) bool { return true },
	})
	m.Called("get", context.Canceled)
	for _, line := range scrape(t, m) {
		for _, name := range []string{"cairn_cloud_reachable", "cairn_backup_last", "cairn_automatic_backup_next"} {
			if strings.HasPrefix(line, name) {
				t.Errorf("%s is told", line)
			}
		}
	}
	m.Called("head", errors.New("absent"))
	if lines := scrape(t, m); !slices.Contains(lines, "cairn_cloud_reachable 1") {
		t.Errorf("the cloud is not told to be reachable: %q", lines)
	}
}

// TestConventions holds the names to Prometheus' rules, by its own linter.
func TestConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(used().Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestDocumented holds docs/metrics.md to what is exported, in both directions. Those
// of Prometheus' own collectors are described as two families.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(cairn_[a-z_]+|go_\\*|process_\\*)` ").FindAllStringSubmatch(string(text), -1) {
		documented[match[1]] = true
	}
	families, err := used().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]bool{}
	for _, family := range families {
		name := family.GetName()
		if prefix, _, _ := strings.Cut(name, "_"); prefix == "go" || prefix == "process" {
			name = prefix + "_*"
		}
		exported[name] = true
		if !documented[name] {
			t.Errorf("docs/metrics.md does not describe %s", name)
		}
	}
	for name := range documented {
		if !exported[name] && name != "process_*" { // which not every system has
			t.Errorf("docs/metrics.md describes %s, which is not exported", name)
		}
	}
	if len(documented) < 15 {
		t.Errorf("docs/metrics.md describes %d metrics", len(documented))
	}
}
