package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
)

func backupCommand() *cobra.Command {
	create := eventCommand("create", "back the database up", takes(), backupCreate)
	create.Long = `Backs the database up and shows how far that is. Ctrl-C cancels it, and no backup
is made.`
	restore := eventCommand("restore ID", "replace the whole database by a backup", takes("ID"), ofBackup(backupRestore))
	restore.Long = `Replaces the whole database by a backup and shows how far that is. It is built
and checked beside the present one, which stays in use until then, and is kept:
cairn backup undo brings it back. Ctrl-C cancels it, and the documents stay as
they are.`
	cancel := clientCommand("cancel ID", "stop the creation or restoration of a backup that is in progress", takes("ID"), ofBackup(backupCancel))
	cancel.Long = `Stops the creation or the restoration of a backup, also for others who wait for
it, and returns when no backup will be made, or the documents stay as they are.`
	watch := eventCommand("watch", "show all that is in progress, until Ctrl-C", takes(), backupWatch)
	return groupCommand("backup", "make backups, list them, look into them, restore and delete them",
		create,
		backupListCommand(),
		clientCommand("show ID", "say what a backup holds", takes("ID"), ofBackup(backupShow)),
		backupDocumentsCommand(),
		backupCatCommand(),
		backupPickCommand(),
		restore,
		verifyCommand(),
		clientCommand("undo", "swap the database with the one that was there before the last restoration", takes(), backupUndo),
		clientCommand("delete ID", "take a backup out of the cloud", takes("ID"), ofBackup(backupDelete)),
		clientCommand("undelete ID", "bring a deleted backup back", takes("ID"), ofBackup(backupUndelete)),
		forgetCommand(),
		clientCommand("status ID", "say how far the creation and restoration of a backup are, or what became of them", takes("ID"), ofBackup(backupStatus)),
		cancel,
		watch)
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
	done, err := work{cairn.Creation, c.client.StreamCreate, c.client.CancelCreation}.do(c)
	if err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		c.ctx = context.WithoutCancel(c.ctx) // it was interrupted too late
	}
	if !c.json {
		if err := printCreated(c, done.Backup); err != nil {
			return err
		}
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
		if err := printBackup(c.out, b, ""); err != nil {
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
	begin := func(ctx context.Context) iter.Seq2[api.Progress, error] {
		return c.client.StreamRestore(ctx, c.args[0])
	}
	done, err := work{cairn.Restoration, begin, c.client.CancelRestoration}.do(c)
	if err != nil || c.json {
		return err
	}
	_, err = fmt.Fprintf(c.out, "restored %s; cairn backup undo brings back what was there before\n", printable(done.Backup.ID))
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
	if _, err := fmt.Fprintf(c.out, "deleted %s\n", printable(c.args[0])); err != nil {
		return err
	}
	return adviseAfterDelete(c)
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
		if st := all[kind]; st != nil {
			if err := printStatus(c, kind, *st); err != nil {
				return err
			}
		}
	}
	return nil
}

// printStatus says how far a job is, and why it failed or was cancelled.
func printStatus(c call, kind cairn.JobKind, st api.BackupStatus) error {
	text := fmt.Sprintf("%-11s  %s  %d %%", kind, st.Value, st.Percentage)
	j, err := findJob(c, kind, st.Value)
	if err != nil {
		return err
	}
	switch {
	case st.Value == cairn.JobInitialized:
		text += ", waiting for the work before it"
	case st.Value == cairn.JobInProgress && j.TotalBytes > 0:
		text += fmt.Sprintf(", %s of %s", bytesText(j.DoneBytes), bytesText(j.TotalBytes))
	}
	if j.Problem != nil {
		text += "\n             " + phrase(j.Problem.Detail)
		if j.Problem.Hint != "" {
			text += "\n             hint: " + phrase(j.Problem.Hint)
		}
	}
	_, err = fmt.Fprintln(c.out, text)
	return err
}

// findJob returns what the daemon knows of the newest job of the backup that has
// the status, if there is more to say than that.
func findJob(c call, kind cairn.JobKind, status cairn.JobStatus) (api.Job, error) {
	if status == cairn.JobCompleted {
		return api.Job{}, nil
	}
	jobs, err := c.client.Jobs(c.ctx)
	if err != nil {
		return api.Job{}, err
	}
	for _, j := range jobs { // of those that have ended the newest is the first
		if j.Kind == kind && j.Backup.ID == c.args[0] && j.Status == status {
			return j, nil
		}
	}
	return api.Job{}, nil // it has gone on meanwhile
}

// backupCancel stops what is in progress of a backup: its creation, or, since it
// must exist for that, its restoration.
func backupCancel(c call) error {
	id, outcome := c.args[0], "no backup was made"
	err := c.client.CancelCreation(c.ctx, id)
	if cairn.CodeOf(err) == cairn.CodeNotInProgress {
		outcome = "the documents are as they were"
		err = c.client.CancelRestoration(c.ctx, id)
	}
	switch {
	case cairn.CodeOf(err) == cairn.CodeNotInProgress:
		return &cairn.Error{
			Code:    cairn.CodeNotInProgress,
			Message: "Nothing of the backup " + cairn.Quote(id) + " is in progress.",
			Hint:    "cairn backup status ID says what became of it, cairn backup watch what is in progress.",
			Err:     err,
		}
	case err != nil:
		return err
	case c.json:
		return printJSON(c.out, struct{}{})
	}
	_, err = fmt.Fprintf(c.out, "cancelled %s; %s\n", printable(id), outcome)
	return err
}
