package database

import (
	"context"
	"errors"

	"cairn"
)

// A filler adds the rows of a new generation; see [DB.Replace].
type filler = func(prepare func(segment int, docs []cairn.Document) (insert func() error, err error)) error

// Rehearse does all that Replace does before the swap, and then removes the
// generation that it has built: it returns nil if and only if the rows could be
// restored and lead to what r wants. The live generation, CURRENT and r.Job have no
// part in it. It takes as much of the disk as Replace meanwhile; its errors are
// those of Replace.
func (d *DB) Rehearse(ctx context.Context, r cairn.Replacement, fill filler) error {
	b, err := d.build(ctx, r, fill)
	if err != nil {
		return err
	}
	return errors.Join(b.compare(), b.discard())
}

// build returns a generation that fill has filled. After an error nothing is left of
// it.
func (d *DB) build(ctx context.Context, r cairn.Replacement, fill filler) (_ *builder, err error) {
	if err := d.checkRoom(max(r.Want.Bytes, r.Plain)); err != nil {
		return nil, err
	}
	var b *builder
	if err := d.step("build.create", func() (err error) { b, err = newBuilder(ctx, d, r); return err }); err != nil {
		if b != nil {
			err = errors.Join(err, b.discard())
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.discard())
		}
	}()
	if err := d.step("build.fill", func() error { return fill(b.prepare) }); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return b, nil
}
