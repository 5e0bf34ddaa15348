package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
)

func backupListCommand() *cobra.Command {
	var assets, deleted bool
	cmd := clientCommand("list", "list the backups in the cloud, newest first", takes(), func(c call) error {
		switch {
		case assets:
			return backupListAssets(c)
		case deleted:
			return backupListDeleted(c)
		}
		return backupList(c)
	})
	cmd.Long = `Lists the backups of the whole database that are in the cloud, newest first, or
with --assets those of chosen assets. These cannot be restored as a whole, but
cairn backup pick puts back what they hold. With --deleted it lists those that
cairn backup undelete can bring back.`
	cmd.Flags().BoolVar(&assets, "assets", false, "list the backups of chosen assets instead")
	cmd.Flags().BoolVar(&deleted, "deleted", false, "list the deleted ones that cairn backup undelete brings back instead")
	cmd.MarkFlagsMutuallyExclusive("assets", "deleted")
	return cmd
}

func backupDocumentsCommand() *cobra.Command {
	var f cairn.DocumentFilter
	cmd := clientCommand("documents ID", "list what a backup holds", takes("ID"), ofBackup(func(c call) error { return backupDocuments(c, f) }))
	cmd.Long = `Lists the documents in a backup, by collection and id, as cairn backup cat and
cairn backup pick take them: with their size, and the language and name of those
that are assets.`
	cmd.Flags().StringVar(&f.Collection, "collection", "", "only this `collection`, as assets or tags")
	cmd.Flags().StringVar(&f.Name, "name", "", "only documents with this `text` in their name")
	cmd.Flags().Int64Var(&f.Limit, "limit", 0, "at most this `number` of them (default all)")
	cmd.Flags().Lookup("json").Usage = "print a line of JSON for each document, for programs"
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if f.Limit < 0 {
			return usageError{fmt.Errorf("--limit is %d, not 1 or more", f.Limit)}
		}
		return nil
	}
	return cmd
}

func backupCatCommand() *cobra.Command {
	cmd := clientCommand("cat ID COLLECTION/ID", "print a document as it is in a backup", takes("ID", "COLLECTION/ID"), ofBackup(backupCat))
	cmd.Long = `Prints the JSON text of a document as it is in a backup. An asset can be named by
its id alone.`
	return cmd
}

func backupPickCommand() *cobra.Command {
	var all bool
	cmd := clientCommand("pick ID COLLECTION/ID...", "put single documents of a backup back, and leave all others as they are", nil,
		ofBackup(func(c call) error { return backupPick(c, all) }))
	cmd.Long = `Puts documents of a backup back into the database: each takes the place of the one
of its name that is there, if there is one, and all others stay as they are. An
asset can be named by its id alone; --all puts back all that the backup holds.
Doing it again changes nothing.`
	cmd.Flags().BoolVar(&all, "all", false, "put back all documents that the backup holds")
	cmd.Flags().Lookup("json").Usage = "print a line of JSON for each document and one for all, for programs"
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usageError{fmt.Errorf("the argument ID is missing")}
		case all && len(args) > 1:
			return usageError{fmt.Errorf("%s is one argument too many beside --all", cairn.Quote(args[1]))}
		case !all && len(args) == 1:
			return usageError{fmt.Errorf("the argument COLLECTION/ID is missing, or --all")}
		}
		return nil
	}
	return cmd
}

func backupListAssets(c call) error {
	list, err := c.client.AllBackups(c.ctx, cairn.ScopeAssets)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, api.AllBackups{Iterable: list})
	}
	for _, b := range list {
		if err := printBackup(c.out, b.Backup, fmt.Sprintf("%-13s  ", counted(b.Documents, "asset"))); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		_, err = fmt.Fprintln(c.err, "there are no backups of chosen assets; clients make them with POST /backup")
	}
	return err
}

// printBackup prints the line of a backup in a list, with more before the name of the
// device, which can be of any length.
func printBackup(w io.Writer, b api.Backup, more string) error {
	_, err := fmt.Fprintf(w, "%-36s  %s  %9s  %-7s  %s%s\n",
		printable(b.ID), localTime(b.Created.Value), bytesText(b.Bytes), printable(b.Platform), more, printable(b.DeviceName))
	return err
}

func backupDocuments(c call, f cairn.DocumentFilter) error {
	found := false
	for d, err := range c.client.BackupDocuments(c.ctx, c.args[0], f) {
		if err != nil {
			return err
		}
		found = true
		if c.json {
			err = printJSON(c.out, d)
		} else {
			_, err = fmt.Fprintf(c.out, "%-43s  %9s  %-8s  %s\n", printable(d.Collection+"/"+d.ID), bytesText(d.Bytes), orDash(d.Language), orDash(d.Name))
		}
		if err != nil {
			return err
		}
	}
	if found || c.json {
		return nil
	}
	what := "the backup holds no documents"
	if f != (cairn.DocumentFilter{}) {
		what = "the backup holds no such documents"
	}
	_, err := fmt.Fprintln(c.err, what)
	return err
}

// orDash returns a text as it may be shown on a terminal, and a dash for none.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// documentNamed returns the document that an argument names: COLLECTION/ID, or the
// id of an asset.
func documentNamed(arg string) (cairn.DocumentName, error) {
	name := cairn.DocumentName{Collection: cairn.CollectionAssets, ID: arg}
	if collection, id, ok := strings.Cut(arg, "/"); ok {
		name = cairn.DocumentName{Collection: collection, ID: id}
	}
	if name.Validate() != nil {
		return name, usageError{fmt.Errorf("%s names no document; it is COLLECTION/ID, as cairn backup documents has them", cairn.Quote(arg))}
	}
	return name, nil
}

func backupCat(c call) error {
	name, err := documentNamed(c.args[1])
	if err != nil {
		return err
	}
	text, err := c.client.BackupDocument(c.ctx, c.args[0], name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s\n", text)
	return err
}

func backupPick(c call, all bool) error {
	lines := c.client.RestoreAllDocuments(c.ctx, c.args[0])
	if !all {
		var names []cairn.DocumentName
		for _, arg := range c.args[1:] {
			name, err := documentNamed(arg)
			if err != nil {
				return err
			}
			names = append(names, name)
		}
		lines = c.client.RestoreDocuments(c.ctx, c.args[0], names)
	}
	shown := counter{out: c.err}
	if all && !c.json {
		shown.begin(c)
		defer shown.end()
	}
	for line, err := range lines {
		switch {
		case err != nil:
			return err
		case c.json:
			err = printJSON(c.out, line)
		case line.Restored != nil:
			shown.end()
			r := line.Restored
			_, err = fmt.Fprintf(c.out, "restored %s: %d added, %d changed, %d unchanged\n", counted(r.Total(), "document"), r.Added, r.Changed, r.Unchanged)
		case all:
			shown.count()
		default:
			_, err = fmt.Fprintf(c.out, "%-9s  %s\n", printable(line.Outcome), printable(line.Collection+"/"+line.ID))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A counter shows a person how many documents are done: as a bar on a terminal,
// elsewhere as a line a second.
type counter struct {
	out   io.Writer
	total int64
	done  int64
	last  time.Time // when a line was printed
	pb    *progressbar.ProgressBar
}

// begin asks how many documents the backup holds.
func (s *counter) begin(c call) {
	d, err := c.client.BackupDetails(c.ctx, c.args[0])
	if err != nil {
		return // the request that follows says it
	}
	s.total, s.last = d.Documents, time.Now()
	if onTerminal(s.out) && s.total > 0 {
		s.pb = progressbar.NewOptions64(s.total,
			progressbar.OptionSetWriter(s.out),
			progressbar.OptionSetDescription("restoring"),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(showEvery/10),
			progressbar.OptionSetWidth(24))
	}
}

// count counts a document.
func (s *counter) count() {
	s.done++
	switch {
	case s.pb != nil:
		_ = s.pb.Set64(min(s.done, s.total)) // a bar that cannot be drawn stops nothing
	case s.total > 0 && time.Since(s.last) >= showEvery:
		s.last = time.Now()
		fmt.Fprintf(s.out, "restoring: %d of %d documents\n", s.done, s.total)
	}
}

// end leaves the line of the bar.
func (s *counter) end() {
	if s.pb != nil {
		_ = s.pb.Exit()
		fmt.Fprintln(s.out)
		s.pb = nil
	}
}
