package device_test

import (
	"testing"
	"time"
)

// TestPruned holds that the time of the newest prune of each cloud is kept, and
// survives a restart.
func TestPruned(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	at := time.Date(2026, 11, 26, 18, 0, 0, 123456789, time.UTC)
	for _, when := range []time.Time{at.Add(-time.Hour), at} {
		if err := d.SetPruned(t.Context(), "c1", when.In(time.FixedZone("", 3600))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for cloud, want := range map[string]time.Time{"c1": at, "c2": {}} {
			if got, err := d.Pruned(t.Context(), cloud); !got.Equal(want) || err != nil {
				t.Errorf("Pruned(%q) = %v, %v; want %v", cloud, got, err, want)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d, _ = open(t, config(dir, "m1"))
	}
}
