package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
)

// progress returns what is in progress: creations, and restorations of "other".
func progress(creations, restorations []api.Progress) api.AllProgress {
	for i := range restorations {
		restorations[i].Backup.ID = "other"
	}
	return api.AllProgress{Backups: creations, Restorations: restorations}
}

// moments are what a daemon tells, a second each.
func moments() []api.AllProgress {
	one := func(p ...api.Progress) []api.Progress { return p }
	return []api.AllProgress{
		progress(nil, nil),
		progress(nil, nil),
		progress(one(at(cairn.JobInitialized, 0)), nil),
		progress(one(at(cairn.JobInProgress, 0)), one(at(cairn.JobInitialized, 0))),
		progress(one(at(cairn.JobInProgress, 20)), one(at(cairn.JobInitialized, 0))),
		progress(one(at(cairn.JobInProgress, 20)), one(at(cairn.JobInitialized, 0))), // the same again
		progress(one(at(cairn.JobCompleted, 100)), one(at(cairn.JobInProgress, 50))),
		progress(nil, one(ended(cairn.JobFailed, cairn.CodeDiskFull))),
		progress(one(at(cairn.JobCompleted, 100)), nil), // and nobody saw more of it
		progress(nil, nil),
	}
}

// TestJobLines prints a line for each change.
func TestJobLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := jobLines{out: &out, err: &out}
		for _, all := range moments() {
			if err := l.show(all); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		want := `nothing is in progress
creation     ours                                  INITIALIZED    0 %  0 B of 1.0 kB
creation     ours                                  IN-PROGRESS    0 %  0 B of 1.0 kB
restoration  other                                 INITIALIZED    0 %  0 B of 1.0 kB
creation     ours                                  IN-PROGRESS   20 %  200 B of 1.0 kB  200 B/s
creation     ours                                  COMPLETED    100 %  1.0 kB of 1.0 kB
restoration  other                                 IN-PROGRESS   50 %  500 B of 1.0 kB
restoration  other                                 FAILED        40 %  400 B of 1.0 kB  it has a reason
nothing is in progress
creation     ours                                  COMPLETED    100 %  1.0 kB of 1.0 kB
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if len(l.said) > 0 {
			t.Errorf("of jobs that have ended it remembers %v", l.said)
		}
	})
	broken := errors.New("no room")
	for _, all := range moments()[1:3] {
		l := jobLines{out: failing{broken}, err: failing{broken}}
		if err := l.show(all); !errors.Is(err, broken) {
			t.Errorf("when it cannot print, it returns %v", err)
		}
	}
}

// TestJobLinesTwice has two restorations of one backup in progress, since another
// one is between them.
func TestJobLinesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := jobLines{out: &out, err: &out}
		for _, restorations := range [][]api.Progress{
			{at(cairn.JobInProgress, 20), at(cairn.JobInitialized, 0)},
			{at(cairn.JobInProgress, 20), at(cairn.JobInitialized, 0)},
			{at(cairn.JobCompleted, 100), at(cairn.JobInProgress, 0)},
			{at(cairn.JobCompleted, 100)},
			{},
		} {
			if err := l.show(progress(nil, restorations)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			got = append(got, strings.Join(strings.Fields(line)[2:4], " "))
		}
		want := []string{"IN-PROGRESS 20", "INITIALIZED 0", "COMPLETED 100", "IN-PROGRESS 0", "COMPLETED 100", "in progress"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestJobTable draws the table in its place: what is on the screen at last is what
// has ended, and the newest table.
func TestJobTable(t *testing.T) {
	var crowd []api.Progress
	for i := range 14 {
		p := at(cairn.JobInitialized, 0)
		p.Backup.ID = fmt.Sprint("crowd", i)
		crowd = append(crowd, p)
	}
	synctest.Test(t, func(t *testing.T) {
		var s terminal
		table := jobTable{out: &s}
		ended := ""
		for i, all := range append(moments(), progress(crowd, nil), progress(crowd[:9], nil)) {
			if err := table.show(all); err != nil {
				t.Fatal(err)
			}
			now := map[int]string{
				0: "nothing is in progress\n",
				1: "nothing is in progress\n",
				2: "creation     ours                                  INITIALIZED    0 %  0 B of 1.0 kB\n",
				3: "creation     ours                                  IN-PROGRESS    0 %  0 B of 1.0 kB\nrestoration  other                                 INITIALIZED    0 %  0 B of 1.0 kB\n",
				4: "creation     ours                                  IN-PROGRESS   20 %  200 B of 1.0 kB  200 B/s\nrestoration  other                                 INITIALIZED    0 %  0 B of 1.0 kB\n",
				// Of the last five seconds, one was idle.
				5: "creation     ours                                  IN-PROGRESS   20 %  200 B of 1.0 kB  163 B/s\nrestoration  other                                 INITIALIZED    0 %  0 B of 1.0 kB\n",
				6: "restoration  other                                 IN-PROGRESS   50 %  500 B of 1.0 kB\n",
				7: "nothing is in progress\n",
				8: "nothing is in progress\n",
				9: "nothing is in progress\n",
			}[i]
			ended += map[int]string{
				6: "creation     ours                                  COMPLETED    100 %  1.0 kB of 1.0 kB\n",
				7: "restoration  other                                 FAILED        40 %  400 B of 1.0 kB  it has a reason\n",
				8: "creation     ours                                  COMPLETED    100 %  1.0 kB of 1.0 kB\n",
			}[i]
			if i >= 10 {
				for n := range 9 {
					now += fmt.Sprintf("creation     crowd%-31d  INITIALIZED    0 %%  0 B of 1.0 kB\n", n)
				}
			}
			if i == 10 {
				now += "and 5 more\n"
			}
			if diff := cmp.Diff(ended+now, s.text()); diff != "" {
				t.Errorf("after %d: (-want +got)\n%s", i, diff)
			}
			time.Sleep(time.Second)
		}
	})
}

// A terminal understands what the table needs of ECMA-48.
type terminal struct{ lines []string }

func (s *terminal) Write(b []byte) (int, error) {
	text := string(b)
	var up int
	if _, err := fmt.Sscanf(text, "\x1b[%dA\x1b[J", &up); err == nil {
		text = text[strings.Index(text, "J")+1:]
		s.lines = s.lines[:len(s.lines)-up]
	}
	text = strings.Replace(strings.Replace(text, "\x1b[?7l", "", 1), "\x1b[?7h", "", 1)
	if strings.Contains(text, "\x1b") || !strings.HasSuffix(text, "\n") {
		return 0, fmt.Errorf("%q is more than this terminal understands", text)
	}
	s.lines = append(s.lines, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
	return len(b), nil
}

func (s *terminal) text() string { return strings.Join(s.lines, "\n") + "\n" }

// TestRate is steady: what comes in bursts has the rate of their whole.
func TestRate(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	var r rate
	done := int64(0)
	for i := range 400 {
		r = r.after(i > 0, now, done)
		now = now.Add(time.Second / 4)
		if i%4 == 0 {
			done += 1000
		}
		if i > 100 && (r.perSecond < 850 || r.perSecond > 1200) {
			t.Fatalf("after %d bursts of 1000 bytes a second the rate is %.0f", i/4, r.perSecond)
		}
	}
	if again := r.after(true, r.at.Add(time.Millisecond), r.done+1000); again != r {
		t.Errorf("a moment makes %+v of %+v", again, r)
	}
}
