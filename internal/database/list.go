package database

import (
	"context"
	"iter"
	"slices"
	"sync"

	"cairn"
)

// List yields the documents of a collection, each exactly once that is there
// from the beginning to the end, in the state it has when its turn comes. It
// reads pages by revision, each in a short transaction, so however slow its
// consumer is, it holds nothing but the generation it began with. Its memory grows with the documents that are
// changed while it is on its way, by their ids.
func (d *DB) List(ctx context.Context, collection string) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		d.commit.Lock()
		g := d.use()
		defer d.release(g)
		l := &listing{generation: g, collection: collection, moved: map[string]struct{}{}}
		d.lists[l] = struct{}{}
		l.end = d.Stats().Revision
		d.commit.Unlock()
		defer func() {
			d.commit.Lock()
			delete(d.lists, l)
			d.commit.Unlock()
		}()
		for {
			page, more, err := g.listPage(ctx, l)
			if err != nil {
				yield(cairn.Document{}, failure(g.path, err))
				return
			}
			for _, doc := range page {
				if !yield(doc, nil) {
					return
				}
			}
			if !more {
				break
			}
		}
		for _, id := range l.rest() {
			doc, err := g.get(ctx, collection, id)
			if cairn.CodeOf(err) == cairn.CodeGone {
				continue
			}
			if !yield(doc, err) || err != nil {
				return
			}
		}
	}
}

// A listing is a List on its way. A document that is changed before its page
// was read has left its revision for one behind the end, so the writer notes
// it here, before it commits.
type listing struct {
	generation *generation
	collection string
	end        int64 // the newest revision when it began

	mu       sync.Mutex
	position int64               // all pages up to this revision were read
	moved    map[string]struct{} // ids to be read at the end
}

// warn tells the lists of a generation on their way which documents are about to
// move. The caller holds d.commit.
func (d *DB) warn(g *generation, all []moved) {
	for l := range d.lists {
		// By file: a list that outlives a restoration and its undoing reads what
		// is the live one again.
		if l.generation.path != g.path {
			continue
		}
		l.mu.Lock()
		for _, m := range all {
			// What moves from behind the end had its page, was noted when it
			// moved there, or is new.
			if m.collection == l.collection && l.position < m.from && m.from <= l.end {
				l.moved[m.id] = struct{}{}
			}
		}
		l.mu.Unlock()
	}
}

// listQuery has a plus sign that keeps SQLite from the index by collection, after
// which it would have to sort all documents for each page.
const listQuery = `
	SELECT revision, collection, id, json, crc FROM documents
	WHERE revision > ? AND revision <= ? AND +collection = ? ORDER BY revision`

// listPage reads the next page.
func (g *generation) listPage(ctx context.Context, l *listing) (page []cairn.Document, more bool, err error) {
	rows, err := g.reads.list.QueryContext(ctx, l.position, l.end, l.collection)
	if err != nil {
		return nil, false, err
	}
	page, more, err = readPage(rows)
	if err != nil {
		return nil, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, doc := range page {
		// Noted while the page was read, which still saw it in its place.
		delete(l.moved, doc.ID)
	}
	l.position = l.end
	if more {
		l.position = page[len(page)-1].Revision
	}
	return page, more, nil
}

// rest returns the ids of the documents that no page had, in order.
func (l *listing) rest() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]string, 0, len(l.moved))
	for id := range l.moved {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
