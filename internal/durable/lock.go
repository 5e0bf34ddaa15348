package durable

import (
	"errors"
	"fmt"
	"os"

	"github.com/gofrs/flock"
)

// ErrLocked says that somebody else holds the lock.
var ErrLocked = errors.New("locked by another process")

// A FileLock is a lock that is held. It guards nothing by itself: those who
// share a folder agree to hold its lock while they use it. Keep it until you
// [FileLock.Close] it: one that nothing refers to any more is let go of.
type FileLock struct{ file *flock.Flock }

// Lock takes the lock at path without waiting, making the file with mode
// 0600 where it is missing. The error is [ErrLocked] when it is held, by
// another process or by this one. A process that dies lets go of its locks.
func Lock(path string) (*FileLock, error) {
	file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(fileMode))
	ok, err := file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	if err := os.Chmod(path, fileMode); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &FileLock{file}, nil
}

// Close lets go of the lock. The file stays: were it removed, two processes
// could each hold a lock on a file of that name. A second Close does nothing.
func (l *FileLock) Close() error { return l.file.Close() }
