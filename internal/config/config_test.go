package config_test

import (
	"errors"
	"path/filepath"
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
data = "data"
listen = "127.0.0.1:0"
cloud = "s3://bucket/prefix"
key = "key.txt"
allow_origins = ["https://Tools.example.com:443", "app://other"]
allow_hosts = ["box", "[FD00::0:1]"]
token_file = "token.txt"
tls_cert = "cert.pem"
tls_key = "/etc/key.pem"
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
		Data:         filepath.Join(filepath.Dir(file), "data"),
		Listen:       "127.0.0.1:0",
		Cloud:        "s3://bucket/prefix",
		Key:          filepath.Join(filepath.Dir(file), "key.txt"),
		AllowOrigins: []string{"https://tools.example.com", "app://other"},
		AllowHosts:   []string{"box", "fd00::1"},
		TokenFile:    filepath.Join(filepath.Dir(file), "token.txt"),
		TLSCert:      filepath.Join(filepath.Dir(file), "cert.pem"),
		TLSKey:       "/etc/key.pem",
		LogLevel:     -4,
		Backup:       config.Backup{Schedule: "0 3 * * *", Quiet: 30 * time.Second, AtMostEvery: 2 * time.Hour},
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

// TestWindows holds that a file as editors on Windows write it is read.
func TestWindows(t *testing.T) {
	if l := parsed(t, "\ufefflog_level = \"warn\"\r\n[backup]\r\nquiet = \"30s\"\r\n"); l.Backup.Quiet != 30*time.Second || l.Origin("backup.quiet").Line != 3 {
		t.Errorf("it is read as %+v, quiet from %s", l.Config, l.Origin("backup.quiet"))
	}
}

// TestProblems holds what is said of files that are wrong.
func TestProblems(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		// keys
		{`listn = "127.0.0.1:0"`, "1: listn: there is no such key; is listen meant?"},
		{"\n[retention]\nquiet = \"1s\"", "3: retention.quiet: there is no such key; is backup.quiet meant?"},
		{`schedule = "0 3 * * *"`, "1: schedule: there is no such key; is backup.schedule meant?"},
		{"[retetion]\nkeep_last = 1", "1: retetion: there is no such key; is retention meant?"},
		{"[retention]\nkeep_dayly = 1\n", "2: retention.keep_dayly: there is no such key; is retention.keep_daily meant?"},
		{"[backup]\n[backup.other]\nx = 1", "2: backup.other: there is no such key"},
		{"nothing_like_any_of_ours = 1", "1: nothing_like_any_of_ours: there is no such key"},
		{"retention.keep_last = 1\nretention.last = 2", "2: retention.last: there is no such key; is retention.keep_last meant?"},
		// types
		{"data = 5", `1: data: it must be text in quotes, such as "~/snippets"`},
		{"[backup]\nquiet = 30", `2: backup.quiet: it must be text in quotes, such as "30s"`},
		{"[retention]\nkeep_last = 1.5", `2: retention.keep_last: it must be a whole number, or "unlimited"`},
		{"[retention]\nkeep_last = true", `2: retention.keep_last: it must be a whole number, or "unlimited"`},
		{"[retention]\nprune = 24", `2: retention.prune: it must be true, false, or text in quotes, such as "24h"`},
		{"listen = [\"a\",\n\"b\"]", `1: listen: it must be text in quotes, such as "127.0.0.1:39300"`},
		{"listen.at = 1", `1: listen: it must be text in quotes, such as "127.0.0.1:39300"`},
		{"\nbackup = 5\n", "2: backup: it is a table, [backup], and not a value"},
		{"[[backup]]\nquiet = \"1s\"", "1: backup: it is a table, [backup], and not a value"},
		// values
		{`listen = "a\nb"`, `1: listen: "a\nb" has a control character, such as the end of a line`},
		{`key = "age-secret-key-1gfpyysjz"`, `1: key: it is a key itself: put that into a file that only you can read, and name the file here`},
		{`log_level = "INFO"`, `1: log_level: "INFO" is no level: it is debug, info, warn or error`},
		{"[backup]\nquiet = \"-1s\"", `2: backup.quiet: "-1s" is no duration: it looks like 30s, 5m or 1h30m, or is off`},
		{"[backup]\nquiet = \"25h\"", `2: backup.quiet: "25h" is longer than 24h, which is the most`},
		{"[backup]\n\nat_most_every = \"\"", `3: backup.at_most_every: "" is no duration: it looks like 30s, 5m or 1h30m, or is off`},
		{"[retention]\nkeep_last = -2", `2: retention.keep_last: "-2" is no count: it is a whole number up to 100000, or unlimited`},
		{"[retention]\nkeep_last = 100001", `2: retention.keep_last: "100001" is no count: it is a whole number up to 100000, or unlimited`},
		{"[retention]\nkeep_within = \"1w\"", `2: retention.keep_within: "1w" is no span of time: it looks like 2y5m7d3h, of years, months, days and hours`},
		{"[retention]\nprune = \"never\"", `2: retention.prune: "never" is neither true, nor false, nor a duration of up to a year, such as 24h`},
		{"allow_origins = [1]", `1: allow_origins: it must be a list of texts in quotes, such as ["https://tools.example.com"]`},
		{"allow_origins = true", `1: allow_origins: it must be a list of texts in quotes, such as ["https://tools.example.com"]`},
		{`allow_origins = ["*"]`, `1: allow_origins: "*" would let any page that is open in a browser read and delete everything: name each origin`},
		{`allow_origins = "https://a.example, null"`, `1: allow_origins: "null" is the origin of any page that hides where it comes from, and would let all of them in: name each origin`},
		{`allow_origins = ["https://a.example/"]`, `1: allow_origins: "https://a.example/" is more than an origin: it ends behind the name and the port, without a slash`},
		{`allow_origins = ["https://a.example?"]`, `1: allow_origins: "https://a.example?" is more than an origin: it ends behind the name and the port, without a slash`},
		{`allow_origins = ["https://*.example"]`, `1: allow_origins: "*.example" stands for many names, and one of them can be made to lead any page here: name each`},
		{`allow_origins = ["a.example"]`, `1: allow_origins: "a.example" is no origin: it looks like https://tools.example.com or http://box:8080`},
		{`allow_origins = ["https://me@a.example"]`, `1: allow_origins: "https://me@a.example" is no origin: it looks like https://tools.example.com or http://box:8080`},
		{`allow_origins = ["file://"]`, `1: allow_origins: "file://" is no origin: it looks like https://tools.example.com or http://box:8080`},
		{`allow_origins = ["https://a.example:0"]`, `1: allow_origins: "https://a.example:0" has no port from 1 to 65535`},
		{`allow_origins = ["https://bücher.example"]`, `1: allow_origins: "bücher.example" is no name or address: it looks like box.example.com or 192.168.1.5`},
		{`allow_hosts = ["box", "*"]`, `1: allow_hosts: "*" stands for many names, and one of them can be made to lead any page here: name each`},
		{`allow_hosts = ["box:8080"]`, `1: allow_hosts: "box:8080" is no name or address: it has no port, which may be any`},
		{`allow_hosts = ["http://box"]`, `1: allow_hosts: "http://box" is more than a name: leave out what is before and behind it`},
		{`allow_hosts = ["box."]`, `1: allow_hosts: "box." is no name or address: it looks like box.example.com or 192.168.1.5`},
		// the form
		{"data = \"a\"\ndata = \"b\"", "2: key data is already defined"},
		{"\n\n[backup\n", "3: expected ']' to close table name"},
	} {
		test.want = file + ":" + test.want
		_, err := config.Parse(file, []byte(test.text))
		problems, _ := errors.AsType[config.Problems](err)
		if got := problems.Error(); got != test.want || cairn.CodeOf(err) != cairn.CodeInvalid {
			t.Errorf("Parse(%q) = %q, %q, want %q", test.text, cairn.CodeOf(err), got, test.want)
		}
	}
}
