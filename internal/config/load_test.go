package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/config"
)

// environment returns a Getenv of variables, and of the file that is used.
func environment(file string, variables map[string]string) func(string) string {
	return func(name string) string {
		if name == config.FileVariable {
			return file
		}
		return variables[name]
	}
}

// write makes a file, and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPrecedence sets one key in all places, and takes them away one by one.
func TestPrecedence(t *testing.T) {
	path := write(t, "\n[backup]\nquiet = \"3s\"\n")
	flags := map[string]string{"backup.quiet": "1s"}
	variables := map[string]string{"CAIRN_BACKUP_QUIET": "2s"}
	for _, test := range []struct {
		file      string
		variables map[string]string
		flags     map[string]string
		want      time.Duration
		origin    string
	}{
		{path, variables, flags, time.Second, "--quiet"},
		{path, variables, map[string]string{"backup.quiet": ""}, 2 * time.Second, "CAIRN_BACKUP_QUIET"},
		{path, variables, map[string]string{"backup.quiet": "off"}, 0, "--quiet"},
		{path, map[string]string{"CAIRN_BACKUP_QUIET": ""}, nil, 3 * time.Second, path + ":3"},
		{path, map[string]string{"CAIRN_BACKUP_QUIET": "off"}, nil, 0, "CAIRN_BACKUP_QUIET"},
		{write(t, ""), nil, nil, 0, "default"},
	} {
		l, err := config.Load(config.Request{Flags: test.flags, Getenv: environment(test.file, test.variables)})
		if err != nil || l.Backup.Quiet != test.want || l.Origin("backup.quiet").String() != test.origin || l.File != test.file {
			t.Errorf("%+v: %v, from %s of %s, %v", test, l.Backup.Quiet, l.Origin("backup.quiet"), l.File, err)
		}
	}
}

// TestFile holds which file is read, and that one that was named must be there.
func TestFile(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.toml")
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} { // on one system or another
		t.Setenv(name, home)
	}
	for _, r := range []config.Request{{File: none}, {Getenv: environment(none, nil)}} {
		_, err := config.Load(r)
		e, _ := errors.AsType[*cairn.Error](err)
		if cairn.CodeOf(err) != cairn.CodeInvalid || e.Message != "There is no configuration file "+none+"." {
			t.Errorf("a file that is not there: %v", err)
		}
	}
	usual, named, err := config.Path("", environment("", nil))
	if err != nil || named {
		t.Fatalf("the usual file is %s, named %t, %v", usual, named, err)
	}
	l, err := config.Load(config.Request{Getenv: environment("", nil)})
	if err != nil || l.File != "" {
		t.Errorf("without a file: %q, %v", l.File, err)
	}
	if diff := cmp.Diff(config.Config{Backup: config.Backup{AtMostEvery: time.Hour}}, l.Config); diff != "" {
		t.Errorf("the defaults (-want +got):\n%s", diff)
	}
	if err := os.MkdirAll(filepath.Dir(usual), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(usual, []byte("data = \"own\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = config.Load(config.Request{Getenv: environment("", nil)}); err != nil || l.File != usual || l.Data != filepath.Join(filepath.Dir(usual), "own") {
		t.Errorf("the usual file: %q says %q, %v", l.File, l.Data, err)
	}
	first, second := write(t, "data = \"first\""), write(t, "data = \"second\"")
	if l, err = config.Load(config.Request{File: first, Getenv: environment(second, nil)}); err != nil || filepath.Base(l.Data) != "first" {
		t.Errorf("the flag and the variable: %q, %v", l.Data, err)
	}
	if l, err = config.Load(config.Request{File: t.TempDir()}); err == nil {
		t.Errorf("a folder is read as %+v", l)
	}
}

// TestPaths holds what paths of the file mean.
func TestPaths(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "USERPROFILE"} {
		t.Setenv(name, home)
	}
	path := write(t, "")
	for given, want := range map[string]string{
		"here":                  filepath.Join(filepath.Dir(path), "here"),
		"../beside":             filepath.Join(filepath.Dir(filepath.Dir(path)), "beside"),
		"~/mine":                filepath.Join(home, "mine"),
		home:                    home,
		"s3://bucket/prefix":    "s3://bucket/prefix",
		"file:///bucket/prefix": "file:///bucket/prefix",
		"":                      "",
	} {
		l, err := config.Parse(path, []byte("cloud = '"+given+"'\n"))
		if err != nil || l.Cloud != want {
			t.Errorf("%q is %q, want %q, %v", given, l.Cloud, want, err)
		}
	}
}

// TestSocketPath holds that the path of a socket is one of the file's, and that other
// addresses are left as they are.
func TestSocketPath(t *testing.T) {
	path := write(t, "")
	for given, want := range map[string]string{
		"unix:here.sock":     "unix:" + filepath.Join(filepath.Dir(path), "here.sock"),
		"unix:/run/a.sock":   "unix:/run/a.sock",
		"localhost:0":        "localhost:0",
		"unix.example.com:0": "unix.example.com:0",
	} {
		l, err := config.Parse(path, []byte("listen = '"+given+"'\n"))
		if err != nil || l.Listen != want {
			t.Errorf("%q is %q, want %q, %v", given, l.Listen, want, err)
		}
	}
}

// TestLists holds how a list is given as a flag, and that it takes the place of that
// of the file.
func TestLists(t *testing.T) {
	path := write(t, "allow_hosts = [\"file\"]\n")
	for given, want := range map[string][]string{
		"":                 {"file"},
		"off":              nil,
		"one":              {"one"},
		" One, 10.0.0.1 ,": {"one", "10.0.0.1"},
	} {
		l, err := config.Load(config.Request{File: path, Flags: map[string]string{"allow_hosts": given}, Getenv: environment("", nil)})
		if diff := cmp.Diff(want, l.AllowHosts); err != nil || diff != "" {
			t.Errorf("%q (-want +got):\n%s, %v", given, diff, err)
		}
	}
}

// TestChecks holds that a check sees what is in force, once, where it comes from.
func TestChecks(t *testing.T) {
	path := write(t, "listen = \"file\"\ncloud = \"x\"\n[backup]\nquiet = \"wrong\"\n")
	var seen []string
	check := func(c config.Config) error {
		seen = append(seen, c.Listen+" "+c.Backup.Schedule)
		return errors.New("it is no good")
	}
	_, err := config.Load(config.Request{
		File: path, Flags: map[string]string{"listen": "flag"}, Getenv: environment("", map[string]string{"CAIRN_BACKUP_SCHEDULE": "@never"}),
		Checks: map[string]func(config.Config) error{"listen": check, "backup.schedule": check, "backup.quiet": check, "data": check},
	})
	want := "--listen: it is no good\nCAIRN_BACKUP_SCHEDULE: it is no good\n" + path + `:4: backup.quiet: "wrong" is no duration: it looks like 30s, 5m or 1h30m, or is off`
	problems, _ := errors.AsType[config.Problems](err)
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("the problems (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"flag @never", "flag @never"}, seen); diff != "" {
		t.Errorf("what the checks saw (-want +got):\n%s", diff)
	}
}

// TestRelativeXDG holds that a relative XDG_CONFIG_HOME counts as none.
func TestRelativeXDG(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return // which do not know it
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "relative")
	got, named, err := config.Path("", environment("", nil))
	if want := filepath.Join(home, ".config", "cairn", "config.toml"); got != want || named || err != nil {
		t.Errorf("the file is %s, %t, %v, want %s", got, named, err, want)
	}
}
