package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"cairn"
	"cairn/client"
)

// urlFile in the data folder holds the first address of the running daemon.
const urlFile = "url"

// dataFlag adds --data to a command.
func dataFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("data", "", "data `folder` (default $CAIRN_DATA, else the user's data folder)")
}

// dataFolder returns the data folder: the flag, CAIRN_DATA, or that of the
// user's system. Source of the latter: the XDG Base Directory Specification,
// and Apple's and Microsoft's conventions.
func dataFolder(given string) (string, error) {
	if given == "" {
		given = os.Getenv("CAIRN_DATA")
	}
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

// daemon returns a client of the daemon that CAIRN_URL names, or else the data
// folder's file url.
func daemon(data string) (*client.Client, error) {
	if address := os.Getenv("CAIRN_URL"); address != "" {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, usageError{fmt.Errorf("CAIRN_URL is %s, which is no address: it looks like http://127.0.0.1:39300", cairn.Quote(address))}
		}
		return client.New(address), nil
	}
	dir, err := dataFolder(data)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, urlFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &cairn.Error{
			Code:    cairn.CodeUnreachable,
			Message: "No daemon runs on the data folder " + dir + ".",
			Hint:    "Start it with cairn serve, name its folder with --data, or its address in CAIRN_URL.",
		}
	}
	if err != nil {
		return nil, cairn.FileError("reading", path, err)
	}
	return client.New(strings.TrimSpace(string(text))), nil
}
