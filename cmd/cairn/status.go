package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
)

func statusCommand() *cobra.Command {
	return clientCommand("status", "say where the daemon is and what it holds", takes(), func(c call) error {
		st, err := c.client.Status(c.ctx)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, st)
		}
		_, err = fmt.Fprintf(c.out, `version    %s (API %s)
listening  %s
data       %s
device     %s
documents  %d, %s
revision   %d
digest     %s
cloud      %s
backup     %s
%s`, st.Version, st.APILevel, strings.Join(st.URLs, " "), printable(st.Data), deviceText(st),
			st.Database.Documents, bytesText(st.Database.Bytes), st.Database.Revision, st.Database.Digest,
			cloudText(st.Cloud), lastText(st), automaticText(st.Automatic))
		if err != nil {
			return err
		}
		return printUnreadable(c.out, st.Cloud)
	})
}

// printUnreadable names the backups that are there and cannot be used.
func printUnreadable(w io.Writer, c api.CloudStatus) error {
	for _, u := range c.Unreadable {
		if _, err := fmt.Fprintf(w, "unreadable %s: %s\n", printable(u.Name), phrase(u.Detail)); err != nil {
			return err
		}
	}
	return nil
}

// deviceText says what the device is called, and whether it makes backups.
func deviceText(st api.Status) string {
	text := printable(st.DeviceName)
	if st.SignedOut {
		text += ", signed out: no backups until a client signs in with POST /os/sign_in"
	}
	return text
}

// cloudText says where backups go, and why they cannot.
func cloudText(c api.CloudStatus) string {
	text := printable(c.URL)
	if c.Local {
		text += " (on this computer only)"
	}
	if c.State == cairn.CloudReady {
		switch c.Backups {
		case 0:
			return text
		case 1:
			return text + ", 1 backup"
		}
		return fmt.Sprintf("%s, %d backups", text, c.Backups)
	}
	text += ", " + string(c.State)
	if c.Problem != nil {
		text += ": " + phrase(c.Problem.Detail)
		if c.Problem.Hint != "" {
			text += "\n           hint: " + phrase(c.Problem.Hint)
		}
	}
	return text
}

// lastText says when the database was last backed up, and what came since.
func lastText(st api.Status) string {
	switch {
	case st.LastBackup == nil && st.Cloud.Backups > 0 && st.Database.Documents == 0:
		return "none of this database; cairn backup list shows those in the cloud, cairn backup restore ID brings one back"
	case st.LastBackup == nil && st.Cloud.Backups > 0:
		return "none of this database; cairn backup create makes one, cairn backup list shows the others"
	case st.LastBackup == nil:
		return "none yet; cairn backup create makes one"
	case *st.ChangesSinceBackup == 0:
		return localTime(st.LastBackup.Created) + ", nothing has changed since"
	case *st.ChangesSinceBackup == 1:
		return localTime(st.LastBackup.Created) + ", 1 document has changed since"
	}
	return fmt.Sprintf("%s, %d documents have changed since", localTime(st.LastBackup.Created), *st.ChangesSinceBackup)
}
