package cloud

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/segment"
)

// UndeleteTime returns for how long a deleted backup can be brought back: half the
// grace.
func (c *Cloud) UndeleteTime() time.Duration { return c.grace / 2 }

// Undelete brings back a backup that was deleted less than half the grace ago, by
// the clock of the bucket. One that is there is fine. Each object that it names is
// looked for first. Once it has begun to write the manifest it does not end with
// ctx.
//
// Its errors are cairn.CodeBackupNotFound when nothing of the backup is in trash/,
// CodeTooLate, CodeDamaged when its manifest or an object is not what it was, and
// CodeStale when looking took more than a quarter of the grace.
func (c *Cloud) Undelete(ctx context.Context, id string) (cairn.Backup, error) {
	if m, err := c.Manifest(ctx, id); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		return m.Backup, err
	}
	if _, ok := backupName(id); !ok {
		return cairn.Backup{}, c.noBackup(id)
	}
	// What was gone for half the grace at most, and is there again a quarter later,
	// was never without a manifest that prune heeds.
	fresh := c.freshFor(c.grace / 4)
	name, now, err := c.probe(ctx)
	if err != nil {
		return cairn.Backup{}, err
	}
	defer c.dropProbe(ctx, name)
	m, object, err := c.lastCopy(ctx, id, now)
	if err == nil {
		err = c.complete(ctx, m)
	}
	if err != nil {
		return cairn.Backup{}, cmp.Or(fresh.Err(), err) // what is missing by then is no damage
	}
	if err := ctx.Err(); err != nil {
		return cairn.Backup{}, err
	}
	return m.Backup, c.bringBack(context.WithoutCancel(ctx), id, object, fresh)
}

// bringBack stores a manifest in backups/. Before that it makes another copy in
// trash/, without a receipt: a deletion that began before may be carried out after
// this, even hours later, and the receipts of the other copies would be old then.
func (c *Cloud) bringBack(ctx context.Context, id string, object []byte, fresh Fresh) error {
	trash := c.trashName(id)
	if err := bucket.Create(ctx, c.cfg.Bucket, trash, fresh.Reader(bytes.NewReader(object))); err != nil {
		return c.failure(ctx, "writing", trash, err)
	}
	name := backupFolder + id + backupSuffix
	if err := bucket.Create(ctx, c.cfg.Bucket, name, fresh.Reader(bytes.NewReader(object))); err != nil {
		return c.failure(ctx, "writing", name, err)
	}
	c.note(name, true)
	return nil
}

// lastCopy returns the manifest of a deleted backup, and its object.
func (c *Cloud) lastCopy(ctx context.Context, id string, now time.Time) (Manifest, []byte, error) {
	trash, err := c.listTrash(ctx, id+".")
	if err != nil {
		return Manifest{}, nil, err
	}
	if len(trash.copies) == 0 {
		return Manifest{}, nil, c.notInTrash(ctx, id)
	}
	var young []trashed
	var last time.Time
	for _, t := range trash.copies {
		if t.receipt.After(last) {
			last = t.receipt
		}
		if c.returnable(t, now) {
			young = append(young, t)
		}
	}
	if len(young) == 0 {
		return Manifest{}, nil, &cairn.Error{
			Code: cairn.CodeTooLate,
			Message: fmt.Sprintf("The backup %s of the cloud %s was deleted %s ago; one can be brought back for %s.",
				id, c.url, now.Sub(last).Round(time.Second), c.UndeleteTime()),
			Hint: "What it consists of may be removed at any time now. cairn backup list --deleted names the backups that can be brought back.",
		}
	}
	slices.SortFunc(young, newestCopy)
	var first error // of the newest
	for _, t := range young {
		m, data, err := c.readCopy(ctx, t)
		switch cairn.CodeOf(err) {
		case "":
			return m, data, nil
		case cairn.CodeDamaged, cairn.CodeFormatTooNew:
			first = cmp.Or(first, err)
		default:
			return Manifest{}, nil, err
		}
	}
	return Manifest{}, nil, first
}

// returnable reports whether a copy is good for Undelete. One without a receipt is:
// its grace has not begun.
func (c *Cloud) returnable(t trashed, now time.Time) bool {
	return t.receipt.IsZero() || now.Sub(t.receipt) < c.UndeleteTime()
}

// newestCopy sorts those without a receipt first, then those of the latest one.
func newestCopy(a, b trashed) int {
	at := func(t trashed) int64 {
		if t.receipt.IsZero() {
			return math.MaxInt64
		}
		return t.receipt.UnixNano()
	}
	return cmp.Or(cmp.Compare(at(b), at(a)), b.object.Modified.Compare(a.object.Modified))
}

// notInTrash returns the error for a backup that is neither there nor in trash/.
func (c *Cloud) notInTrash(ctx context.Context, id string) error {
	err := c.missing(ctx, id)
	if e, ok := errors.AsType[*cairn.Error](err); ok && e.Code == cairn.CodeBackupNotFound {
		e.Message = fmt.Sprintf("The cloud %s has no backup %s, and none that was deleted.", c.url, cairn.Quote(id))
		e.Hint = "cairn backup list --deleted names the backups that can be brought back."
	}
	return err
}

// heads is how many objects are looked for at once.
const heads = 16

// complete looks for each object that a manifest names, several at once.
func (c *Cloud) complete(ctx context.Context, m Manifest) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(heads)
	look := func(o segment.Object) {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err // of the first that failed, or of the caller
			}
			return c.Present(ctx, o)
		})
	}
	for _, s := range m.Segments {
		parts, err := c.Parts(ctx, s)
		if err != nil {
			return errors.Join(g.Wait(), err)
		}
		if s.Index != nil {
			look(*s.Index)
		}
		for _, p := range parts {
			look(p.Object)
		}
	}
	return g.Wait()
}

// Deleted returns the backups that can be brought back, the last deleted first. It
// asks the clock of this computer, so a time that is nearly over may be. What
// cannot be read is left out.
func (c *Cloud) Deleted(ctx context.Context) ([]cairn.DeletedBackup, error) {
	listed, err := c.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	trash, err := c.listTrash(ctx, "")
	if err != nil {
		return nil, err
	}
	if len(listed)+len(trash.copies) == 0 {
		if err := c.Check(ctx); err != nil {
			return nil, err
		}
	}
	there := map[string]bool{}
	for _, l := range listed {
		there[l.id] = true
	}
	now := c.wall()
	newest := map[string]trashed{}
	for _, t := range trash.copies {
		old, ok := newest[t.id]
		if !there[t.id] && c.returnable(t, now) && (!ok || newestCopy(t, old) < 0) {
			newest[t.id] = t
		}
	}
	return c.readDeleted(ctx, newest, now)
}

// readDeleted reads one copy of each deleted backup, several at once.
func (c *Cloud) readDeleted(ctx context.Context, copies map[string]trashed, now time.Time) ([]cairn.DeletedBackup, error) {
	found := make(chan cairn.DeletedBackup, len(copies))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	for _, t := range copies {
		g.Go(func() error {
			m, _, err := c.readCopy(ctx, t)
			switch cairn.CodeOf(err) {
			case "":
			case cairn.CodeDamaged, cairn.CodeFormatTooNew:
				return nil
			default:
				return err
			}
			at := t.receipt
			if at.IsZero() {
				at = now
			}
			found <- cairn.DeletedBackup{Backup: m.Backup, Deleted: at, Until: at.Add(c.UndeleteTime())}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	close(found)
	list := []cairn.DeletedBackup{}
	for d := range found {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b cairn.DeletedBackup) int {
		return cmp.Or(b.Deleted.Compare(a.Deleted), cmp.Compare(b.ID, a.ID))
	})
	return list, nil
}
