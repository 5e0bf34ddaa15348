package main

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/api"
)

// screen returns what a terminal shows of text that goes back to the beginning of
// lines: each version of each line.
func screen(text string) []string {
	var shown []string
	for line := range strings.SplitAfterSeq(text, "\n") {
		for version := range strings.SplitSeq(line, "\r") {
			if version = strings.TrimSpace(version); version != "" {
				shown = append(shown, version)
			}
		}
	}
	return shown
}

// TestBar draws a bar for a job that waits, runs, and ends in each way.
func TestBar(t *testing.T) {
	for end, full := range map[cairn.JobStatus]bool{cairn.JobCompleted: true, cairn.JobFailed: false, cairn.JobCanceled: false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			v := view{out: &out, word: "creating", bar: true}
			tick := func(p api.Progress) {
				v.update(p)
				time.Sleep(time.Second)
				v.tick()
			}
			tick(at(cairn.JobInitialized, 0))
			tick(at(cairn.JobInitialized, 0))
			unknown := at(cairn.JobInProgress, 0)
			unknown.TotalBytes = 0
			tick(unknown)
			if out.String() != "creating ours: waiting for the work before it\n" {
				t.Errorf("while it waits it says %q", out.String())
			}
			out.Reset()
			for i := range 11 {
				p := at(cairn.JobInProgress, i*10)
				p.Percentage = min(p.Percentage, 99) // what is done is not complete
				tick(p)
			}
			v.note("a word")
			v.update(at(end, 100))
			v.end()
			shown := screen(out.String())
			bar := regexp.MustCompile(`^creating +(\d+)% \|█* *\| \( ?[\d.]+(?: k?B)?/1\.0 kB(?:, (?:100|\d\d) B/s)?\)(?: \[\d+s:\d+s\])?$`)
			last, lines := -1, 0
			for i, line := range shown {
				if line == "a word" {
					continue
				}
				m := bar.FindStringSubmatch(line)
				if m == nil {
					t.Fatalf("it draws %q", line)
				}
				percentage, err := strconv.Atoi(m[1])
				if err != nil || percentage < last || percentage == 100 && i != len(shown)-1 {
					t.Errorf("after %d %%, in version %d of %d, it draws %q", last, i, len(shown), line)
				}
				last, lines = percentage, lines+1
			}
			if lines < 11 || (last == 100) != full || !strings.HasSuffix(out.String(), "\n") {
				t.Errorf("%s ends with %d %% after %d drawings:\n%s", end, last, lines, strings.Join(shown, "\n"))
			}
			if !strings.Contains(out.String(), ", 60 B/s) [5s:10s]") {
				t.Errorf("in the middle it does not tell the rate, and the time left:\n%s", strings.Join(shown, "\n"))
			}
		})
	}
}

// TestBarOfNothing draws none where it is never known how much there is to do.
func TestBarOfNothing(t *testing.T) {
	var out bytes.Buffer
	v := view{out: &out, word: "creating", bar: true}
	for _, status := range []cairn.JobStatus{cairn.JobInProgress, cairn.JobCompleted} {
		v.update(api.Progress{Status: status})
	}
	v.note("a word")
	v.end()
	if out.String() != "a word\n" {
		t.Errorf("it draws %q", out.String())
	}
}
