package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
	"cairn/internal/connection"
)

func cloudConnectCommand() *cobra.Command {
	var create bool
	var opens opener
	cmd := clientCommand("connect [URL]", "back up to another cloud from now on, or to the one that was disconnected", takes("[URL]"), func(c call) error {
		request, err := opens.request(c)
		if err != nil {
			return err
		}
		request.Create = create
		if len(c.args) == 1 {
			if request.URL, err = placeURL(c, c.args[0]); err != nil {
				return err
			}
		}
		return connect(c, request, &opens)
	})
	cmd.Long = `Connects the daemon to the cloud at URL: a folder, s3://BUCKET/PREFIX,
gs://BUCKET/PREFIX, or azblob://CONTAINER/PREFIX?storage_account=ACCOUNT. Without URL,
to the one that was disconnected. Credentials for a bucket are those of the daemon.

A cloud that is there already is opened by its key or a passphrase, unless this
device has the key. Connecting sends and deletes nothing; --create makes a cloud of an
empty place. The clouds that were used before can be connected again at any time.`
	cmd.Flags().BoolVar(&create, "create", false, "make a cloud where there is none")
	opens.flags(cmd)
	return cmd
}

func cloudUnlockCommand() *cobra.Command {
	var opens opener
	cmd := clientCommand("unlock", "give the key or a passphrase of a cloud that is locked on this device", takes(), func(c call) error {
		request, err := opens.request(c)
		if err != nil {
			return err
		}
		return connect(c, request, &opens)
	})
	opens.flags(cmd)
	return cmd
}

// connect connects a cloud. On a terminal it asks for the passphrase of one that is
// locked.
func connect(c call, r cairn.CloudRequest, opens *opener) error {
	connected, err := c.client.ConnectCloud(c.ctx, r)
	if cairn.CodeOf(err) == cairn.CodeCloudLocked && r.Key.IsZero() && r.Passphrase.IsZero() && onTerminal(c.in) {
		fmt.Fprintf(c.err, "%s\n", phrase(messageOf(err)))
		if r.Passphrase, err = askSecret(c, "passphrase: "); err != nil {
			return err
		}
		connected, err = c.client.ConnectCloud(c.ctx, r)
	}
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, connected)
	}
	if _, err := fmt.Fprintf(c.out, "connected to %s\n", printable(connected.URL)); err != nil {
		return err
	}
	if connected.Local {
		_, err = fmt.Fprintln(c.err, "note: backups there are on this computer only")
	}
	return err
}

// An opener is what opens a cloud, as flags tell it.
type opener struct{ key, passphrase string }

func (o *opener) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.key, "key", "", "`file` with the key of the cloud, as cairn cloud key prints it")
	cmd.Flags().StringVar(&o.passphrase, "passphrase-file", "", "`file` with a passphrase of the cloud; - is standard input")
}

// request reads what the flags name.
func (o *opener) request(c call) (r cairn.CloudRequest, err error) {
	if o.key != "" && o.passphrase != "" {
		return r, usageError{fmt.Errorf("--key and --passphrase-file are both given, and one is enough")}
	}
	if o.key != "" {
		r.Key, err = secretFile(c, o.key)
	}
	if o.passphrase != "" {
		r.Passphrase, err = passphraseFile(c, o.passphrase)
	}
	return r, err
}

// placeURL returns the URL of a place that may be a path, which is relative to where
// the command runs.
func placeURL(c call, given string) (string, error) {
	d, err := c.client.Daemon(c.ctx)
	if err != nil {
		return "", err
	}
	place, err := connection.Parse(given, d.Data)
	if err != nil {
		return "", usageError{err}
	}
	return place.URL(), nil
}

func cloudDisconnectCommand() *cobra.Command {
	cmd := clientCommand("disconnect", "make no backups until a cloud is connected again", takes(), func(c call) error {
		if err := c.client.DisconnectCloud(c.ctx); err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, map[string]bool{"disconnected": true})
		}
		_, err := fmt.Fprintln(c.out, "disconnected; backups, documents and the key stay, and cairn cloud connect goes on")
		return err
	})
	return cmd
}

func cloudListCommand() *cobra.Command {
	return clientCommand("list", "list the clouds that this device has used", takes(), func(c call) error {
		list, err := c.client.Clouds(c.ctx)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, api.Connections{Clouds: list})
		}
		var rows [][]string
		for _, one := range list {
			mark, seen := "", "never opened"
			switch {
			case one.Disconnected:
				mark = "(off)"
			case one.Current:
				mark = "in use"
			}
			if one.Seen != "" {
				seen = "opened " + localTime(one.Seen)
			}
			rows = append(rows, []string{mark, one.URL, keyPlaceText(one), counted(one.BackupsMade, "backup") + " made here", seen})
		}
		return printTable(c.out, rows)
	})
}

// keyPlaceText says where the key of a cloud is.
func keyPlaceText(c api.Connection) string {
	switch c.Key {
	case cairn.KeyInFile:
		return "key in a file"
	case cairn.KeyInKeychain:
		return "key in the keychain"
	}
	return "no key here"
}

func cloudStatusCommand() *cobra.Command {
	return clientCommand("status", "say which cloud is used, whether it can be, and what opens it", takes(), func(c call) error {
		d, err := c.client.Cloud(c.ctx)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, d)
		}
		return printCloud(c.out, d)
	})
}

func printCloud(w io.Writer, d api.CloudDetails) error {
	state := string(d.Status.State)
	if p := d.Status.Problem; p != nil {
		state += ": " + phrase(p.Detail)
		if p.Hint != "" {
			state += "\n             hint: " + phrase(p.Hint)
		}
	}
	place := printable(d.Connection.URL)
	if d.Connection.Local {
		place += " (on this computer only; cairn cloud connect URL --create backs up elsewhere)"
	}
	id := printable(d.Connection.ID)
	if id == "" {
		id = "not known"
	}
	backups, passphrases, kit := "not known", "not known", "not acknowledged; cairn cloud recovery-kit prints one"
	if d.Status.State == cairn.CloudReady {
		backups = fmt.Sprintf("%d", d.Status.Backups)
	}
	if d.Passphrases != nil {
		passphrases = fmt.Sprintf("%d", *d.Passphrases)
	}
	if d.Connection.RecoveryKit != "" {
		kit = "acknowledged " + localTime(d.Connection.RecoveryKit)
	}
	_, err := fmt.Fprintf(w, `cloud        %s
id           %s
state        %s
backups      %s, %d made by this installation
key          %s
passphrases  %s
kit          %s
`, place, id, state, backups, d.Connection.BackupsMade, keyPlaceText(d.Connection), passphrases, kit)
	return err
}

func cloudLockCommand() *cobra.Command {
	cmd := clientCommand("lock", "forget the key of the cloud on this device", takes(), func(c call) error {
		if err := c.client.LockCloud(c.ctx); err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, map[string]bool{"locked": true})
		}
		_, err := fmt.Fprintln(c.out, "locked; cairn cloud unlock opens it again")
		return err
	})
	cmd.Long = `Removes the key of the cloud from this device: backups can neither be made nor read
here until cairn cloud unlock is given the key or a passphrase. It is refused while
nothing else is known to open the cloud: a passphrase, or a recovery kit that was
acknowledged.`
	return cmd
}
