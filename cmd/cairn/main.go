// Command cairn keeps a developer's snippets in a local database, serves the
// Pieces OS API, and backs the database up.
//
//	cairn serve                 starts the daemon
//	cairn import files DIR      fills its database
//	cairn backup create         backs it up
//	cairn status                says what it holds
//
// All other verbs speak to a running daemon through package client. This
// package is the only place where the parts are wired together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"cairn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	// Output that nobody reads is an error of the write, and says what goes on without.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes, as README documents them.
const (
	exitOK          = 0
	exitFailed      = 1 // anything without a code of its own
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // no daemon answers
	exitGone        = 4 // what was named is not there, or not in progress
	exitData        = 5 // the data folder or the address cannot be used, or the cloud is full, read-only or damaged
	exitCloud       = 6 // the cloud cannot be used
	exitInterrupted = 130
)

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "cairn",
		Short:         "keep snippets in a local database that serves the Pieces OS API, and back it up",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          group,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(serveCommand(), importCommand(), assetsCommand(), backupCommand(), cloudCommand(), configCommand(), statusCommand(), versionCommand())
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if cmd.Context() == nil { // cobra found no command to run
		err = usageError{err}
	}
	return report(stderr, err)
}

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// takes checks the arguments of a command: one for each name, of which those in
// brackets may be left out.
func takes(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return usageError{fmt.Errorf("%s is one argument too many", cairn.Quote(args[len(names)]))}
		}
		if len(args) < len(names) && !strings.HasPrefix(names[len(args)], "[") {
			return usageError{fmt.Errorf("the argument %s is missing", names[len(args)])}
		}
		return nil
	}
}

// group is for a command that only has others below it.
func group(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s has no command %s", cmd.CommandPath(), cairn.Quote(args[0]))}
	}
	return nil
}

// helpCommand is cobra's, but for an error where there is no such command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "print what a command does",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Errorf("there is no command %s", cairn.Quote(strings.Join(args, " ")))}
			}
			return cmd.Help()
		},
	}
}

// report prints an error for a person and returns its exit code.
func report(w io.Writer, err error) int {
	if e, ok := errors.AsType[interruptedError](err); ok {
		fmt.Fprintf(w, "cairn: %s\n", e.what)
		return exitInterrupted
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "cairn: interrupted")
		return exitInterrupted
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitFailed // whoever read the output has seen enough
	}
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		fmt.Fprintf(w, "cairn: %s\n", phrase(err.Error()))
		if _, ok := errors.AsType[usageError](err); ok || strings.HasPrefix(err.Error(), "unknown command") {
			fmt.Fprintln(w, "hint: cairn --help lists the commands, cairn COMMAND --help their flags")
			return exitUsage
		}
		return exitFailed
	}
	fmt.Fprintf(w, "cairn: %s\n", phrase(e.Message))
	if e.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", phrase(e.Hint))
	}
	switch e.Code {
	case cairn.CodeUnreachable:
		return exitUnreachable
	case cairn.CodeGone, cairn.CodeBackupNotFound, cairn.CodeNotInBackup, cairn.CodeJobNotFound, cairn.CodeNotInProgress:
		return exitGone
	case cairn.CodeInUse, cairn.CodeDiskFull, cairn.CodeReadOnly, cairn.CodeNoPermission, cairn.CodeDamaged, cairn.CodeSchemaTooNew:
		return exitData
	case cairn.CodeSignedOut, cairn.CodeNoCloud, cairn.CodeCloudLocked, cairn.CodeKeyWrong, cairn.CodePassphraseWrong, cairn.CodeCloudNotFound, cairn.CodeNotCloud, cairn.CodeBucketMissing, cairn.CodeFormatTooNew,
		cairn.CodeNoCredentials, cairn.CodeKeyUnknown, cairn.CodeRefused, cairn.CodeExpired, cairn.CodeDenied, cairn.CodeClock, cairn.CodeRegion,
		cairn.CodeHostUnknown, cairn.CodeTLS, cairn.CodeNotStore, cairn.CodeRejected, cairn.CodeCloudBusy, cairn.CodeCloudLost:
		return exitCloud
	}
	return exitFailed
}

// phrase makes of a sentence what the command line prints: lower case at the
// start, unless that is a name, and no full stop at the end.
func phrase(sentence string) string {
	s := strings.TrimSuffix(printable(sentence), ".")
	first, n := utf8.DecodeRuneInString(s)
	next, _ := utf8.DecodeRuneInString(s[n:])
	if unicode.IsUpper(first) && (unicode.IsLower(next) || next == ' ') {
		s = string(unicode.ToLower(first)) + s[n:]
	}
	return s
}

// printable returns text as it may be shown on a terminal: control characters,
// which could move its cursor or worse, and those that change the direction of
// what follows become U+FFFD.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
