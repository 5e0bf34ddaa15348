package main

import (
	"testing"
	"time"
)

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
