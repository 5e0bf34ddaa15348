package cairn_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn"
)

// TestBackupID is the golden one: nine fraction digits, the last six of them
// drawn.
func TestBackupID(t *testing.T) {
	created := time.Date(2026, 11, 23, 8, 25, 41, 123_999_999, time.FixedZone("CET", 3600))
	id, timestamp := cairn.NewBackupID("0.1.0", created, 4_000_456_789)
	if id != "0.1.0_20261123T072541.123456789Z" || timestamp != "20261123T072541.123456789Z" {
		t.Errorf("NewBackupID = %q, %q", id, timestamp)
	}
	want := cairn.Backup{ID: id, Version: "0.1.0", Timestamp: timestamp, Created: time.Date(2026, 11, 23, 7, 25, 41, 123e6, time.UTC)}
	if b, ok := cairn.ParseBackupID(id); !ok || b != want {
		t.Errorf("ParseBackupID = %+v, %v; want %+v", b, ok, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		created := time.UnixMilli(rapid.Int64Range(0, 1e14).Draw(t, "created")).UTC()
		if created.Year() > 9999 {
			created = time.UnixMilli(0).UTC()
		}
		id, timestamp := cairn.NewBackupID("1.22.333", created, rapid.Uint32().Draw(t, "random"))
		b, ok := cairn.ParseBackupID(id)
		if !ok || b.ID != id || b.Timestamp != timestamp || !b.Created.Equal(created) || b.Version != "1.22.333" {
			t.Errorf("%s reads as %+v, %v", id, b, ok)
		}
	})
}

func TestParseBackupIDRefuses(t *testing.T) {
	for _, id := range []string{
		"", "_", "x", "0.1.0", "0.1.0_", "_20261123T072541.123456789Z", ".1_20261123T072541.123456789Z",
		"0.1.0_20261123T072541.12345678Z", "0.1.0_20261123T072541.1234567890Z", "0.1.0_20261323T072541.123456789Z",
		"0.1.0_20261123T072541.123456789", "0.1.0 20261123T072541.123456789Z", "0/1_20261123T072541.123456789Z",
	} {
		if b, ok := cairn.ParseBackupID(id); ok || b != (cairn.Backup{ID: id}) {
			t.Errorf("ParseBackupID(%q) = %+v, %v", id, b, ok)
		}
	}
}

// TestPercentage: only the end is 100.
func TestPercentage(t *testing.T) {
	for _, test := range []struct {
		done, total int64
		want        int
	}{{0, 0, 0}, {5, 0, 0}, {0, 10, 0}, {1, 3, 33}, {10, 10, 99}, {11, 10, 99}, {-1, 10, 0}, {1 << 62, 1<<62 + 1, 99}} {
		if got := (cairn.Progress{Done: test.done, Total: test.total}).Percentage(); got != test.want {
			t.Errorf("%d of %d is %d %%, want %d", test.done, test.total, got, test.want)
		}
	}
	for _, status := range []cairn.JobStatus{cairn.JobInitialized, cairn.JobInProgress, cairn.JobCompleted, cairn.JobFailed, cairn.JobCanceled} {
		job := cairn.Job{Status: status, Progress: cairn.Progress{Done: 3, Total: 3}}
		if got := job.Percentage(); (got == 100) != (status == cairn.JobCompleted) {
			t.Errorf("a job that is %s is at %d %%", status, got)
		}
		if got := status.Ended(); got != (status != cairn.JobInitialized && status != cairn.JobInProgress) {
			t.Errorf("%s: Ended = %v", status, got)
		}
	}
}
