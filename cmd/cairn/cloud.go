package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"cairn"
	"cairn/api"
	"cairn/internal/keys"
)

func cloudCommand() *cobra.Command {
	return groupCommand("cloud", "look after the place where backups are",
		cloudConnectCommand(), cloudDisconnectCommand(), cloudStatusCommand(), cloudListCommand(),
		cloudKeyCommand(), cloudKitCommand(), cloudPassphraseCommand(), cloudUnlockCommand(), cloudLockCommand(),
		checkCommand(), cloudPruneCommand())
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
	store := cmd.Flags().String("store", "", "do not print it, but have it kept in this `place`: keychain (of the operating system) or file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *store != "" {
			return moveKey(cmd, *data, args, cairn.KeyPlace(*store), *asJSON)
		}
		dir, id, err := wantedKey(cmd.Context(), *data, args)
		if err != nil {
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

// wantedKey returns the data folder and the id of the cloud whose key is wanted:
// the one that is given, that of the daemon, or, when none runs, the only one that
// there is a key of. A key that opens something else is worse than none: it is
// found out when it is needed.
func wantedKey(ctx context.Context, data location, args []string) (dir, id string, err error) {
	if len(args) == 1 && (data.data != "" || os.Getenv("CAIRN_URL") == "") {
		dir, err = dataFolder(data)
		return dir, args[0], err // no daemon can know better
	}
	c, err := daemon(ctx, data)
	var st api.Status
	if err == nil {
		st, err = c.Status(ctx)
	}
	running := err == nil
	if running {
		dir = st.Data
	} else if dir, err = folderWithout(data, err); err != nil {
		return "", "", err
	}
	if len(args) == 1 {
		return dir, args[0], nil
	}
	if running && st.Cloud.ID != "" {
		return dir, st.Cloud.ID, nil
	}
	ids, err := keyStore(dir).IDs()
	switch {
	case err != nil:
		return "", "", err
	case running:
		return "", "", &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The daemon cannot use its cloud now, " + st.Cloud.URL + ", so it does not know which key that has.",
			Hint:    "cairn status says why. To print a key all the same, name its cloud, whose id stands in its cairn.json." + kept(ids),
		}
	case len(ids) == 1:
		return dir, ids[0], nil
	case len(ids) == 0:
		return "", "", &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The data folder " + dir + " holds no key.",
			Hint:    "cairn serve makes one with a new cloud, and takes that of another one with --key; --data names another folder.",
		}
	}
	return "", "", &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: fmt.Sprintf("The data folder %s holds %d keys, and no daemon runs that would say which it uses.", dir, len(ids)),
		Hint:    "Start the daemon, or name the cloud: its id stands in its cairn.json." + kept(ids),
	}
}

// folderWithout returns the data folder when no daemon runs on it. failure is why
// none could be asked; whoever names an address means that daemon and no other.
func folderWithout(data location, failure error) (string, error) {
	if os.Getenv("CAIRN_URL") != "" || cairn.CodeOf(failure) != cairn.CodeUnreachable {
		return "", failure
	}
	return dataFolder(data)
}

// kept names the clouds that there are keys of, as the end of a hint.
func kept(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return " There are keys of " + strings.Join(ids, ", ") + "."
}

// moveKey has the daemon keep the key of its cloud somewhere else: what it cannot
// read there itself would lock it out.
func moveKey(cmd *cobra.Command, data location, args []string, to cairn.KeyPlace, asJSON bool) error {
	if len(args) > 0 {
		return usageError{errors.New("--store is for the cloud that the daemon uses, and takes no CLOUD")}
	}
	c, err := daemon(cmd.Context(), data)
	if err != nil {
		return err
	}
	if err := c.MoveKey(cmd.Context(), to); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]cairn.KeyPlace{"store": to})
	}
	where := "in a file in the data folder"
	if to == cairn.KeyInKeychain {
		where = "in the keychain of this computer"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "the key is kept %s\n", where)
	return err
}

// keyText returns the key of a cloud as a key file, that of the data folder if it has
// one.
func keyText(data, cloudID string) (string, error) {
	identity, err := storedKey(data, cloudID)
	if err != nil {
		return "", err
	}
	path := keyStore(data).Path(cloudID)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) { // it is in the keychain
		return string(keys.Text(cloudID, identity, time.Now())), nil
	}
	return string(text), cairn.FileError("reading", path, err)
}

// storedKey returns the key of a cloud that a data folder has.
func storedKey(data, cloudID string) (*age.X25519Identity, error) {
	unknown := &cairn.Error{
		Code:    cairn.CodeGone,
		Message: "The data folder " + data + " holds no key of a cloud " + cairn.Quote(cloudID) + ".",
		Hint:    "The id of a cloud stands in its cairn.json. Without it, the key of the cloud in use is printed.",
	}
	if cairn.ValidateID(cloudID) != nil {
		return nil, unknown
	}
	identity, err := keyStore(data).Load(cloudID)
	if err == nil && identity == nil {
		err = unknown
	}
	return identity, err
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
		_, err = fmt.Fprintln(c.err, "note: this backup is on this computer only; cairn cloud connect URL --create backs up to another place, a folder or a bucket")
		return err
	}
	if cairn.ValidateID(st.Cloud.ID) != nil {
		return nil // not known now; the next backup will do
	}
	told := keyStore(st.Data).Path(st.Cloud.ID) + toldSuffix
	if _, err := os.Lstat(told); err == nil {
		return nil
	}
	_, err = fmt.Fprintf(c.err, "note: nobody can read these backups without their key; keep a copy of it where the loss of this computer does not reach it: cairn cloud recovery-kit prints it, or cairn cloud key %s%s > FILE\n", st.Cloud.ID, dataArgument(st.Data))
	if err == nil {
		_ = os.WriteFile(told, nil, 0o600) // where it cannot be noted, it is said again
	}
	return err
}

// dataArgument returns what leads a command to a data folder, for a person to type:
// nothing, if it is the one that commands use anyway.
func dataArgument(dir string) string {
	if usual, err := dataFolder(location{}); err == nil && sameFolder(usual, dir) {
		return ""
	}
	return " --data " + shellQuote(dir)
}

// shellQuote returns a word as a shell of POSIX takes it, or on Windows PowerShell.
func shellQuote(word string) string {
	others, quote := "/._-", `'\''`
	if runtime.GOOS == "windows" {
		others, quote = `/\:._-`, "''"
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(others, r)
	}
	if strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", quote) + "'"
}
