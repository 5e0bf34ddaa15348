package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/client"
	"cairn/internal/cloud"
)

func cloudCommand() *cobra.Command {
	return groupCommand("cloud", "look after the place where backups are", cloudKeyCommand())
}

// cloudKeyCommand prints a secret, so it reads the data folder, where only its
// user can. The daemon, which cannot tell one program from another, is asked for
// the id of its cloud only, never for the key.
func cloudKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key [CLOUD]",
		Short: "print the key that opens the backups; keep it where nobody else reads it",
		Long: `Prints the key of the cloud that the daemon uses, or of the one whose id is given,
as a file that age reads. Whoever has it can read all backups of that cloud;
without it nobody can.`,
		Args: takes("[CLOUD]"),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := dataFolder(*data)
		if err != nil {
			return err
		}
		id := ""
		if len(args) == 1 {
			id = args[0]
		} else if id, err = currentCloud(cmd, dir); err != nil {
			return err
		}
		text, err := keyText(dir, id)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"cloud": id, "key": text})
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

// currentCloud returns the id of the cloud whose key is wanted: that of the
// daemon, or the only one that there is a key of.
func currentCloud(cmd *cobra.Command, dir string) (string, error) {
	if url, err := os.ReadFile(filepath.Join(dir, urlFile)); err == nil {
		st, err := client.New(strings.TrimSpace(string(url))).Status(cmd.Context())
		if err == nil && st.Data == dir && st.Cloud.ID != "" {
			return st.Cloud.ID, nil
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, keysFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", cairn.FileError("reading", filepath.Join(dir, keysFolder), err)
	}
	var ids []string
	for _, e := range entries {
		if e.Type().IsRegular() && cairn.ValidateID(e.Name()) == nil && filepath.Ext(e.Name()) == "" {
			ids = append(ids, e.Name())
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The data folder " + dir + " holds no key.",
			Hint:    "The first start of cairn serve makes one; --data names another folder.",
		}
	}
	return "", &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: fmt.Sprintf("The data folder %s holds %d keys, and no daemon runs that would say which it uses.", dir, len(ids)),
		Hint:    "Start the daemon, or name the cloud: its id stands in its cairn.json.",
	}
}

// keyText returns the key file of a cloud, as it is in the data folder.
func keyText(data, cloudID string) (string, error) {
	unknown := &cairn.Error{
		Code:    cairn.CodeGone,
		Message: "The data folder " + data + " holds no key of a cloud " + cairn.Quote(cloudID) + ".",
		Hint:    "The id of a cloud stands in its cairn.json. Without it, the key of the cloud in use is printed.",
	}
	if cairn.ValidateID(cloudID) != nil {
		return "", unknown
	}
	path := cloud.KeyFile(filepath.Join(data, keysFolder), cloudID)
	_, err := cloud.ReadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", unknown
	}
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	return string(text), cairn.FileError("reading", path, err)
}

// toldSuffix follows the name of a key file in that of an empty one: the user has
// been told to keep a copy of this key.
const toldSuffix = ".told"

// adviseAfterCreate says, on standard error, what keeps the backup from being
// safe. That the key is worth keeping it says once for each cloud, whoever made
// the first backup there.
func adviseAfterCreate(c call) error {
	st, err := c.client.Status(c.ctx)
	if err != nil {
		return nil // the backup is made; that was the question
	}
	if st.Cloud.Local {
		_, err = fmt.Fprintln(c.err, "note: this backup is on this computer only; cairn serve --cloud FOLDER keeps backups elsewhere")
		return err
	}
	if cairn.ValidateID(st.Cloud.ID) != nil {
		return nil // not known now; the next backup will do
	}
	told := cloud.KeyFile(filepath.Join(st.Data, keysFolder), st.Cloud.ID) + toldSuffix
	if _, err := os.Lstat(told); err == nil {
		return nil
	}
	_, err = fmt.Fprintln(c.err, "note: nobody can read these backups without their key; keep a copy of it where the loss of this computer does not reach it: cairn cloud key > FILE")
	if err == nil {
		_ = os.WriteFile(told, nil, 0o600) // where it cannot be noted, it is said again
	}
	return err
}
