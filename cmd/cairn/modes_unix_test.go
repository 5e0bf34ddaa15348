//go:build !windows

package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn"
)

// TestKeepPrivate holds what becomes of a folder by its mode, and by its owner.
func TestKeepPrivate(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for mode, warned := range map[os.FileMode]bool{0o700: false, 0o500: false, 0o710: true, 0o701: true, 0o777: true} {
		dir := filepath.Join(t.TempDir(), "folder")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if err := keepPrivate(dir, logger); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != mode&0o700 || strings.Contains(log.String(), "level=WARN") != warned {
			t.Errorf("mode %o: it is %v, %v, and the log says %q", mode, info.Mode(), err, log.String())
		}
	}
	foreign := "/" // that of root
	if os.Geteuid() == 0 {
		foreign = t.TempDir()
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	log.Reset()
	if err := keepPrivate(foreign, logger); cairn.CodeOf(err) != cairn.CodeNoPermission || !strings.Contains(err.Error(), "it belongs to the user ") {
		t.Errorf("a folder of another user: %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
}
