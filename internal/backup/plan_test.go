package backup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/segment"
)

// heldOf returns a base of segments of so many documents, which follow each other.
func heldOf(rows ...int64) (held contents) {
	var to int64
	for _, n := range rows {
		p := segment.Part{From: to, To: to + max(n, 1), Documents: n, Plain: 100 * n}
		p.Name = fmt.Sprint("part of ", to)
		to = p.To
		held.Segments = append(held.Segments, segment.Segment{From: p.From, To: p.To, Documents: n, Plain: p.Plain, Parts: 1, Part: &p})
		held.Parts = append(held.Parts, []segment.Part{p})
	}
	return held
}

// describe returns spans as the first and last segment of each that is written, and
// "-" for each that stays.
func describe(spans []span) string {
	var all []string
	for _, s := range spans {
		if s.written {
			all = append(all, fmt.Sprintf("%d-%d", s.first, s.end-1))
		} else {
			all = append(all, "-")
		}
	}
	return strings.Join(all, " ")
}

// TestArrange has segments stay or be merged.
func TestArrange(t *testing.T) {
	many := func(n int, rows int64) (all []int64) { return slices.Repeat([]int64{rows}, n) }
	for _, test := range []struct {
		name string
		held contents
		rows int64 // that changed since
		live int64 // documents in the database; 0 means that all rows are live
		want string
	}{
		{"without a base", contents{}, 10, 0, "0-0"},
		{"nothing was ever written", contents{}, 0, 0, ""},
		{"nothing changed", heldOf(100), 0, 0, "-"},
		{"a change", heldOf(100), 1, 0, "- 1-1"},
		{"six small ones", heldOf(append([]int64{1000}, many(6, 1)...)...), 1, 0, "- - - - - - - 7-7"},
		{"seven small ones", heldOf(append([]int64{1000}, many(7, 1)...)...), 1, 0, "- 1-8"},
		{"as many of a larger class", heldOf(append([]int64{1000}, many(7, 8)...)...), 1, 0, "- - - - - - - - 8-8"},
		{"eight of a larger class", heldOf(append([]int64{1000}, many(7, 8)...)...), 63, 0, "- 1-8"},
		{"small ones behind large ones", heldOf(append([]int64{1000, 9, 9, 9}, many(7, 1)...)...), 7, 0, "- - - - 4-11"},
		{"small ones before large ones", heldOf(append([]int64{1000}, many(7, 1)...)...), 100, 0, "- 1-8"},
		{"one class leads to the next", heldOf(slices.Concat([]int64{1000}, many(7, 8), many(7, 1))...), 1, 0, "- 1-15"},
		{"all of one class", heldOf(many(7, 5)...), 5, 0, "0-7"},
		{"half is overwritten", heldOf(100), 100, 100, "- 1-1"},
		{"more than half is overwritten", heldOf(100), 101, 100, "0-1"},
		{"more than half is overwritten, and nothing changed", heldOf(100, 100), 0, 50, "- -"},
		{"all is deleted", heldOf(10), 10, -1, "0-1"},
	} {
		now := cairn.Stats{Documents: test.live, Revision: test.rows}
		for _, s := range test.held.Segments {
			now.Revision = s.To + test.rows
			now.Bytes += s.Plain
			if test.live == 0 {
				now.Documents += s.Documents
			}
		}
		if test.live == 0 {
			now.Documents += test.rows
		}
		now.Documents = max(now.Documents, 0)
		if got := describe(arrange(test.held, now, cairn.Rows{Documents: test.rows, Bytes: 100 * test.rows})); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	large := cairn.Stats{Documents: 100, Revision: 102, Bytes: 1000}
	held := heldOf(100)
	held.Segments[0].Plain = 2 * (large.Bytes + nameBytes*large.Documents)
	if got := describe(arrange(held, large, cairn.Rows{Documents: 2})); got != "- 1-1" {
		t.Errorf("twice the bytes: %s", got)
	}
	held.Segments[0].Plain++
	if got := describe(arrange(held, large, cairn.Rows{Documents: 2})); got != "0-1" {
		t.Errorf("more than twice the bytes: %s", got)
	}
	held = heldOf(100, 10, 1)
	held.Bad = []string{held.Parts[1][0].Name}
	if got := describe(arrange(held, cairn.Stats{Documents: 111, Revision: 111}, cairn.Rows{})); got != "- 1-1 -" {
		t.Errorf("a bad part: %s", got)
	}
	held.Bad = []string{"an index"}
	held.Segments[2].Index = &segment.Object{Name: "an index"}
	if got := describe(arrange(held, cairn.Stats{Documents: 112, Revision: 112}, cairn.Rows{Documents: 1})); got != "- - 2-2 3-3" {
		t.Errorf("a bad index: %s", got)
	}
}

// TestArrangeForYears has no more segments than classes allow, and each row be
// written again only once for each class, whatever a day brings.
func TestArrangeForYears(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, start := range []int64{0, 1000, 1 << 20} {
		var held contents
		if start > 0 {
			held = heldOf(start)
		}
		total, written := start, int64(0)
		most := 0
		for range 3000 {
			rows := random.Int64N(1 << random.IntN(11))
			total += rows
			end := int64(0)
			if n := len(held.Segments); n > 0 {
				end = held.Segments[n-1].To
			}
			var sizes []int64
			for _, s := range arrange(held, cairn.Stats{Documents: total, Revision: end + rows, Bytes: 100 * total}, cairn.Rows{Documents: rows, Bytes: 100 * rows}) {
				sizes = append(sizes, s.rows)
				if s.written {
					written += s.rows
				}
			}
			held = heldOf(sizes...)
			most = max(most, len(sizes))
		}
		added := total - start
		if classes := class(total) + 1; most > (fanIn-1)*classes {
			t.Errorf("from %d: %d segments of %d rows", start, most, total)
		}
		t.Logf("from %d: %d segments at most; each row was written %.1f times", start, most, float64(written)/float64(added))
		if written > 8*added {
			t.Errorf("from %d: %d rows were written for %d", start, written, added)
		}
	}
}

// A table counts the rows of a database: which revisions have a document, and which
// a deletion.
type table struct{ documents, deletions []int64 }

func (b table) count(after, to int64) (rows cairn.Rows, err error) {
	for _, r := range b.documents {
		if after < r && r <= to {
			rows.Documents++
			rows.Bytes += 10
		}
	}
	for _, r := range b.deletions {
		if after < r && r <= to {
			rows.Deletions++
		}
	}
	return rows, nil
}

// TestStepsOf has parts be taken over, gathered and written again.
func TestStepsOf(t *testing.T) {
	part := func(from, to, documents, deletions int64, rank int) candidate {
		return candidate{segment.Part{From: from, To: to, Documents: documents, Deletions: deletions}, rank}
	}
	through := func(from, to int64, without ...int64) (all []int64) {
		for r := from; r <= to; r++ {
			if !slices.Contains(without, r) {
				all = append(all, r)
			}
		}
		return all
	}
	for _, test := range []struct {
		name       string
		from, to   int64
		table      table
		candidates []candidate
		want       string // "taken" or the documents and deletions that are written, each with the end of its range
	}{
		{"nothing", 0, 10, table{}, nil, ""},
		{"all new", 0, 10, table{through(1, 10), nil}, nil, "10+0 to 10"},
		{"as it was", 0, 10, table{through(1, 10), nil}, []candidate{part(0, 10, 10, 0, large)}, "taken to 10"},
		{"and more", 0, 12, table{through(1, 12), nil}, []candidate{part(0, 10, 10, 0, large)}, "taken to 10, 2+0 to 12"},
		{"a row has gone", 0, 10, table{through(1, 10, 4), nil}, []candidate{part(0, 5, 5, 0, large), part(5, 10, 5, 0, large)}, "4+0 to 5, taken to 10"},
		{"a deletion has gone", 10, 20, table{through(11, 15), nil}, []candidate{part(10, 20, 5, 1, large)}, "5+0 to 20"},
		{"deletions from the start on", 0, 10, table{through(1, 5), through(6, 10)}, []candidate{part(0, 5, 5, 0, large)}, "taken to 5"},
		{"deletions in the first segment", 0, 10, table{through(1, 5), through(6, 10)}, []candidate{part(0, 10, 5, 5, large)}, "5+0 to 10"},
		{"deletions later", 10, 20, table{through(11, 15), through(16, 20)}, []candidate{part(10, 20, 5, 5, large)}, "taken to 20"},
		{"only deletions", 10, 20, table{nil, through(16, 20)}, nil, "0+5 to 20"},
		{"a small one alone", 0, 10, table{through(1, 10), nil}, []candidate{part(0, 5, 5, 0, small), part(5, 10, 5, 0, large)}, "taken to 5, taken to 10"},
		{"small ones", 0, 10, table{through(1, 10), nil}, []candidate{part(0, 5, 5, 0, small), part(5, 10, 5, 0, small)}, "10+0 to 10"},
		{"a small one and more", 0, 12, table{through(1, 12), nil}, []candidate{part(0, 5, 5, 0, large), part(5, 10, 5, 0, small)}, "taken to 5, 7+0 to 12"},
		{"small ones between", 0, 12, table{through(1, 12), nil},
			[]candidate{part(8, 12, 4, 0, large), part(4, 6, 2, 0, small), part(6, 8, 2, 0, small), part(0, 4, 4, 0, large)}, "taken to 4, 4+0 to 8, taken to 12"},
		{"without rows between", 0, 20, table{through(1, 5), nil}, []candidate{part(0, 5, 5, 0, small)}, "taken to 5"},
		{"uploaded ones before small ones", 0, 12, table{through(1, 12), nil}, []candidate{part(0, 6, 6, 0, small), part(6, 9, 3, 0, small), part(2, 8, 6, 0, uploaded)}, "2+0 to 2, taken to 8, 4+0 to 12"},
		{"uploaded ones behind large ones", 0, 12, table{through(1, 12), nil}, []candidate{part(2, 8, 6, 0, uploaded), part(0, 6, 6, 0, large)}, "taken to 6, 6+0 to 12"},
		{"of other ranges", 5, 12, table{through(1, 20), nil}, []candidate{part(0, 6, 6, 0, uploaded), part(10, 13, 3, 0, uploaded)}, "7+0 to 12"},
	} {
		steps, err := stepsOf(span{from: test.from, to: test.to}, test.candidates, test.table.count)
		var got []string
		for _, s := range steps {
			what := "taken"
			if s.taken == nil {
				what = fmt.Sprintf("%d+%d", s.rows.Documents, s.rows.Deletions)
			}
			got = append(got, fmt.Sprintf("%s to %d", what, s.to))
		}
		if text := strings.Join(got, ", "); text != test.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", test.name, text, err, test.want)
		}
	}
}
