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
	"cairn/internal/database"
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

// TestRefuseShared holds which folders that others can look into become data folders.
func TestRefuseShared(t *testing.T) {
	for _, test := range []struct {
		name    string
		mode    os.FileMode
		holds   []string
		refused bool
	}{
		{"a new one", 0o755, nil, false},
		{"one that was used", 0o755, []string{"cloud", lockFile}, false},
		{"one that was copied", 0o755, []string{"CURRENT", "device.db"}, false},
		{"one with a database alone", 0o755, []string{database.CurrentFile, "generations"}, false},
		{"one with other things", 0o755, []string{"other"}, true},
		{"one that all share", 0o777, []string{"other"}, true},
		{"a private one with other things", 0o700, []string{"other"}, false},
	} {
		dir := t.TempDir()
		for _, name := range test.holds {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, test.mode); err != nil {
			t.Fatal(err)
		}
		d := daemonProcess{dir: dir, log: slog.New(slog.DiscardHandler)}
		err := d.keepFolders()
		if refused := cairn.CodeOf(err) == cairn.CodeInUse; refused != test.refused || err != nil && !refused {
			t.Errorf("%s: %v", test.name, err)
		}
		want := test.mode & 0o700
		if test.refused {
			want = test.mode
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: it has the mode %v, %v, want %v", test.name, info.Mode(), err, want)
		}
	}
}
