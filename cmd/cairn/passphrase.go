package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
	"cairn/internal/cloud"
)

func cloudPassphraseCommand() *cobra.Command {
	return groupCommand("passphrase", "have the cloud open with passphrases on new devices",
		passphraseAddCommand(), passphraseChangeCommand(), passphraseListCommand(), passphraseRemoveCommand())
}

// A newPassphrase is where a new passphrase comes from, as flags tell it.
type newPassphrase struct {
	file     string
	generate bool
}

func (n *newPassphrase) flags(cmd *cobra.Command, name string) {
	cmd.Flags().StringVar(&n.file, name, "", "`file` with the new passphrase; - is standard input")
	cmd.Flags().BoolVar(&n.generate, "generate", false, "make one up, and print it")
}

// get returns the passphrase.
func (n *newPassphrase) get(c call) (cairn.Secret, error) {
	switch {
	case n.generate && n.file != "":
		return cairn.Secret{}, usageError{errors.New("a passphrase is made up or read from a file, not both")}
	case n.generate:
		return cloud.GeneratePassphrase().Secret, nil
	case n.file != "":
		return passphraseFile(c, n.file)
	}
	return newSecret(c, "new passphrase, of at least 15 characters: ")
}

// tell prints a passphrase that was made up. It does so before that is sent: when the
// answer is lost it may be in force, and nobody else knows it.
func (n *newPassphrase) tell(c call, p cairn.Secret) error {
	if !n.generate || c.json {
		return nil
	}
	if _, err := fmt.Fprintln(c.out, p.Reveal()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.err, "note: this is shown once; keep it where the loss of this computer does not reach it")
	return err
}

// failed returns err, of a request that may have put a passphrase in force. As JSON,
// one that was made up is printed here.
func (n *newPassphrase) failed(c call, p cairn.Secret, err error) error {
	if n.generate && c.json {
		_ = printJSON(c.out, map[string]string{"passphrase": p.Reveal()}) // err says more
	}
	return err
}

func passphraseAddCommand() *cobra.Command {
	var from newPassphrase
	cmd := clientCommand("add", "add a passphrase; the others stay", takes(), func(c call) error {
		p, err := from.get(c)
		if err != nil {
			return err
		}
		if err := from.tell(c, p); err != nil {
			return err
		}
		slot, err := c.client.AddPassphrase(c.ctx, p)
		if err != nil {
			return from.failed(c, p, err)
		}
		if c.json {
			shown := map[string]string{"name": slot.Name, "created": slot.Created}
			if from.generate {
				shown["passphrase"] = p.Reveal()
			}
			return printJSON(c.out, shown)
		}
		_, err = fmt.Fprintf(c.err, "added %s: a new device opens the cloud with its URL and this passphrase\n", printable(slot.Name))
		return err
	})
	from.flags(cmd, "passphrase-file")
	return cmd
}

func passphraseChangeCommand() *cobra.Command {
	var from newPassphrase
	var old string
	cmd := clientCommand("change", "put a new passphrase in the place of another", takes(), func(c call) error {
		before, err := oldPassphrase(c, old)
		if err != nil {
			return err
		}
		now, err := from.get(c)
		if err != nil {
			return err
		}
		if err := from.tell(c, now); err != nil {
			return err
		}
		if err := c.client.ChangePassphrase(c.ctx, before, now); err != nil {
			return from.failed(c, now, err)
		}
		if c.json {
			shown := map[string]any{"changed": true}
			if from.generate {
				shown["passphrase"] = now.Reveal()
			}
			return printJSON(c.out, shown)
		}
		_, err = fmt.Fprintln(c.err, "changed; who has copied the bucket before can still open that copy with the old one")
		return err
	})
	cmd.Flags().StringVar(&old, "old-passphrase-file", "", "`file` with the passphrase that is to be changed; - is standard input")
	from.flags(cmd, "new-passphrase-file")
	return cmd
}

// oldPassphrase returns a passphrase that is in force, from a file or the terminal.
func oldPassphrase(c call, file string) (cairn.Secret, error) {
	if file != "" {
		return passphraseFile(c, file)
	}
	return askSecret(c, "present passphrase: ")
}

func passphraseListCommand() *cobra.Command {
	return clientCommand("list", "list the passphrases of the cloud, by name", takes(), func(c call) error {
		list, err := c.client.Passphrases(c.ctx)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, api.Slots{Passphrases: list})
		}
		for _, s := range list {
			if _, err := fmt.Fprintf(c.out, "%s  added %s\n", printable(s.Name), localTime(s.Created)); err != nil {
				return err
			}
		}
		if len(list) == 0 {
			_, err = fmt.Fprintln(c.err, "the cloud has no passphrase; cairn cloud passphrase add adds one")
		}
		return err
	})
}

func passphraseRemoveCommand() *cobra.Command {
	var file string
	cmd := clientCommand("remove [NAME]", "have the cloud not open with a passphrase any more", takes("[NAME]"), func(c call) error {
		var p cairn.Secret
		name := ""
		if len(c.args) == 1 {
			if file != "" {
				return usageError{errors.New("NAME and --passphrase-file are both given, and one is enough")}
			}
			name = c.args[0]
		} else {
			var err error
			if p, err = oldPassphrase(c, file); err != nil {
				return err
			}
		}
		removed, err := c.client.RemovePassphrase(c.ctx, p, name)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, api.Slots{Passphrases: removed})
		}
		for _, s := range removed {
			if _, err := fmt.Fprintf(c.out, "removed %s\n", printable(s.Name)); err != nil {
				return err
			}
		}
		return nil
	})
	cmd.Long = `Removes the passphrase that is entered, or the one whose name cairn cloud passphrase
list shows. Devices that have the key keep it. Who has copied the bucket before can
still open that copy with the passphrase: to shut somebody out, begin a new cloud.`
	cmd.Flags().StringVar(&file, "passphrase-file", "", "`file` with the passphrase; - is standard input")
	return cmd
}
