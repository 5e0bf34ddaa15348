package backup

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// contents is what a base keeps of the bucket: the segments of a backup and the
// parts of each.
type contents struct {
	Segments []segment.Segment `json:"segments"`
	Parts    [][]segment.Part  `json:"parts"`
}

// base returns what a generation notes of a backup.
func base(c *cloud.Cloud, b cairn.Backup, held contents) (cairn.Base, error) {
	text, err := json.Marshal(held)
	if err != nil {
		return cairn.Base{}, fmt.Errorf("noting the parts of %s: %w", b.ID, err)
	}
	return cairn.Base{Cloud: c.ID(), Backup: b.ID, Created: b.Created, Revision: b.Revision, Segments: text}, nil
}

// Restore replaces the database by a backup. Until everything of the backup was
// read and found to be what it says, the live database is untouched and in use;
// afterwards it is kept for Undo. job is the id under which the new database
// remembers how it came to be.
//
// Errors: cairn.CodeBackupNotFound, CodeBackupIsPartial, CodeFormatTooNew,
// CodeDamaged, those of a cloud, and those of Database.Replace. After an error,
// the live database is the one it was.
func (e *Engine) Restore(ctx context.Context, job, id string, report Report) (cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return cairn.Backup{}, err
	}
	b, err := e.restore(ctx, c, job, id, report)
	return b, e.lost(err)
}

func (e *Engine) restore(ctx context.Context, c *cloud.Cloud, job, id string, report Report) (cairn.Backup, error) {
	if err := c.Check(ctx); err != nil {
		return cairn.Backup{}, err
	}
	m, err := c.Manifest(ctx, id)
	if err != nil {
		return m.Backup, err
	}
	b := m.Backup
	if b.Scope != cairn.ScopeAll {
		return b, &cairn.Error{
			Code:    cairn.CodeBackupIsPartial,
			Message: "The backup " + cairn.Quote(id) + " holds chosen assets only. Restoring it would replace everything else by them.",
			Hint:    "Restore a backup of the whole database; cairn backup list shows them.",
		}
	}
	report(b, cairn.Progress{Total: b.JSONBytes})
	held := contents{Segments: m.Segments}
	var plain int64
	for _, s := range m.Segments {
		plain += s.Plain
		parts, err := c.Parts(ctx, s)
		if err != nil {
			return b, err
		}
		held.Parts = append(held.Parts, parts)
	}
	from, err := base(c, b, held)
	if err != nil {
		return b, err
	}
	r := cairn.Replacement{Job: job, Base: from, Plain: plain, Want: cairn.Stats{
		Revision:  b.Revision,
		Documents: b.Documents,
		Deletions: b.Deletions,
		Bytes:     b.JSONBytes,
		Digest:    b.Digest,
	}}
	err = e.cfg.Database.Replace(ctx, r, func(prepare prepare) error {
		return e.download(ctx, c, held.Parts, prepare, func(done int64) {
			// Lines hold more than the documents that stay.
			share := float64(done) / float64(plain)
			report(b, cairn.Progress{Done: int64(share * float64(b.JSONBytes)), Total: b.JSONBytes})
		})
	})
	return b, err
}

// prepare is what Database.Replace lends.
type prepare = func(segment int, docs []cairn.Document) (insert func() error, err error)

// rowCost is about what a row that is read takes beside its line: itself, and
// what a database prepares of it.
const rowCost = 256

// fetched is a part on its way: ready gets its result when it was read.
type fetched struct {
	cost   int64 // of the budget
	ready  chan func() error
	buffer []byte // that the rows lie in
}

// download reads the parts of all segments, several at once and in any order,
// and inserts their rows in order. done hears how many bytes of lines are in.
func (e *Engine) download(ctx context.Context, c *cloud.Cloud, parts [][]segment.Part, prepare prepare, done func(int64)) error {
	decoders := make(chan *segment.Decoder, e.cfg.Workers)
	for range e.cfg.Workers {
		d, err := segment.NewDecoder(c.Identity())
		if err != nil {
			return err
		}
		decoders <- d
	}
	group, ctx := errgroup.WithContext(ctx)
	budget := semaphore.NewWeighted(e.cfg.Memory)
	transfers := semaphore.NewWeighted(int64(e.cfg.Transfers))
	objects, buffers := newPool(), newPool()
	queue := make(chan *fetched, 64) // in order
	group.Go(guarded(func() error {
		defer close(queue)
		for i, run := range parts {
			for _, p := range run {
				// In order, so that the part that is inserted next always has
				// its share.
				f := &fetched{cost: min(e.cfg.Memory, p.Plain+p.Size+rowCost*(p.Documents+p.Deletions)), ready: make(chan func() error, 1)}
				if err := budget.Acquire(ctx, f.cost); err != nil {
					return context.Cause(ctx)
				}
				select {
				case queue <- f:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				group.Go(guarded(func() error {
					if err := transfers.Acquire(ctx, 1); err != nil {
						return context.Cause(ctx)
					}
					object, err := c.Read(ctx, p.Object, objects.get(p.Size))
					transfers.Release(1)
					if err != nil {
						return err
					}
					var d *segment.Decoder
					select {
					case d = <-decoders:
					case <-ctx.Done():
						return context.Cause(ctx)
					}
					defer func() { decoders <- d }()
					f.buffer = buffers.get(p.Plain)
					insert, err := decode(c, d, f, i, object, p, prepare)
					objects.put(object)
					if err != nil {
						return err
					}
					f.ready <- insert
					return nil
				}))
			}
		}
		return nil
	}))
	group.Go(guarded(func() error {
		var bytes int64
		for f := range queue {
			select {
			case insert := <-f.ready:
				if err := insert(); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			bytes += int64(len(f.buffer))
			buffers.put(f.buffer)
			budget.Release(f.cost)
			done(bytes)
		}
		return nil
	}))
	return group.Wait()
}

// mostRows is how many lines a part can have that cairn made.
const mostRows = segment.PartBytes / segment.MinLineBytes

// decode reads the rows of a part of segment i, and returns what inserts them.
func decode(c *cloud.Cloud, d *segment.Decoder, f *fetched, i int, object []byte, p segment.Part, prepare prepare) (insert func() error, err error) {
	if i == 0 && p.Deletions > 0 {
		// There was nothing before, and the rows of the first segment are not
		// compared with each other.
		return nil, c.Damaged(p.Name, "it holds deletions, in the first segment of a backup")
	}
	plain, err := d.Decode(f.buffer[:0], object, p)
	if err != nil {
		return nil, c.Unreadable(p.Name, err)
	}
	f.buffer = plain
	docs := make([]cairn.Document, 0, min(p.Documents+p.Deletions, mostRows))
	for doc, err := range p.Lines(plain) {
		if err != nil {
			return nil, c.Unreadable(p.Name, err)
		}
		docs = append(docs, doc)
	}
	insert, err = prepare(i, docs)
	if err != nil {
		return nil, c.Damaged(p.Name, err.Error())
	}
	return insert, nil
}
