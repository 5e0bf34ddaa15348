//go:build !windows

package main

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"cairn"
)

// others are the bits of a mode that are for others than the owner.
const others = 0o077

// isOpenToOthers reports whether others than its owner may do anything with a file.
func isOpenToOthers(info fs.FileInfo) bool { return info.Mode().Perm()&others != 0 }

// keepPrivate keeps other users out of a folder of ours, and refuses one that is
// another user's, who could replace what is in it.
func keepPrivate(path string, log *slog.Logger) error {
	info, err := os.Stat(path)
	if err != nil {
		return cairn.FileError("looking at", path, err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return &cairn.Error{
			Code:    cairn.CodeNoPermission,
			Message: fmt.Sprintf("This user, %d, has no permission for the folder %s: it belongs to the user %d.", os.Geteuid(), path, owner.Uid),
			Hint:    "Start cairn as its owner, give it to this user with chown -R, or choose another one with --data.",
		}
	}
	if !isOpenToOthers(info) {
		return nil
	}
	log.Warn("other users could look into this folder; now they cannot", "folder", path, "mode", info.Mode().Perm().String())
	return cairn.FileError("changing the mode of", path, os.Chmod(path, info.Mode().Perm()&^others))
}
