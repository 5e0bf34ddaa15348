package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"

	"cairn/internal/durable"
	"cairn/internal/segment"
)

// index writes the index of a segment of several parts.
func (u *upload) index(ctx context.Context, s *segment.Segment, parts []segment.Part, catalog *segment.Catalog) (err error) {
	if !u.outbox.ready() {
		return context.Cause(ctx)
	}
	var f *os.File
	defer func() {
		if f != nil {
			err = errors.Join(err, f.Close())
			u.outbox.forget(f.Name())
		}
	}()
	var object segment.Object
	if err := u.e.cfg.Step("spool.index", func() (err error) {
		if f, err = os.CreateTemp(u.e.cfg.Spool, "index.*"+durable.TempSuffix); err != nil {
			return err
		}
		object, err = segment.WriteIndex(ctx, f, u.c.Recipient(), *s, parts, catalog)
		return err
	}); err != nil {
		return spoolError(u.e.cfg.Spool, err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, object.Size)); err != nil {
		return spoolError(u.e.cfg.Spool, err)
	}
	if segment.Sum(hash.Sum(nil)) != object.SHA256 {
		return spoiled(f.Name())
	}
	if err := u.look(ctx); err != nil {
		return err
	}
	object.Name = u.c.IndexName()
	u.depart(object.Name)
	sent := newHashed(io.NewSectionReader(f, 0, object.Size))
	if err := u.c.Put(ctx, object.Name, sent); err != nil {
		return err
	}
	if sent.sum != object.SHA256 { // the disk was read once more
		return spoiled(f.Name())
	}
	s.Index = &object
	s.Stored += object.Size
	return nil
}
