package schedule_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have none

	"cairn"
	"cairn/internal/schedule"
)

const layout = "2006-01-02 15:04:05 -0700"

func TestCronNext(t *testing.T) {
	for _, test := range []struct {
		name, zone, cron, after string
		want                    []string
	}{
		{"each night", "UTC", "0 3 * * *", "2026-11-26 18:00:00 +0000", []string{
			"2026-11-27 03:00:00 +0000", "2026-11-28 03:00:00 +0000",
		}},
		{"not the same time again", "UTC", "0 3 * * *", "2026-11-26 03:00:00 +0000", []string{"2026-11-27 03:00:00 +0000"}},
		{"within a minute", "UTC", "* * * * *", "2026-11-26 03:00:59 +0000", []string{"2026-11-26 03:01:00 +0000"}},
		{"names and steps", "UTC", "*/30 9-10 * jan MON-tue", "2026-12-31 23:59:00 +0000", []string{
			"2027-01-04 09:00:00 +0000", "2027-01-04 09:30:00 +0000", "2027-01-04 10:00:00 +0000",
			"2027-01-04 10:30:00 +0000", "2027-01-05 09:00:00 +0000",
		}},
		{"either day", "UTC", "0 0 13 * 5", "2026-11-10 00:00:00 +0000", []string{
			"2026-11-13 00:00:00 +0000", "2026-11-20 00:00:00 +0000", "2026-11-27 00:00:00 +0000",
			"2026-12-04 00:00:00 +0000", "2026-12-11 00:00:00 +0000", "2026-12-13 00:00:00 +0000",
		}},
		{"Sunday is 7 too", "UTC", "0 0 * * 7", "2026-11-26 00:00:00 +0000", []string{"2026-11-29 00:00:00 +0000"}},
		{"leap days", "UTC", "0 0 29 2 *", "2096-02-29 00:00:00 +0000", []string{"2104-02-29 00:00:00 +0000"}},
		{"a word", "UTC", "@Weekly", "2026-11-26 00:00:00 +0000", []string{"2026-11-29 00:00:00 +0000"}},
		{"a time that is left out", "Europe/Berlin", "30 2 * * *", "2026-03-28 12:00:00 +0100", []string{
			"2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200",
		}},
		{"many that are left out come once", "Europe/Berlin", "*/10 2 * * *", "2026-03-29 00:00:00 +0100", []string{
			"2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200",
		}},
		{"with one that is not", "Europe/Berlin", "0 2,3 * * *", "2026-03-29 00:00:00 +0100", []string{
			"2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200",
		}},
		{"a time that comes twice", "Europe/Berlin", "30 2 * * *", "2026-10-24 12:00:00 +0200", []string{
			"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100",
		}},
		{"seen from its second coming", "Europe/Berlin", "30 2 * * *", "2026-10-25 02:10:00 +0100", []string{"2026-10-26 02:30:00 +0100"}},
		{"behind what comes twice", "Europe/Berlin", "0 * * * *", "2026-10-25 01:30:00 +0200", []string{
			"2026-10-25 02:00:00 +0200", "2026-10-25 03:00:00 +0100",
		}},
		{"a midnight that is left out", "America/Sao_Paulo", "0 0 * * *", "2018-11-03 12:00:00 -0300", []string{
			"2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200",
		}},
		{"half an hour", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00:00 +1030", []string{
			"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100",
		}},
		{"half an hour twice", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00:00 +1100", []string{
			"2026-04-05 01:45:00 +1100", "2026-04-06 01:45:00 +1030",
		}},
		{"a day that is left out", "Pacific/Apia", "0 12 * * *", "2011-12-29 12:00:00 -1000", []string{
			"2011-12-31 00:00:00 +1400", "2011-12-31 12:00:00 +1400",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			zone, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			c, err := schedule.ParseCron(test.cron)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.ParseInLocation(layout, test.after, zone)
			if err != nil {
				t.Fatal(err)
			}
			at = at.In(zone)
			for _, want := range test.want {
				at = c.Next(at)
				if got := at.Format(layout); got != want {
					t.Fatalf("the next time is %s, want %s", got, want)
				}
			}
		})
	}
}

func TestParseCronRefuses(t *testing.T) {
	for _, test := range []struct{ text, why string }{
		{"", "empty"},
		{"0 3 * *", "expected"},
		{"0 0 3 * * *", "expected"},
		{"60 3 * * *", "above maximum"},
		{"0 3 * * mo", "parse"},
		{"0 0 30 2 *", "no such day"},
		{"@every 5m", "interval"},
		{"@reboot", "unrecognized"},
		{"TZ=Europe/Berlin 0 3 * * *", "zone"},
		{"0 3 L * *", "not understood"},
		{"0 3 * * fri#2", "not understood"},
	} {
		_, err := schedule.ParseCron(test.text)
		if cairn.CodeOf(err) != cairn.CodeInvalid || !strings.Contains(err.Error(), test.why) {
			t.Errorf("ParseCron(%q): %v, want that it says %q", test.text, err, test.why)
		}
	}
	c, err := schedule.ParseCron(" 0  3 * * SUN ")
	if err != nil || c.String() != "0 3 * * SUN" {
		t.Errorf("white space: %v, %v", c, err)
	}
}
