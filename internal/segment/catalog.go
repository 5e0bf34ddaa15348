package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"cairn"
)

// A Catalog sorts the rows of a segment by collection and id, however many
// there are: what its memory does not hold is in files. Workers add to it at
// the same time; [WriteIndex] takes out what is sorted. Close it in the end.
//
// A row is sorted as it stands, since every line begins with the collection and
// the id, and the quote that ends each is less than any character in them.
type Catalog struct {
	// Step does the writing of each file; NewCatalog has it simply done. A test
	// may set it before the first Add.
	Step func(do func() error) error

	dir    string
	memory int

	mu     sync.Mutex
	lines  [][]byte // of batches
	refs   []ref
	held   int // bytes of both
	runs   []run
	rows   int64
	err    error // of the first Add that failed: rows are missing
	closed bool
}

// A ref is a line in Catalog.lines.
type ref struct {
	key                uint64 // what sorts most lines without a look at them
	batch, offset, len uint32 // len without the line break
}

const refBytes = 24

// fanIn is how many files of sorted rows are merged into one of the next level.
// So the open files, and the memory to merge all, grow with the logarithm of
// the number of rows.
const fanIn = 32

// runBuffer is the memory to read or write a file of sorted rows with. It holds
// the longest row.
const runBuffer = 64 << 10

// memoryBounds of a Catalog in bytes: what a ref can point into, and what makes
// sense.
const (
	minCatalogMemory = maxRowBytes + refBytes
	maxCatalogMemory = 1 << 30
)

// NewCatalog returns an empty Catalog that holds as many bytes of rows in
// memory as given and one batch, and the rest in files in the folder dir, whose
// names end in ".tmp". Merging them takes 64 KiB for each.
func NewCatalog(dir string, memory int) *Catalog {
	return &Catalog{
		Step:   func(do func() error) error { return do() },
		dir:    dir,
		memory: min(max(memory, minCatalogMemory), maxCatalogMemory),
	}
}

// Add takes the rows of a batch, with their memory, and leaves it empty, with
// room for as many. After an error, which is that of a file, the catalog is of
// no use.
func (c *Catalog) Add(b *Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return os.ErrClosed
	}
	if c.err != nil || b.rows == 0 {
		return c.err
	}
	c.refs = slices.Grow(c.refs, b.rows)
	for from := 0; from < len(b.lines); {
		n := bytes.IndexByte(b.lines[from:], '\n')
		c.refs = append(c.refs, ref{batch: uint32(len(c.lines)), offset: uint32(from), len: uint32(n)})
		from += n + 1
	}
	c.lines = append(c.lines, b.lines)
	c.held += cap(b.lines) + b.rows*refBytes
	c.rows += int64(b.rows)
	*b = Batch{lines: make([]byte, 0, len(b.lines))}
	if c.held > c.memory {
		c.err = c.spill()
	}
	return c.err
}

// Rows returns how many rows were added.
func (c *Catalog) Rows() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows
}

// Close removes the files. A second Close does nothing.
func (c *Catalog) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := removeRuns(c.runs)
	c.lines, c.refs, c.runs, c.closed = nil, nil, nil, true
	return err
}

// spill writes the rows in memory to a file. The caller holds c.mu.
func (c *Catalog) spill() error {
	if len(c.refs) == 0 {
		return nil
	}
	c.sort()
	r, err := c.writeRun(0, c.memorySource())
	if err != nil {
		return err
	}
	clear(c.lines)
	c.lines, c.refs, c.held, c.runs = c.lines[:0], c.refs[:0], 0, append(c.runs, r)
	for len(c.runs) >= fanIn {
		last := c.runs[len(c.runs)-fanIn:]
		if last[0].level != last[fanIn-1].level {
			break
		}
		if r, err = c.writeRun(last[0].level+1, merge(sourcesOf(last))); err != nil {
			return err
		}
		err := removeRuns(last)
		c.runs = append(c.runs[:len(c.runs)-fanIn], r)
		if err != nil {
			return err
		}
	}
	return nil
}

// sort sorts the rows in memory. Lines of a segment begin alike, so what they
// have in common is left out of the keys.
func (c *Catalog) sort() {
	if len(c.refs) == 0 {
		return
	}
	common := c.line(c.refs[0])
	for _, r := range c.refs {
		line := c.line(r)
		for !bytes.HasPrefix(line, common) {
			common = common[:len(common)-1]
		}
	}
	for i, r := range c.refs {
		var key [8]byte
		copy(key[:], c.line(r)[len(common):])
		c.refs[i].key = binary.BigEndian.Uint64(key[:])
	}
	slices.SortFunc(c.refs, func(a, b ref) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return bytes.Compare(c.line(a), c.line(b))
	})
}

// line returns the line of a ref without its line break.
func (c *Catalog) line(r ref) []byte { return c.lines[r.batch][r.offset:][:r.len:r.len] }

// memorySource returns the rows in memory, which must be sorted.
func (c *Catalog) memorySource() source {
	next := 0
	return func() ([]byte, error) {
		if next == len(c.refs) {
			return nil, io.EOF
		}
		next++
		return c.line(c.refs[next-1]), nil
	}
}

// sorted returns a source of all rows, strictly in the order of (collection,
// id). It holds as long as nothing is added. The caller holds c.mu.
func (c *Catalog) sorted() source {
	c.sort()
	all := merge(append(sourcesOf(c.runs), c.memorySource()))
	var last []byte
	return func() ([]byte, error) {
		line, err := all()
		if err != nil {
			return nil, err
		}
		key, ok := rowKey(line)
		if !ok {
			return nil, c.doubt(fmt.Errorf("%s is not a row", cairn.Quote(string(line))))
		}
		switch order := bytes.Compare(key, last); {
		case order == 0:
			return nil, c.doubt(fmt.Errorf("two rows of one document: %s", line))
		case order < 0:
			return nil, c.doubt(fmt.Errorf("the row %s comes too late", line))
		}
		last = append(last[:0], key...)
		return line, nil
	}
}

// doubt returns why the rows cannot be right: that a file is spoiled, or else
// err. The caller holds c.mu.
func (c *Catalog) doubt(err error) error {
	for _, r := range c.runs {
		if err := r.check(); err != nil {
			return err
		}
	}
	return err
}

// rowKey returns the part of a row that it is sorted by: all before the
// revision. Neither collection nor id can hold a quote.
func rowKey(line []byte) (key []byte, ok bool) {
	_, rest, ok := quoted(line, lineCollection)
	if ok {
		_, rest, ok = quoted(rest, lineID)
	}
	return line[:len(line)-len(rest)], ok
}

// removeRuns closes and removes files.
func removeRuns(runs []run) error {
	var errs []error
	for _, r := range runs {
		errs = append(errs, r.remove())
	}
	return errors.Join(errs...)
}
