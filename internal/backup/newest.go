package backup

import (
	"container/heap"
	"context"
	"iter"
	"slices"

	"cairn"
	"cairn/internal/segment"
)

// localBytes is what the rows that are in no index take in memory, and foundBytes
// what those take that a caller reads; the rest of either is in files.
const (
	localBytes = 4 << 20
	foundBytes = 2 << 20
)

// batchRows is how many rows go to a catalog at once.
const batchRows = 4096

// newest calls found with a row for each document of the backup, in order of
// collection and id, until that returns false. Of the rows of a document, which can
// be in several segments, the one of the highest revision counts, and none when
// that is a deletion.
//
// It merges the catalogs of the indexes with one of its own. That has what stands
// in no index: the documents of segments of a single part, and all deletions. So
// of the parts it reads only those that hold such lines, and keeps of each index
// one row.
func (b *browser) newest(ctx context.Context, found func(segment.Row) bool) error {
	local := b.e.catalog(localBytes)
	defer b.e.discard(local.Close)
	if err := b.unlisted(ctx, local); err != nil {
		return spoolError(b.e.cfg.Spool, err)
	}
	var h heads
	defer func() {
		for _, head := range h {
			head.stop()
		}
	}()
	begin := func(rows iter.Seq2[segment.Row, error]) error {
		next, stop := iter.Pull2(rows)
		h = append(h, &head{next: next, stop: stop})
		return h[len(h)-1].advance()
	}
	if err := begin(local.Sorted()); err != nil {
		return spoolError(b.e.cfg.Spool, err)
	}
	for i, s := range b.manifest.Segments {
		if s.Index == nil {
			continue
		}
		if err := begin(b.rows(ctx, i)); err != nil {
			return err
		}
	}
	h = slices.DeleteFunc(h, func(head *head) bool { return head.ended })
	heap.Init(&h)
	var documents, bytes int64
	for len(h) > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		row, err := h.take()
		if err != nil {
			return spoolError(b.e.cfg.Spool, err)
		}
		if row.Bytes == 0 {
			continue
		}
		documents, bytes = documents+1, bytes+row.Bytes
		if !found(row) {
			return nil
		}
	}
	return b.uncounted(documents, bytes)
}

// unlisted adds to a catalog what stands in no index. The row of a deletion has
// no bytes; every document has two at least.
func (b *browser) unlisted(ctx context.Context, to *segment.Catalog) error {
	for i, s := range b.manifest.Segments {
		if s.Index != nil && s.Deletions == 0 {
			continue
		}
		parts, err := b.parts(ctx, i)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if s.Index != nil && p.Deletions == 0 {
				continue
			}
			if err := b.addLines(ctx, to, i, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// addLines adds the deletions in a part to a catalog; its documents, too, if it is
// the only part of its segment.
func (b *browser) addLines(ctx context.Context, to *segment.Catalog, i int, p segment.Part) error {
	var batch segment.Batch
	rows := 0
	for doc, err := range b.lines(ctx, i, p) {
		if err != nil {
			return err
		}
		switch {
		case doc.Deleted():
			batch.Add(segment.Row{Collection: doc.Collection, ID: doc.ID, Revision: doc.Revision})
		case b.manifest.Segments[i].Index == nil:
			batch.Add(segment.NewRow(doc, cairn.ContentHash(doc.JSON), b.e.cfg.Browse))
		default:
			continue
		}
		if rows++; rows%batchRows == 0 {
			if err := to.Add(&batch); err != nil {
				return err
			}
		}
	}
	return to.Add(&batch)
}

// A head is the next row of a source of rows.
type head struct {
	next  func() (segment.Row, error, bool)
	stop  func()
	row   segment.Row
	ended bool
}

// advance goes on to the next row. What is behind the last has no error.
func (h *head) advance() error {
	row, err, ok := h.next()
	h.row, h.ended = row, !ok
	return err
}

// heads is a heap of sources that have not ended, the least row first.
type heads []*head

// take returns the newest row of the document that comes first, and leaves all rows
// of it behind.
func (h *heads) take() (segment.Row, error) {
	newest := (*h)[0].row
	for len(*h) > 0 {
		first := (*h)[0]
		if first.row.Collection != newest.Collection || first.row.ID != newest.ID {
			break
		}
		if first.row.Revision > newest.Revision {
			newest = first.row
		}
		if err := first.advance(); err != nil {
			return newest, err
		}
		if first.ended {
			heap.Pop(h)
		} else {
			heap.Fix(h, 0)
		}
	}
	return newest, nil
}

func (h heads) Len() int { return len(h) }
func (h heads) Less(i, j int) bool {
	return before(nameOf(h[i].row), nameOf(h[j].row))
}
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for package heap.
func (h *heads) Push(x any) { *h = append(*h, x.(*head)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// nameOf returns the document that a row is of.
func nameOf(r segment.Row) cairn.DocumentName {
	return cairn.DocumentName{Collection: r.Collection, ID: r.ID}
}

// before reports whether a comes before b in a catalog.
func before(a, b cairn.DocumentName) bool {
	return a.Collection < b.Collection || a.Collection == b.Collection && a.ID < b.ID
}
