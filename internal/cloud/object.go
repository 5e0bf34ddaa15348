package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"cairn/internal/bucket"
	"cairn/internal/segment"
)

// maxWhole is the largest object that is read in one piece, in bytes: 48 MiB,
// more than a part with one document of cairn.MaxDocumentBytes has.
const maxWhole = 48 << 20

// Put stores a part or an index under a name of PartName or IndexName. An
// answer that gets lost is settled by reading the object back. The end of ctx
// ends it; the object may then be there, and nothing names it.
func (c *Cloud) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if !isLinesName(partFolder, name) && !isLinesName(indexFolder, name) {
		return fmt.Errorf("%s is not the name of a part or an index", name)
	}
	if err := bucket.Create(ctx, c.cfg.Bucket, name, content); err != nil {
		return c.failure(ctx, "writing", name, err)
	}
	return nil
}

// Discard removes a part that nothing names: one that was stored just now, in what
// may be another place than the cloud.
func (c *Cloud) Discard(ctx context.Context, name string) error {
	if !isLinesName(partFolder, name) {
		return fmt.Errorf("%s is not the name of a part", name)
	}
	if err := c.remove(ctx, name); err != nil {
		return c.failure(ctx, "deleting", name, err)
	}
	return nil
}

// Read reads an object that must have exactly o.Size bytes, into the memory of
// dst as far as that goes. It does not look at the SHA-256: whoever decodes the
// object does. One that is missing, shorter or longer is cairn.CodeDamaged.
func (c *Cloud) Read(ctx context.Context, o segment.Object, dst []byte) ([]byte, error) {
	if o.Size < 0 || o.Size > maxWhole {
		return nil, c.Damaged(o.Name, fmt.Sprintf("it should have %d bytes, and no such object has more than %d", o.Size, maxWhole))
	}
	if room := int(o.Size) + 1 + bytes.MinRead; cap(dst) < room {
		dst = make([]byte, 0, room)
	}
	data, err := c.read(ctx, o.Name, dst, o.Size)
	switch size := int64(len(data)); {
	case err != nil:
		return nil, c.failure(ctx, "reading", o.Name, err)
	case size > o.Size:
		return nil, c.Damaged(o.Name, fmt.Sprintf("it has more than its %d bytes", o.Size))
	case size < o.Size:
		return nil, c.Damaged(o.Name, fmt.Sprintf("it has %d bytes instead of %d", size, o.Size))
	}
	return data, nil
}

// read reads an object into the memory of dst, as far as that goes, and stops
// behind limit: more bytes than limit say that there are more. Errors are those
// of the bucket.
func (c *Cloud) read(ctx context.Context, name string, dst []byte, limit int64) (data []byte, err error) {
	err = bucket.Read(ctx, c.cfg.Bucket, name, func(r io.Reader) error {
		b := bytes.NewBuffer(dst[:0])
		_, err := b.ReadFrom(io.LimitReader(r, limit+1))
		data = b.Bytes()
		return err
	})
	return data, err
}

// Parts returns the parts of a segment of a manifest, in their order: the one
// that it names, or those in its index.
func (c *Cloud) Parts(ctx context.Context, s segment.Segment) ([]segment.Part, error) {
	if s.Index == nil {
		if s.Part == nil {
			return nil, nil
		}
		return []segment.Part{*s.Part}, nil
	}
	return c.readIndex(ctx, s, func(r io.Reader) ([]segment.Part, error) { return segment.ReadIndex(r, c.identity, s) })
}

// readIndex reads the index of a segment as read does, and looks at the names in it.
func (c *Cloud) readIndex(ctx context.Context, s segment.Segment, read func(io.Reader) ([]segment.Part, error)) (parts []segment.Part, err error) {
	var damage error // of what was read
	err = bucket.Read(ctx, c.cfg.Bucket, s.Index.Name, func(r io.Reader) error {
		parts, damage = read(r)
		return nil
	})
	if err != nil {
		return nil, c.failure(ctx, "reading", s.Index.Name, err)
	}
	if damage != nil {
		return nil, c.Unreadable(s.Index.Name, damage)
	}
	return parts, c.checkNames(s, parts)
}

// Unreadable returns err, with which package segment refused an object, as an
// error that names it.
func (c *Cloud) Unreadable(name string, err error) error {
	if errors.Is(err, segment.ErrFormat) {
		return c.tooNew(name)
	}
	why := strings.TrimPrefix(err.Error(), segment.ErrDamaged.Error()+": ")
	if strings.HasPrefix(why, notDecrypted) || strings.HasPrefix(why, "it cannot be decompressed") {
		why, _, _ = strings.Cut(why, ": ") // what follows may quote the object
	}
	if errors.Is(err, segment.ErrKey) {
		why = foreignKey
	}
	e := c.Damaged(name, strings.TrimSuffix(why, "."))
	e.Err = err
	return e
}

// What an object can be that age does not read, for "is damaged: ".
const (
	notDecrypted = "it cannot be decrypted"
	foreignKey   = "it is encrypted for another key than that of the cloud"
)
