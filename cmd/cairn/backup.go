package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
)

func backupCommand() *cobra.Command {
	restore := clientCommand("restore ID", "replace the whole database by a backup", takes("ID"), ofBackup(backupRestore))
	restore.Long = `Replaces the whole database by a backup. It is built and checked beside the
present one, which stays in use until then, and is kept: cairn backup undo
brings it back.`
	return groupCommand("backup", "make backups, list, restore and delete them",
		clientCommand("create", "back the database up", takes(), backupCreate),
		clientCommand("list", "list the backups in the cloud, newest first", takes(), backupList),
		clientCommand("show ID", "say what a backup holds", takes("ID"), ofBackup(backupShow)),
		restore,
		clientCommand("undo", "swap the database with the one that was there before the last restoration", takes(), backupUndo),
		clientCommand("delete ID", "take a backup out of the cloud", takes("ID"), ofBackup(backupDelete)),
		clientCommand("status ID", "say what became of the creation and restoration of a backup", takes("ID"), ofBackup(backupStatus)))
}

// ofBackup keeps what no backup can be called from becoming part of a path.
func ofBackup(run func(call) error) func(call) error {
	return func(c call) error {
		if cairn.ValidateID(c.args[0]) == nil {
			return run(c)
		}
		return &cairn.Error{
			Code:    cairn.CodeBackupNotFound,
			Message: "There is no backup " + cairn.Quote(c.args[0]) + ".",
			Hint:    "cairn backup list shows those that are there.",
		}
	}
}

func backupCreate(c call) error {
	b, err := watched(c, cairn.Creation, "", func() (api.Backup, error) { return c.client.CreateBackup(c.ctx) })
	if err != nil {
		return err
	}
	if c.json {
		err = printJSON(c.out, b)
	} else {
		err = printCreated(c, b)
	}
	if err != nil {
		return err
	}
	return adviseAfterCreate(c)
}

// printCreated says that a backup is made, and what it holds as far as that can
// be asked.
func printCreated(c call, b api.Backup) error {
	holds := ""
	if d, err := c.client.BackupDetails(c.ctx, b.ID); err == nil {
		holds = fmt.Sprintf("%d documents, %s of JSON in ", d.Documents, bytesText(d.JSONBytes))
	}
	_, err := fmt.Fprintf(c.out, "created %s: %s%s\n", printable(b.ID), holds, bytesText(b.Bytes))
	return err
}

func backupList(c call) error {
	list, err := c.client.Backups(c.ctx)
	if err != nil {
		return err
	}
	if c.json {
		all := api.Backups{Iterable: list, Indices: map[string]int{}}
		for i, b := range list {
			all.Indices[b.ID] = i
		}
		return printJSON(c.out, all)
	}
	for _, b := range list {
		if _, err := fmt.Fprintf(c.out, "%-36s  %s  %9s  %-7s  %s\n",
			printable(b.ID), localTime(b.Created.Value), bytesText(b.Bytes), printable(b.Platform), printable(b.DeviceName)); err != nil {
			return err
		}
	}
	st, err := c.client.Status(c.ctx)
	if err != nil {
		return nil // the list is complete
	}
	if err := printUnreadable(c.err, st.Cloud); err != nil {
		return err
	}
	switch {
	case len(list) > 0:
	case len(st.Cloud.Unreadable) > 0:
		_, err = fmt.Fprintln(c.err, "there is no backup that can be read")
	default:
		_, err = fmt.Fprintln(c.err, "there are no backups yet; cairn backup create makes one")
	}
	return err
}

// localTime returns a time of the wire as a person reads it.
func localTime(value string) string {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return printable(value)
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func backupShow(c call) error {
	d, err := c.client.BackupDetails(c.ctx, c.args[0])
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, d)
	}
	_, err = fmt.Fprintf(c.out, `id         %s
created    %s
device     %s (%s)
scope      %s
documents  %d, %s
stored     %s
revision   %d
line       %s
digest     %s
`, printable(d.ID), localTime(d.Created.Value), printable(d.DeviceName), printable(d.Platform), printable(string(d.Scope)),
		d.Documents, bytesText(d.JSONBytes), bytesText(d.Bytes), d.Revision, printable(d.Line), printable(d.Digest))
	return err
}

func backupRestore(c call) error {
	b, err := watched(c, cairn.Restoration, c.args[0], func() (api.Backup, error) { return c.client.RestoreBackup(c.ctx, c.args[0]) })
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, b)
	}
	_, err = fmt.Fprintf(c.out, "restored %s; cairn backup undo brings back what was there before\n", printable(b.ID))
	return err
}

func backupUndo(c call) error {
	if err := c.client.UndoRestore(c.ctx); err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, struct{}{})
	}
	_, err := fmt.Fprintln(c.out, "the other database is in use again; cairn backup undo swaps them back")
	return err
}

func backupDelete(c call) error {
	if err := c.client.DeleteBackup(c.ctx, c.args[0]); err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, struct{}{})
	}
	_, err := fmt.Fprintf(c.out, "deleted %s\n", printable(c.args[0]))
	return err
}

// backupStatus tells of both kinds of work on a backup. Either may be unknown.
func backupStatus(c call) error {
	created, err := c.client.CreationStatus(c.ctx, c.args[0])
	unknown := cairn.CodeOf(err) == cairn.CodeJobNotFound
	if err != nil && !unknown {
		return err
	}
	restored, restoredErr := c.client.RestorationStatus(c.ctx, c.args[0])
	if restoredErr != nil && (unknown || cairn.CodeOf(restoredErr) != cairn.CodeJobNotFound) {
		return restoredErr
	}
	all := map[cairn.JobKind]*api.BackupStatus{}
	if !unknown {
		all[cairn.Creation] = &created
	}
	if restoredErr == nil {
		all[cairn.Restoration] = &restored
	}
	if c.json {
		return printJSON(c.out, all)
	}
	for _, kind := range []cairn.JobKind{cairn.Creation, cairn.Restoration} {
		st := all[kind]
		if st == nil {
			continue
		}
		if _, err := fmt.Fprintf(c.out, "%-11s  %s  %d %%\n", kind, st.Value, st.Percentage); err != nil {
			return err
		}
		if err := printReason(c, kind, *st); err != nil {
			return err
		}
	}
	return nil
}

// printReason says why a job failed or was cancelled, where the daemon knows.
func printReason(c call, kind cairn.JobKind, st api.BackupStatus) error {
	if st.Value != cairn.JobFailed && st.Value != cairn.JobCanceled {
		return nil
	}
	jobs, err := c.client.Jobs(c.ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs { // newest first
		if j.Kind != kind || j.Backup.ID != c.args[0] || j.Status != st.Value || j.Problem == nil {
			continue
		}
		_, err := fmt.Fprintf(c.out, "             %s\n", phrase(j.Problem.Detail))
		if err == nil && j.Problem.Hint != "" {
			_, err = fmt.Fprintf(c.out, "             hint: %s\n", phrase(j.Problem.Hint))
		}
		return err
	}
	return nil
}
