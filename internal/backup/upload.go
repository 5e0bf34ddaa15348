package backup

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// An upload turns rows into parts in the cloud: whoever reads them appends their
// lines to a run, workers compress and encrypt full runs, and others send them.
// Each stage waits for the next, but for the last: what a slow store does not
// take lies in files, so that the reader does not wait for it.
type upload struct {
	ctx    context.Context // of run
	e      *Engine
	c      *cloud.Cloud
	report Report

	catalog *segment.Catalog
	memory  *semaphore.Weighted // bytes of runs that are filled or encoded
	free    chan *run           // that can be filled
	full    chan *run
	outbox  *outbox
	filling *run

	mu       sync.Mutex // guards what follows
	backup   cairn.Backup
	parts    []segment.Part // in order; without an object until it was encoded
	got      cairn.Stats    // what was encoded
	sent     int64          // bytes of documents
	contents contents
}

// A run is the plain text of a part to be.
type run struct {
	index int   // in upload.parts
	cost  int64 // of upload.memory
	part  segment.Part
	lines []byte
	rows  []row
}

// lineBytes is room for the names around the document that fills a part.
const lineBytes = 64 << 10

// maxRows is how many documents a run has at most. Only documents of less than
// 256 bytes reach it: beside each, its row and its line in the catalog take as
// much again, and the memory for runs is counted in bytes of lines.
const maxRows = segment.PartBytes / 256

// A row is where a document stands in a run.
type row struct {
	doc      cairn.Document // without JSON
	hash     cairn.Hash     // of its JSON
	crc      uint32         // CRC-32C of its JSON
	from, to int            // its JSON
}

func newUpload(e *Engine, c *cloud.Cloud, b cairn.Backup, report Report) *upload {
	u := &upload{
		e:       e,
		c:       c,
		backup:  b,
		report:  report,
		catalog: segment.NewCatalog(e.cfg.Spool, e.cfg.Catalog),
		free:    make(chan *run, e.cfg.Workers+1),
		full:    make(chan *run),
		outbox:  newOutbox(e.cfg),
		memory:  semaphore.NewWeighted(e.cfg.Memory),
	}
	u.catalog.Step = func(do func() error) error { return e.cfg.Step("spool.catalog", do) }
	for range cap(u.free) {
		u.free <- &run{} // its memory comes with its first row
	}
	return u
}

// run uploads what read gives to begin and row, and the index, which is made while
// the last parts are under way. A place can turn into another one unnoticed, as
// with the disks that are mounted at one path: it is looked at before anything is
// sent, and by create again before that counts.
func (u *upload) run(ctx context.Context, read func(context.Context, *upload) error) error {
	group, ctx := errgroup.WithContext(ctx)
	u.ctx = ctx
	var encoding sync.WaitGroup
	var failed atomic.Bool // what is encoded is not all
	encode := func(fn func() error) {
		encoding.Add(1)
		group.Go(func() error {
			defer encoding.Done()
			err := guarded(fn)()
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	encode(func() error {
		defer close(u.full)
		if err := read(ctx, u); err != nil {
			return err
		}
		return u.dispatch()
	})
	for range u.e.cfg.Workers {
		encode(u.encode)
	}
	group.Go(guarded(func() error {
		encoding.Wait()
		u.outbox.close()
		if failed.Load() {
			return nil // whoever failed says why
		}
		return u.finish(ctx)
	}))
	group.Go(guarded(func() error {
		if err := u.c.Check(ctx); err != nil {
			return err
		}
		u.beginJournal(ctx)
		u.outbox.open()
		return nil
	}))
	for range u.e.cfg.Transfers {
		group.Go(guarded(u.send))
	}
	stop := context.AfterFunc(ctx, u.outbox.stop)
	err := group.Wait()
	stop()
	return err
}

// close gives back what the upload took.
func (u *upload) close() {
	u.outbox.discard()
	if err := u.e.cfg.Step("spool.remove", u.catalog.Close); err != nil {
		u.e.cfg.Log.Warn("files of an upload could not be removed; the next start tries again", "folder", u.e.cfg.Spool, "err", err)
	}
}

// begin hears what there is to be read. It may come behind the rows.
func (u *upload) begin(s cairn.Stats) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := &u.backup
	b.Line, b.Revision, b.Documents, b.JSONBytes, b.Digest = s.Line, s.Revision, s.Documents, s.Bytes, s.Digest
	return nil
}

// line returns the history that is backed up.
func (u *upload) line() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.backup.Line
}

// row takes the next document.
func (u *upload) row(doc cairn.Document, hash cairn.Hash) error {
	r := u.filling
	if r != nil && (len(r.lines)+len(doc.JSON) > segment.PartBytes || len(r.rows) == maxRows) {
		if err := u.dispatch(); err != nil {
			return err
		}
		r = nil
	}
	if r == nil {
		var err error
		if r, err = u.next(int64(len(doc.JSON))); err != nil {
			return err
		}
	}
	if r.lines == nil {
		r.lines = make([]byte, 0, segment.PartBytes+lineBytes)
	}
	r.lines = segment.AppendLine(r.lines, doc)
	end := len(r.lines) - len("}\n")
	r.rows = append(r.rows, row{
		doc:  cairn.Document{Revision: doc.Revision, Collection: doc.Collection, ID: doc.ID},
		hash: hash,
		crc:  crc32.Checksum(doc.JSON, crc32.MakeTable(crc32.Castagnoli)),
		from: end - len(doc.JSON),
		to:   end,
	})
	r.part.Documents++
	r.part.To = doc.Revision
	return nil
}

// next returns an empty run for a document of so many bytes and those behind
// it, as soon as there is one, and memory for it.
func (u *upload) next(bytes int64) (*run, error) {
	cost := min(max(bytes, segment.PartBytes), u.e.cfg.Memory)
	if err := u.memory.Acquire(u.ctx, cost); err != nil {
		return nil, context.Cause(u.ctx)
	}
	select {
	case r := <-u.free:
		r.cost = cost
		u.filling = r
		return r, nil
	case <-u.ctx.Done():
		return nil, context.Cause(u.ctx)
	}
}

// dispatch hands the run that is being filled to the workers.
func (u *upload) dispatch() error {
	r := u.filling
	if r == nil {
		return context.Cause(u.ctx)
	}
	u.filling = nil
	r.part.Plain = int64(len(r.lines))
	u.mu.Lock()
	r.index = len(u.parts)
	if r.index > 0 {
		r.part.From = u.parts[r.index-1].To
	}
	u.parts = append(u.parts, r.part)
	u.mu.Unlock()
	select {
	case u.full <- r:
		return nil
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	}
}

// encode makes objects of runs.
func (u *upload) encode() error {
	encoder, err := segment.NewEncoder(u.c.Recipient())
	if err != nil {
		return err
	}
	var batch segment.Batch
	for r := range u.full {
		if err := context.Cause(u.ctx); err != nil {
			return err
		}
		got, err := u.look(r, &batch)
		if err != nil {
			return err
		}
		if err := u.catalog.Add(&batch); err != nil {
			return spoolError(u.e.cfg.Spool, err)
		}
		data, sum, err := encoder.Encode(nil, r.lines)
		if err != nil {
			return err
		}
		p := &parcel{
			index:  r.index,
			object: segment.Object{Name: u.c.PartName(), Size: int64(len(data)), SHA256: sum},
			data:   data,
			bytes:  got.Bytes,
		}
		u.mu.Lock()
		u.got.Documents += got.Documents
		u.got.Bytes += got.Bytes
		u.got.Digest = u.got.Digest.Add(got.Digest)
		u.parts[r.index].Object = p.object
		u.mu.Unlock()
		cost := r.cost
		r.reset()
		u.free <- r // never full: it has room for all runs
		if err := u.outbox.push(p); err != nil {
			return err
		}
		u.memory.Release(cost) // until here the object was in no other account
	}
	return nil
}

// look adds the documents of a run to the catalog, and counts them. It makes sure
// that the text that is about to be encoded is the one that was read, of which
// the database has the hash.
func (u *upload) look(r *run, batch *segment.Batch) (got cairn.Stats, err error) {
	for i := range r.rows {
		row := &r.rows[i]
		doc := row.doc
		doc.JSON = r.lines[row.from:row.to]
		batch.Add(segment.NewRow(doc, row.hash, u.e.cfg.Browse))
		if crc32.Checksum(doc.JSON, crc32.MakeTable(crc32.Castagnoli)) != row.crc {
			return got, &cairn.Error{
				Code:    cairn.CodeInternal,
				Message: "A document changed in the memory of cairn while it was being backed up. No backup was made.",
				Hint:    "Check the memory of this computer, then try again.",
			}
		}
		got.Documents++
		got.Bytes += int64(len(doc.JSON))
		got.Digest = got.Digest.Add(cairn.DigestWith(doc, row.hash))
	}
	return got, nil
}

// reset empties a run. The memory of an unusually large document is not kept.
func (r *run) reset() {
	if cap(r.lines) > 2*segment.PartBytes {
		r.lines = nil
	}
	*r = run{lines: r.lines[:0], rows: r.rows[:0]}
}

// send puts parts into the bucket.
func (u *upload) send() error {
	for {
		p := u.outbox.pop()
		if p == nil {
			return context.Cause(u.ctx) // nil when all is sent
		}
		if err := u.outbox.send(u.ctx, u.c, p); err != nil {
			return spoolError(u.e.cfg.Spool, err)
		}
		u.journal(u.ctx, u.count(p))
	}
}

// count notes that a parcel is in the bucket, and returns its part.
func (u *upload) count(p *parcel) segment.Part {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent += p.bytes
	u.report(u.backup, cairn.Progress{Done: u.sent, Total: u.backup.JSONBytes})
	return u.parts[p.index]
}

// finish compares what was read with what the database counts, and writes the
// index, when all is encoded.
func (u *upload) finish(ctx context.Context) error {
	u.mu.Lock()
	b, got, parts := u.backup, u.got, slices.Clone(u.parts)
	u.mu.Unlock()
	if got.Documents != b.Documents || got.Bytes != b.JSONBytes || got.Digest != b.Digest {
		return &cairn.Error{
			Code: cairn.CodeDamaged,
			Message: fmt.Sprintf("The database %s is damaged: it counts %d documents of %d bytes with digest %s, but holds %d of %d with %s. No backup was made.",
				u.e.cfg.Database.Path(), b.Documents, b.JSONBytes, b.Digest, got.Documents, got.Bytes, got.Digest),
			Hint: "Keep a copy of the data folder, then restore the newest backup; cairn backup list shows them.",
		}
	}
	if b.Revision == 0 {
		return nil // nothing was ever written
	}
	s := segment.Segment{To: b.Revision}
	if n := len(parts); n > 0 {
		parts[n-1].To = b.Revision // deletions came after the last document
		var err error
		if s, err = segment.Join(parts); err != nil {
			return fmt.Errorf("joining the parts of a backup: %w", err)
		}
	}
	if s.Parts > 1 {
		if err := u.index(ctx, &s, parts); err != nil {
			return err
		}
	}
	u.contents = contents{Segments: []segment.Segment{s}, Parts: [][]segment.Part{parts}}
	return nil
}
