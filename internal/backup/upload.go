package backup

import (
	"context"
	"fmt"
	"hash/crc32"
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
	// What is there already: the backup to build on, "" without one, its segments,
	// and the parts in the journal.
	base    string
	kept    []segment.Segment
	resumed []segment.Part

	memory  *semaphore.Weighted // bytes of runs that are filled or encoded
	free    chan *run           // that can be filled
	full    chan *run
	begun   chan struct{} // closed by begin
	outbox  *outbox
	filling *run
	writing *stretch // that rows are read for
	taking  bool     // what is read is in a part that is there
	whole   bool     // all that there is is read; set before the first row

	mu        sync.Mutex // guards what follows
	backup    cairn.Backup
	stretches []*stretch             // in order
	got       cairn.Stats            // what was encoded
	sent      int64                  // bytes of documents
	stored    []string               // names of the parts that were sent
	total     int64                  // of them that will be sent
	underway  map[string]cloud.Fresh // objects that are sent: since when, by name

	looking *semaphore.Weighted // guards looked, and is held while somebody looks
	looked  bool                // at the place and the base

	refreshing *semaphore.Weighted // guards fresh, and is held while that is seen to
	fresh      cloud.Fresh         // when all that is used was known to be in the bucket
}

// A stretch becomes a segment of the backup.
type stretch struct {
	span
	kept    *segment.Segment // what it is already, unless it is written
	parts   []slot           // in order
	catalog *segment.Catalog // nil of one that is kept from the start
}

// A slot is for a part, which has no object until it was encoded.
type slot struct {
	segment.Part
	sent bool // it is in the bucket
}

// A run is the plain text of a part to be.
type run struct {
	stretch *stretch
	taken   bool  // the part is there: only its rows go to the catalog
	index   int   // in stretch.parts
	cost    int64 // of upload.memory
	part    segment.Part
	lines   []byte
	rows    []row
}

// lineBytes is room for the names around the document that fills a part.
const lineBytes = 64 << 10

// maxRows is how many rows a run has at most. Only documents of less than 256
// bytes reach it: beside each, its row and its line in the catalog take as much
// again, and the memory for runs is counted in bytes of lines.
const maxRows = segment.PartBytes / 256

// A row is where a document stands in a run.
type row struct {
	doc      cairn.Document // without JSON
	hash     cairn.Hash     // of its JSON
	crc      uint32         // CRC-32C of its JSON
	from, to int            // its JSON
}

// newUpload returns an upload of which everything is found out, or sent, after fresh.
func newUpload(e *Engine, c *cloud.Cloud, b cairn.Backup, fresh cloud.Fresh, report Report) *upload {
	u := &upload{
		e:      e,
		c:      c,
		backup: b,
		report: report,
		whole:  true,
		fresh:  fresh,
		free:   make(chan *run, e.cfg.Workers+1),
		full:   make(chan *run),
		begun:  make(chan struct{}),
		outbox: newOutbox(e.cfg),

		underway: map[string]cloud.Fresh{},
		memory:   semaphore.NewWeighted(e.cfg.Memory),

		looking:    semaphore.NewWeighted(1),
		refreshing: semaphore.NewWeighted(1),
	}
	for range cap(u.free) {
		u.free <- &run{} // its memory comes with its first row
	}
	return u
}

// run uploads what read gives to begin and row, and the index, which is made while
// the last parts are under way. A place can turn into another one unnoticed, as
// with the disks that are mounted at one path: it is looked at before anything is
// sent, or, with a base, before more than one part is, and again before that counts.
// What is found to lie elsewhere then is taken away.
func (u *upload) run(ctx context.Context, read read) error {
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
		return read()
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
		if err := u.lookBefore(ctx); err != nil {
			return err
		}
		u.outbox.open()
		return nil
	}))
	for range u.e.transfers() {
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
	for _, s := range u.stretches {
		if s.catalog == nil {
			continue
		}
		if err := u.e.cfg.Step("spool.remove", s.catalog.Close); err != nil {
			u.e.cfg.Log.Warn("files of an upload could not be removed; the next start tries again", "folder", u.e.cfg.Spool, "err", err)
		}
	}
}

// begin hears what there is to be read, and of it how many bytes of documents are
// to be sent. It may come behind the rows.
func (u *upload) begin(s cairn.Stats, total int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := &u.backup
	b.Line, b.Revision, b.Documents, b.Deletions, b.JSONBytes, b.Digest = s.Line, s.Revision, s.Documents, s.Deletions, s.Bytes, s.Digest
	u.total = total
	close(u.begun)
	u.report(u.backup, cairn.Progress{Total: u.total})
}

// keep has the backup hold a segment as it is in the bucket.
func (u *upload) keep(s span, kept segment.Segment, parts []segment.Part) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := &stretch{span: s, kept: &kept}
	for _, p := range parts {
		w.parts = append(w.parts, slot{p, true})
	}
	u.stretches = append(u.stretches, w)
}

// write has the backup hold a segment of the rows that follow. Its catalog has a
// share of the memory, of which there is one for each of so many.
func (u *upload) write(s span, shares int) {
	w := &stretch{span: s, catalog: segment.NewCatalog(u.e.cfg.Spool, u.e.cfg.Catalog/shares)}
	w.catalog.Step = func(do func() error) error { return u.e.cfg.Step("spool.catalog", do) }
	u.writing = w
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stretches = append(u.stretches, w)
}

// take has the segment hold a part that is there. The rows that follow, if any,
// are those in it.
func (u *upload) take(p segment.Part) error {
	if err := u.dispatch(); err != nil {
		return err
	}
	u.taking = true
	u.writing.add(u, slot{p, true})
	return nil
}

// add appends a part to a segment, and returns its index. Between it and the one
// before there is nothing: so it begins where that ends.
func (s *stretch) add(u *upload, p slot) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	p.From = s.from
	if n := len(s.parts); n > 0 {
		p.From = s.parts[n-1].To
	}
	s.parts = append(s.parts, p)
	return len(s.parts) - 1
}

// end says that there are no more rows of the part that is taken, or of a segment.
func (u *upload) end() error {
	err := u.dispatch()
	u.taking = false
	return err
}

// line returns the history that is backed up.
func (u *upload) line() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.backup.Line
}

// row takes the next document or deletion.
func (u *upload) row(doc cairn.Document, hash cairn.Hash) error {
	r := u.filling
	if r != nil && (len(r.lines)+len(doc.JSON) > u.e.cfg.PartBytes || r.part.Documents+r.part.Deletions == maxRows) {
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
	r.part.To = doc.Revision
	if doc.Deleted() {
		r.part.Deletions++
		return nil
	}
	r.part.Documents++
	end := len(r.lines) - len("}\n")
	r.rows = append(r.rows, row{
		doc:  cairn.Document{Revision: doc.Revision, Collection: doc.Collection, ID: doc.ID},
		hash: hash,
		crc:  crc32.Checksum(doc.JSON, crc32.MakeTable(crc32.Castagnoli)),
		from: end - len(doc.JSON),
		to:   end,
	})
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
		r.cost, r.stretch, r.taken = cost, u.writing, u.taking
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
	if !r.taken {
		r.index = r.stretch.add(u, slot{Part: r.part})
	}
	select {
	case u.full <- r:
		return nil
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	}
}

// encode makes objects of runs.
func (u *upload) encode() error {
	var encoder *segment.Encoder // made when there is something to encode: it is large
	var batch segment.Batch
	for r := range u.full {
		if err := context.Cause(u.ctx); err != nil {
			return err
		}
		got, err := u.inspect(r, &batch)
		if err != nil {
			return err
		}
		if err := r.stretch.catalog.Add(&batch); err != nil {
			return spoolError(u.e.cfg.Spool, err)
		}
		var p *parcel
		if !r.taken {
			if encoder == nil {
				if encoder, err = segment.NewEncoder(u.c.Recipient()); err != nil {
					return err
				}
			}
			data, sum, err := encoder.Encode(nil, r.lines)
			if err != nil {
				return err
			}
			p = &parcel{
				stretch: r.stretch,
				index:   r.index,
				object:  segment.Object{Name: u.c.PartName(), Size: int64(len(data)), SHA256: sum},
				data:    data,
				bytes:   got.Bytes,
			}
		}
		u.mu.Lock()
		u.got.Documents += got.Documents
		u.got.Bytes += got.Bytes
		u.got.Digest = u.got.Digest.Add(got.Digest)
		if p != nil {
			r.stretch.parts[r.index].Object = p.object
		}
		u.mu.Unlock()
		cost := r.cost
		r.reset()
		u.free <- r // never full: it has room for all runs
		if p != nil {
			if err := u.outbox.push(p); err != nil {
				return err
			}
		}
		u.memory.Release(cost) // until here the object was in no other account
	}
	return nil
}

// inspect adds the documents of a run to the catalog, and counts them. It makes sure
// that the text that is about to be encoded is the one that was read, of which
// the database has the hash: that it has the right ones is seen by the digest of
// all, or here when not all is read.
func (u *upload) inspect(r *run, batch *segment.Batch) (got cairn.Stats, err error) {
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
		if !u.whole && cairn.ContentHash(doc.JSON) != row.hash {
			return got, u.damaged("the document " + cairn.Quote(doc.ID) + " is not the one that was written")
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
		u.depart(p.object.Name)
		if err := u.outbox.send(u.ctx, u.c, p); err != nil {
			return spoolError(u.e.cfg.Spool, err)
		}
		u.journal(u.ctx, u.count(p))
		if err := u.refresh(u.ctx, u.c.Grace()/4); err != nil {
			return err
		}
	}
}

// depart notes that an object is about to be sent. As long as nothing else says that
// it is there, no checkpoint names it.
func (u *upload) depart(name string) {
	fresh := u.c.Fresh()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.underway[name] = fresh
}

// count notes that a parcel is in the bucket, and returns its part.
func (u *upload) count(p *parcel) segment.Part {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent += p.bytes
	u.report(u.backup, cairn.Progress{Done: u.sent, Total: u.total})
	part := &p.stretch.parts[p.index]
	part.sent = true
	u.stored = append(u.stored, part.Name)
	delete(u.underway, part.Name)
	return part.Part
}

// damaged says that the database is not what it says of itself.
func (u *upload) damaged(what string) error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: fmt.Sprintf("The database %s is damaged: %s. No backup was made.", u.e.cfg.Database.Path(), what),
		Hint:    "Keep a copy of the data folder, then restore the newest backup; cairn backup list shows them.",
	}
}

// finish compares what was read with what the database counts, and writes the
// indexes, when all is encoded.
func (u *upload) finish(ctx context.Context) error {
	u.mu.Lock()
	b, got := u.backup, u.got
	u.mu.Unlock()
	if u.whole && (got.Documents != b.Documents || got.Bytes != b.JSONBytes || got.Digest != b.Digest) {
		return u.damaged(fmt.Sprintf("it counts %d documents of %d bytes with digest %s, but holds %d of %d with %s",
			b.Documents, b.JSONBytes, b.Digest, got.Documents, got.Bytes, got.Digest))
	}
	for _, s := range u.stretches {
		if err := u.join(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// join makes the segment of a stretch.
func (u *upload) join(ctx context.Context, s *stretch) error {
	if s.kept != nil {
		return nil
	}
	u.mu.Lock()
	n := len(s.parts)
	if n > 0 {
		s.parts[n-1].To = s.to // what came after is no more
	}
	parts := s.list()
	u.mu.Unlock()
	joined := segment.Segment{From: s.from, To: s.to}
	if n > 0 {
		var err error
		if joined, err = segment.Join(parts); err != nil {
			return fmt.Errorf("joining the parts of a backup: %w", err)
		}
	}
	if n > 1 {
		if err := u.index(ctx, &joined, parts, s.catalog); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s.kept = &joined
	if joined.Index != nil {
		delete(u.underway, joined.Index.Name)
	}
	return nil
}

// list returns the parts as they are in an index. The caller holds upload.mu.
func (s *stretch) list() []segment.Part {
	var parts []segment.Part
	for _, p := range s.parts {
		parts = append(parts, p.Part)
	}
	return parts
}

// contents returns what the backup consists of, when the upload has ended.
func (u *upload) contents() (held contents) {
	for _, s := range u.stretches {
		if s.from == s.to {
			continue // nothing was chosen
		}
		held.Segments = append(held.Segments, *s.kept)
		held.Parts = append(held.Parts, s.list())
	}
	return held
}
