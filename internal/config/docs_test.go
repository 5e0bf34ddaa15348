package config_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"cairn/internal/config"
)

// manual returns docs/configuration.md.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestManual holds that the manual has a row for each key, with what the key itself
// says of it.
func TestManual(t *testing.T) {
	text := manual(t)
	for _, k := range config.Keys() {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", k.Name, k.About, k.Unset)
		if !strings.Contains(text, row) {
			t.Errorf("docs/configuration.md lacks the row\n%s", row)
		}
		row = fmt.Sprintf("| `%s` | `--%s` | `%s` |\n", k.Name, k.Flag, k.Variable())
		if !strings.Contains(text, row) {
			t.Errorf("docs/configuration.md lacks the row\n%s", row)
		}
	}
}

// TestManualExample holds that the example of the manual can be used, and sets each
// key, if only in a comment.
func TestManualExample(t *testing.T) {
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(manual(t))
	if block == nil {
		t.Fatal("docs/configuration.md has no example")
	}
	example := block[1]
	l := parsed(t, example)
	if !l.Backup.IsAutomatic() || l.Retention.Keep.IsEmpty() || !l.Retention.Prune {
		t.Errorf("the example has no use of its tables: %+v", l.Config)
	}
	all := regexp.MustCompile(`(?m)^#([a-z_]+ = )`).ReplaceAllString(example, "$1")
	l = parsed(t, all)
	for _, k := range config.Keys() {
		if l.Origin(k.Name).Kind != config.File {
			t.Errorf("the example does not tell of %s", k.Name)
		}
	}
}

// TestExamples holds that what a problem gives as an example is none.
func TestExamples(t *testing.T) {
	for _, k := range config.Keys() {
		table, key, ok := strings.Cut(k.Name, ".")
		text := fmt.Sprintf("[%s]\n%s = %q\n", table, key, k.Example)
		if !ok {
			text = fmt.Sprintf("%s = %q\n", k.Name, k.Example)
		}
		if l := parsed(t, text); k.Text(&l.Config) == "" {
			t.Errorf("%s is not set by\n%s", k.Name, text)
		}
	}
}

// FuzzParse holds that any text is read or refused: a problem is of the file, and
// names a key and a line of it, or none when it is no TOML.
func FuzzParse(f *testing.F) {
	seeds := []string{everything, "", "data = 5", "[backup]\nquiet = \"1h\"\nquiet = \"2h\"", "retention.keep_last = -1", "backup = {quiet = \"3s\"}",
		"backup = 3\nretention.prune = true", "[[backup]]\nquiet = \"3s\"", "[backup.quiet]\nx = 1", "\ufeffdata = \"x\"\r\n", "\"\" = 1", "a.b.c = [1, 2]\n",
		"allow_origins = [\"HTTP://[::1]:80\", \"app://x\"]\nallow_hosts = \"a, [::1]\"\nlisten = \"unix:x\""}
	for _, seed := range seeds {
		f.Add(seed)
	}
	if len(seeds) == 0 {
		f.Fatal("there are no seeds")
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := config.Parse(file, []byte(text))
		problems, _ := errors.AsType[config.Problems](err)
		if (err == nil) != (len(problems) == 0) {
			t.Fatalf("the error %v has the problems %q", err, problems)
		}
		for _, p := range problems {
			lines := strings.Count(text, "\n") + 1
			if p.Origin.Kind != config.File || p.What == "" || p.Origin.Line < 0 || p.Origin.Line > lines || p.Key != "" && p.Origin.Line == 0 {
				t.Errorf("of a file of %d lines it says %+v", lines, p)
			}
		}
		if err == nil && l.Retention.Keep.Validate() != nil {
			t.Errorf("%q is taken, and its rules are not valid: %+v", text, l.Retention)
		}
		for _, key := range config.Keys() {
			if value := key.Text(&l.Config); value != "" {
				_, err := config.Load(config.Request{Flags: map[string]string{key.Name: value}, Getenv: func(string) string { return "" }})
				if err != nil {
					t.Errorf("%s is %q in the file, and as a flag: %v", key.Name, value, err)
				}
			}
		}
	})
}
