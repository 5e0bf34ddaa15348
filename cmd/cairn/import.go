package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cairn"
	"cairn/internal/importer"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "bring documents in",
		Args:  group,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(importFilesCommand())
	return cmd
}

func importFilesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "files DIR",
		Short: "import each text file of a folder as a snippet",
		Long: `Imports each text file below DIR as an asset: its name is the path below DIR, its
language follows from the name. Importing again adds nothing; a file that has
changed updates its asset, unless that was edited here too. .git, node_modules,
symbolic links, binary files and what .gitignore names are skipped.`,
		Args: takes("DIR"),
	}
	data := dataFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := daemon(*data)
		if err != nil {
			return err
		}
		var bar *progressbar.ProgressBar
		progress := func(done, all int) {
			if bar == nil {
				bar = newBar(cmd.ErrOrStderr(), "importing", all)
			}
			bar.ChangeMax(all)
			_ = bar.Set(done) // a bar that cannot be drawn stops nothing
		}
		if !onTerminal(cmd.ErrOrStderr()) {
			progress = nil
		}
		report, err := importer.Files(cmd.Context(), c, args[0], progress)
		if bar != nil {
			_ = bar.Exit()
			fmt.Fprintln(cmd.ErrOrStderr())
		}
		if err != nil {
			if n := report.Added + report.Changed; n > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "stored %d assets before this; run the same command again to go on\n", n)
			}
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				return &cairn.Error{
					Code:    cairn.CodeInvalid,
					Message: fmt.Sprintf("%s cannot be imported: %v.", e.Path, e.Err),
					Hint:    "Name a folder of text files.",
					Err:     err,
				}
			}
			return err
		}
		for _, note := range report.Notes {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", printable(note))
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), report)
		}
		return printReport(cmd.OutOrStdout(), report)
	}
	return cmd
}

// newBar returns a progress bar for a terminal.
func newBar(w io.Writer, what string, all int) *progressbar.ProgressBar {
	return progressbar.NewOptions(all,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("files"),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100_000_000), // nanoseconds
		progressbar.OptionSetWidth(24),
	)
}

// onTerminal reports whether w is a terminal, where a bar can move.
func onTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

func printReport(w io.Writer, r importer.Report) error {
	_, err := fmt.Fprintf(w, "%d text files, %s: %d added, %d changed, %d unchanged\n",
		r.Files, bytesText(r.Bytes), r.Added, r.Changed, r.Unchanged)
	if err != nil {
		return err
	}
	s := r.Skipped
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{s.Ignored, "ignored by .gitignore"}, {s.Folders, ".git or node_modules"}, {s.Links, "symbolic links"},
		{s.Binary, "not text"}, {s.TooLarge, "too large"}, {s.Unreadable, "unreadable"},
		{s.Special, "not files"}, {s.Vanished, "gone meanwhile"},
		{r.Edited, "edited here and there"}, {r.Refused, "refused"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) > 0 {
		_, err = fmt.Fprintf(w, "skipped: %s\n", strings.Join(parts, ", "))
	}
	return err
}
