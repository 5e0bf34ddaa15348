//go:build unix

package durable_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"cairn/internal/durable"
)

// TestModes must not run beside others: the umask is the process's.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o277, 0o777} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			dir := t.TempDir()
			top, sub := filepath.Join(dir, "top"), filepath.Join(dir, "top", "sub")
			file, lock := filepath.Join(sub, "f"), filepath.Join(sub, "lock")
			old := syscall.Umask(umask)
			defer syscall.Umask(old)

			if err := durable.MkdirAll(sub); err != nil {
				t.Fatalf("MkdirAll: %v", err)
			}
			if err := durable.WriteFile(file, []byte("x")); err != nil {
				t.Fatalf("WriteFile: %v", err)
			}
			l, err := durable.Lock(lock)
			if err != nil {
				t.Fatalf("Lock: %v", err)
			}
			l.Close()
			for path, want := range map[string]fs.FileMode{top: 0o700, sub: 0o700, file: 0o600, lock: 0o600} {
				if got := mode(t, path); got != want {
					t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
				}
			}
		})
	}
}

func TestModesOfWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	file := filepath.Join(dir, "f")
	mkdir(t, dir)
	write(t, file, "old")
	for path, m := range map[string]fs.FileMode{dir: 0o755, file: 0o644} {
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.MkdirAll(dir); err != nil {
		t.Fatalf("MkdirAll: %v", err)
	}
	if err := durable.WriteFile(file, []byte("new")); err != nil {
		t.Fatalf("WriteFile: %v", err)
	}
	if got := mode(t, dir); got != 0o755 {
		t.Errorf("MkdirAll changed the mode of a folder that was there to %o", got)
	}
	if got := mode(t, file); got != 0o600 {
		t.Errorf("after WriteFile over a file of mode 644 it has %o, want 600", got)
	}
}

// TestWriteFileCutOff has a write fail half way, as on a full disk, through a
// limit on the size of files.
func TestWriteFileCutOff(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "CURRENT")
	write(t, path, "old")
	if out, err := child(t, "limit", path).Output(); err != nil {
		t.Fatalf("the other process: %v\n%s", err, out)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("after a failed WriteFile the file holds %q, want %q", got, "old")
	}
	wantNames(t, dir, "CURRENT")
}

// writeOverLimit runs in a process of its own, since the limit is for all of
// its files. It returns 0 if WriteFile failed.
func writeOverLimit(path string) int {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 4096, Max: 4096}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := durable.WriteFile(path, bytes.Repeat([]byte("x"), 10000)); err == nil {
		fmt.Println("WriteFile over the limit returned nil")
		return 1
	}
	return 0
}
