package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	// smallPiece is the median text of documents of which there are very many.
	smallPiece = 250
	// fewEdits is how many documents a small change is of.
	fewEdits = 100
	// share is the part of all documents, as 1/share, that a large change is of.
	share = 100
	// changeRounds and shareRounds are how often either is backed up, at most: with
	// eight segments of a size, they would be merged.
	changeRounds, shareRounds = 5, 2
)

// changes measures backups of a change in two databases, one of which has ten
// times the documents of the other. They cost the same.
func (b *bench) changes(ctx context.Context) (err error) {
	var sites []*site
	defer func() {
		for _, s := range sites {
			err = errors.Join(err, s.stop())
		}
	}()
	var first [2]cost
	var bytes [2]int64
	for i, n := range []int{b.grown, b.grown / 10} {
		s, err := b.startSite(ctx, fmt.Sprint("changes", i), smallPiece, nil)
		if err != nil {
			return err
		}
		sites = append(sites, s)
		if bytes[i], err = s.grow(ctx, func(have int, _ int64) bool { return have < n }); err != nil {
			return err
		}
		if first[i], err = s.backup(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("\n%-46s %12s %12s %8s\n", "documents", fmt.Sprint(len(sites[0].ids)), fmt.Sprint(len(sites[1].ids)), "ratio")
	row("MB of JSON", "%.0f", megabytes(bytes[0]), megabytes(bytes[1]))
	row("first backup, MB/s", "%.0f", megabytes(bytes[0])/first[0].seconds, megabytes(bytes[1])/first[1].seconds)
	for _, work := range []struct {
		name   string
		rounds int
		edits  func(documents int) int
	}{
		{"nothing changed", b.rounds, func(int) int { return 0 }},
		{fmt.Sprint(fewEdits, " changed"), min(b.rounds, changeRounds), func(int) int { return fewEdits }},
		{"1 % changed", min(b.rounds, shareRounds), func(n int) int { return n / share }},
	} {
		c := &contest{}
		for range work.rounds {
			if err := c.round(ctx, sites, work.edits); err != nil {
				return err
			}
		}
		b.printContest(work.name, c, work.edits(1e6) == work.edits(1e9))
	}
	return nil
}

// A contest is what backups of the same change cost in two databases.
type contest struct {
	costs [2][]cost
	over  float64 // the most that one stored, as a share of the bound for it
}

// round changes both and backs both up.
func (c *contest) round(ctx context.Context, sites []*site, edits func(int) int) error {
	for i, s := range sites {
		var bound int64
		if n := edits(len(s.ids)); n > 0 {
			edited, err := s.edit(ctx, n)
			if err != nil {
				return err
			}
			if bound, err = storedBound(edited); err != nil {
				return err
			}
		}
		cost, err := s.backup(ctx)
		if err != nil {
			return err
		}
		c.costs[i] = append(c.costs[i], cost)
		if bound > 0 {
			c.over = max(c.over, float64(cost.stored)/float64(bound))
		}
	}
	return nil
}

// storedBound is how many bytes a backup of so many changes may store: 1.3 times what
// zstd makes of the documents, and 4 KiB.
func storedBound(docs documents) (int64, error) {
	var all bytes.Buffer
	for _, doc := range docs {
		all.Write(doc.json)
		all.WriteByte('\n')
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	return int64(1.3*float64(len(z.EncodeAll(all.Bytes(), nil)))) + 4<<10, nil
}

// printContest prints a contest, whose changes are the same if even.
func (b *bench) printContest(name string, c *contest, even bool) {
	figures := func(pick func([]float64) float64, of func(cost) float64) (both [2]float64) {
		for i, costs := range c.costs {
			var all []float64
			for _, cost := range costs {
				all = append(all, of(cost))
			}
			both[i] = pick(all)
		}
		return both
	}
	// Such short times are several times longer whenever the machine is busy with
	// something else: so the best ones count.
	ms := figures(slices.Min, func(c cost) float64 { return 1e3 * c.seconds })
	row(name+", ms", "%.1f", ms[0], ms[1])
	if even {
		b.hold(goal{step: name, what: "times as long as in the smaller", got: ms[0] / ms[1], bound: 1.5})
	}
	kB := figures(middle, func(c cost) float64 { return float64(c.stored) / 1e3 })
	row("  stored, kB", "%.1f", kB[0], kB[1])
	if even && c.over > 0 { // what is more than a part has a catalog besides
		b.hold(goal{step: name, what: "stored / (1.3 zstd + 4 KiB)", got: c.over, bound: 1, exact: true})
	}
	peak := figures(middle, func(c cost) float64 { return float64(c.peak) / 1e6 })
	row("  peak memory, MB", "%.0f", peak[0], peak[1])
	larger, smaller := c.costs[0][len(c.costs[0])-1].calls, c.costs[1][len(c.costs[1])-1].calls
	fmt.Printf("%-46s %12s %12s\n", "  calls", larger, smaller)
	if even {
		b.holdCalls(name, c)
	}
}

// holdCalls holds how often the bucket may be asked: each time for the manifest of
// the base, with the manifest and, if there is something to store, a part.
func (b *bench) holdCalls(name string, c *contest) {
	want := "2 PUT 1 HEAD"
	if c.over == 0 {
		want = "1 PUT 1 HEAD"
	}
	others := 0
	for _, costs := range c.costs {
		for _, cost := range costs {
			if cost.calls != want {
				others++
			}
		}
	}
	b.hold(goal{step: name, what: "backups with other calls than these", got: float64(others), exact: true})
}
