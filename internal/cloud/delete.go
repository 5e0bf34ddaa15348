package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"cairn"
	"cairn/internal/bucket"
)

// maxTrash is the largest manifest that can be deleted, in bytes: 16 MiB. It
// is more than can be read, so that what is damaged can be deleted, and not more,
// since all of it is in memory then, with up to three times as much.
const maxTrash = 16 << 20

// receipt is what a receipt holds. It is the same for all, so that any number of
// devices can write the one of a copy. What counts is when it was written.
const receipt = "gone\n"

// Delete removes a backup, also a damaged one, after copying its manifest to
// trash/. One of a newer format is left to who knows it: cairn.CodeFormatTooNew.
// What it consists of stays, for the grace at least: [Cloud.Undelete] brings it back
// during the first half of that. Once it has begun to write it does not end with
// ctx. A step whose answer is lost is settled. A backup that is not there is
// cairn.CodeBackupNotFound; after any other error it may still be there.
//
// The grace runs from when the receipt was written, not the copy: whoever deletes
// may sleep for hours in between, with the backup in use. Where there is no
// receipt, since that failed, prune writes one.
func (c *Cloud) Delete(ctx context.Context, id string) error {
	name, ok := backupName(id)
	if !ok {
		return c.noBackup(id)
	}
	// A copy that came long after all was pruned would promise what is not there.
	fresh := c.freshFor(c.grace / 4)
	data, err := c.read(ctx, name, nil, maxTrash)
	if errors.Is(err, bucket.ErrNotFound) {
		c.note(name, false)
		c.forget(ctx, name)
		return c.missing(ctx, id)
	}
	if err != nil {
		return c.failure(ctx, "reading", name, err)
	}
	if len(data) > maxTrash {
		e := c.Damaged(name, fmt.Sprintf("it is longer than %d bytes, which no manifest is", maxTrash))
		e.Hint = "Remove the object by other means."
		return e
	}
	if _, err := c.decode(name, data, id); cairn.CodeOf(err) == cairn.CodeFormatTooNew {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	trash := c.trashName(id)
	if err := bucket.Create(ctx, c.cfg.Bucket, trash, fresh.Reader(bytes.NewReader(data))); err != nil {
		return c.failure(ctx, "writing", trash, err)
	}
	// Before it is removed: a listing that still has it must not be believed, not
	// after a crash either, nor when it is not known whether it is there.
	c.note(name, true)
	c.forget(ctx, name)
	if err := c.remove(ctx, name); err != nil {
		return c.failure(ctx, "deleting", name, err)
	}
	c.note(name, false)
	if err := c.writeReceipt(ctx, trash); err != nil {
		c.cfg.Log.Warn("a backup was deleted, and nothing says when; the next prune will", "backup", id, "err", err)
	}
	return nil
}

// writeReceipt says that the backup of a copy is gone by now. It is not stored a
// quarter of the grace later: a file can have a time long before it has its name, and
// who saw none meanwhile may be bringing the backup back.
func (c *Cloud) writeReceipt(ctx context.Context, copied string) error {
	name := copied + receiptSuffix
	fresh := c.freshFor(c.grace / 4)
	if err := bucket.Create(ctx, c.cfg.Bucket, name, fresh.Reader(strings.NewReader(receipt))); err != nil {
		return c.failure(ctx, "writing", name, err)
	}
	return nil
}

// remove deletes an object and settles a failure by looking whether it is
// still there. One that is may yet go, unless the store said that it stays.
func (c *Cloud) remove(ctx context.Context, name string) error {
	err := c.cfg.Bucket.Delete(ctx, name)
	if err == nil {
		return nil
	}
	_, headErr := c.cfg.Bucket.Head(ctx, name)
	switch {
	case errors.Is(headErr, bucket.ErrNotFound):
		return nil
	case headErr != nil:
		return fmt.Errorf("%w: %w; looking for it: %w", bucket.ErrUnknown, err, headErr)
	case bucket.Transient(err):
		return fmt.Errorf("%w, though it is there now: %w", bucket.ErrUnknown, err)
	}
	return err
}
