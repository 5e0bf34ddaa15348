package main

import (
	"io/fs"
	"log/slog"
)

// isOpenToOthers reports false: on Windows a file has no mode, and is as private as
// the folder that it is in.
func isOpenToOthers(fs.FileInfo) bool { return false }

// keepPrivate does nothing: a folder below that of the user is private there.
func keepPrivate(string, *slog.Logger) error { return nil }
