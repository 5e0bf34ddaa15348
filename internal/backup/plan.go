package backup

import (
	"cmp"
	"math/bits"
	"slices"

	"cairn"
	"cairn/internal/segment"
)

// fanIn is how many segments of one size class stand beside each other before
// they are merged, and how much more a class has than the one below. So a backup
// has fewer than fanIn segments of each class, and a row is written again once for
// each class that the database has above that of a usual change.
const fanIn = 8

// smallShare is the share of a full part's plain text, as 1/smallShare, below which
// the bytes of a part are few: then it is gathered into a larger one.
const smallShare = 8

// A span is a range of revisions (from, to] that a backup to be has in one
// segment.
type span struct {
	from, to int64
	rows     int64 // at most
	plain    int64 // bytes of their lines, at most, or about
	// The span is of the segments [first, end) of the base; the one behind the last
	// is what changed since. One that is not written is a segment as it stands.
	first, end int
	written    bool
}

// arrange returns the segments that a backup shall have, in order. held is what the
// base consists of, nothing without one; now is the database, and tail is what it
// has since the end of the last segment.
//
// Each segment stays as it is but for these:
//
//   - one of which an object is bad is written again;
//   - fanIn of one class that stand together are merged, and so on. An older segment
//     counts as of the class of the largest one behind it at least: small ones
//     between large ones would stay for ever;
//   - all are merged when more than half of what they hold is overwritten, by weight
//     or by bytes. Then the backup has at most twice what the database has, and what
//     is written for that stands for as much that changed, where each row counts as
//     4 KiB more.
func arrange(held contents, now cairn.Stats, tail cairn.Rows) []span {
	var spans []span
	var rows, plain, end int64
	for i, s := range held.Segments {
		spans = append(spans, span{
			from: s.From, to: s.To, rows: s.Documents + s.Deletions, plain: s.Plain, first: i, end: i + 1, written: held.spoiled(i),
		})
		rows += s.Documents + s.Deletions
		plain += s.Plain
		end = s.To
	}
	if now.Revision > end {
		n := len(held.Segments)
		last := span{from: end, to: now.Revision, rows: tail.Documents + tail.Deletions, plain: tail.Bytes, first: n, end: n + 1, written: true}
		spans = append(spans, last)
		rows += last.rows
		heavy := weight(rows, plain+last.plain) > 2*weight(now.Documents, now.Bytes)
		if n > 0 && (rows > 2*now.Documents && heavy || plain > 2*(now.Bytes+nameBytes*now.Documents)) {
			return merged(spans, 0, len(spans))
		}
	}
	for {
		first, end := crowd(spans)
		if first == end {
			return spans
		}
		spans = merged(spans, first, end)
	}
}

// nameBytes is more than a line has beside its document.
const nameBytes = 512

// rowBytes is how many bytes of lines count as much as a row: so many are worth to be
// written again for one row less.
const rowBytes = 4 << 10

// weight returns what rows count of which the lines have so many bytes.
func weight(rows, plain int64) int64 { return rows + plain/rowBytes }

// class returns the size class of a segment: the logarithm of its weight to the base
// of fanIn.
func class(weight int64) int { return (bits.Len64(uint64(max(weight, 1))) - 1) / bits.Len(fanIn-1) }

// crowd returns the first spans [first, end) that stand together in one class, if
// there are fanIn of them.
func crowd(spans []span) (first, end int) {
	end = len(spans)
	largest := 0
	for i := len(spans) - 1; i >= 0; i-- {
		if c := class(weight(spans[i].rows, spans[i].plain)); c > largest {
			if end-(i+1) >= fanIn {
				return i + 1, end
			}
			largest, end = c, i+1
		}
	}
	if end >= fanIn {
		return 0, end
	}
	return 0, 0
}

// merged returns spans with those of [first, end) as one.
func merged(spans []span, first, end int) []span {
	one := spans[first]
	one.to, one.end, one.written = spans[end-1].to, spans[end-1].end, true
	for _, s := range spans[first+1 : end] {
		one.rows += s.rows
		one.plain += s.plain
	}
	return slices.Replace(slices.Clone(spans), first, end, one)
}

// A step is what a segment that is written gets next: a part that is there, or what
// the database holds of a range of revisions.
type step struct {
	from, to int64
	rows     cairn.Rows
	taken    *segment.Part // nil for what is to be written
}

// A candidate is a part that a segment could take over.
type candidate struct {
	segment.Part
	rank int // one of those below
}

// The ranks of candidates, in the order in which they are chosen.
const (
	large    = iota
	uploaded // for this backup, so it is as large as it should be
	small    // to be gathered with its neighbours
)

// A piece is a step to be, while it is not known what stands beside it.
type piece struct {
	step
	small bool
}

// stepsOf returns the steps in which a span is written, of which the database
// counts the rows. The candidates are parts within it.
//
// A part is taken over if the database holds as many rows in its range of
// revisions: rows only ever leave a range, so an equal count means equal content.
// A segment from revision 0 has no deletions: there is nothing that they could
// delete. A small part is written again if what stands beside it is, or is small.
func stepsOf(s span, candidates []candidate, count func(after, to int64) (cairn.Rows, error)) ([]step, error) {
	rowsOf := func(from, to int64) (cairn.Rows, error) {
		rows, err := count(from, to)
		if s.from == 0 {
			rows.Deletions = 0
		}
		return rows, err
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.From, b.From))
	})
	var chosen []piece // by range; no two have revisions in common
	for _, c := range candidates {
		i, _ := slices.BinarySearchFunc(chosen, c.From, func(p piece, from int64) int { return cmp.Compare(p.from, from) })
		if c.From < s.from || c.To > s.to || i > 0 && chosen[i-1].to > c.From || i < len(chosen) && chosen[i].from < c.To {
			continue
		}
		rows, err := rowsOf(c.From, c.To)
		if err != nil {
			return nil, err
		}
		if rows.Documents == c.Documents && rows.Deletions == c.Deletions {
			chosen = slices.Insert(chosen, i, piece{step{c.From, c.To, rows, &c.Part}, c.rank == small})
		}
	}
	// What lies between those that are chosen; ranges without rows are nothing.
	var pieces []piece
	gap := func(from, to int64) error {
		if from == to {
			return nil
		}
		rows, err := rowsOf(from, to)
		if err == nil && rows.Documents+rows.Deletions > 0 {
			pieces = append(pieces, piece{step: step{from: from, to: to, rows: rows}})
		}
		return err
	}
	at := s.from
	for _, c := range chosen {
		if err := gap(at, c.from); err != nil {
			return nil, err
		}
		pieces = append(pieces, c)
		at = c.to
	}
	if err := gap(at, s.to); err != nil {
		return nil, err
	}
	var steps []step
	for i, p := range pieces {
		beside := func(j int) bool { return j >= 0 && j < len(pieces) && (pieces[j].taken == nil || pieces[j].small) }
		if p.small && (beside(i-1) || beside(i+1)) {
			p.taken = nil
		}
		if n := len(steps); n > 0 && p.taken == nil && steps[n-1].taken == nil {
			last := &steps[n-1]
			last.to = p.to
			last.rows.Documents += p.rows.Documents
			last.rows.Deletions += p.rows.Deletions
			last.rows.Bytes += p.rows.Bytes
			continue
		}
		steps = append(steps, p.step)
	}
	return steps, nil
}
