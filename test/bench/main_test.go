package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"testing"
)

// TestBench runs the whole of it on a few documents: every figure is there and
// none is zero, so that nobody finds it broken when it is needed.
func TestBench(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", "-docs", "300", "-rounds", "1", "-tmp", t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, name := range []string{
		"single writes/s, 1 at a time", "single writes/s, 8 at a time", "POST /v1/documents, documents/s",
		"start to first health answer, ms", "GET /assets, MB/s stored", "GET /v1/documents, MB/s stored",
		"POST /backups/create, MB/s", "POST /backup/{backup}/restore, MB/s", "stored, MB",
	} {
		row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` +([0-9.]+)`).FindSubmatch(out)
		if row == nil || regexp.MustCompile(`^[0.]+$`).Match(row[1]) {
			t.Errorf("no figure for %q:\n%s", name, out)
		}
	}
}
