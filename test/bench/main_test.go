package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestBench runs the whole of it on a few documents: every figure is there and
// none is zero, so that nobody finds it broken when it is needed.
func TestBench(t *testing.T) {
	out := runBench(t, "-docs", "300", "-single", "100ms", "-grown", "2000", "-rounds", "1")
	wantFigures(t, out,
		"single writes/s, 1 at a time", "single writes/s, 8 at a time", "POST /v1/documents, documents/s",
		"start to first health answer, ms", "GET /assets, MB/s stored", "GET /v1/documents, MB/s stored",
		"POST /backups/create, MB/s", "POST /backup/{backup}/restore, MB/s", "stored, MB",
		"documents", "first backup, MB/s", "nothing changed, ms", "100 changed, ms", "1 % changed, ms",
		"  goal: stored / (1.3 zstd + 4 KiB)")
	if _, err := exec.LookPath("restic"); err == nil || os.Getenv("CI") == "true" {
		wantFigures(t, out, "full backup, ms", "restore, ms", "  copying the database before that, ms")
	}
}

// TestLarge does the same with a backup that is not large.
func TestLarge(t *testing.T) {
	out := runBench(t, "-large", "10")
	wantFigures(t, out, "writing", "full backup", "restore", "  goal: MiB at the peak", "documents", "stored, MB")
	if got := strings.Count(out, " met\n"); got != 5 {
		t.Errorf("%d goals are met, want 5:\n%s", got, out)
	}
}

// runBench returns what the program prints.
func runBench(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", ".", "-tmp", t.TempDir()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), out)
	}
	return string(out)
}

// wantFigures wants a row for each name, with a figure that is not zero.
func wantFigures(t *testing.T, out string, names ...string) {
	t.Helper()
	for _, name := range names {
		row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` +([0-9.]+)`).FindStringSubmatch(out)
		if row == nil || strings.Trim(row[1], "0.") == "" {
			t.Errorf("no figure for %q:\n%s", name, out)
		}
	}
}

// TestVerdict holds which goals that are missed are an error.
func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		goal goal
		fail bool
	}{
		{goal{what: "within", got: 1.5, bound: 1.5, exact: true}, false},
		{goal{what: "above", got: 1.51, bound: 1.5, exact: true}, true},
		{goal{what: "above, on a busy machine", got: 1.51, bound: 1.5}, false},
		{goal{what: "enough", got: 3, least: true, bound: 3, exact: true}, false},
		{goal{what: "too little", got: 2.99, least: true, bound: 3, exact: true}, true},
	} {
		var b bench
		b.hold(test.goal)
		if err := b.verdict(); (err != nil) != test.fail {
			t.Errorf("the verdict of a figure that is %s is %v", test.goal.what, err)
		}
	}
}
