package config_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/config"
)

// file is the path that the texts of tests are said to have.
const file = "/etc/cairn.toml"

// everything sets each key to what it is not by default.
const everything = `
data = "/data"
listen = "127.0.0.1:0"
cloud = "s3://bucket/prefix"
key = "/key.txt"
log_level = "debug"
[backup]
schedule = "0 3 * * *"
quiet = "30s"
at_most_every = "2h"
[retention]
keep_last = 1
keep_hourly = 2
keep_daily = 3
keep_weekly = 4
keep_monthly = 5
keep_yearly = "unlimited"
keep_within = "1y"
keep_within_hourly = "2m"
keep_within_daily = "3d"
keep_within_weekly = "4h"
keep_within_monthly = "1y2m3d4h"
keep_within_yearly = "5y"
prune = "24h"
`

func parsed(t *testing.T, text string) *config.Loaded {
	t.Helper()
	l, err := config.Parse(file, []byte(text))
	if err != nil {
		t.Fatalf("Parse = %v", err)
	}
	return l
}

func TestEverything(t *testing.T) {
	want := config.Config{
		Data:     "/data",
		Listen:   "127.0.0.1:0",
		Cloud:    "s3://bucket/prefix",
		Key:      "/key.txt",
		LogLevel: -4,
		Backup:   config.Backup{Schedule: "0 3 * * *", Quiet: 30 * time.Second, AtMostEvery: 2 * time.Hour},
		Retention: config.Retention{
			Keep: cairn.Retention{
				Last: 1, Hourly: 2, Daily: 3, Weekly: 4, Monthly: 5, Yearly: cairn.Unlimited,
				Within: cairn.Span{Years: 1}, WithinHourly: cairn.Span{Months: 2}, WithinDaily: cairn.Span{Days: 3},
				WithinWeekly: cairn.Span{Hours: 4}, WithinMonthly: cairn.Span{Years: 1, Months: 2, Days: 3, Hours: 4}, WithinYearly: cairn.Span{Years: 5},
			},
			Prune: true, PruneEvery: 24 * time.Hour,
		},
	}
	l := parsed(t, everything)
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Errorf("the configuration differs (-want +got):\n%s", diff)
	}
	for _, key := range config.Keys() {
		if o := l.Origin(key.Name); o.Kind != config.File || o.Line == 0 {
			t.Errorf("%s comes from %+v, want a line of the file: everything sets all keys", key.Name, o)
		}
	}
}

// TestProblems holds what is said of files that are wrong.
func TestProblems(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"listn = \"127.0.0.1:0\"", "/etc/cairn.toml:1: listn: there is no such key; is listen meant?"},
	} {
		_, err := config.Parse(file, []byte(test.text))
		problems, _ := errors.AsType[config.Problems](err)
		if got := problems.Error(); got != test.want || cairn.CodeOf(err) != cairn.CodeInvalid {
			t.Errorf("Parse(%q) = %q, %q, want %q", test.text, cairn.CodeOf(err), got, test.want)
		}
	}
}
