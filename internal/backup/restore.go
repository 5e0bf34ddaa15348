package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"

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
	// Bad are the names of objects that were found damaged or missing: what they
	// hold is written again by the next creation.
	Bad []string `json:"bad,omitempty"`
	// CRC is the checksum of the text without it: SQLite has none. Builds until
	// November 2026 noted none either.
	CRC *uint32 `json:"crc,omitempty"`
}

// text returns contents as they are noted.
func (c contents) text() ([]byte, error) {
	var err error
	if c.CRC, err = c.checksum(); err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// checksum returns what CRC should be.
func (c contents) checksum() (*uint32, error) {
	c.CRC = nil
	return checksum(c)
}

// checksum returns the CRC-32C of the JSON of a value.
func checksum(v any) (*uint32, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return new(crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))), nil
}

// spoiled reports whether an object of a segment is bad.
func (c contents) spoiled(i int) bool {
	if len(c.Bad) == 0 {
		return false
	}
	if x := c.Segments[i].Index; x != nil && slices.Contains(c.Bad, x.Name) {
		return true
	}
	return slices.ContainsFunc(c.Parts[i], func(p segment.Part) bool { return slices.Contains(c.Bad, p.Name) })
}

// parse reads what base wrote of a backup that ends at a revision.
func parse(from cairn.Base) (held contents, err error) {
	if err := json.Unmarshal(from.Segments, &held); err != nil {
		return held, fmt.Errorf("the parts of %s: %w", from.Backup, err)
	}
	if sum, err := held.checksum(); err != nil || held.CRC != nil && *sum != *held.CRC {
		return held, fmt.Errorf("the parts of %s are not what was noted of them", from.Backup)
	}
	var to int64
	for i, s := range held.Segments {
		if len(held.Parts) != len(held.Segments) || len(held.Parts[i]) != s.Parts || s.From != to || s.To < s.From {
			return held, fmt.Errorf("the segments of %s do not follow each other", from.Backup)
		}
		to = s.To
	}
	if to != from.Revision {
		return held, fmt.Errorf("the segments of %s end at revision %d, not at %d", from.Backup, to, from.Revision)
	}
	return held, nil
}

// base returns what a generation notes of a backup.
func base(c *cloud.Cloud, b cairn.Backup, held contents) (cairn.Base, error) {
	text, err := held.text()
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
	return b, e.settled(ctx, c, err)
}

// check looks at whether the place is still the same cloud.
func (e *Engine) check(ctx context.Context, c *cloud.Cloud) error {
	_, err := askDuring(ctx, e, func() (struct{}, error) { return struct{}{}, c.Check(ctx) })
	return err
}

// restore only asks the bucket: so it ends soon after ctx, whether there is an
// answer or not.
func (e *Engine) restore(ctx context.Context, c *cloud.Cloud, job, id string, report Report) (cairn.Backup, error) {
	if err := e.check(ctx, c); err != nil {
		return cairn.Backup{}, err
	}
	m, err := askDuring(ctx, e, func() (cloud.Manifest, error) { return c.Manifest(ctx, id) })
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
	for i, s := range m.Segments {
		plain += s.Plain
		parts, err := askDuring(ctx, e, func() ([]segment.Part, error) { return c.Parts(ctx, s) })
		if err == nil && i == 0 {
			err = checkFirst(c, parts)
		}
		if err != nil {
			return b, err
		}
		held.Parts = append(held.Parts, parts)
	}
	from, err := base(c, b, held)
	if err != nil {
		return b, err
	}
	err = e.cfg.Database.Replace(ctx, replacement(job, from, b, plain), func(prepare prepare) error {
		done := int64(0)
		return e.download(ctx, c, held.Parts, intake{
			memory:  e.cfg.Memory,
			prepare: prepare,
			failed:  func(_ segment.Part, err error) error { return err },
			done: func(p segment.Part) {
				done += p.Plain
				// Lines hold more than the documents that stay.
				share := float64(done) / float64(plain)
				report(b, cairn.Progress{Done: int64(share * float64(b.JSONBytes)), Total: b.JSONBytes})
			},
		})
	})
	return b, err
}

// replacement says what a backup of so many bytes of lines must restore to.
func replacement(job string, from cairn.Base, b cairn.Backup, plain int64) cairn.Replacement {
	return cairn.Replacement{Job: job, Base: from, Plain: plain, Want: cairn.Stats{
		Revision:  b.Revision,
		Documents: b.Documents,
		Deletions: b.Deletions,
		Bytes:     b.JSONBytes,
		Digest:    b.Digest,
	}}
}

// checkFirst refuses deletions in the first segment of a backup, of which these are
// parts: there was nothing before, and its rows are not compared with each other.
func checkFirst(c *cloud.Cloud, parts []segment.Part) error {
	for _, p := range parts {
		if p.Deletions > 0 {
			return c.Damaged(p.Name, deletesNothing)
		}
	}
	return nil
}

// prepare is what Database.Replace lends.
type prepare = func(segment int, docs []cairn.Document) (insert func() error, err error)

// An intake says what becomes of the parts that are downloaded.
type intake struct {
	memory  int64 // bounds the bytes that are in flight
	prepare prepare
	// failed hears of a part that cannot be read or prepared. It returns the error
	// that ends the download; nil has it go on without the rows of the part. It may
	// be called by several goroutines at once.
	failed func(segment.Part, error) error
	// done hears of each part, in order, when it is done with.
	done func(segment.Part)
}

// rowCost is about what a row that is read takes beside its line: itself, and
// what a database prepares of it.
const rowCost = 256

// A fetched part is on its way: object gets its bytes when they were read, ready
// what they were decoded to.
type fetched struct {
	segment int
	part    segment.Part
	size    int64 // of the budget for objects
	cost    int64 // of the one for what they are decoded to
	object  chan []byte
	ready   chan func() error
	buffer  []byte // that the rows lie in
}

// download reads the parts of all segments, several at once and in any order,
// and inserts their rows in order.
//
// A quarter of the memory is for objects, which wait there for their turn: so
// more of them can be under way than are decoded. Each stage takes its share in
// order, so that the part that is inserted next always has one.
func (e *Engine) download(ctx context.Context, c *cloud.Cloud, parts [][]segment.Part, in intake) error {
	decoders := make(chan *segment.Decoder, e.cfg.Workers)
	for range e.cfg.Workers {
		d, err := segment.NewDecoder(c.Identity())
		if err != nil {
			return err
		}
		decoders <- d
	}
	group, ctx := errgroup.WithContext(ctx)
	forObjects := in.memory / 4
	forRows := in.memory - forObjects
	compressed, plain := semaphore.NewWeighted(forObjects), semaphore.NewWeighted(forRows)
	transfers := semaphore.NewWeighted(int64(e.transfers()))
	objects, buffers := newPool(), newPool()
	arriving, decoding := make(chan *fetched, 64), make(chan *fetched, 64) // in order

	fetch := func(f *fetched) error {
		if err := transfers.Acquire(ctx, 1); err != nil {
			return context.Cause(ctx)
		}
		defer transfers.Release(1)
		object, err := askDuring(ctx, e, func() ([]byte, error) { return c.Read(ctx, f.part.Object, objects.get(f.part.Size)) })
		if err != nil {
			object, err = nil, in.failed(f.part, err)
		}
		if err == nil {
			f.object <- object
		}
		return err
	}
	unpack := func(f *fetched) error {
		var object []byte
		select {
		case object = <-f.object:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if object == nil { // it has failed
			compressed.Release(f.size)
			f.ready <- nothing
			return nil
		}
		var d *segment.Decoder
		select {
		case d = <-decoders:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		defer func() { decoders <- d }()
		f.buffer = buffers.get(f.part.Plain)
		insert, err := decode(c, d, f, object, in.prepare)
		objects.put(object)
		compressed.Release(f.size)
		if err != nil {
			insert, err = nothing, in.failed(f.part, err)
		}
		if err == nil {
			f.ready <- insert
		}
		return err
	}

	group.Go(guarded(func() error {
		defer close(arriving)
		for i, run := range parts {
			for _, p := range run {
				f := &fetched{
					segment: i,
					part:    p,
					size:    min(forObjects, p.Size),
					cost:    min(forRows, p.Plain+rowCost*(p.Documents+p.Deletions)),
					object:  make(chan []byte, 1),
					ready:   make(chan func() error, 1),
				}
				if err := compressed.Acquire(ctx, f.size); err != nil {
					return context.Cause(ctx)
				}
				group.Go(guarded(func() error { return fetch(f) }))
				select {
				case arriving <- f:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		return nil
	}))
	group.Go(guarded(func() error {
		defer close(decoding)
		for f := range arriving {
			if err := plain.Acquire(ctx, f.cost); err != nil {
				return context.Cause(ctx)
			}
			group.Go(guarded(func() error { return unpack(f) }))
			select {
			case decoding <- f:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	}))
	group.Go(guarded(func() error {
		for f := range decoding {
			select {
			case insert := <-f.ready:
				if err := insert(); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			buffers.put(f.buffer)
			plain.Release(f.cost)
			in.done(f.part)
		}
		return nil
	}))
	return group.Wait()
}

// nothing inserts nothing.
func nothing() error { return nil }

// deletesNothing is what a part is damaged for that cannot be right.
const deletesNothing = "it holds deletions, in the first segment of a backup"

// mostRows is how many lines a part can have that cairn made.
const mostRows = segment.PartBytes / segment.MinLineBytes

// decode reads the rows of a part, and returns what inserts them.
func decode(c *cloud.Cloud, d *segment.Decoder, f *fetched, object []byte, prepare prepare) (insert func() error, err error) {
	p := f.part
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
	insert, err = prepare(f.segment, docs)
	if err != nil {
		return nil, c.Damaged(p.Name, err.Error())
	}
	return insert, nil
}
