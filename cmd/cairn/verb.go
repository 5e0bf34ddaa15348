package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"cairn/client"
)

// A call is one use of a verb that speaks to the daemon.
type call struct {
	ctx    context.Context
	client *client.Client
	args   []string
	json   bool // --json was given
	in     io.Reader
	out    io.Writer
	err    io.Writer
}

// clientCommand makes a command of a verb that speaks to the daemon: it has
// the flags --data and --json.
func clientCommand(use, short string, args cobra.PositionalArgs, run func(call) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := daemon(cmd.Context(), *data)
		if err != nil {
			return err
		}
		return run(call{
			ctx:    cmd.Context(),
			client: c,
			args:   args,
			json:   *asJSON,
			in:     cmd.InOrStdin(),
			out:    cmd.OutOrStdout(),
			err:    cmd.ErrOrStderr(),
		})
	}
	return cmd
}

// eventCommand is clientCommand for a verb that tells of events as they come.
func eventCommand(use, short string, args cobra.PositionalArgs, run func(call) error) *cobra.Command {
	cmd := clientCommand(use, short, args, run)
	cmd.Flags().Lookup("json").Usage = "print a line of JSON for each event, for programs"
	return cmd
}

// groupCommand makes a command that only has others below it.
func groupCommand(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  group,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}
