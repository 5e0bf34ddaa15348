package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/durable"
)

// errStop ends a walk; nobody outside sees it.
var errStop = errors.New("stop")

// List implements [bucket.Bucket]. It holds the names of one folder at a time,
// and of those above it. What cannot be an object is not yielded: see
// [Bucket.Foreign].
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		err := b.walk(ctx, prefix, func(name string, entry fs.DirEntry) error {
			if !isObject(name, entry) {
				return nil
			}
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted since
			}
			if err != nil {
				return err
			}
			if !yield(bucket.Object{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(bucket.Object{}, b.describe("listing", fmt.Sprintf("%q", prefix), err))
		}
	}
}

// Foreign returns the path below the folder of the first thing in it that is
// neither an object nor a folder of objects; "" when there is none. What the
// system or a file manager leaves there does not count: hidden files,
// lost+found, desktop.ini and the like.
func (b *Bucket) Foreign(ctx context.Context) (name string, err error) {
	err = b.walk(ctx, "", func(at string, entry fs.DirEntry) error {
		if ofSystem(entry.Name()) || isObject(at, entry) {
			return nil
		}
		name = at
		return errStop
	})
	if errors.Is(err, errStop) {
		return name, nil
	}
	return "", b.describe("looking through", b.path, err)
}

// Tidy removes what crashed writers left: unfinished objects that nobody has
// written to for so long. A day is plenty. It returns how many it removed; one
// that cannot be removed does not keep it from removing the others.
func (b *Bucket) Tidy(ctx context.Context, olderThan time.Duration) (removed int, err error) {
	limit := time.Now().Add(-olderThan)
	var failures []error
	err = b.walk(ctx, "", func(name string, entry fs.DirEntry) error {
		temp := strings.HasPrefix(entry.Name(), tempPrefix) && strings.HasSuffix(entry.Name(), durable.TempSuffix)
		if !temp || !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().Before(limit) {
			err = os.Remove(filepath.Join(b.path, filepath.FromSlash(name)))
			if err == nil {
				removed++
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
		return nil
	})
	return removed, b.describe("tidying", b.path, errors.Join(append(failures, err)...))
}

// walk visits all that is in the folder but folders of objects, in the order
// of the bytes of the names below it, where these begin with prefix.
func (b *Bucket) walk(ctx context.Context, prefix string, visit func(name string, entry fs.DirEntry) error) error {
	if err := errors.Join(ctx.Err(), b.check()); err != nil {
		return err
	}
	folder, base := "", prefix
	if slash := strings.LastIndexByte(prefix, '/'); slash >= 0 {
		folder, base = prefix[:slash], prefix[slash+1:]
		if !b.isFolder(folder) {
			return nil // no object can be there
		}
	}
	if err := b.walkFolder(ctx, folder, base, visit); err != nil {
		return err
	}
	return b.check() // a folder that went away looks empty
}

// isFolder reports whether name is that of a folder that objects can be in.
func (b *Bucket) isFolder(name string) bool {
	if bucket.ValidateName(name) != nil {
		return false
	}
	at := b.path
	for part := range strings.SplitSeq(name, "/") {
		at = filepath.Join(at, part)
		if info, err := os.Lstat(at); err == nil && !info.IsDir() {
			return false // others are left to walkFolder
		}
	}
	return true
}

func (b *Bucket) walkFolder(ctx context.Context, folder, base string, visit func(string, fs.DirEntry) error) error {
	dir := filepath.Join(b.path, filepath.FromSlash(folder))
	if err := b.settle(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since, or never made
	}
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasPrefix(entry.Name(), base) {
			continue
		}
		name := entry.Name()
		if folder != "" {
			name = folder + "/" + name
		}
		if entry.IsDir() && !ofSystem(entry.Name()) && bucket.ValidateName(name) == nil {
			err = b.walkFolder(ctx, name, "", visit)
		} else {
			err = visit(name, entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sortKey puts a folder where the names of its objects belong: a.b, a/b, a0.
func sortKey(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name() + "/"
	}
	return entry.Name()
}

func isObject(name string, entry fs.DirEntry) bool {
	return entry.Type().IsRegular() && !ofSystem(entry.Name()) && bucket.ValidateName(name) == nil
}

// ofSystem reports whether something of this name comes from an operating
// system or a file manager, which put it into every folder.
func ofSystem(name string) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	for _, known := range []string{"lost+found", "desktop.ini", "Thumbs.db", "$RECYCLE.BIN", "System Volume Information"} {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}
