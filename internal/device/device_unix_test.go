//go:build unix

package device_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cairn/internal/device"
)

// TestModes must not run beside others: the umask is the process's.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o277, 0o777} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			dir := t.TempDir()
			old := syscall.Umask(umask)
			defer syscall.Umask(old)
			d, _ := open(t, config(dir, "m1"))
			if err := d.SetSignedIn(t.Context(), false); err != nil {
				t.Fatalf("SetSignedIn: %v", err)
			}
			wantModes(t, dir, device.FileName, device.FileName+"-shm", device.FileName+"-wal")
		})
	}
}

// TestModesTightened has a file that others may read.
func TestModesTightened(t *testing.T) {
	dir := t.TempDir()
	visit(t, config(dir, "m1"))
	if err := os.Chmod(filepath.Join(dir, device.FileName), 0o644); err != nil {
		t.Fatal(err)
	}
	visit(t, config(dir, "m1"))
	wantModes(t, dir, device.FileName)
}

// wantModes fails the test unless dir holds exactly these files, with mode 0600.
func wantModes(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Errorf("the folder holds %v, want %v", entries, want)
	}
	for _, name := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, got)
		}
	}
}
