package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
)

func backupListDeleted(c call) error {
	list, err := c.client.DeletedBackups(c.ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, api.DeletedBackups{Backups: list})
	}
	for _, d := range list {
		if _, err := fmt.Fprintf(c.out, "%-36s  %s  %9s  %-6s  deleted %s, can come back until %s\n",
			printable(d.ID), localTime(d.Created.Value), bytesText(d.Bytes), printable(string(d.Scope)), localTime(d.Deleted.Value), localTime(d.Until.Value)); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		_, err = fmt.Fprintln(c.err, "there is no deleted backup that can come back")
	}
	return err
}

func backupUndelete(c call) error {
	b, err := c.client.UndeleteBackup(c.ctx, c.args[0])
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, b)
	}
	_, err = fmt.Fprintf(c.out, "%s is there again\n", printable(b.ID))
	return err
}

// adviseAfterDelete says, on standard error, for how long the deletion can be taken
// back.
func adviseAfterDelete(c call) error {
	list, err := c.client.DeletedBackups(c.ctx)
	if err != nil {
		return nil // it is deleted; that was the question
	}
	for _, d := range list {
		if d.ID == c.args[0] {
			_, err = fmt.Fprintf(c.err, "note: until %s, cairn backup undelete %s brings it back\n", localTime(d.Until.Value), printable(d.ID))
		}
	}
	return err
}

func cloudPruneCommand() *cobra.Command {
	dry := false
	cmd := eventCommand("prune", "remove from the cloud what no backup needs any more", takes(), func(c call) error { return cloudPrune(c, dry) })
	cmd.Long = `Removes from the cloud what no backup needs any more: what deleted backups consist
of, once they have been deleted for the grace time of the cloud (a day), and what
backups that were never finished have left. It removes nothing while a backup
cannot be read. Ctrl-C stops it; the rest goes the next time.`
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	return cmd
}

func cloudPrune(c call, dry bool) error {
	v := &pruneView{out: c.err, bar: onTerminal(c.err)}
	var last api.PruneProgress
	for p, err := range c.client.Prune(c.ctx, dry) {
		if err == nil && c.json {
			err = printJSON(c.out, p)
		}
		if err != nil {
			v.end()
			return err
		}
		if !c.json {
			v.update(p)
		}
		last = p
	}
	v.end()
	if c.json || last.Result == nil || *last.Result == (api.Pruned{DryRun: dry}) && last.Err() != nil {
		return last.Err() // it did not come so far as to know
	}
	if err := printPruned(c.out, *last.Result); err != nil {
		return err
	}
	return last.Err()
}

// printPruned says what prune has found and removed.
func printPruned(w io.Writer, r api.Pruned) error {
	verb, dead := "removed", r.Deleted
	trash := r.Emptied
	if r.DryRun {
		verb, dead, trash = "would be removed", r.Dead, r.Trash
	}
	if _, err := fmt.Fprintf(w, `needed            %s, by %s
young             %s, kept until the grace time is over
%-16s  %s, and %s of deletions
`, objectsText(r.Live), counted(r.Backups, "backup"), objectsText(r.Young), verb, objectsText(dead), counted(trash, "object")); err != nil {
		return err
	}
	if r.Foreign > 0 {
		if _, err := fmt.Fprintf(w, "foreign           %s, left alone by cairn\n", counted(r.Foreign, "object")); err != nil {
			return err
		}
	}
	return nil
}

func objectsText(c api.Count) string {
	return fmt.Sprintf("%s of %s", counted(c.Objects, "object"), bytesText(c.Bytes))
}

// A pruneView shows a person how far prune is: on a terminal as a bar, elsewhere as
// a line for each step.
type pruneView struct {
	out  io.Writer
	bar  bool
	step cairn.PruneStep
	pb   *progressbar.ProgressBar
}

// update shows the newest state.
func (v *pruneView) update(p api.PruneProgress) {
	if p.Status.Ended() || p.Done == 0 {
		return
	}
	if v.step != p.Step {
		v.end()
		v.step = p.Step
		if !v.bar {
			fmt.Fprintf(v.out, "%s\n", printable(string(p.Step)))
			return
		}
		v.pb = progressbar.NewOptions64(max(p.Total, -1),
			progressbar.OptionSetWriter(v.out),
			progressbar.OptionSetDescription(printable(string(p.Step))),
			progressbar.OptionShowCount(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(24))
	}
	if v.pb == nil {
		return
	}
	if p.Total > 0 && v.pb.GetMax64() != p.Total {
		v.pb.ChangeMax64(p.Total)
	}
	_ = v.pb.Set64(p.Done) // a bar that cannot be drawn stops nothing
}

// end leaves the line of the bar.
func (v *pruneView) end() {
	if v.pb != nil {
		_ = v.pb.Exit()
		fmt.Fprintln(v.out)
		v.pb = nil
	}
}
