//go:build unix

package importer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/internal/importer"
)

func TestReadTextPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, reason, err := importer.ReadText(path, 10); reason != importer.Special || err != nil {
		t.Errorf("ReadText = %q, %v, want %q", reason, err, importer.Special)
	}
}

// TestReadTextReplaced reads a file that is replaced all the time by a pipe
// nobody writes to and by a link to a secret. The read must neither wait nor
// follow, at whatever moment the file is replaced.
func TestReadTextReplaced(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"secret": "secret"})
	path := filepath.Join(dir, "file")
	next := filepath.Join(dir, "next")
	kinds := []func() error{
		func() error { return os.WriteFile(next, []byte("text"), 0o644) },
		func() error { return syscall.Mkfifo(next, 0o644) },
		func() error { return os.WriteFile(next, []byte("text"), 0o644) },
		func() error { return os.Symlink("secret", next) },
	}
	replace := func(i int) error {
		if err := kinds[i%len(kinds)](); err != nil {
			return err
		}
		return os.Rename(next, path)
	}
	if err := replace(0); err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if err := replace(i); err != nil {
				t.Errorf("replacing: %v", err)
				return
			}
		}
	})
	read := make(chan struct{})
	go func() { // outlives the test if it waits for a pipe, which fails the test
		defer close(read)
		for range 10_000 {
			text, reason, err := importer.ReadText(path, 10)
			if reason == importer.Kept && string(text) != "text" {
				t.Errorf("ReadText = %q", text)
			}
			// A link that comes just before opening is an error of the system.
			if reason == importer.Binary || reason == importer.TooLarge || err != nil && reason != importer.Unreadable {
				t.Errorf("ReadText = %q, %v", reason, err)
			}
		}
	}()
	select {
	case <-read:
	case <-time.After(time.Minute):
		t.Error("ReadText waits for a pipe")
	}
	close(done)
	wg.Wait()
}

func TestReadTextUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 5000)) // longer than allowed
	_, reason, err := importer.ReadText(path, 10)
	e, ok := errors.AsType[*importer.UnreadableError](err)
	if reason != importer.Unreadable || !ok || e.Path != path {
		t.Fatalf("ReadText = %q, %v, want %q and the path", reason, err, importer.Unreadable)
	}
	if n := strings.Count(err.Error(), path); n != 1 {
		t.Errorf("the path is %d times in %q", n, err)
	}
}
