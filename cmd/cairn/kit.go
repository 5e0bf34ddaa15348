package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/keys"
	"cairn/internal/kit"
)

// cloudKitCommand prints a secret, so it reads the data folder, as cloud key does.
func cloudKitCommand() *cobra.Command {
	var page, code string
	cmd := clientCommand("recovery-kit", "print what opens the backups without this computer, to keep on paper", takes(), func(c call) error {
		if code != "" && page != "" {
			return usageError{errors.New("--page and --acknowledge are both given: write the page first, and acknowledge what was printed")}
		}
		if code != "" {
			return acknowledgeKit(c, code)
		}
		k, err := kitOf(c)
		if err != nil {
			return err
		}
		return printKit(c, k, page)
	})
	cmd.Long = `Prints the recovery kit of the cloud that is used: its key, its URL, and how to get
the backups back with cairn and without it. With --page it writes a page to print,
with a code that a phone can scan. Whoever has the kit, and can read the bucket, can
read all backups: keep it like money, and not on this computer.

The kit ends with a code of eight letters and digits. --acknowledge CODE tells cairn
that the kit is kept; then cairn cloud lock may forget the key.`
	cmd.Flags().StringVar(&page, "page", "", "write a page to print to this `file`, which must not be there")
	cmd.Flags().StringVar(&code, "acknowledge", "", "say that the kit is kept, with the `code` that stands on it")
	return cmd
}

// kitOf makes the kit of the cloud that is used.
func kitOf(c call) (kit.Kit, error) {
	st, err := c.client.Status(c.ctx)
	if err != nil {
		return kit.Kit{}, err
	}
	d, err := c.client.Cloud(c.ctx)
	if err != nil {
		return kit.Kit{}, err
	}
	if d.Connection.ID == "" {
		return kit.Kit{}, &cairn.Error{
			Code:    cairn.CodeNoCloud,
			Message: "The cloud " + d.Connection.URL + " has never been opened here, so there is no key of it.",
			Hint:    "cairn cloud status says why it cannot be opened.",
		}
	}
	identity, err := storedKey(st.Data, d.Connection.ID)
	if err != nil {
		return kit.Kit{}, err
	}
	k := kit.Kit{
		Cloud: d.Connection.ID, URL: d.Connection.URL, Local: d.Connection.Local, Device: st.DeviceName, Created: time.Now(),
		Key: cairn.NewSecret(identity.String()), PublicKey: identity.Recipient().String(),
		Passphrases: -1, // the cloud may not be there to be asked
	}
	if d.Passphrases != nil {
		k.Passphrases = *d.Passphrases
	}
	return k, nil
}

// printKit prints the kit, or writes its page.
func printKit(c call, k kit.Kit, page string) error {
	if page == "" {
		if c.json {
			return printJSON(c.out, map[string]string{"cloud": k.Cloud, "url": k.URL, "key": k.Key.Reveal(), "code": k.Check(), "text": string(k.Text())})
		}
		_, err := c.out.Write(k.Text())
		return err
	}
	html, err := k.Page()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(page, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // another kit may be in it
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already: name a new file", cairn.Quote(page))}
	}
	if err != nil {
		return cairn.FileError("writing", page, err)
	}
	// The name is ours. It gets the whole page at once: half a kit must not pass for one.
	if err := errors.Join(f.Close(), durable.WriteFile(page, html)); err != nil {
		return cairn.FileError("writing", page, errors.Join(err, os.Remove(page)))
	}
	if c.json {
		return printJSON(c.out, map[string]string{"cloud": k.Cloud, "url": k.URL, "page": page})
	}
	_, err = fmt.Fprintf(c.err, "wrote %s: print it, then remove the file; its code tells cairn that it is kept, with --acknowledge\n", printable(page))
	return err
}

func acknowledgeKit(c call, code string) error {
	if err := c.client.AcknowledgeKit(c.ctx, code); err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, map[string]bool{"acknowledged": true})
	}
	_, err := fmt.Fprintln(c.out, "the kit is acknowledged")
	return err
}

// keyStore returns the keys of a data folder.
func keyStore(data string) *keys.Store { return &keys.Store{Dir: filepath.Join(data, keysFolder)} }
