package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/schedule"
)

// TestAutomaticText shows what cairn status says of automatic backups.
func TestAutomaticText(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 27, hour, 0, 0, 0, time.Local) }
	problem := &cairn.Error{Code: cairn.CodeCloudLost, Message: "The cloud does not answer.", Hint: "Wait a little."}
	for _, test := range []struct {
		name   string
		status schedule.Status
		want   string
	}{
		{"off", schedule.Status{}, "automatic  off; cairn serve --schedule '0 3 * * *' or --quiet 30s has backups made by themselves\n"},
		{"times", schedule.Status{On: true, Cron: "0 3 * * *", AtMostEvery: time.Hour, Next: at(3), Why: schedule.TriggerSchedule},
			"automatic  at 0 3 * * *; next 2026-11-27 03:00:00\n"},
		{"both", schedule.Status{On: true, Cron: "@daily", Quiet: 90 * time.Second, AtMostEvery: 2 * time.Hour, Running: true},
			"automatic  at @daily; 1m30s after changes, at most every 2h; one is made now\n"},
		{"nothing foreseen", schedule.Status{On: true, Quiet: 20 * time.Minute}, "automatic  20m after changes\n"},
		{"failing", schedule.Status{
			On: true, Quiet: time.Minute, Next: at(5), Why: schedule.TriggerRetry,
			Failures: 3, FailingSince: at(1), LastFailure: at(4), Problem: problem, OverdueSince: at(2),
		}, `automatic  1m after changes; next try 2026-11-27 05:00:00
failing    since 2026-11-27 01:00:00, 3 times: the cloud does not answer
           hint: wait a little
overdue    since 2026-11-27 02:00:00: the newest backup is older than it should be
`},
		{"tidying", schedule.Status{On: true, Quiet: time.Minute, Tidying: &cairn.Error{Code: cairn.CodeDenied, Message: "It may not."}},
			"automatic  1m after changes\ntidying    failed after the newest automatic backup: it may not\n"},
	} {
		if got := automaticText(automaticOf(test.status)); got != test.want {
			t.Errorf("%s: (-want +got)\n%s", test.name, cmp.Diff(test.want, got))
		}
	}
}

// TestAutomaticOf holds what programs get.
func TestAutomaticOf(t *testing.T) {
	at := time.Date(2026, 11, 27, 3, 0, 0, 5e8, time.UTC)
	got := automaticOf(schedule.Status{
		On: true, Cron: "0 3 * * *", Quiet: 1500 * time.Millisecond, AtMostEvery: time.Hour,
		Next: at, Why: schedule.TriggerRetry, LastSuccess: at.Add(-time.Hour),
		Failures: 1, FailingSince: at, LastFailure: at, Problem: &cairn.Error{Code: cairn.CodeCloudLost, Message: "It is lost."},
	})
	const moment, before = "2026-11-27T03:00:00.500Z", "2026-11-27T02:00:00.500Z"
	want := api.Automatic{
		On: true, Schedule: "0 3 * * *", Quiet: 1.5, AtMostEvery: 3600, Next: moment, Why: "retry", LastSuccess: before,
		Failures: 1, FailingSince: moment, LastFailure: moment, Problem: &api.Cause{Code: cairn.CodeCloudLost, Detail: "It is lost."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(api.Automatic{}, automaticOf(schedule.Status{AtMostEvery: time.Hour, Why: schedule.TriggerChange})); diff != "" {
		t.Errorf("when it is off: (-want +got)\n%s", diff)
	}
}
