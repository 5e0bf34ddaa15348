package folder_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/folder"
)

func TestBucket(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return create(t, t.TempDir()) })
}

func create(t *testing.T, path string) *folder.Bucket {
	t.Helper()
	b, err := folder.Create(path)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return b
}

func put(t *testing.T, b bucket.Bucket, name string) {
	t.Helper()
	if err := b.Put(t.Context(), name, strings.NewReader(name)); err != nil {
		t.Fatalf("Put of %s: %v", name, err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte("x"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// list returns the names that are there.
func list(t *testing.T, b bucket.Bucket, prefix string) (names []string) {
	t.Helper()
	for object, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		names = append(names, object.Name)
	}
	return names
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file)
	for _, path := range []string{filepath.Join(dir, "none"), file, filepath.Join(file, "below")} {
		if _, err := folder.Open(path); !errors.Is(err, bucket.ErrMissing) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open of %s: %v, want an ErrMissing that names it", path, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "none")); err == nil {
		t.Error("Open made the folder")
	}
	if _, err := folder.Create(filepath.Join(file, "below")); err == nil {
		t.Error("Create below a file returned nil")
	}
	t.Chdir(dir)
	put(t, create(t, filepath.Join("new", "deep")), "a")
	b, err := folder.Open("new/deep")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Chdir(os.TempDir()) // its path must not depend on it
	if got := list(t, b, ""); !slices.Equal(got, []string{"a"}) {
		t.Errorf("List yields %q, want a", got)
	}
	if want := filepath.Join(dir, "new", "deep"); !sameFile(t, b.Path(), want) || !filepath.IsAbs(b.Path()) {
		t.Errorf("Path = %s, want %s", b.Path(), want)
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	aInfo, aErr := os.Stat(a)
	bInfo, bErr := os.Stat(b)
	if err := errors.Join(aErr, bErr); err != nil {
		t.Fatal(err)
	}
	return os.SameFile(aInfo, bInfo)
}

// TestRootGone takes the folder away, and then puts another one in its place.
func TestRootGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root")
	b := create(t, path)
	put(t, b, "parts/a")
	check := func() {
		t.Helper()
		_, getErr := b.Get(t.Context(), "parts/a")
		_, headErr := b.Head(t.Context(), "parts/a")
		_, noneErr := b.Head(t.Context(), "none/a")
		_, foreignErr := b.Foreign(t.Context())
		_, tidyErr := b.Tidy(t.Context(), 0)
		errs := map[string]error{
			"Get": getErr, "Head": headErr, "Head of none": noneErr, "Foreign": foreignErr, "Tidy": tidyErr,
			"Put":       b.Put(t.Context(), "parts/b", strings.NewReader("b")),
			"Put above": b.Put(t.Context(), "b", strings.NewReader("b")),
			"Delete":    b.Delete(t.Context(), "parts/a"),
			"List":      nil, "List below": nil,
		}
		for op, prefix := range map[string]string{"List": "", "List below": "parts/"} {
			for _, err := range b.List(t.Context(), prefix) {
				errs[op] = err
			}
		}
		for op, err := range errs {
			if !errors.Is(err, bucket.ErrMissing) || errors.Is(err, bucket.ErrNotFound) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v, want an ErrMissing that names %s", op, err, path)
			}
		}
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := os.Lstat(path); err == nil {
		t.Fatal("the folder was made anew")
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	check()
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
		t.Errorf("the other folder holds %v, %v, want nothing", entries, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path)
	check()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	put(t, b, "parts/b")
	if got := list(t, b, ""); !slices.Equal(got, []string{"parts/a", "parts/b"}) {
		t.Errorf("back again List yields %q, want both objects", got)
	}
}

// TestRootGoneWhileListed has a listing come to an end because there is
// nothing left: that is no end.
func TestRootGoneWhileListed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root")
	b := create(t, path)
	put(t, b, "a/a")
	put(t, b, "b/b")
	var last error
	for _, err := range b.List(t.Context(), "") {
		if last = err; err == nil {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(last, bucket.ErrMissing) {
		t.Errorf("the end of List: %v, want ErrMissing", last)
	}
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	b := create(t, dir)
	want := func(want string) {
		t.Helper()
		if got, err := b.Foreign(t.Context()); err != nil || got != want {
			t.Errorf("Foreign = %q, %v, want %q", got, err, want)
		}
	}
	want("")
	for _, name := range []string{
		".DS_Store", ".hidden/x y", "lost+found/#1", "desktop.ini", "parts/Desktop.ini", "Thumbs.db", "parts/.put-1.tmp", ".stfolder/x",
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	put(t, b, "cairn.json")
	put(t, b, "parts/aa/a")
	if err := os.MkdirAll(filepath.Join(dir, "backups"), 0o700); err != nil {
		t.Fatal(err)
	}
	want("")
	for _, name := range []string{"desktop.ini", "parts/Thumbs.db", "thumbs.DB/a"} {
		if err := b.Put(t.Context(), name, strings.NewReader("x")); !errors.Is(err, bucket.ErrName) {
			t.Errorf("Put of %s: %v, want ErrName", name, err)
		}
	}
	write(t, filepath.Join(dir, "parts", "bb", "My photo.jpg"))
	want("parts/bb/My photo.jpg")
	write(t, filepath.Join(dir, "Documents and more", "a"))
	want("Documents and more")
	write(t, filepath.Join(dir, "0.tmp"))
	want("0.tmp")
	if got := list(t, b, ""); !slices.Equal(got, []string{"cairn.json", "parts/aa/a"}) {
		t.Errorf("List yields %q, want the two objects", got)
	}
}

func TestLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	b := create(t, dir)
	write(t, filepath.Join(outside, "file"))
	for link, target := range map[string]string{"link": filepath.Join(outside, "file"), "tree": outside, "loop": dir, "dead": "none"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			if runtime.GOOS == "windows" {
				t.Skipf("this user may not make links: %v", err)
			}
			t.Fatal(err)
		}
	}
	if got := list(t, b, ""); got != nil {
		t.Errorf("List yields %q, want nothing", got)
	}
	if got, err := b.Foreign(t.Context()); err != nil || got != "dead" {
		t.Errorf("Foreign = %q, %v, want the first link", got, err)
	}
	for _, name := range []string{"link", "tree/file", "loop/link", "dead"} {
		if _, err := b.Get(t.Context(), name); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("Get of %s: %v, want ErrNotFound", name, err)
		}
		if err := b.Put(t.Context(), name, strings.NewReader("new")); !errors.Is(err, bucket.ErrName) {
			t.Errorf("Put of %s: %v, want ErrName", name, err)
		}
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete of %s: %v", name, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(outside, "file")); err != nil || string(data) != "x" {
		t.Errorf("the file outside holds %q, %v, want what it did", data, err)
	}
}

// TestFolderInTheWay has one name that is a folder in another one.
func TestFolderInTheWay(t *testing.T) {
	b := create(t, t.TempDir())
	put(t, b, "a/b/c")
	for _, name := range []string{"a", "a/b", "a/b/c/d", "a/b/c/d/e", strings.Repeat("x", 300)} {
		if err := bucket.Create(t.Context(), b, name, strings.NewReader("x")); !errors.Is(err, bucket.ErrName) {
			t.Errorf("Create of %.20s: %v, want ErrName", name, err)
		}
	}
	if got := list(t, b, ""); !slices.Equal(got, []string{"a/b/c"}) {
		t.Errorf("List yields %q, want a/b/c", got)
	}
}

func TestTidy(t *testing.T) {
	dir := t.TempDir()
	b := create(t, dir)
	put(t, b, "parts/a")
	past := time.Now().Add(-25 * time.Hour)
	for _, name := range []string{".put-1.tmp", "parts/.put-2.tmp", "parts/.put-new.tmp", "parts/.other.tmp", "parts/.put-x", ".hidden/.put-1.tmp"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		write(t, path)
		if !strings.Contains(name, "new") {
			if err := os.Chtimes(path, past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chtimes(filepath.Join(dir, "parts", "a"), past, past); err != nil {
		t.Fatal(err)
	}
	if got := list(t, b, ""); !slices.Equal(got, []string{"parts/a"}) {
		t.Errorf("List yields %q, want parts/a", got)
	}
	for _, want := range []int{2, 0} {
		if n, err := b.Tidy(t.Context(), 24*time.Hour); n != want || err != nil {
			t.Errorf("Tidy = %d, %v, want %d", n, err, want)
		}
	}
	for name, want := range map[string]bool{
		".put-1.tmp": false, "parts/.put-2.tmp": false, "parts/.put-new.tmp": true, "parts/.other.tmp": true,
		"parts/.put-x": true, "parts/a": true, ".hidden/.put-1.tmp": true,
	} {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); (err == nil) != want {
			t.Errorf("after Tidy, %s: %v; it must be there: %t", name, err, want)
		}
	}
}

// TestContentFails has content break off: nothing is left of it, and it is not
// the store that failed.
func TestContentFails(t *testing.T) {
	dir := t.TempDir()
	b := create(t, dir)
	for _, size := range []int{0, 1, 1 << 20, 3 << 20} {
		err := b.Put(t.Context(), "a", &breaking{left: size})
		if !errors.Is(err, os.ErrPermission) || errors.Is(err, bucket.ErrRefused) {
			t.Errorf("Put of content that breaks after %d bytes: %v, want its error only", size, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder holds %v, %v, want nothing", entries, err)
	}
}

// TestPutCancelled cancels while content is copied: it ends soon, and nothing
// is left.
func TestPutCancelled(t *testing.T) {
	dir := t.TempDir()
	b := create(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	content := &endless{cancelAt: 5 << 19, cancel: cancel, end: 64 << 20}
	if err := b.Put(ctx, "parts/a", content); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want context.Canceled", err)
	}
	if content.read > 4<<20 {
		t.Errorf("cancelled after %d bytes, Put read %d", content.cancelAt, content.read)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "parts")); err != nil || len(entries) > 0 {
		t.Errorf("the folder holds %v, %v, want nothing", entries, err)
	}
}

// An endless content, or nearly so, cancels when so many bytes were read.
type endless struct {
	read, cancelAt, end int
	cancel              func()
}

func (e *endless) Seek(int64, int) (int64, error) { return 0, nil }

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= e.cancelAt {
		e.cancel()
	}
	if e.read >= e.end {
		return 0, io.EOF
	}
	e.read += len(p)
	return len(p), nil
}

// A breaking content fails after some bytes.
type breaking struct{ left int }

func (b *breaking) Seek(int64, int) (int64, error) { return 0, nil }

func (b *breaking) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, os.ErrPermission
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}
