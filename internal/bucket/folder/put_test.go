package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/durable"
)

func create(t *testing.T) *Bucket {
	t.Helper()
	b, err := Create(t.TempDir())
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return b
}

// names returns all names in a folder, hidden ones too.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// wantObjects fails the test unless these are the objects, and each holds data.
func wantObjects(t *testing.T, b bucket.Bucket, data []byte, want ...string) {
	t.Helper()
	var got []string
	for object, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		got = append(got, object.Name)
		body, err := b.Get(t.Context(), object.Name)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		stored, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil || !bytes.Equal(stored, data) {
			t.Errorf("%s holds %d bytes, %v, want %d", object.Name, len(stored), err, len(data))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("List yields %q, want %q", got, want)
	}
}

var errCrash = errors.New("crash")

const onWindows = runtime.GOOS == "windows"

// crashAt has all fail from the n-th step on, as if the process had ended.
func (b *Bucket) crashAt(n int) (steps *[]step) {
	steps = new([]step)
	b.step = func(s step, do func() error) error {
		*steps = append(*steps, s)
		if len(*steps) >= n {
			return errCrash
		}
		return do()
	}
	return steps
}

// TestCrash ends the process before each step of Put: the next one finds the
// object whole, or none, and can store it.
func TestCrash(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 3<<20)
	whole := create(t)
	all := *func() *[]step {
		steps := whole.crashAt(1000)
		if err := whole.Put(t.Context(), "parts/aa/a", bytes.NewReader(data)); err != nil {
			t.Fatalf("Put: %v", err)
		}
		return steps
	}()
	want := []step{stepFolder, stepParent, stepFolder, stepParent, stepWrite, stepSync, stepPublish, stepClean, stepSettle}
	if !slices.Equal(all, want) {
		t.Fatalf("Put has the steps %q, want %q", all, want)
	}
	for n, at := range all {
		t.Run(fmt.Sprintf("%d before %s", n+1, at), func(t *testing.T) {
			b := create(t)
			b.crashAt(n + 1)
			if err := b.Put(t.Context(), "parts/aa/a", bytes.NewReader(data)); !errors.Is(err, errCrash) && at != stepClean {
				t.Errorf("Put: %v, want the crash", err)
			}
			after, err := Open(b.Path())
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if n <= slices.Index(all, stepPublish) {
				wantObjects(t, after, data)
			} else {
				wantObjects(t, after, data, "parts/aa/a")
			}
			if name, err := after.Foreign(t.Context()); name != "" || err != nil {
				t.Errorf("Foreign = %q, %v, want nothing", name, err)
			}
			if err := bucket.Create(t.Context(), after, "parts/aa/a", bytes.NewReader(data)); err != nil {
				t.Errorf("Create after the crash: %v", err)
			}
			if _, err := after.Tidy(t.Context(), 0); err != nil {
				t.Errorf("Tidy: %v", err)
			}
			wantObjects(t, after, data, "parts/aa/a")
			if got := names(t, filepath.Join(after.Path(), "parts", "aa")); !slices.Equal(got, []string{"a"}) {
				t.Errorf("the folder holds %q, want a", got)
			}
		})
	}
}

// TestStepFails fails one step of Put only: there is no litter, and the object
// is not there, or it is settled later.
func TestStepFails(t *testing.T) {
	data := []byte("data")
	for _, class := range []struct{ err, want error }{
		{syscall.ENOSPC, bucket.ErrFull}, {syscall.EROFS, bucket.ErrReadOnly}, {syscall.EIO, bucket.ErrUnreachable},
		{os.ErrPermission, bucket.ErrRefused}, {errCrash, errCrash},
	} {
		for _, at := range []step{stepFolder, stepWrite, stepSync, stepPublish} {
			b := create(t)
			if onWindows && class.want != bucket.ErrRefused && class.want != errCrash {
				continue // it has other numbers
			}
			b.step = func(s step, do func() error) error {
				if s == at {
					return &os.PathError{Op: "test", Path: "path", Err: class.err}
				}
				return do()
			}
			err := b.Put(t.Context(), "parts/a", bytes.NewReader(data))
			if !errors.Is(err, class.want) || !strings.Contains(err.Error(), "parts/a") {
				t.Errorf("Put when it fails to %s: %v, want a %v that names the object", at, err, class.want)
			}
			wantObjects(t, b, data)
			if at != stepFolder {
				if got := names(t, filepath.Join(b.Path(), "parts")); got != nil {
					t.Errorf("after it failed to %s the folder holds %q, want nothing", at, got)
				}
			}
		}
	}
}

// TestSyncFails has a folder that cannot be synced: what was just named in it
// does not pass for stored, before that works.
func TestSyncFails(t *testing.T) {
	b := create(t)
	broken := true
	b.step = func(s step, do func() error) error {
		if s == stepSettle && broken {
			return syscall.EIO
		}
		return do()
	}
	data := []byte("data")
	if err := b.Put(t.Context(), "parts/a", bytes.NewReader(data)); err == nil {
		t.Error("Put without a sync returned nil")
	}
	_, headErr := b.Head(t.Context(), "parts/a")
	_, getErr := b.Get(t.Context(), "parts/a")
	var listErr error
	for _, err := range b.List(t.Context(), "parts/") {
		listErr = err
	}
	for op, err := range map[string]error{
		"Head": headErr, "Get": getErr, "List": listErr,
		"Put": b.Put(t.Context(), "parts/a", bytes.NewReader(data)), "Delete": b.Delete(t.Context(), "parts/a"),
	} {
		if err == nil || errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrExists) {
			t.Errorf("%s in a folder that cannot be synced: %v, want that error", op, err)
		}
	}
	broken = false
	if err := bucket.Create(t.Context(), b, "parts/a", bytes.NewReader(data)); err != nil {
		t.Errorf("Create when it can be synced: %v", err)
	}
	wantObjects(t, b, data, "parts/a")

	broken = true
	for range 2 { // the second has nothing to remove
		if err := b.Delete(t.Context(), "parts/a"); err == nil {
			t.Error("Delete without a sync returned nil")
		}
	}
	broken = false
	if err := b.Delete(t.Context(), "parts/a"); err != nil {
		t.Errorf("Delete when it can be synced: %v", err)
	}
	wantObjects(t, b, data)
}

// TestPublish stores on file systems that lack links, and more.
func TestPublish(t *testing.T) {
	lacking := func(err error) func(string, string) error {
		return func(temp, path string) error { return &os.LinkError{Op: "link", Old: temp, New: path, Err: err} }
	}
	without := errors.ErrUnsupported
	for _, test := range []struct {
		name       string
		link, move error // nil for one that works
		locks      bool
	}{
		{"all", nil, nil, false},
		{"no links", without, nil, false},
		{"no links, by permission", syscall.EPERM, nil, false},
		{"too many links", syscall.EMLINK, nil, false},
		{"neither", without, without, true},
		{"neither, oddly", syscall.EPERM, syscall.EINVAL, true},
	} {
		if onWindows && (test.link != nil && test.link != without || test.move != nil && test.move != without) {
			continue // errors of other systems
		}
		t.Run(test.name, func(t *testing.T) {
			b := create(t)
			if test.link != nil {
				b.link = lacking(test.link)
			}
			if test.move != nil {
				b.move = lacking(test.move)
			}
			data := []byte("data")
			if err := b.Put(t.Context(), "parts/a", bytes.NewReader(data)); err != nil {
				t.Fatalf("Put: %v", err)
			}
			raceOne(t, b, "parts/b")
			if err := b.Delete(t.Context(), "parts/b"); err != nil {
				t.Errorf("Delete: %v", err)
			}
			// Whoever comes late must not replace it; the early look is passed by.
			temp, err := b.writeTemp(t.Context(), filepath.Join(b.Path(), "parts"), strings.NewReader("late"))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.publish(t.Context(), temp, filepath.Join(b.Path(), "parts", "a"), perished(nil)); !errors.Is(err, os.ErrExist) {
				t.Errorf("publishing over an object: %v, want that it exists", err)
			}
			if err := os.Remove(temp); err != nil {
				t.Errorf("removing what was not published: %v", err)
			}
			wantObjects(t, b, data, "parts/a")
			if got := names(t, filepath.Join(b.Path(), "parts")); !slices.Equal(got, []string{"a"}) {
				t.Errorf("the folder holds %q, want a", got)
			}
			if _, err := os.Lstat(filepath.Join(b.Path(), lockName)); (err == nil) != test.locks {
				t.Errorf("the lock file: %v; it must be there: %t", err, test.locks)
			}
		})
	}
}

// raceOne has eight writers of one name, of whom one may win.
func raceOne(t *testing.T, b *Bucket, name string) {
	t.Helper()
	errs := make([]error, 8)
	var writers sync.WaitGroup
	for i := range errs {
		writers.Go(func() { errs[i] = b.Put(t.Context(), name, strings.NewReader(fmt.Sprint(i))) })
	}
	writers.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, bucket.ErrExists) {
			t.Errorf("Put beside others: %v, want nil or ErrExists", err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers of one name won, want 1", won)
	}
}

// perishing is content that perishes once a step has been done.
type perishing struct {
	*bytes.Reader
	gone error
}

func (p *perishing) Err() error            { return p.gone }
func (p *perishing) Unwrap() io.ReadSeeker { return p.Reader }

// TestPerished holds that content is not stored any more that has perished since it
// was read: the computer may have slept, or waited for the disk or for a lock.
func TestPerished(t *testing.T) {
	stale := errors.New("it is too late")
	for _, test := range []struct {
		name   string
		locked bool
		after  func(b *Bucket, perish func())
	}{
		{"synced", false, func(b *Bucket, perish func()) {
			b.step = func(s step, do func() error) error {
				defer func() {
					if s == stepSync {
						perish()
					}
				}()
				return do()
			}
		}},
		{"waiting for the lock", true, func(b *Bucket, perish func()) {
			b.move = func(string, string) error {
				perish()
				return syscall.ENOSYS
			}
		}},
	} {
		b := create(t)
		content := &perishing{Reader: bytes.NewReader([]byte("data"))}
		if test.locked {
			b.link = func(string, string) error { return syscall.ENOSYS }
		}
		test.after(b, func() { content.gone = stale })
		if err := bucket.Create(t.Context(), b, "a", content); !errors.Is(err, stale) {
			t.Errorf("%s: %v", test.name, err)
		}
		b.step = nil
		wantObjects(t, b, nil)
		if left := slices.DeleteFunc(names(t, b.Path()), func(n string) bool { return n == lockName }); len(left) > 0 {
			t.Errorf("%s: %q is left", test.name, left)
		}
	}
}

// TestLockHeld waits for a lock that another process holds, and no longer than
// the context lasts.
func TestLockHeld(t *testing.T) {
	b := create(t)
	b.link = func(string, string) error { return errors.ErrUnsupported }
	b.move = b.link
	lock, err := durable.Lock(filepath.Join(b.Path(), lockName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*lockPoll)
	defer cancel()
	if err := b.Put(ctx, "a", strings.NewReader("a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put while the lock is held: %v, want the end of the context", err)
	}
	wantObjects(t, b, nil)
	done := make(chan error)
	go func() { done <- b.Put(t.Context(), "a", strings.NewReader("a")) }()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Put once the lock is free: %v", err)
	}
	wantObjects(t, b, []byte("a"), "a")
}
