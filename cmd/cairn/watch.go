package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"time"

	"cairn"
	"cairn/api"
)

// backupWatch shows all that is in progress until it is interrupted, which is its
// ordinary end.
func backupWatch(c call) error {
	show := (&jobLines{out: c.out, err: c.err}).show
	switch {
	case c.json:
		show = func(all api.AllProgress) error { return printJSON(c.out, all) }
	case onTerminal(c.out) && runtime.GOOS != "windows":
		show = (&jobTable{out: c.out}).show
	}
	for all, err := range c.client.StreamProgress(c.ctx) {
		if c.ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = show(all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const idle = "nothing is in progress"

// jobLines shows jobs as lines, one for each change that a person sees.
type jobLines struct {
	out, err io.Writer
	rates    rates
	said     map[string]string // of each job in progress
	idle     bool              // it was said
}

func (l *jobLines) show(all api.AllProgress) error {
	said := map[string]string{}
	for _, j := range l.rates.of(all) {
		change := fmt.Sprint(j.Status, j.Percentage)
		if !j.Status.Ended() {
			said[j.key()] = change
		}
		if l.said[j.key()] == change {
			continue
		}
		if _, err := fmt.Fprintln(l.out, j); err != nil {
			return err
		}
	}
	l.said = said
	if len(said) == 0 && !l.idle {
		if _, err := fmt.Fprintln(l.err, idle); err != nil {
			return err
		}
	}
	l.idle = len(said) == 0
	return nil
}

// jobTable shows jobs on a terminal that understands ECMA-48, in a table that it
// draws anew in its place. Above it remains what has ended.
type jobTable struct {
	out   io.Writer
	rates rates
	drawn int // lines
}

// tableRows is how many lines a table has at most, so that each is on the screen.
const tableRows = 10

func (t *jobTable) show(all api.AllProgress) error {
	var ended, rows []string
	for _, j := range t.rates.of(all) {
		if j.Status.Ended() {
			ended = append(ended, j.String())
		} else {
			rows = append(rows, j.String())
		}
	}
	switch n := len(rows); {
	case n == 0:
		rows = []string{idle}
	case n > tableRows:
		rows = append(rows[:tableRows-1], fmt.Sprintf("and %d more", n-tableRows+1))
	}
	var text strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA\x1b[J", t.drawn) // up, and clear what is below
	}
	for _, line := range ended {
		text.WriteString(line + "\n")
	}
	text.WriteString("\x1b[?7l") // a line that is too long is cut, and takes one line
	for _, line := range rows {
		text.WriteString(line + "\n")
	}
	text.WriteString("\x1b[?7h")
	t.drawn = len(rows)
	_, err := io.WriteString(t.out, text.String())
	return err
}

// A shownJob is a job as a person sees it.
type shownJob struct {
	kind cairn.JobKind
	api.Progress
	nth  int     // how many others before it do the same
	rate float64 // bytes a second; 0 where it is not known, and when it has ended
}

// key tells jobs apart that are in progress at the same time: a restoration of a
// backup can wait behind one of another backup that waits behind one of the first.
func (j shownJob) key() string { return fmt.Sprint(j.kind, " ", j.Backup.ID, " ", j.nth) }

// String returns the line of a job.
func (j shownJob) String() string {
	text := fmt.Sprintf("%-11s  %-36s  %-11s  %3d %%", j.kind, printable(j.Backup.ID), printable(string(j.Status)), j.Percentage)
	if j.TotalBytes > 0 {
		text += fmt.Sprintf("  %s of %s", bytesText(j.DoneBytes), bytesText(j.TotalBytes))
	}
	if j.rate > 0 {
		text += fmt.Sprintf("  %s/s", bytesText(int64(j.rate)))
	}
	if j.Problem != nil {
		text += "  " + phrase(j.Problem.Detail)
	}
	return text
}

// rates are how fast the jobs in progress are, by their keys.
type rates map[string]rate

type rate struct {
	at        time.Time
	done      int64
	perSecond float64
}

// of returns the jobs to show, creations first.
func (r *rates) of(all api.AllProgress) []shownJob {
	var jobs []shownJob
	for _, p := range all.Backups {
		jobs = append(jobs, shownJob{kind: cairn.Creation, Progress: p})
	}
	for _, p := range all.Restorations {
		jobs = append(jobs, shownJob{kind: cairn.Restoration, Progress: p})
	}
	now, next := time.Now(), rates{}
	same := map[string]int{}
	for i, j := range jobs {
		name := j.key()
		j.nth = same[name]
		jobs[i].nth = j.nth
		same[name]++
		if j.Status != cairn.JobInProgress {
			continue
		}
		old, known := (*r)[j.key()]
		next[j.key()] = old.after(known, now, j.DoneBytes)
		jobs[i].rate = next[j.key()].perSecond
	}
	*r = next
	return jobs
}

// steady is over how long a rate is counted: newer moments count more.
const steady = 5 * time.Second

// after returns the rate when so many bytes are done.
func (r rate) after(known bool, now time.Time, done int64) rate {
	took := now.Sub(r.at)
	switch {
	case !known:
		return rate{at: now, done: done}
	case took < 100*time.Millisecond:
		return r // too short to say
	}
	newest := float64(done-r.done) / took.Seconds()
	weight := 1 - math.Exp(-took.Seconds()/steady.Seconds())
	if r.perSecond == 0 {
		weight = 1
	}
	return rate{at: now, done: done, perSecond: r.perSecond + weight*(newest-r.perSecond)}
}
