package folder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cairn/internal/bucket"
	"cairn/internal/bucket/folder"
)

// TestModes must not run beside others: the umask is the process's.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o277, 0o777} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "top", "root")
			old := syscall.Umask(umask)
			defer syscall.Umask(old)
			put(t, create(t, root), "parts/aa/a")
			got := map[string]fs.FileMode{}
			err := filepath.WalkDir(filepath.Dir(root), func(path string, entry fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := entry.Info()
				if err == nil {
					got[entry.Name()] = info.Mode()
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 5 {
				t.Errorf("there are %v, want four folders and an object", got)
			}
			for name, mode := range got {
				if want := map[bool]fs.FileMode{true: fs.ModeDir | 0o700, false: 0o600}[mode.IsDir()]; mode != want {
					t.Errorf("%s has mode %s, want %s", name, mode, want)
				}
			}
		})
	}
}

// asOrdinaryUser runs f on a thread without the rights of root over files.
func asOrdinaryUser(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this function
		_, err := unix.SetfsuidRetUid(nobody)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("becoming another user: %v", err)
	}
}

// TestRefused has folders that may be read only, and not at all.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, create(t, dir), "parts/a")
	chmod := func(mode, fileMode fs.FileMode) {
		t.Helper()
		err := os.Chmod(filepath.Join(dir, "parts", "a"), fileMode)
		for _, path := range []string{filepath.Join(dir, "parts"), dir} {
			err = errors.Join(err, os.Chmod(path, mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	defer chmod(0o700, 0o600)
	wantRefused := func(op string, err error) {
		t.Helper()
		if !errors.Is(err, bucket.ErrRefused) || errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("%s: %v, want ErrRefused", op, err)
		}
	}

	chmod(0o555, 0o444)
	var b *folder.Bucket
	asOrdinaryUser(t, func() {
		var err error
		if b, err = folder.Open(dir); err != nil {
			t.Errorf("Open of a folder that may be read: %v", err)
			return
		}
		wantRefused("Put", b.Put(t.Context(), "parts/b", strings.NewReader("b")))
		wantRefused("Put in a new folder", b.Put(t.Context(), "new/b", strings.NewReader("b")))
		wantRefused("Delete", b.Delete(t.Context(), "parts/a"))
		if got := list(t, b, ""); !slices.Equal(got, []string{"parts/a"}) {
			t.Errorf("List yields %q, want parts/a", got)
		}
		body, err := b.Get(t.Context(), "parts/a")
		if err != nil {
			t.Errorf("Get: %v", err)
			return
		}
		body.Close()
	})
	if b == nil {
		return
	}
	if err := os.Chmod(filepath.Join(dir, "parts"), 0); err != nil {
		t.Fatal(err)
	}
	asOrdinaryUser(t, func() {
		_, getErr := b.Get(t.Context(), "parts/a")
		_, headErr := b.Head(t.Context(), "parts/none")
		wantRefused("Get", getErr)
		wantRefused("Head of none", headErr)
		for _, err := range b.List(t.Context(), "") {
			wantRefused("List", err)
		}
	})
	chmod(0, 0)
	asOrdinaryUser(t, func() {
		_, err := folder.Open(dir)
		wantRefused("Open", err)
	})
}

// TestSurvivesKill kills a process while it stores: all that is listed is whole.
func TestSurvivesKill(t *testing.T) {
	for range 3 {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := make([]byte, 8) // a byte for each object; the next one is under way
		if _, err := out.Read(acknowledged[:1]); err != nil {
			t.Fatalf("the other process stored nothing: %v", err)
		}
		for i := 1; i < len(acknowledged); i++ {
			if _, err := out.Read(acknowledged[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		b := create(t, dir)
		n := 0
		for object, err := range b.List(t.Context(), "") {
			if err != nil || object.Size != childSize {
				t.Errorf("List yields %+v, %v, want objects of %d bytes", object, err, childSize)
			}
			n++
		}
		if n < len(acknowledged) {
			t.Errorf("there are %d objects, of at least %d", n, len(acknowledged))
		}
	}
}

// childEnv makes this test binary store objects without end in the folder that
// it names, and tell of each with a byte.
const (
	childEnv  = "FOLDER_TEST_CHILD"
	childSize = 3 << 20
)

func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	b, err := folder.Create(dir)
	for i := 0; err == nil; i++ {
		err = b.Put(context.Background(), fmt.Sprintf("parts/%02x/%d", i%4, i), bytes.NewReader(make([]byte, childSize)))
		if err == nil {
			_, err = os.Stdout.Write([]byte("."))
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
