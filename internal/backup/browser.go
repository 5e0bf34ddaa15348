package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/durable"
	"cairn/internal/segment"
)

// browsers is how many questions may look into backups at a time; others wait.
// Each takes what reading one part does, about 25 MiB unless a document is larger,
// 1 MiB for each segment that has an index, and what its catalogs hold.
const browsers = 2

// A browser looks into one backup, for one caller. What it returns is authentic: an
// object is compared with what the manifest or an index says of it before anything
// in it is believed.
type browser struct {
	e        *Engine
	c        *cloud.Cloud
	manifest cloud.Manifest
	indexes  []*index   // of the segments that have one, once they were fetched
	files    []*os.File // in the spool; they are removed in the end

	decoder *segment.Decoder
	object  []byte
	plain   []byte // lines of the part that was read last
	at      string // its name
}

// An index is one that was fetched to a file.
type index struct {
	file  *os.File
	parts []segment.Part
}

// browse has fn look into a backup. The browser is of no use afterwards.
func (e *Engine) browse(ctx context.Context, id string, fn func(*browser) error) error {
	select {
	case e.browsing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-e.browsing }()
	c, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	return e.settled(ctx, c, e.browseIn(ctx, c, id, fn))
}

func (e *Engine) browseIn(ctx context.Context, c *cloud.Cloud, id string, fn func(*browser) error) error {
	m, err := ask(ctx, e, func() (cloud.Manifest, error) { return c.Manifest(ctx, id) })
	if err != nil {
		return err
	}
	decoder, err := segment.NewDecoder(c.Identity())
	if err != nil {
		return err
	}
	b := &browser{e: e, c: c, manifest: m, indexes: make([]*index, len(m.Segments)), decoder: decoder}
	defer b.close()
	return fn(b)
}

// settled returns err, with which a backup could not be read, as what a caller
// hears of it.
func (e *Engine) settled(ctx context.Context, c *cloud.Cloud, err error) error {
	if cairn.CodeOf(err) == cairn.CodeDamaged {
		// It may be another place by now that has no such objects.
		if replaced := e.check(ctx, c); cairn.CodeOf(replaced) == cairn.CodeBucketMissing {
			err = replaced
		}
	}
	return e.lost(c, err)
}

// close removes the files of the browser.
func (b *browser) close() {
	for _, f := range b.files {
		b.e.discard(func() error { return errors.Join(f.Close(), os.Remove(f.Name())) })
	}
}

// discard does what removes files of the spool.
func (e *Engine) discard(remove func() error) {
	if err := e.cfg.Step("spool.remove", remove); err != nil {
		e.cfg.Log.Warn("files that a backup was looked into with could not be removed; the next start tries again", "folder", e.cfg.Spool, "err", err)
	}
}

// catalog returns an empty catalog that holds so many bytes in memory, for
// discard.
func (e *Engine) catalog(memory int) *segment.Catalog {
	c := segment.NewCatalog(e.cfg.Spool, memory)
	c.Step = func(do func() error) error { return e.cfg.Step("spool.catalog", do) }
	return c
}

// index returns the index of a segment, which has one.
func (b *browser) index(ctx context.Context, i int) (*index, error) {
	if b.indexes[i] != nil {
		return b.indexes[i], nil
	}
	var f *os.File
	err := b.e.cfg.Step("spool.browse", func() (err error) {
		f, err = os.CreateTemp(b.e.cfg.Spool, "index.*"+durable.TempSuffix)
		return err
	})
	if f != nil {
		b.files = append(b.files, f)
	}
	if err != nil {
		return nil, spoolError(b.e.cfg.Spool, err)
	}
	s := b.manifest.Segments[i]
	if _, err := ask(ctx, b.e, func() (struct{}, error) { return struct{}{}, b.c.Fetch(ctx, *s.Index, f) }); err != nil {
		return nil, spoolError(b.e.cfg.Spool, err)
	}
	x := &index{file: f}
	if x.parts, err = b.c.PartsIn(x.content(s), s); err != nil {
		return nil, b.misread(x, s, err)
	}
	b.indexes[i] = x
	return x, nil
}

// content returns the object of the index, from its start.
func (x *index) content(s segment.Segment) *io.SectionReader {
	return io.NewSectionReader(x.file, 0, s.Index.Size)
}

// misread returns err, with which the file of an index was refused, or that the
// disk gives back something else than what was fetched.
func (b *browser) misread(x *index, s segment.Segment, err error) error {
	if cairn.CodeOf(err) != cairn.CodeDamaged {
		return err
	}
	sent := newHashed(x.content(s))
	if _, readErr := io.Copy(io.Discard, sent); readErr != nil {
		return spoolError(b.e.cfg.Spool, readErr)
	}
	if sent.sum != s.Index.SHA256 {
		return misfiled(x.file.Name())
	}
	return err
}

// misfiled says that the disk gives back something else than what was fetched.
func misfiled(file string) error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: "The disk gives back something else than what was written to " + file + ". The backup is as it was.",
		Hint:    "Check the health of the disk of the data folder, then try again.",
	}
}

// parts returns the parts of a segment.
func (b *browser) parts(ctx context.Context, i int) ([]segment.Part, error) {
	switch s := b.manifest.Segments[i]; {
	case s.Part != nil:
		return []segment.Part{*s.Part}, nil
	case s.Index == nil:
		return nil, nil
	}
	x, err := b.index(ctx, i)
	if err != nil {
		return nil, err
	}
	return x.parts, nil
}

// rows yields what the index of a segment says of its documents, in order of
// collection and id. An error ends it.
func (b *browser) rows(ctx context.Context, i int) iter.Seq2[segment.Row, error] {
	return func(yield func(segment.Row, error) bool) {
		x, err := b.index(ctx, i)
		if err != nil {
			yield(segment.Row{}, err)
			return
		}
		s := b.manifest.Segments[i]
		for row, err := range segment.Rows(x.content(s), b.c.Identity(), s) {
			if err != nil {
				err = b.misread(x, s, b.c.Unreadable(s.Index.Name, err))
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// lines yields what a part of segment i says, in order of revision; an error ends
// it. Texts are good until lines is called again.
func (b *browser) lines(ctx context.Context, i int, p segment.Part) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		if err := b.read(ctx, i, p); err != nil {
			yield(cairn.Document{}, err)
			return
		}
		for doc, err := range p.Lines(b.plain) {
			if err != nil {
				err = b.c.Unreadable(p.Name, err)
			}
			if !yield(doc, err) || err != nil {
				return
			}
		}
	}
}

// read makes plain the lines of a part.
func (b *browser) read(ctx context.Context, i int, p segment.Part) error {
	if b.at == p.Name {
		return nil
	}
	if i == 0 && p.Deletions > 0 {
		return b.c.Damaged(p.Name, deletesNothing)
	}
	b.at = ""
	object, err := ask(ctx, b.e, func() ([]byte, error) { return b.c.Read(ctx, p.Object, b.object) })
	if err != nil {
		return err // then the buffer may be in use still
	}
	b.object = object
	err = guarded(func() (err error) {
		b.plain, err = b.decoder.Decode(b.plain[:0], object, p)
		return err
	})()
	if err != nil {
		return b.c.Unreadable(p.Name, err)
	}
	b.at = p.Name
	return nil
}

// uncounted returns an error unless the backup holds so many documents as its
// manifest says.
func (b *browser) uncounted(documents, bytes int64) error {
	m := b.manifest
	if documents == m.Documents && bytes == m.JSONBytes {
		return nil
	}
	return b.c.Uncounted(m.ID, fmt.Sprintf("it says that the backup holds %d documents of %d bytes, and it holds %d of %d", m.Documents, m.JSONBytes, documents, bytes))
}
