package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/durable"
)

// A step is a part of Put or Delete that changes what is on the disk.
type step string

const (
	stepFolder  step = "make folder"
	stepParent  step = "sync parent"
	stepWrite   step = "write temp"
	stepSync    step = "sync temp"
	stepPublish step = "publish"
	stepClean   step = "remove temp"
	stepRemove  step = "remove object"
	stepSettle  step = "sync folder"
)

// do does a step.
func (b *Bucket) do(s step, fn func() error) error {
	if b.step == nil {
		return fn()
	}
	return b.step(s, fn)
}

const (
	fileMode = 0o600
	dirMode  = 0o700

	// tempPrefix begins, and durable.TempSuffix ends, the names of objects
	// that are being written.
	tempPrefix = ".put-"

	// lockName is the file whose lock is held to publish where the file system
	// has no operation that spares what is there.
	lockName = ".lock"

	chunk    = 1 << 20 // bytes that are written before ctx is looked at
	lockWait = time.Minute
	lockPoll = 20 * time.Millisecond
)

// errContent says that not the store but the content to be stored failed.
var errContent = errors.New("the content to be stored cannot be read")

// Put implements [bucket.Bucket].
func (b *Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	path, err := b.locate(ctx, name)
	if err == nil {
		err = b.makeFolders(name)
	}
	if err == nil {
		err = b.put(ctx, path, content)
	}
	return b.describe("storing", name, err)
}

// put stores content at path: a temporary file beside it is synced, gets its
// name in one step that spares what has it already, and the folder is synced.
func (b *Bucket) put(ctx context.Context, path string, content io.ReadSeeker) error {
	dir := filepath.Dir(path)
	if _, err := os.Lstat(path); err == nil {
		return b.exists(path)
	}
	temp, err := b.writeTemp(ctx, dir, content)
	if err != nil {
		return err
	}
	err = b.publish(ctx, temp, path, perished(content))
	_ = b.clean(temp) // the object stands or not, whatever this says; Tidy removes it too
	if errors.Is(err, fs.ErrExist) {
		return b.exists(path)
	}
	if err != nil {
		b.doubt(dir) // it may have its name all the same
		return err
	}
	return b.sync(dir)
}

// exists returns ErrExists for what stands at path, once that survives power
// loss: whoever stored it may have died before.
func (b *Bucket) exists(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err // deleted since
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is no file", bucket.ErrName, path)
	}
	if err := b.sync(filepath.Dir(path)); err != nil {
		return err
	}
	return bucket.ErrExists
}

// makeFolders makes the folders that an object is in, below the root only.
func (b *Bucket) makeFolders(name string) error {
	if path.Dir(name) == "." {
		return nil
	}
	b.making.Lock()
	defer b.making.Unlock()
	dir := b.path
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		parent := dir
		dir = filepath.Join(dir, part)
		if err := b.makeFolder(parent, dir); err != nil {
			return err
		}
	}
	return nil
}

// makeFolder makes dir, and its name in parent survive power loss. It needs
// making.
func (b *Bucket) makeFolder(parent, dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%w: %s is no folder", bucket.ErrName, dir)
	case err == nil && b.made[dir]:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		delete(b.made, dir)
		if err := b.do(stepFolder, func() error { return mkdir(dir) }); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	// Also when it is there: another process may have made it, and died.
	if err := b.do(stepParent, func() error { return durable.SyncDir(parent) }); err != nil {
		return err
	}
	b.made[dir] = true
	return nil
}

// mkdir makes a folder, which another process may do too.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, dirMode); err != nil && !unsupported(err) {
		return err
	}
	return nil
}

// writeTemp writes content to a new file in dir, and syncs it. It leaves no
// file behind when it fails.
func (b *Bucket) writeTemp(ctx context.Context, dir string, content io.ReadSeeker) (name string, err error) {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("%w: %w", errContent, err)
	}
	f, err := os.CreateTemp(dir, tempPrefix+"*"+durable.TempSuffix)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = b.clean(f.Name()) // err says why there is a file to remove
		}
	}()
	if err = f.Chmod(fileMode); unsupported(err) {
		err = nil
	}
	if err == nil {
		err = b.do(stepWrite, func() error { return write(ctx, f, content) })
	}
	if err == nil {
		err = b.do(stepSync, f.Sync)
	}
	return f.Name(), errors.Join(err, f.Close())
}

// write copies content to f, looking at ctx between chunks.
func write(ctx context.Context, f *os.File, content io.Reader) error {
	source := &source{r: content}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(f, source, chunk)
		switch {
		case source.err == io.EOF && (err == nil || err == io.EOF):
			return nil
		case source.err != nil && source.err != io.EOF:
			return fmt.Errorf("%w: %w", errContent, source.err)
		case err != nil:
			return err
		}
	}
}

// A source tells the errors of reading from those of writing.
type source struct {
	r   io.Reader
	err error // that r returned last
}

func (s *source) Read(p []byte) (n int, err error) {
	n, s.err = s.r.Read(p)
	return n, s.err
}

// clean removes a temporary file.
func (b *Bucket) clean(temp string) error {
	return b.do(stepClean, func() error { return os.Remove(temp) })
}

// perished returns what tells why content must not be stored any more. The computer
// may have slept since it was read, and syncing it may take long.
func perished(content io.ReadSeeker) func() error {
	p, ok := content.(bucket.Perishable)
	if !ok {
		return func() error { return nil }
	}
	return func() error {
		if err := p.Err(); err != nil {
			return fmt.Errorf("%w: %w", errContent, err)
		}
		return nil
	}
}

// publish gives a synced file its name, unless its content has perished, or
// something has the name: that error is fs.ErrExist.
func (b *Bucket) publish(ctx context.Context, temp, path string, perished func() error) error {
	if err := perished(); err != nil {
		return err
	}
	return b.do(stepPublish, func() error {
		err := b.link(temp, path)
		if unsupported(err) {
			err = b.move(temp, path)
		}
		if unsupported(err) {
			err = b.moveLocked(ctx, temp, path, perished)
		}
		return err
	})
}

// moveLocked is for a file system that can only replace: all who store there
// hold a lock while they look and move.
func (b *Bucket) moveLocked(ctx context.Context, temp, path string, perished func() error) (err error) {
	b.publishing.Lock()
	defer b.publishing.Unlock()
	lock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "rename", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := perished(); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// lock waits for the lock of the folder, which is held for a moment only.
func (b *Bucket) lock(ctx context.Context) (*durable.FileLock, error) {
	timeout := time.NewTimer(lockWait)
	defer timeout.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		lock, err := durable.Lock(filepath.Join(b.path, lockName))
		if !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
		select {
		case <-poll.C:
		case <-timeout.C:
			return nil, fmt.Errorf("%w: %w", bucket.ErrUnreachable, err)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// sync makes the names in a folder survive power loss. Where that fails, no
// object in it can be read before it works: one that was just named would
// otherwise pass for stored.
func (b *Bucket) sync(dir string) error {
	b.mu.Lock()
	failures := b.unsynced[dir]
	b.mu.Unlock()
	err := b.do(stepSettle, func() error { return durable.SyncDir(dir) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.unsynced[dir]++
	} else if b.unsynced[dir] == failures { // none since this sync began
		delete(b.unsynced, dir)
	}
	return err
}

// doubt has a folder synced before anything is said about what is in it: an
// operation on a name in it failed, and may have been done.
func (b *Bucket) doubt(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsynced[dir]++
}

// settle syncs a folder if that failed before.
func (b *Bucket) settle(dir string) error {
	b.mu.Lock()
	failures := b.unsynced[dir]
	b.mu.Unlock()
	if failures == 0 {
		return nil
	}
	return b.sync(dir)
}
