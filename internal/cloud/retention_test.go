package cloud_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn"
	"cairn/internal/cloud"
)

// now is when tests decide.
var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// dated returns a backup of one line and installation, made when it was written.
func dated(at time.Time) cairn.DatedBackup {
	return cairn.DatedBackup{
		Backup:   cairn.Backup{ID: at.Format("2006-01-02 15:04:05"), Created: at, Installation: "one", Line: "line", Scope: cairn.ScopeAll, Revision: at.Unix()},
		Modified: at,
	}
}

// every returns backups from a moment on, so many, a step apart from each other.
func every(from string, n, years, months, days int, hours time.Duration) (all []cairn.DatedBackup) {
	t, err := time.Parse("2006-01-02 15:04", from)
	if err != nil {
		panic(err)
	}
	for range n {
		all = append(all, dated(t))
		t = t.AddDate(years, months, days).Add(hours)
	}
	return all
}

// keptOf returns the ids of what stays, with the reasons, newest first.
func keptOf(decisions []cairn.Decision) (kept []string) {
	for _, d := range decisions {
		if d.Keep {
			kept = append(kept, d.ID+": "+strings.Join(d.Reasons, ", "))
		}
	}
	return kept
}

// TestKeepAsDocumented holds the examples of restic's manual, "Removing backup
// snapshots". The newest backup has one reason more than there, that of its line.
func TestKeepAsDocumented(t *testing.T) {
	sundays := every("2019-09-01 11:00", 12, 0, 0, 7, 0)
	for _, test := range []struct {
		name    string
		backups []cairn.DatedBackup
		policy  cairn.Retention
		want    []string
	}{
		{
			"--keep-daily 4 on twelve Sundays", sundays, cairn.Retention{Daily: 4},
			[]string{
				"2019-11-17 11:00:00: daily 1 of 4, newest of its line",
				"2019-11-10 11:00:00: daily 2 of 4",
				"2019-11-03 11:00:00: daily 3 of 4",
				"2019-10-27 11:00:00: daily 4 of 4",
			},
		},
		{
			"--keep-last 1", every("2017-02-21 10:48", 2, 0, 0, 0, time.Minute), cairn.Retention{Last: 1},
			[]string{"2017-02-21 10:49:00: last 1 of 1, newest of its line"},
		},
		{
			"--keep-hourly 2, the newest of each hour", every("2026-11-01 08:10", 9, 0, 0, 0, 20*time.Minute), cairn.Retention{Hourly: 2},
			[]string{
				"2026-11-01 10:50:00: hourly 1 of 2, newest of its line",
				"2026-11-01 09:50:00: hourly 2 of 2",
			},
		},
		{
			"weeks begin on Mondays", every("2026-11-12 23:59", 5, 0, 0, 1, 0), cairn.Retention{Weekly: 2},
			[]string{
				"2026-11-16 23:59:00: weekly 1 of 2, newest of its line",
				"2026-11-15 23:59:00: weekly 2 of 2",
			},
		},
		{
			"the oldest stays when there are too few", every("2026-11-09 10:00", 4, 0, 0, 0, 4*time.Hour), cairn.Retention{Daily: 7, Weekly: 5},
			[]string{
				"2026-11-09 22:00:00: daily 1 of 7, weekly 1 of 5, newest of its line",
				"2026-11-09 10:00:00: oldest daily 2 of 7, oldest weekly 2 of 5",
			},
		},
		{
			"rules are independent of each other", every("2026-10-30 10:00", 4, 0, 0, 1, 0), cairn.Retention{Daily: 1, Monthly: 2},
			[]string{
				"2026-11-02 10:00:00: daily 1 of 1, monthly 1 of 2, newest of its line",
				"2026-10-31 10:00:00: monthly 2 of 2",
			},
		},
		{
			"--keep-within 2y5m7d3h, of the newest", every("2024-01-01 00:00", 5, 0, 7, 0, 0), cairn.Retention{Within: cairn.Span{Years: 1, Months: 2, Days: 1, Hours: 3}},
			[]string{
				"2026-05-01 00:00:00: within 1y2m1d3h, newest of its line",
				"2025-10-01 00:00:00: within 1y2m1d3h",
				"2025-03-01 00:00:00: within 1y2m1d3h",
			},
		},
		{
			"what is exactly as old does not stay", every("2026-11-01 00:00", 3, 0, 0, 1, 0), cairn.Retention{Within: cairn.Span{Days: 1}},
			[]string{"2026-11-03 00:00:00: within 1d, newest of its line"},
		},
		{
			"--keep-within-daily 2d", every("2026-11-01 00:00", 9, 0, 0, 0, 12*time.Hour), cairn.Retention{WithinDaily: cairn.Span{Days: 2}},
			[]string{
				"2026-11-05 00:00:00: daily within 2d, newest of its line",
				"2026-11-04 12:00:00: daily within 2d",
				"2026-11-03 12:00:00: daily within 2d",
			},
		},
		{
			"unlimited", every("2023-01-01 00:00", 4, 0, 6, 0, 0), cairn.Retention{Yearly: cairn.Unlimited},
			[]string{
				"2024-07-01 00:00:00: yearly 1, newest of its line",
				"2023-07-01 00:00:00: yearly 2",
				"2023-01-01 00:00:00: oldest yearly 3",
			},
		},
		{"an empty policy", sundays[:1], cairn.Retention{}, []string{"2019-09-01 11:00:00: policy is empty, newest of its line"}},
	} {
		if diff := cmp.Diff(test.want, keptOf(cloud.Keep(test.policy, test.backups, now, time.UTC))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestKeepOfACentury holds the documented example of one backup on each day of a
// hundred years, by the numbers that restic's manual gives.
func TestKeepOfACentury(t *testing.T) {
	days := every("1926-11-23 11:00", 36525, 0, 0, 1, 0)
	for _, test := range []struct {
		policy cairn.Retention
		want   map[string]int // reasons that begin so
		all    int
	}{
		{
			cairn.Retention{Daily: 7, Weekly: 5, Monthly: 12, Yearly: 75},
			map[string]int{"daily": 7, "weekly": 5, "monthly": 12, "yearly": 75},
			7 + 4 + 11 + 73, // the newest, a Sunday, has all reasons, and 2025-12-31 is the last of a month and a year
		},
		{
			cairn.Retention{WithinDaily: cairn.Span{Days: 7}, WithinWeekly: cairn.Span{Months: 1}, WithinMonthly: cairn.Span{Years: 1}, WithinYearly: cairn.Span{Years: 75}},
			map[string]int{"daily": 7, "weekly": 5, "monthly": 13, "yearly": 76}, // from 2025-11-30 and 1951-12-31 on
			7 + 4 + 12 + 74,
		},
	} {
		got, all := map[string]int{}, 0
		for _, d := range cloud.Keep(test.policy, days, now, time.UTC) {
			if d.Keep {
				all++
			}
			for _, reason := range d.Reasons {
				unit, _, _ := strings.Cut(reason, " ")
				got[unit]++
			}
		}
		delete(got, "newest")
		if diff := cmp.Diff(test.want, got); diff != "" || all != test.all {
			t.Errorf("%s keeps %d, want %d; by reasons (-want +got):\n%s", test.policy, all, test.all, diff)
		}
	}
}

// TestKeepOfOurs holds what restic does not know.
func TestKeepOfOurs(t *testing.T) {
	last := cairn.Retention{Last: 1}
	change := func(b cairn.DatedBackup, edit func(*cairn.DatedBackup)) cairn.DatedBackup {
		edit(&b)
		return b
	}
	days := every("2026-11-01 10:00", 4, 0, 0, 1, 0)
	for _, test := range []struct {
		name    string
		backups []cairn.DatedBackup
		policy  cairn.Retention
		want    []string
	}{
		{
			"installations are judged each by itself",
			[]cairn.DatedBackup{days[0], days[1], change(days[2], func(b *cairn.DatedBackup) { b.Installation = "two" })}, last,
			[]string{"2026-11-03 10:00:00: last 1 of 1, newest of its line", "2026-11-02 10:00:00: last 1 of 1"},
		},
		{
			"the newest of each line stays, whatever its time",
			[]cairn.DatedBackup{change(days[0], func(b *cairn.DatedBackup) { b.Line, b.Revision = "before", 8 }), change(days[1], func(b *cairn.DatedBackup) { b.Line, b.Revision = "before", 7 }), days[2], days[3]}, last,
			[]string{"2026-11-04 10:00:00: last 1 of 1, newest of its line", "2026-11-01 10:00:00: newest of its line"},
		},
		{
			"chosen documents stay, and count for nothing",
			[]cairn.DatedBackup{days[0], days[1], change(days[2], func(b *cairn.DatedBackup) { b.Scope = cairn.ScopeAssets })}, last,
			[]string{"2026-11-03 10:00:00: holds chosen documents", "2026-11-02 10:00:00: last 1 of 1, newest of its line"},
		},
		{
			"what a wrong clock has written in the future stays, and counts for nothing",
			[]cairn.DatedBackup{days[0], days[1], change(days[2], func(b *cairn.DatedBackup) {
				b.ID, b.Modified, b.Created, b.Line = "future", now.AddDate(50, 0, 0), now.AddDate(50, 0, 0), "other"
			})},
			cairn.Retention{Within: cairn.Span{Hours: 1}},
			[]string{"future: in the future, newest of its line", "2026-11-02 10:00:00: within 1h, newest of its line"},
		},
		{
			"a clock that is a little ahead is none that is wrong",
			[]cairn.DatedBackup{dated(now.Add(-time.Minute)), dated(now.Add(time.Minute))}, last,
			[]string{"2026-11-26 12:01:00: last 1 of 1, newest of its line"},
		},
		{
			"copied to another bucket in one hour, they are as old as they say",
			[]cairn.DatedBackup{
				change(days[0], func(b *cairn.DatedBackup) { b.Modified = now.Add(-40 * time.Second) }),
				change(days[1], func(b *cairn.DatedBackup) { b.Modified = now.Add(-50 * time.Second) }),
				change(days[2], func(b *cairn.DatedBackup) { b.Modified = now.Add(-60 * time.Second) }),
				change(days[3], func(b *cairn.DatedBackup) { b.Modified = now.Add(-70 * time.Second) }),
			},
			cairn.Retention{Daily: 2},
			[]string{
				"2026-11-01 10:00:00: daily 1 of 2", // by the clock of the bucket it is the newest
				"2026-11-03 10:00:00: daily 2 of 2 by the clock of its device",
				"2026-11-04 10:00:00: oldest daily 2 of 2, newest of its line",
			},
		},
		{
			"with the clock of the device at the beginning of time, that of the bucket says it",
			[]cairn.DatedBackup{
				change(days[1], func(b *cairn.DatedBackup) { b.Created = time.Unix(0, 0) }),
				change(days[2], func(b *cairn.DatedBackup) { b.Created = time.Unix(9, 0) }), days[0], days[3],
			},
			cairn.Retention{Last: 2},
			[]string{
				"2026-11-04 10:00:00: last 1 of 2, newest of its line",
				"2026-11-03 10:00:00: last 2 of 2",
				"2026-11-01 10:00:00: last 2 of 2 by the clock of its device",
			},
		},
		{
			"with the clock of the device in the future, that of the bucket says it",
			[]cairn.DatedBackup{days[0], days[1], change(days[2], func(b *cairn.DatedBackup) { b.Created = now.AddDate(9, 0, 0) }), days[3]}, last,
			[]string{"2026-11-04 10:00:00: last 1 of 1, newest of its line"},
		},
	} {
		if diff := cmp.Diff(test.want, keptOf(cloud.Keep(test.policy, test.backups, now, time.UTC))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestKeepInZone holds that a day is one of the zone.
func TestKeepInZone(t *testing.T) {
	nights := every("2026-11-10 20:00", 3, 0, 0, 0, 3*time.Hour)
	for _, test := range []struct {
		zone *time.Location
		want []string
	}{
		{time.UTC, []string{"2026-11-11 02:00:00: daily 1 of 2, newest of its line", "2026-11-10 23:00:00: daily 2 of 2"}},
		{time.FixedZone("east", 5*3600), []string{"2026-11-11 02:00:00: daily 1 of 2, newest of its line", "2026-11-10 20:00:00: oldest daily 2 of 2"}},
	} {
		if diff := cmp.Diff(test.want, keptOf(cloud.Keep(cairn.Retention{Daily: 2}, nights, now, test.zone))); diff != "" {
			t.Errorf("in %s (-want +got):\n%s", test.zone, diff)
		}
	}
}

// anyBackups draws backups of two installations and three lines, with clocks that
// may be wrong.
func anyBackups(t *rapid.T) (all []cairn.DatedBackup) {
	n := rapid.IntRange(1, 30).Draw(t, "backups")
	for i := range n {
		hours := time.Duration(rapid.IntRange(0, 1000*rapid.SampledFrom([]int{1, 50}).Draw(t, "spread")).Draw(t, "age"))
		b := dated(now.Add(-hours * time.Hour))
		b.ID += fmt.Sprint("#", i)
		b.Installation = rapid.SampledFrom([]string{"one", "two"}).Draw(t, "installation")
		b.Line = b.Installation + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "line")
		b.Revision = int64(rapid.IntRange(0, 9).Draw(t, "revision"))
		b.Created = b.Created.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, -1, -5000, 5000}).Draw(t, "skew")) * time.Hour)
		all = append(all, b)
	}
	return all
}

// anyPolicy draws one with a rule at least.
func anyPolicy(t *rapid.T) (policy cairn.Retention) {
	for name, n := range policy.Counts() {
		*n = rapid.SampledFrom([]int{0, 0, 1, 2, 5, cairn.Unlimited}).Draw(t, name)
	}
	for name, span := range policy.Spans() {
		span.Days = rapid.SampledFrom([]int{0, 0, 0, 1, 30, 400}).Draw(t, name)
	}
	if policy.IsEmpty() {
		policy.Last = 1
	}
	return policy
}

// TestKeepProperties holds what must be so of any policy and any backups.
func TestKeepProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backups, policy := anyBackups(t), anyPolicy(t)
		kept, newest := map[string]bool{}, map[string]cairn.DatedBackup{}
		decisions := cloud.Keep(policy, backups, now, time.UTC)
		for i, d := range decisions {
			kept[d.ID] = d.Keep
			if d.Keep != (len(d.Reasons) > 0) || i > 0 && d.Modified.After(decisions[i-1].Modified) {
				t.Fatalf("%+v is out of order, or without reason", d)
			}
			if b, ok := newest[d.Line]; !ok || d.Revision > b.Revision {
				newest[d.Line] = d.DatedBackup
			}
			if first := decisions[0]; !first.Keep {
				t.Fatalf("the newest of all goes: %+v", first)
			}
		}
		if len(kept) != len(backups) {
			t.Fatalf("%d decisions on %d backups", len(kept), len(backups))
		}
		for line, b := range newest {
			if !kept[b.ID] {
				t.Fatalf("%s goes, the newest of line %s", b.ID, line)
			}
		}
		for _, d := range cloud.Keep(more(t, policy), backups, now, time.UTC) {
			if kept[d.ID] && !d.Keep {
				t.Fatalf("a policy that keeps more than %s does not keep %s", policy, d.ID)
			}
		}
	})
}

// more draws a policy that keeps no less.
func more(t *rapid.T, policy cairn.Retention) cairn.Retention {
	for name, n := range policy.Counts() {
		switch add := rapid.IntRange(-1, 3).Draw(t, "more "+name); {
		case add < 0:
			*n = cairn.Unlimited
		case *n != cairn.Unlimited:
			*n += add
		}
	}
	for name, span := range policy.Spans() {
		span.Days += rapid.SampledFrom([]int{0, 1, 50}).Draw(t, "more "+name)
	}
	return policy
}

// TestKeepModel compares rules that count with what they say in words.
func TestKeepModel(t *testing.T) {
	layouts := map[string]string{"hourly": "2006-01-02 15", "daily": "2006-01-02", "monthly": "2006-01", "yearly": "2006"}
	rapid.Check(t, func(t *rapid.T) {
		var policy cairn.Retention
		unit := rapid.SampledFrom(slices.Sorted(maps.Keys(layouts))).Draw(t, "unit")
		count := rapid.IntRange(1, 9).Draw(t, "count")
		for name, n := range policy.Counts() {
			if name == unit {
				*n = count
			}
		}
		var backups []cairn.DatedBackup
		for range rapid.IntRange(1, 30).Draw(t, "backups") {
			b := dated(now.Add(-time.Duration(rapid.IntRange(0, 3000).Draw(t, "age")) * time.Hour))
			b.ID += fmt.Sprint("#", len(backups))
			backups = append(backups, b)
		}
		decisions := cloud.Keep(policy, backups, now, time.UTC)
		var periods []string
		for i, d := range decisions {
			period := d.Modified.Format(layouts[unit])
			first := !slices.Contains(periods, period)
			want := len(periods) < count && (first || i == len(decisions)-1) || i == 0
			if first {
				periods = append(periods, period)
			}
			if d.Keep != want {
				t.Fatalf("%s %d: %s stays: %t, want %t; %q", unit, count, d.ID, d.Keep, want, d.Reasons)
			}
		}
	})
}
