package cloud

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/segment"
)

// scopeCheckpoint is the scope of a manifest that only names objects, so that they
// live while a backup of them is being made. It is in trash/ and makes no backup.
const scopeCheckpoint cairn.Scope = "checkpoint"

// maxCheckpoint is how many parts one checkpoint names: more would not fit into
// what is read of a manifest.
const maxCheckpoint = 4000

// Has reports whether the cloud has a backup, without looking into its manifest. It
// costs one HEAD.
func (c *Cloud) Has(ctx context.Context, id string) (bool, error) {
	name, ok := backupName(id)
	if !ok {
		return false, nil
	}
	_, err := c.cfg.Bucket.Head(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, c.failure(ctx, "looking for", name, err)
	}
	return true, nil
}

// Checkpoint names what a backup to be uses so far: segments of another one, and
// parts. From then on, as long as fresh, it lives as if the backup were deleted
// then. It returns the name of an object that was written for that.
//
// cairn.CodeStale says that fresh is over: what is named may be gone.
func (c *Cloud) Checkpoint(ctx context.Context, b cairn.Backup, segments []segment.Segment, parts []segment.Part, fresh Fresh) (name string, err error) {
	b.Scope, b.Documents, b.Deletions, b.JSONBytes, b.Digest = scopeCheckpoint, 0, 0, 0, cairn.Digest{}
	lists := [][]segment.Segment{segments}
	for chunk := range slices.Chunk(parts, maxCheckpoint) {
		lists = append(lists, tiled(chunk))
	}
	for i, list := range lists {
		if len(list) == 0 && i < len(lists)-1 {
			continue
		}
		b.Revision = 0
		if n := len(list); n > 0 {
			b.Revision = list[n-1].To
		}
		object, _, err := c.encode(Manifest{Backup: b, Segments: list})
		if err != nil {
			return "", err
		}
		name = c.trashName(b.ID) + checkpointSuffix
		if err := bucket.Create(ctx, c.cfg.Bucket, name, fresh.Reader(bytes.NewReader(object))); err != nil {
			return "", c.failure(ctx, "writing", name, err)
		}
	}
	return name, nil
}

// tiled returns segments that name parts, of whatever revisions these are: in a
// checkpoint they count rows.
func tiled(parts []segment.Part) (segments []segment.Segment) {
	var to int64
	for _, p := range parts {
		p.From, p.To = to, to+p.Documents+p.Deletions
		to = p.To
		segments = append(segments, segment.Segment{
			From: p.From, To: p.To, Documents: p.Documents, Deletions: p.Deletions, Plain: p.Plain, Stored: p.Size, Parts: 1, Part: &p,
		})
	}
	return segments
}

// A Sent is a part that a creation has sent, or goes on from, and the last checkpoint
// that has named it since it was known to live, "" for none.
type Sent struct {
	segment.Part
	Using string `json:"using,omitempty"`
}

// Young returns those of the parts that are there and were stored, or named by the
// checkpoint that is told with them, less than half the grace before another
// checkpoint: then no prune has found them to be without a use before that gave them
// one. cairn.CodeStale says that it was removed itself, since that was so long ago.
func (c *Cloud) Young(ctx context.Context, checkpoint string, parts []Sent) ([]segment.Part, error) {
	now, err := c.cfg.Bucket.Head(ctx, checkpoint)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, c.swept(checkpoint, err)
	}
	if err != nil {
		return nil, c.failure(ctx, "looking for", checkpoint, err)
	}
	used, err := c.youngUses(ctx, now.Modified, parts)
	if err != nil {
		return nil, err
	}
	young := make([]bool, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	for i, p := range parts {
		g.Go(func() error {
			if !isLinesName(partFolder, p.Name) {
				return nil
			}
			object, err := c.cfg.Bucket.Head(ctx, p.Name)
			if errors.Is(err, bucket.ErrNotFound) {
				return nil
			}
			if err != nil {
				return c.failure(ctx, "looking for", p.Name, err)
			}
			young[i] = object.Size == p.Size && (used[p.Using] || now.Modified.Sub(object.Modified) < c.grace/2)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var there []segment.Part
	for i, p := range parts {
		if young[i] {
			there = append(there, p.Part)
		}
	}
	return there, nil
}

// youngUses returns which of the checkpoints that have named parts are there and were
// written less than half the grace before a time.
func (c *Cloud) youngUses(ctx context.Context, now time.Time, parts []Sent) (map[string]bool, error) {
	young := map[string]bool{"": false}
	for _, p := range parts {
		if _, known := young[p.Using]; known {
			continue
		}
		young[p.Using] = false
		if kind, _, _ := trashOf(p.Using); kind != trashCheckpoint {
			continue
		}
		object, err := c.cfg.Bucket.Head(ctx, p.Using)
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return nil, c.failure(ctx, "looking for", p.Using, err)
		}
		young[p.Using] = err == nil && now.Sub(object.Modified) < c.grace/2
	}
	return young, nil
}
