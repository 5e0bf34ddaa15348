package segment

import (
	"errors"
	"io"
	"iter"
)

// Sorted yields the rows in order of collection and id, however many there are.
// Unlike those of an index, several can be of one document: they come one after
// the other, in any order. Nothing may be added meanwhile. An error ends it, which
// is ErrSpoiled when a file is not what was written to it; what came before may be
// wrong then, too.
func (c *Catalog) Sorted() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			yield(Row{}, c.err)
			return
		}
		c.sort()
		lines := merge(append(sourcesOf(c.runs), c.memorySource()))
		for {
			line, err := lines()
			if errors.Is(err, io.EOF) {
				return
			}
			var r Row
			if err == nil {
				if r, err = ParseRow(line); err != nil {
					err = c.doubt(err)
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
