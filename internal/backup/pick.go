package backup

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"cairn"
	"cairn/internal/segment"
)

// A choice says which documents to take of a backup.
type choice interface {
	// has reports whether a document is wanted, as it stands in a part.
	has(doc cairn.Document) bool
	// count returns how many documents are wanted of a part, or of a segment as
	// if it were one.
	count(p segment.Part) int64
}

// everything is the choice of all documents of a backup in which each stands once.
type everything struct{}

func (everything) has(cairn.Document) bool    { return true }
func (everything) count(p segment.Part) int64 { return p.Documents }

// places is the choice of some documents, in order of revision.
type places []place

// A place is where the newest text of a document stands in a backup.
type place struct {
	name     cairn.DocumentName
	segment  int
	revision int64
}

func (s places) has(doc cairn.Document) bool {
	i, ok := slices.BinarySearchFunc(s, doc.Revision, func(p place, revision int64) int { return cmp.Compare(p.revision, revision) })
	return ok && s[i].name == cairn.DocumentName{Collection: doc.Collection, ID: doc.ID}
}

func (s places) count(p segment.Part) int64 {
	after := func(revision int64) int {
		i, _ := slices.BinarySearchFunc(s, revision, func(p place, revision int64) int {
			if p.revision <= revision {
				return -1
			}
			return 1
		})
		return i
	}
	return int64(after(p.To) - after(p.From))
}

// revisions is a set of revisions, a bit for each: that of documents which no later
// segment has anew.
type revisions []uint64

// maxRevisions is the highest one in such a set, which takes 64 MiB then.
const maxRevisions = 1 << 29

func (s revisions) add(revision int64) { s[revision/64] |= 1 << (revision % 64) }

func (s revisions) has(doc cairn.Document) bool {
	return s[doc.Revision/64]&(1<<(doc.Revision%64)) != 0
}

func (s revisions) count(p segment.Part) (n int64) {
	for r := p.From + 1; r <= p.To; {
		if r%64 == 0 && r+63 <= p.To {
			n += int64(bits.OnesCount64(s[r/64]))
			r += 64
			continue
		}
		n += int64(s[r/64] >> (r % 64) & 1)
		r++
	}
	return n
}

// pick yields the documents of a choice, and reports whether it was stopped.
func (b *browser) pick(ctx context.Context, wanted choice, yield func([]cairn.Document, error) bool) (stopped bool, err error) {
	for i, s := range b.manifest.Segments {
		if wanted.count(segment.Part{From: s.From, To: s.To, Documents: s.Documents}) == 0 {
			continue
		}
		parts, err := b.parts(ctx, i)
		if err != nil {
			return false, err
		}
		for _, p := range parts {
			if wanted.count(p) == 0 {
				continue
			}
			if stopped, err := b.pickFrom(ctx, i, p, wanted, yield); stopped || err != nil {
				return stopped, err
			}
		}
	}
	return false, nil
}

// pickFrom is pick for one part.
func (b *browser) pickFrom(ctx context.Context, i int, p segment.Part, wanted choice, yield func([]cairn.Document, error) bool) (stopped bool, err error) {
	left := wanted.count(p)
	docs := make([]cairn.Document, 0, min(left, pickRows))
	for doc, err := range b.lines(ctx, i, p) {
		if err != nil {
			return false, err
		}
		if doc.Deleted() || !wanted.has(doc) {
			continue
		}
		left--
		if docs = append(docs, doc); len(docs) < pickRows {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		if !yield(docs, nil) {
			return true, nil
		}
		docs = docs[:0]
	}
	if left != 0 {
		return false, b.c.Damaged(p.Name, "its documents are not those that the index names")
	}
	return len(docs) > 0 && !yield(docs, nil), nil
}

// all returns the choice of all documents.
func (b *browser) all(ctx context.Context) (choice, error) {
	filled := 0
	for _, s := range b.manifest.Segments {
		if s.Documents+s.Deletions > 0 {
			filled++
		}
	}
	if filled <= 1 {
		return everything{}, nil
	}
	last := b.manifest.Revision
	if last > maxRevisions {
		return nil, &cairn.Error{
			Code:    cairn.CodeTooLarge,
			Message: fmt.Sprintf("The database of the backup %s has had %d changes; the documents of it can only be taken all at once up to %d.", cairn.Quote(b.manifest.ID), last, maxRevisions),
			Hint:    "Name the documents, or restore the whole backup.",
		}
	}
	set := make(revisions, last/64+1)
	err := b.newest(ctx, func(r segment.Row) bool {
		set.add(r.Revision)
		return true
	})
	return set, err
}

// locate returns where the documents of some names stand, or an error of
// cairn.CodeNotInBackup for the first that is in no segment, or was deleted in one
// behind it.
//
// It goes from the newest segment to the oldest, and reads their indexes, as long as
// a name is not found. Of a segment with an index, deletions stand in its parts
// only: those are read that hold any, if something was found in a segment before.
func (b *browser) locate(ctx context.Context, names []cairn.DocumentName) (choice, error) {
	l := locator{b: b, left: map[cairn.DocumentName]bool{}, found: map[cairn.DocumentName]place{}}
	for _, name := range names {
		l.left[name] = true
	}
	for i := len(b.manifest.Segments) - 1; i >= 0 && len(l.left) > 0; i-- {
		find := l.inPart
		if b.manifest.Segments[i].Index != nil {
			find = l.inIndex
		}
		if err := find(ctx, i); err != nil {
			return nil, err
		}
	}
	for i, s := range b.manifest.Segments {
		if s.Index != nil && s.Deletions > 0 && l.before(i) {
			if err := l.deleted(ctx, i); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range names {
		if _, ok := l.found[name]; !ok {
			return nil, notInBackup(b.manifest.ID, name)
		}
	}
	return places(slices.SortedFunc(maps.Values(l.found), func(a, b place) int { return cmp.Compare(a.revision, b.revision) })), nil
}

// notInBackup returns the error for a document that a backup does not hold.
func notInBackup(id string, name cairn.DocumentName) error {
	return &cairn.Error{
		Code:    cairn.CodeNotInBackup,
		Message: fmt.Sprintf("The backup %s holds no document %s.", cairn.Quote(id), cairn.Quote(name.String())),
		Hint:    "cairn backup documents ID lists those that it holds.",
	}
}

// A locator looks for documents, from the newest segment to the oldest.
type locator struct {
	b     *browser
	left  map[cairn.DocumentName]bool // not seen yet
	found map[cairn.DocumentName]place
}

// inPart looks at the lines of a segment that has no index, and of one part at most.
func (l *locator) inPart(ctx context.Context, i int) error {
	parts, err := l.b.parts(ctx, i)
	if err != nil {
		return err
	}
	for _, p := range parts {
		for doc, err := range l.b.lines(ctx, i, p) {
			if err != nil {
				return err
			}
			name := cairn.DocumentName{Collection: doc.Collection, ID: doc.ID}
			if !l.left[name] {
				continue
			}
			delete(l.left, name)
			if !doc.Deleted() {
				l.found[name] = place{name, i, doc.Revision}
			}
		}
	}
	return nil
}

// inIndex looks at the rows of an index, up to the last name that is looked for.
func (l *locator) inIndex(ctx context.Context, i int) error {
	var last cairn.DocumentName
	for name := range l.left {
		if before(last, name) {
			last = name
		}
	}
	for row, err := range l.b.rows(ctx, i) {
		if err != nil {
			return err
		}
		name := nameOf(row)
		if before(last, name) {
			break
		}
		if l.left[name] {
			delete(l.left, name)
			l.found[name] = place{name, i, row.Revision}
		}
	}
	return nil
}

// before reports whether anything was found in a segment before that one.
func (l *locator) before(i int) bool {
	for _, p := range l.found {
		if p.segment < i {
			return true
		}
	}
	return false
}

// deleted drops what was found before a segment, and is deleted in it.
func (l *locator) deleted(ctx context.Context, i int) error {
	parts, err := l.b.parts(ctx, i)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Deletions == 0 {
			continue
		}
		for doc, err := range l.b.lines(ctx, i, p) {
			if err != nil {
				return err
			}
			name := cairn.DocumentName{Collection: doc.Collection, ID: doc.ID}
			if place, ok := l.found[name]; ok && doc.Deleted() && place.segment < i {
				delete(l.found, name)
			}
		}
	}
	return nil
}
