package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/durable"
	"cairn/internal/segment"
)

// A parcel is an object on its way to the bucket.
type parcel struct {
	stretch *stretch
	index   int   // of its part
	bytes   int64 // of documents in it
	object  segment.Object
	data    []byte // nil when it lies in the file
	file    string
}

// send puts a parcel that was popped into the bucket, and forgets it. One that
// lay in a file is compared with what was put there: a disk that gives back
// other bytes must not get them into a backup. Large ones in files take turns.
func (o *outbox) send(ctx context.Context, c *cloud.Cloud, p *parcel) error {
	defer o.done(p)
	data := p.data
	if p.file != "" {
		cost := min(p.object.Size, o.limit)
		err := o.reading.Acquire(ctx, cost)
		if err != nil {
			return context.Cause(ctx)
		}
		defer o.reading.Release(cost)
		if data, err = os.ReadFile(p.file); err != nil {
			return err
		}
		if segment.Sum(sha256.Sum256(data)) != p.object.SHA256 {
			return spoiled(p.file)
		}
	}
	return c.Put(ctx, p.object.Name, bytes.NewReader(data))
}

// spoiled says that a file in the spool is not what was written.
func spoiled(file string) error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: "The disk gives back something else than what was written to " + file + ". No backup was made.",
		Hint:    "Check the health of the disk of the data folder, then try again.",
	}
}

// A hashed is content that is sent from a file. Its sum is that of what was read
// of it last, from its start to its end: this is what a store has got, whatever
// the disk gave back before.
type hashed struct {
	content *io.SectionReader
	hash    hash.Hash
	at      int64 // bytes in hash
	sum     segment.Sum
}

func newHashed(content *io.SectionReader) *hashed {
	return &hashed{content: content, hash: sha256.New()}
}

// Read implements io.Reader.
func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.content.Read(p)
	h.hash.Write(p[:n])
	h.at += int64(n)
	if h.at == h.content.Size() {
		h.sum = segment.Sum(h.hash.Sum(nil))
	}
	return n, err
}

// Seek implements io.Seeker.
func (h *hashed) Seek(offset int64, whence int) (int64, error) {
	at, err := h.content.Seek(offset, whence)
	if at == 0 {
		h.hash.Reset()
		h.at = 0
	}
	return at, err
}

// spareBytes is the room on the disk that spooled parts leave to others.
const spareBytes = 256 << 20

// An outbox is a queue of parcels. It holds so many bytes of them in memory, and
// the rest in files, as far as the disk has room; then push waits. Files that are
// being sent may take as much memory again. Until open nothing is sent, and no
// file is written for a store that may never take it.
type outbox struct {
	folder string
	limit  int64
	log    *slog.Logger
	step   func(name string, do func() error) error

	reading *semaphore.Weighted // bytes of files that are sent, up to limit

	mu      sync.Mutex
	changed sync.Cond
	queue   []*parcel
	held    int64 // bytes in memory, until they were sent
	files   int   // parcels that lie in files, until they were sent
	opened  bool  // it may be sent
	closed  bool  // nothing more is pushed
	stopped bool  // nothing more is sent
}

func newOutbox(cfg Config) *outbox {
	o := &outbox{folder: cfg.Spool, limit: cfg.Memory / 2, log: cfg.Log, step: cfg.Step}
	o.reading = semaphore.NewWeighted(o.limit)
	o.changed.L = &o.mu
	return o
}

// push adds a parcel, which has its data.
func (o *outbox) push(p *parcel) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.held+p.object.Size > o.limit && !o.stopped {
		if !o.opened {
			o.changed.Wait()
			continue
		}
		spilled, err := o.spill(p)
		if err != nil {
			return err
		}
		if spilled || o.held == 0 || o.stopped {
			break // it lies in a file; or the disk is full, and there is nothing else that will be sent
		}
		o.changed.Wait()
	}
	if p.file == "" {
		o.held += p.object.Size
	} else {
		o.files++
	}
	o.queue = append(o.queue, p)
	o.changed.Broadcast()
	return nil
}

// spill moves the data of a parcel to a file, if the disk has room for it.
func (o *outbox) spill(p *parcel) (ok bool, err error) {
	o.mu.Unlock()
	defer o.mu.Lock()
	if free, err := durable.Free(o.folder); err != nil || free < p.object.Size+spareBytes {
		return false, cairn.FileError("looking at the disk of", o.folder, err)
	}
	f, err := os.CreateTemp(o.folder, "part.*"+durable.TempSuffix)
	if err != nil {
		return false, cairn.FileError("writing to", o.folder, err)
	}
	err = o.step("spool.part", func() error {
		_, err := f.Write(p.data)
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		err = cairn.FileError("writing", f.Name(), errors.Join(err, os.Remove(f.Name())))
		if cairn.CodeOf(err) == cairn.CodeDiskFull {
			err = nil // others were faster; the upload of what is in memory makes room too
		}
		return false, err
	}
	p.file, p.data = f.Name(), nil
	return true, nil
}

// ready waits until something may be sent, and the disk has the room again that
// files took. It returns false when nothing will be sent.
func (o *outbox) ready() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (!o.opened || o.files > 0) && !o.stopped {
		o.changed.Wait()
	}
	return !o.stopped
}

// pop returns the next parcel, as soon as there is one; nil when there will be
// none.
func (o *outbox) pop() *parcel {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.stopped && (!o.opened || len(o.queue) == 0 && !o.closed) {
		o.changed.Wait()
	}
	if o.stopped || len(o.queue) == 0 {
		return nil
	}
	p := o.queue[0]
	o.queue = o.queue[1:]
	return p
}

// done forgets a parcel that was popped.
func (o *outbox) done(p *parcel) {
	if p.file != "" {
		o.forget(p.file)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.file != "" {
		o.files--
	} else {
		o.held -= p.object.Size
	}
	o.changed.Broadcast()
}

// forget removes a file. One that another program has open stays until the next
// start; no backup fails for that.
func (o *outbox) forget(file string) {
	if err := o.step("spool.remove", func() error { return os.Remove(file) }); err != nil {
		o.log.Warn("a file of an upload could not be removed; the next start tries again", "file", file, "err", err)
	}
}

// open has what was pushed be sent.
func (o *outbox) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = true
	o.changed.Broadcast()
}

// close says that nothing more is pushed.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Broadcast()
}

// stop ends all waiting: nothing more is sent.
func (o *outbox) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	o.changed.Broadcast()
}

// discard removes what was not sent.
func (o *outbox) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.queue {
		if p.file != "" {
			o.forget(p.file)
		}
	}
	o.queue = nil
}

// spoolError says of an error of a file which folder it is about.
func spoolError(folder string, err error) error {
	if _, ok := errors.AsType[*cairn.Error](err); ok || err == nil {
		return err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(e, segment.ErrSpoiled) {
		return spoiled(e.Path)
	} else if ok {
		return cairn.FileError("using files in", folder, err)
	}
	return err
}
