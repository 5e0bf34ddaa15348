package cloud

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/segment"
)

// Fetch copies an index to the start of w, so that it can be read more than once
// and as slowly as anybody likes. When it returns nil, w got the object that was
// written, to its last byte. One that is missing or another is
// cairn.CodeDamaged; an error of w is returned as it is.
func (c *Cloud) Fetch(ctx context.Context, o segment.Object, w io.WriterAt) error {
	var sum segment.Sum
	var size int64
	var writing error
	err := bucket.Read(ctx, c.cfg.Bucket, o.Name, func(r io.Reader) error {
		hash := sha256.New()
		out := &kept{w: io.NewOffsetWriter(w, 0)}
		n, err := io.Copy(io.MultiWriter(hash, out), io.LimitReader(r, o.Size+1)) // a byte more is enough to know
		size, sum, writing = n, segment.Sum(hash.Sum(nil)), out.err
		return err
	})
	switch {
	case writing != nil:
		return writing
	case err != nil:
		return c.failure(ctx, "reading", o.Name, err)
	case size > o.Size:
		return c.Damaged(o.Name, fmt.Sprintf("it has more than its %d bytes", o.Size))
	case size < o.Size:
		return c.Damaged(o.Name, fmt.Sprintf("it has %d bytes instead of %d", size, o.Size))
	case sum != o.SHA256:
		return c.Damaged(o.Name, fmt.Sprintf("its SHA-256 is %s, not %s", sum, o.SHA256))
	}
	return nil
}

// kept is a writer that keeps its error: it is not one of the bucket.
type kept struct {
	w   io.Writer
	err error
}

// Write writes to w.
func (k *kept) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	if err != nil {
		k.err = err
	}
	return n, err
}

// PartsIn returns the parts of a segment that has an index, which r is the whole
// of, as [Cloud.Parts] does.
func (c *Cloud) PartsIn(r io.Reader, s segment.Segment) ([]segment.Part, error) {
	parts, err := segment.ReadIndex(r, c.identity, s)
	if err != nil {
		return nil, c.Unreadable(s.Index.Name, err)
	}
	return parts, c.checkNames(s, parts)
}

// checkNames returns an error unless an index names its parts as cairn does.
func (c *Cloud) checkNames(s segment.Segment, parts []segment.Part) error {
	names := make(map[string]bool, len(parts))
	for _, p := range parts {
		if !isLinesName(partFolder, p.Name) || names[p.Name] {
			return c.Damaged(s.Index.Name, "it names an object as cairn does not")
		}
		names[p.Name] = true
	}
	return nil
}

// Uncounted returns the error for a backup whose objects are whole, but not what
// its manifest says of them. why goes on from "is damaged: ".
func (c *Cloud) Uncounted(id, why string) *cairn.Error {
	return c.Damaged(backupFolder+id+backupSuffix, why)
}
