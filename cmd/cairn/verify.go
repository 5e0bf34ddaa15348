package main

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
)

func verifyCommand() *cobra.Command {
	var readData *bool
	cmd := eventCommand("verify ID", "look whether all that a backup consists of is there", takes("ID"), ofBackup(func(c call) error {
		v, err := (&looking{call: c, word: "verifying", what: c.args[0]}).follow(c.client.StreamVerify(c.ctx, c.args[0], *readData))
		if err != nil || c.json {
			return orDamage(v, err)
		}
		how := "; --read-data reads them as well"
		if *readData {
			how = ", and restore to what the backup says"
		}
		return reportOn(c, v, "verified "+printable(c.args[0]), how)
	}))
	readData = cmd.Flags().Bool("read-data", false, "read the data too, and restore it on trial")
	cmd.Long = `Looks at all that a backup consists of: its manifest and indexes are read, and its
parts must be there and as long as they should be. With --read-data they are read
too, and the backup is restored beside the database, compared with what it says,
and removed again, which takes as much of the disk as restoring it. The database
is not touched. Damage ends it with the exit code 5, and names the objects and what
to do.`
	return cmd
}

func checkCommand() *cobra.Command {
	var readData *bool
	var subset *string
	cmd := eventCommand("check", "look whether all that the backups consist of is there", takes(), func(c call) error {
		chosen := *subset
		switch {
		case *readData && chosen != "":
			return usageError{fmt.Errorf("--read-data reads everything, --read-data-subset a part")}
		case *readData:
			chosen = "100%"
		case chosen != "":
			if _, err := cairn.ParseSubset(chosen); err != nil {
				return usageError{fmt.Errorf("--read-data-subset %s: a percentage as in 5%%, or a turn as in 1/5", cairn.Quote(chosen))}
			}
		}
		v, err := (&looking{call: c, word: "checking", what: "the cloud"}).follow(c.client.StreamCheck(c.ctx, chosen))
		if err != nil || c.json {
			return orDamage(v, err)
		}
		how := "; --read-data-subset 5% reads a part of them as well"
		if chosen != "" {
			how = fmt.Sprintf("; %s of %s read", counted(v.ReadParts, "part"), bytesText(v.ReadBytes))
		}
		return reportOn(c, v, "checked "+counted(v.Backups, "backup"), how)
	})
	readData = cmd.Flags().Bool("read-data", false, "read all data too")
	subset = cmd.Flags().String("read-data-subset", "", "read a part of the data: `PART` is 5% for a random share, 1/5 for the first of five turns that read all")
	cmd.Long = `Looks at all backups in the cloud. Each object is looked at once, however many
backups share it: manifests and indexes are read, and parts must be there and as
long as they should be. Reading some of the data each week finds what a store has
lost unnoticed. Damage ends it with the exit code 5, and names the objects, the
backups that need them, and what to do; if all is well but that the store did not
give some objects, the exit code is 6.`
	return cmd
}

// looking shows how far a verification is.
type looking struct {
	call
	word, what string
}

// follow shows steps until the last, and returns its result.
func (l *looking) follow(steps iter.Seq2[api.Step[api.Verification], error]) (v api.Verification, err error) {
	shown := view{out: l.err, word: l.word, bar: onTerminal(l.err)}
	defer shown.end()
	ticked := time.Now() // so that what is short takes no lines
	for step, err := range steps {
		if err != nil {
			return v, err
		}
		if step.Result != nil {
			v = *step.Result
		}
		if l.json {
			if err := printJSON(l.out, step); err != nil {
				return v, err
			}
			continue
		}
		shown.update(progressOf(step, l.what))
		if time.Since(ticked) >= showEvery {
			shown.tick()
			ticked = time.Now()
		}
	}
	return v, nil
}

// progressOf returns a step as a view shows it.
func progressOf(step api.Step[api.Verification], what string) api.Progress {
	p := api.Progress{
		Status: cairn.JobInProgress, Backup: api.Backup{ID: what},
		Percentage: step.Percentage, DoneBytes: step.DoneBytes, TotalBytes: step.TotalBytes,
	}
	if step.Ended() {
		p.Status = cairn.JobCompleted
	}
	return p
}

// reportOn prints what was found. how goes on from "are there", if all is well.
func reportOn(c call, v api.Verification, what, how string) error {
	lines := []string{fmt.Sprintf("%s: %s of %s", what, counted(v.Objects, "object"), bytesText(v.Bytes))}
	if len(v.Damaged)+len(v.Unchecked) == 0 {
		lines[0] += " are there" + how
	}
	lines = append(lines, findings("damaged", v.Damaged, v.MoreDamaged)...)
	lines = append(lines, findings("unchecked", v.Unchecked, v.MoreUnchecked)...)
	for _, a := range v.Affected {
		lines = append(lines, fmt.Sprintf("%-13s%s  %s  %s  %s", "affected", printable(a.ID), localTime(a.Created), counted(a.Objects, "object"), printable(a.DeviceName)))
	}
	if v.Unreferenced > 0 {
		lines = append(lines, fmt.Sprintf("%-13s%s of %s that no backup needs; cairn cloud prune removes them in time", "unreferenced", counted(v.Unreferenced, "object"), bytesText(v.UnreferencedBytes)))
	}
	if v.Foreign > 0 {
		lines = append(lines, fmt.Sprintf("%-13s%s that cairn has not written", "foreign", counted(v.Foreign, "object")))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(c.out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return orDamage(v, nil)
}

// namedBackups is how many backups of a finding are named to a person.
const namedBackups = 5

// findings returns lines that name objects, what is wrong, and who needs them.
func findings(label string, list []api.Finding, more int64) (lines []string) {
	for _, f := range list {
		lines = append(lines, fmt.Sprintf("%-13s%s", label, phrase(f.Detail)))
		if len(f.Backups) == 0 {
			continue
		}
		named := f.Backups[:min(len(f.Backups), namedBackups)]
		text := printable(strings.Join(named, ", "))
		if others := int64(len(f.Backups)-len(named)) + f.MoreBackups; others > 0 {
			text += fmt.Sprintf(" and %d more", others)
		}
		lines = append(lines, fmt.Sprintf("%-13sneeded by %s", "", text))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("%-13s%s more", label, counted(more, "object")))
	}
	return lines
}

// orDamage returns err, or what was found as an error, of which the exit code tells.
func orDamage(v api.Verification, err error) error {
	switch {
	case err != nil:
		return err
	case len(v.Damaged) > 0:
		return &cairn.Error{
			Code:    cairn.CodeDamaged,
			Message: fmt.Sprintf("Damaged: %s, needed by %s.", counted(int64(len(v.Damaged))+v.MoreDamaged, "object"), counted(int64(len(v.Affected)), "backup")),
			Hint:    v.Damaged[0].Hint,
		}
	case len(v.Unchecked) > 0:
		return &cairn.Error{
			Code:    v.Unchecked[0].Code,
			Message: fmt.Sprintf("Not known: what %s is like, which could not be looked at.", counted(int64(len(v.Unchecked))+v.MoreUnchecked, "object")),
			Hint:    v.Unchecked[0].Hint,
		}
	}
	return nil
}
