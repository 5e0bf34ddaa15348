package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/client"
	"cairn/internal/config"
)

// What is in the data folder besides the files of packages.
const (
	urlFile     = "url"  // the first address of the running daemon
	keysFolder  = "keys" // of clouds
	lockFile    = "lock" // held by the running daemon
	spoolFolder = "spool"
)

// A location is where a command finds the data folder: what --data and --config
// name, or "".
type location struct{ data, config string }

// dataFlag adds --data and --config to a command.
func dataFlag(cmd *cobra.Command) *location {
	l := &location{}
	cmd.Flags().StringVar(&l.data, "data", "", "data `folder` (default $CAIRN_DATA, else that of the configuration, else the user's)")
	cmd.Flags().StringVar(&l.config, "config", "", "configuration `file` (default $CAIRN_CONFIG, else the user's: cairn config path prints it)")
	return l
}

// dataFolder returns the data folder: the flag, CAIRN_DATA, that of the
// configuration file, or that of the user's system. The file is read only when
// that matters.
func dataFolder(at location) (string, error) {
	if given := cmp.Or(at.data, os.Getenv("CAIRN_DATA")); given != "" {
		return absolute(given)
	}
	l, err := loadConfig(config.Request{File: at.config, Getenv: func(name string) string {
		if name == config.FileVariable {
			return os.Getenv(name)
		}
		return "" // the others do not say where the data is
	}})
	if err != nil {
		return "", err
	}
	return absolute(l.Data)
}

// absolute returns the data folder of a setting; "" is that of the user's system.
// Source of the latter: the XDG Base Directory Specification, and Apple's and
// Microsoft's conventions.
func absolute(given string) (string, error) {
	if given != "" {
		dir, err := filepath.Abs(given)
		return dir, cairn.FileError("finding", given, err)
	}
	home, err := os.UserHomeDir()
	if err != nil && os.Getenv("XDG_DATA_HOME") == "" {
		return "", &cairn.Error{
			Code:    cairn.CodeNoPermission,
			Message: "This user has no home folder to keep data in.",
			Hint:    "Name a data folder with --data or CAIRN_DATA.",
			Err:     err,
		}
	}
	switch runtime.GOOS {
	case "windows":
		if dir := os.Getenv("LOCALAPPDATA"); dir != "" {
			return filepath.Join(dir, "cairn"), nil
		}
		return filepath.Join(home, "AppData", "Local", "cairn"), nil
	case "darwin":
		return filepath.Join(home, "Library", "Application Support", "cairn"), nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "cairn"), nil
	}
	return filepath.Join(home, ".local", "share", "cairn"), nil
}

// daemon returns a client of the daemon that CAIRN_URL names, or else of the one
// that runs on the data folder.
func daemon(ctx context.Context, data location) (*client.Client, error) {
	if address := os.Getenv("CAIRN_URL"); address != "" {
		if hasMore(address) {
			return nil, usageError{errors.New("CAIRN_URL is no address, or has something beside it: it looks like http://127.0.0.1:39300 or unix:///path/of/socket, and a token belongs into " + tokenVariable)}
		}
		if !isAddress(address) {
			return nil, usageError{fmt.Errorf("CAIRN_URL is %s, which is no address: it looks like http://127.0.0.1:39300 or unix:///path/of/socket", cairn.Quote(address))}
		}
		return client.New(address).WithToken(os.Getenv(tokenVariable)), nil
	}
	dir, err := dataFolder(data)
	if err != nil {
		return nil, err
	}
	return daemonOn(ctx, dir)
}

// hasMore reports whether there is, or may be, something beside an address, such as a
// password, which would be shown with it.
func hasMore(address string) bool {
	_, err := url.Parse(address)
	return !strings.HasPrefix(address, "unix:") && (err != nil || strings.ContainsAny(address, "@?#"))
}

// isAddress reports whether a client can be told of the address.
func isAddress(address string) bool {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return checkSocketPath(path) == nil
	}
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// daemonOn returns a client of the daemon that runs on a data folder;
// cairn.CodeUnreachable when none does. The address there may be of one that a
// crash ended, and be another's since: what is meant for this folder must not
// reach that one's.
func daemonOn(ctx context.Context, dir string) (*client.Client, error) {
	none := &cairn.Error{
		Code:    cairn.CodeUnreachable,
		Message: "No daemon runs on the data folder " + dir + ".",
		Hint:    "Start it with cairn serve, name its folder with --data, or its address in CAIRN_URL.",
	}
	path := filepath.Join(dir, urlFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, none
	}
	if err != nil {
		return nil, cairn.FileError("reading", path, err)
	}
	address := strings.TrimSpace(string(text))
	c := client.New(address).WithToken(os.Getenv(tokenVariable))
	asking, cancel := context.WithTimeout(ctx, identifyTime)
	defer cancel()
	d, err := c.Daemon(asking)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case asking.Err() != nil:
		none.Message = "Nothing answers at " + address + ", where the daemon of the data folder " + dir + " was."
		none.Hint = "See whether it still runs, and stop what does not answer; then start it with cairn serve."
		return nil, none
	case cairn.CodeOf(err) == cairn.CodeUnreachable:
		none.Err = err
		return nil, none
	case err != nil || d.Data == "":
		none.Message += " At the address that it had, " + address + ", something else answers."
		none.Err = err
		return nil, none
	case !sameFolder(d.Data, dir):
		none.Message += " At the address that it had, " + address + ", one answers that runs on " + d.Data + "."
		return nil, none
	}
	return c, nil
}

// identifyTime is how long a daemon may take to say which one it is. It waits for
// nothing before it does.
const identifyTime = 5 * time.Second

// sameFolder reports whether two paths lead to one folder.
func sameFolder(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA != nil || errB != nil {
		return a == b
	}
	return os.SameFile(infoA, infoB)
}
