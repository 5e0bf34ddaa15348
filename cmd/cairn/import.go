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
	files := clientCommand("files DIR", "import each text file of a folder as a snippet", takes("DIR"), importFiles)
	files.Long = `Imports each text file below DIR as an asset: its name is the path below DIR, its
language follows from the name. Importing again adds nothing but what was deleted
here; a file that has changed updates its asset, unless that was edited here too.
.git, node_modules, symbolic links, binary files and what .gitignore names are
skipped.`
	return groupCommand("import", "bring documents in", files)
}

func importFiles(c call) error {
	var bar *progressbar.ProgressBar
	progress := func(done, all int) {
		if bar == nil {
			bar = newBar(c.err, "importing", all)
		}
		bar.ChangeMax(all)
		_ = bar.Set(done) // a bar that cannot be drawn stops nothing
	}
	if !onTerminal(c.err) {
		progress = nil
	}
	report, err := importer.Files(c.ctx, c.client, c.args[0], progress)
	if bar != nil {
		_ = bar.Exit()
		fmt.Fprintln(c.err)
	}
	for _, note := range report.Notes {
		fmt.Fprintf(c.err, "note: %s\n", printable(note))
	}
	if err != nil {
		return importFailed(c.err, report, err)
	}
	if c.json {
		return printJSON(c.out, report)
	}
	return printReport(c.out, report)
}

// importFailed says what an import that failed has stored, and why it failed.
func importFailed(w io.Writer, report importer.Report, err error) error {
	if n := report.Added + report.Changed; n > 0 {
		fmt.Fprintf(w, "stored %d assets before this; run the same command again to go on\n", n)
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
func onTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
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
