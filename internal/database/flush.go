package database

import (
	"errors"
	"os"
)

// flushBytes is how many bytes of documents a flusher lets gather: fewer make
// those who write wait for the disk.
const flushBytes = 64 << 20

// A flusher has a file that is being filled written to the disk meanwhile, so
// that little is left to wait for at the end. It opens the file before SQLite
// does and closes it afterwards: closing a file takes SQLite's locks on it away.
type flusher struct {
	file *os.File
	due  chan struct{}
	done chan error // gets the first failure of a sync

	waiting int64
	ended   bool
}

func newFlusher(path string) (*flusher, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	f := &flusher{file: file, due: make(chan struct{}, 1), done: make(chan error, 1)}
	go func() {
		var failed error
		for range f.due {
			if failed == nil {
				failed = f.file.Sync() // a failure is told once; it must not be lost
			}
		}
		f.done <- failed
	}()
	return f, nil
}

// wrote counts bytes that were written.
func (f *flusher) wrote(bytes int64) {
	if f.waiting += bytes; f.waiting < flushBytes {
		return
	}
	f.waiting = 0
	select {
	case f.due <- struct{}{}:
	default: // it has not caught up
	}
}

// finish has all of the file on the disk, and closes it.
func (f *flusher) finish() error {
	f.ended = true
	close(f.due)
	err := <-f.done
	return errors.Join(err, f.file.Sync(), f.file.Close())
}

// close closes the file. Whether it is on the disk is of no matter any more.
func (f *flusher) close() error {
	if f == nil || f.ended {
		return nil
	}
	f.ended = true
	close(f.due)
	<-f.done
	return f.file.Close()
}
