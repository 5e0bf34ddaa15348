package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"cairn"
	"cairn/api"
)

// watched does work that takes long, and shows how far the daemon is: a bar on a
// terminal, lines elsewhere. backup is its id, or "" where it is not known yet.
func watched(c call, kind cairn.JobKind, backup string, work func() (api.Backup, error)) (api.Backup, error) {
	if c.json {
		return work()
	}
	w := watch{call: c, kind: kind, backup: backup, earlier: map[string]bool{}}
	if jobs, err := c.client.Jobs(c.ctx); err == nil {
		for _, j := range jobs {
			w.earlier[j.ID] = true
		}
	}
	ctx, stop := context.WithCancel(c.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.show(ctx)
	}()
	b, err := work()
	stop()
	<-ended
	switch {
	case err == nil || c.ctx.Err() == nil:
	case w.backup != "":
		fmt.Fprintf(c.err, "the daemon goes on with it; cairn backup status %s shows the outcome\n", printable(w.backup))
	default:
		fmt.Fprintln(c.err, "the daemon goes on with it; cairn backup list and cairn status show the outcome")
	}
	return b, err
}

// A watch follows the job of one request, which does not tell its id.
type watch struct {
	call    call
	kind    cairn.JobKind
	backup  string          // id, as far as it is known
	job     string          // id, as far as it is known
	earlier map[string]bool // ids of jobs that were there before the request
}

// showEvery is how often the daemon is asked how far it is.
const showEvery = 500 * time.Millisecond

// show shows the job until ctx ends.
func (w *watch) show(ctx context.Context) {
	word := "creating"
	if w.kind == cairn.Restoration {
		word = "restoring"
	}
	v := view{out: w.call.err, word: word, bar: onTerminal(w.call.err)}
	defer v.end()
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		jobs, err := w.call.client.Jobs(ctx)
		if err != nil {
			continue // who does the work says why
		}
		switch j, ok := w.find(jobs); {
		case !ok:
		case j.Status == cairn.JobInitialized:
			v.wait()
		default:
			v.show(j)
		}
	}
}

// find returns the job among those of the daemon, unless it has ended. A creation
// is the first that was not there before; a restoration that of the backup, which
// the daemon does once for all who ask for it.
func (w *watch) find(jobs []api.Job) (api.Job, bool) {
	for _, j := range jobs {
		switch {
		case j.Kind != w.kind || j.Status.Ended():
		case w.job != "" && j.ID != w.job:
		case w.kind == cairn.Restoration && j.Backup.ID != w.backup:
		case w.kind == cairn.Creation && w.earlier[j.ID]:
		default:
			w.job = j.ID
			if j.Backup.ID != "" {
				w.backup = j.Backup.ID
			}
			return j, true
		}
	}
	return api.Job{}, false
}

// A view shows progress to a person.
type view struct {
	out  io.Writer
	word string
	bar  bool // on a terminal
	last int  // percentage that was shown; counted from 1
	told bool // that the job waits
	pb   *progressbar.ProgressBar
}

func (v *view) wait() {
	if !v.told {
		fmt.Fprintf(v.out, "%s: waiting for the work before it\n", v.word)
	}
	v.told = true
}

func (v *view) show(j api.Job) {
	if v.bar {
		if v.pb == nil {
			v.pb = progressbar.NewOptions64(max(j.TotalBytes, 1),
				progressbar.OptionSetWriter(v.out),
				progressbar.OptionSetDescription(v.word),
				progressbar.OptionShowBytes(true),
				progressbar.OptionSetPredictTime(true),
				progressbar.OptionSetWidth(24))
		}
		v.pb.ChangeMax64(max(j.TotalBytes, j.DoneBytes, 1))
		_ = v.pb.Set64(j.DoneBytes) // a bar that cannot be drawn stops nothing
		return
	}
	if v.last == j.Percentage+1 {
		return
	}
	v.last = j.Percentage + 1
	fmt.Fprintf(v.out, "%s %s: %d %%, %s of %s\n", v.word, printable(j.Backup.ID), j.Percentage, bytesText(j.DoneBytes), bytesText(j.TotalBytes))
}

func (v *view) end() {
	if v.pb != nil {
		_ = v.pb.Exit()
		fmt.Fprintln(v.out)
	}
}
