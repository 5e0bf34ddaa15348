package main

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"

	"cairn"
	"cairn/api"
)

// A view shows a person how far a job is: as a bar on a terminal, elsewhere as
// lines.
type view struct {
	out  io.Writer
	word string // what is done
	bar  bool   // on a terminal

	newest api.Progress
	last   int  // percentage that was shown, counted from 1
	told   bool // that the job waits
	pb     *progressbar.ProgressBar
	drawn  bool // pb is on the terminal
}

// update takes the newest state of the job. Where there is a bar, it moves.
func (v *view) update(p api.Progress) {
	v.newest = p
	v.draw()
}

// tick shows, from time to time, what there is to say. So a job that is done
// before the first tick takes no lines.
func (v *view) tick() {
	p := v.newest
	switch {
	case p.Status == cairn.JobInitialized:
		if !v.told {
			fmt.Fprintf(v.out, "%s %s: waiting for the work before it\n", v.word, printable(p.Backup.ID))
		}
		v.told = true
	case p.Status != cairn.JobInProgress:
	case v.bar:
		v.draw() // the time goes on
	case v.last != p.Percentage+1:
		v.last = p.Percentage + 1
		fmt.Fprintf(v.out, "%s %s: %d %%, %s of %s\n", v.word, printable(p.Backup.ID), p.Percentage, bytesText(p.DoneBytes), bytesText(p.TotalBytes))
	}
}

// draw draws the bar, once it is known how much there is to do. It is full when
// the job is complete, not before.
func (v *view) draw() {
	p := v.newest
	if !v.bar || p.Status == cairn.JobInitialized {
		return
	}
	if v.pb == nil {
		v.pb = progressbar.NewOptions64(max(p.TotalBytes, 1),
			progressbar.OptionSetWriter(v.out),
			progressbar.OptionSetDescription(v.word),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(24))
		v.pb.StartWithoutRender() // from now on time counts
	}
	if p.TotalBytes == 0 {
		return
	}
	v.drawn = true
	// A bar that cannot be drawn stops nothing.
	if v.pb.GetMax64() != p.TotalBytes {
		v.pb.ChangeMax64(p.TotalBytes)
	}
	if p.Status == cairn.JobCompleted {
		_ = v.pb.Finish()
		return
	}
	_ = v.pb.Set64(max(0, min(p.DoneBytes, p.TotalBytes-1)))
}

// note prints a line.
func (v *view) note(text string) {
	if v.drawn {
		_ = v.pb.Clear()
	}
	fmt.Fprintln(v.out, text)
}

// end leaves the line of the bar.
func (v *view) end() {
	if v.drawn {
		_ = v.pb.Exit()
		fmt.Fprintln(v.out)
	}
}
