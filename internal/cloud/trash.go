package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn"
	"cairn/internal/bucket"
)

// probe is what a probe holds.
const probe = "probe\n"

// probe writes a small object, whose name it returns, and with it learns what time
// it is by the clock of the bucket. Whoever does not remove it leaves that to
// prune.
func (c *Cloud) probe(ctx context.Context) (name string, now time.Time, err error) {
	name = probePrefix + c.randomDigits()
	if err := bucket.Create(ctx, c.cfg.Bucket, name, strings.NewReader(probe)); err != nil {
		return name, now, c.failure(ctx, "writing", name, err)
	}
	object, err := c.cfg.Bucket.Head(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return name, now, c.swept(name, err)
	}
	if err != nil {
		return name, now, c.failure(ctx, "looking for", name, err)
	}
	return name, object.Modified, nil
}

// swept returns the error for an object of trash/ that was just written, and that
// another device has pruned: so it is older than the grace.
func (c *Cloud) swept(name string, err error) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeStale,
		Message: fmt.Sprintf("The object %s of the cloud %s was removed before it could be looked at.", name, c.url),
		Hint:    "Did this computer sleep meanwhile? Try again.",
		Err:     err,
	}
}

// dropProbe removes a probe. Prune does it if this fails.
func (c *Cloud) dropProbe(ctx context.Context, name string) {
	if err := c.remove(ctx, name); err != nil && ctx.Err() == nil {
		c.cfg.Log.Warn("a probe is left in the cloud; prune removes it", "name", name, "err", err)
	}
}

// A trashed is the copy of a manifest in trash/.
type trashed struct {
	id      string
	object  bucket.Object
	receipt time.Time // when it was written; zero for none
}

// A trashcan is what trash/ holds.
type trashcan struct {
	copies      []trashed
	checkpoints []trashed       // without receipts
	receipts    []bucket.Object // whose copies are not there
	probes      []bucket.Object
	foreign     int64
}

// listTrash lists the objects of trash/ that begin with the prefix behind it.
func (c *Cloud) listTrash(ctx context.Context, prefix string) (t trashcan, err error) {
	for object, err := range c.cfg.Bucket.List(ctx, trashFolder+prefix) {
		if err != nil {
			return t, c.failure(ctx, "listing", trashFolder, err)
		}
		kind, id, copied := trashOf(object.Name)
		switch kind {
		case trashForeign:
			t.foreign++
		case trashProbe:
			t.probes = append(t.probes, object)
		case trashCheckpoint:
			t.checkpoints = append(t.checkpoints, trashed{id: id, object: object})
		case trashCopy:
			t.copies = append(t.copies, trashed{id: id, object: object})
		case trashReceipt:
			// A receipt comes right behind its copy, or behind that of a checkpoint.
			i := slices.IndexFunc(t.copies[max(0, len(t.copies)-1):], func(c trashed) bool { return c.object.Name == copied })
			if i < 0 {
				t.receipts = append(t.receipts, object)
			} else {
				t.copies[len(t.copies)-1].receipt = object.Modified
			}
		}
	}
	return t, nil
}

// tick is how exact the clock of a bucket is: many tell whole seconds only.
const tick = time.Second

// over reports whether the grace of what happened at a time was over at another.
func (c *Cloud) over(at, now time.Time) bool { return at.Add(c.grace + tick).Before(now) }

// readCopy reads the manifest in trash/, and its object.
func (c *Cloud) readCopy(ctx context.Context, t trashed) (Manifest, []byte, error) {
	data, err := c.read(ctx, t.object.Name, nil, maxManifest)
	if err != nil {
		return Manifest{}, nil, c.failure(ctx, "reading", t.object.Name, err)
	}
	m, err := c.decodeBackup(t.object.Name, data, t.id)
	return m, data, err
}
