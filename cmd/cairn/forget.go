package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
	"cairn/internal/config"
)

// forgetCommand applies the rules of its flags, or those of the daemon's
// configuration when none is given.
func forgetCommand() *cobra.Command {
	var request api.ForgetRequest
	var policy func() (*api.Retention, error)
	prune := false
	cmd := clientCommand("forget", "delete the backups that no rule keeps", takes(), func(c call) (err error) {
		if request.Device != "" && request.AllDevices {
			return usageError{errors.New("--device names one device, and --all-devices means each: give one of them")}
		}
		if request.Policy, err = policy(); err != nil {
			return err
		}
		if err := backupForget(c, request); err != nil || !prune {
			return err
		}
		return cloudPrune(c, request.DryRun)
	})
	cmd.Long = `Deletes the backups that no rule keeps, and says of each why it stays. The rules
are those of restic forget: --keep-daily 7 keeps the newest backup of each of the
seven latest days that have one, --keep-within 1m all of the month before the
newest. A backup stays when one rule is for it. Without any --keep flag the rules of
the daemon's configuration are meant, [retention].

Each device is judged by itself, this one unless another is named. The newest
backup of each line, which is the history up to a restoration, always stays.
cairn backup undelete ID brings a deleted backup back, until its grace time is over;
only then its room in the cloud is given back, by cairn cloud prune or --prune.`
	policy = keepFlags(cmd)
	cmd.Flags().StringVar(&request.Device, "device", "", "`name` of the device, or id of the installation, whose backups are meant (default this one)")
	cmd.Flags().BoolVar(&request.AllDevices, "all-devices", false, "mean the backups of each device")
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	cmd.Flags().BoolVar(&prune, "prune", false, "then remove from the cloud what no backup needs any more, as cairn cloud prune")
	return cmd
}

// keepFlags adds the flags of the rules to a command, and returns what tells which
// were given; nil for none.
func keepFlags(cmd *cobra.Command) func() (*api.Retention, error) {
	for _, key := range config.Keys() {
		if strings.HasPrefix(key.Flag, "keep-") {
			cmd.Flags().Var(&settingFlag{form: key.Form}, key.Flag, key.About)
		}
	}
	return func() (*api.Retention, error) {
		given, flags := map[string]string{}, false
		for _, key := range config.Keys() {
			if f := cmd.Flags().Lookup(key.Flag); f != nil && f.Changed && strings.HasPrefix(key.Flag, "keep-") {
				given[key.Name], flags = f.Value.String(), true
			}
		}
		if !flags {
			return nil, nil
		}
		keep, err := config.ParseRetention(given)
		if err != nil {
			return nil, usageError{err}
		}
		wire := api.RetentionOf(keep)
		return &wire, nil
	}
}

func backupForget(c call, request api.ForgetRequest) error {
	f, err := c.client.ForgetBackups(c.ctx, request)
	if err != nil {
		return err
	}
	if c.json {
		err = printJSON(c.out, f)
	} else {
		err = printForgotten(c, f)
	}
	if err != nil || f.Problem == nil {
		return err
	}
	are := "are"
	if f.Left == 1 {
		are = "is"
	}
	return &cairn.Error{
		Code:    f.Problem.Code,
		Message: fmt.Sprintf("%s %s not deleted yet: %s", backupsText(f.Left), are, f.Problem.Detail),
		Hint:    strings.TrimSpace(f.Problem.Hint + " Then run the same command again to go on."),
	}
}

// printForgotten prints a table of what stays and why, and what does not.
func printForgotten(c call, f api.Forgotten) error {
	rows := make([][]string, len(f.Decisions))
	for i, d := range f.Decisions {
		word := "keep"
		switch {
		case d.Removed:
			word = "deleted"
		case !d.Keep && f.DryRun:
			word = "delete"
		case !d.Keep:
			word = "not deleted"
		}
		rows[i] = []string{d.ID, localTime(d.Modified), d.DeviceName, word, strings.Join(d.Reasons, ", ")}
	}
	if err := printTable(c.out, rows); err != nil {
		return err
	}
	kept := len(f.Decisions) - f.Removed - f.Left
	text := fmt.Sprintf("kept %s, deleted %d", backupsText(kept), f.Removed)
	if f.DryRun {
		text = fmt.Sprintf("would keep %s and delete %d", backupsText(kept), f.Left)
	}
	_, err := fmt.Fprintln(c.out, text)
	return err
}

// backupsText returns a number of backups in words.
func backupsText(n int) string {
	if n == 1 {
		return "1 backup"
	}
	return strconv.Itoa(n) + " backups"
}
