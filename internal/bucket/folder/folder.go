// Package folder is a store in a folder: on this disk, on another one, or on a
// network drive. An object name is the path of its file below the folder.
//
//	b, err := folder.Open("/mnt/disk/backups")
//
// An object appears in one step, whole, and stands when Put has returned,
// power loss or not. What a crash leaves is a hidden file that no call shows,
// until [Bucket.Tidy] removes it.
package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"cairn/internal/bucket"
	"cairn/internal/durable"
)

// A Bucket keeps its objects in a folder. Beyond what [bucket.Bucket] says, no
// name may be a folder in another one (a and a/b), and some file systems take
// names that differ in letter case only for the same. Links below the folder
// are not followed; they are no objects.
type Bucket struct {
	path string
	root fs.FileInfo // as it was when it was opened

	making sync.Mutex
	made   map[string]bool // folders whose own name survives power loss; needs making

	mu       sync.Mutex
	unsynced map[string]int // folders: failures to sync them since it last worked; needs mu

	publishing sync.Mutex // held where nothing but a lock keeps an object from being replaced

	// What tests replace.
	link func(temp, path string) error // neither replaces what is at path
	move func(temp, path string) error
	step func(s step, do func() error) error // does each step of Put and Delete
}

// Open returns the store in a folder that exists. The error is ErrMissing when
// it does not; a missing folder is often a disk that is not mounted.
//
// The store stays with this very folder: once it is gone, or another one has
// its path, every call is ErrMissing. Some file systems also give a folder a
// new identity when they are mounted anew; so who knows what should be in it
// may Open it again and look.
func Open(path string) (*Bucket, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the folder %s: %w", path, err)
	}
	info, err := identify(path)
	if err != nil {
		return nil, fmt.Errorf("opening the folder %s: %w", path, classifyRoot(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("opening the folder %s: %w: it is a file", path, bucket.ErrMissing)
	}
	return &Bucket{
		path: path, root: info,
		made: make(map[string]bool), unsynced: make(map[string]int),
		link: link, move: move,
	}, nil
}

// Create makes the folder and those above it where they are missing, with mode
// 0700, and opens it.
func Create(path string) (*Bucket, error) {
	if err := durable.MkdirAll(path); err != nil {
		return nil, fmt.Errorf("making the folder %s: %w", path, classifyRoot(err))
	}
	return Open(path)
}

// Path returns the absolute path of the folder.
func (b *Bucket) Path() string { return b.path }

// identify describes the folder at path; not as os.Stat does, which on Windows
// may ask for the identity later.
func identify(path string) (info fs.FileInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err = f.Stat()
	return info, errors.Join(err, f.Close())
}

// check returns nil as long as the folder is the one that was opened.
func (b *Bucket) check() error {
	info, err := os.Stat(b.path)
	if err != nil {
		return fmt.Errorf("folder %s: %w", b.path, classifyRoot(err))
	}
	if !os.SameFile(b.root, info) {
		return fmt.Errorf("folder %s: %w: another one has taken its place", b.path, bucket.ErrMissing)
	}
	return nil
}

// locate returns the path of an object, after the checks that all calls begin
// with.
func (b *Bucket) locate(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := bucket.ValidateName(name); err != nil {
		return "", err
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return "", fmt.Errorf("%w: this system reserves it", bucket.ErrName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if ofSystem(part) {
			return "", fmt.Errorf("%w: the system uses it", bucket.ErrName)
		}
	}
	return filepath.Join(b.path, local), b.check()
}

// find describes the file of an object; ErrNotFound when there is none. The
// path is known then too.
func (b *Bucket) find(ctx context.Context, name string) (path string, info fs.FileInfo, err error) {
	path, err = b.locate(ctx, name)
	if err != nil {
		return "", nil, err
	}
	at := b.path
	for part := range strings.SplitSeq(name, "/") {
		if info != nil && !info.IsDir() {
			return path, nil, bucket.ErrNotFound
		}
		at = filepath.Join(at, part)
		info, err = os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			err = b.notFound()
			if errors.Is(err, bucket.ErrNotFound) {
				err = cmp.Or(b.settle(filepath.Dir(at)), err) // the call that removed it may have failed then
			}
			return path, nil, err
		}
		if err != nil {
			return "", nil, err
		}
	}
	if !info.Mode().IsRegular() {
		return path, nil, fmt.Errorf("%w: what is there is no file", bucket.ErrNotFound)
	}
	return path, info, b.settle(filepath.Dir(path))
}

// notFound returns ErrNotFound, or why nothing can be found at all.
func (b *Bucket) notFound() error {
	if err := b.check(); err != nil {
		return err
	}
	return bucket.ErrNotFound
}

// Get implements [bucket.Bucket].
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	path, _, err := b.find(ctx, name)
	if err != nil {
		return nil, b.describe("reading", name, err)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = b.notFound() // deleted since
	}
	if err != nil {
		return nil, b.describe("reading", name, err)
	}
	return &body{b, ctx, name, f}, nil
}

// A body reads an object as long as its context lasts.
type body struct {
	bucket *Bucket
	ctx    context.Context
	name   string
	file   *os.File
}

func (b *body) Read(p []byte) (n int, err error) {
	if err = b.ctx.Err(); err == nil {
		n, err = b.file.Read(p)
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.bucket.describe("reading", b.name, err)
}

func (b *body) Close() error { return b.file.Close() }

// Head implements [bucket.Bucket].
func (b *Bucket) Head(ctx context.Context, name string) (bucket.Object, error) {
	_, info, err := b.find(ctx, name)
	if err != nil {
		return bucket.Object{}, b.describe("looking at", name, err)
	}
	return bucket.Object{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Delete implements [bucket.Bucket]. It leaves folders where they are.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	path, _, err := b.find(ctx, name)
	if err == nil {
		err = b.do(stepRemove, func() error { return os.Remove(path) })
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = b.notFound() // deleted since
		case err != nil:
			b.doubt(filepath.Dir(path)) // it may be gone all the same
		}
	}
	if err == nil || errors.Is(err, bucket.ErrNotFound) {
		err = b.syncGone(filepath.Dir(path))
	}
	return b.describe("deleting", name, err)
}

// syncGone makes it survive power loss that a name is not in a folder: whoever
// deleted it may have died before. Where there is no folder, there is no name.
func (b *Bucket) syncGone(dir string) error {
	if info, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	return b.sync(dir)
}
