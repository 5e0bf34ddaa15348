package main

import (
	"testing"
	"time"

	"cairn"
	"cairn/internal/config"
	"cairn/internal/device"
)

// TestSignedOut holds that nothing is done with backups by itself while the user is
// signed out: with an engine that is none.
func TestSignedOut(t *testing.T) {
	dev, err := device.Open(t.Context(), device.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if err := dev.SetSignedIn(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	d := &daemonProcess{device: dev}
	d.config.Retention = config.Retention{Keep: cairn.Retention{Last: 1}, Prune: true}
	for _, test := range []struct {
		what string
		do   func() error
	}{
		{"asking for the newest backup", func() error { return d.confirmBackup(t.Context(), "id") }},
		{"making one", func() error { _, err := d.beginBackup(t.Context()); return err }},
		{"tidying up", func() error { return d.tidyUp(t.Context()) }},
	} {
		if err := test.do(); cairn.CodeOf(err) != cairn.CodeSignedOut {
			t.Errorf("%s: %v", test.what, err)
		}
	}
}

func TestPruneDue(t *testing.T) {
	now := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		last  time.Time
		every time.Duration
		want  bool
	}{
		{time.Time{}, 24 * time.Hour, true}, // never
		{now.Add(-24 * time.Hour), 24 * time.Hour, true},
		{now.Add(-24*time.Hour + time.Second), 24 * time.Hour, false},
		{now.Add(-time.Second), 0, true},
		{now.Add(365 * 24 * time.Hour), 24 * time.Hour, true}, // the clock was wrong
	} {
		if got := pruneDue(test.last, now, test.every); got != test.want {
			t.Errorf("pruned at %v, every %v: due is %t, want %t", test.last, test.every, got, test.want)
		}
	}
}
