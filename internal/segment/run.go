package segment

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// A source returns lines in order, without their line breaks, then io.EOF. A
// line is good until the next call.
type source func() ([]byte, error)

// A run is a file of sorted lines.
type run struct {
	file  *os.File
	size  int64
	crc   uint32 // CRC-32C of it all: an index is for good, and a disk can be bad
	level int    // how often its lines were merged
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeRun writes what a source returns to a new file. It leaves no file behind
// when it fails.
func (c *Catalog) writeRun(level int, lines source) (r run, err error) {
	f, err := os.CreateTemp(c.dir, "catalog.*.tmp")
	if err != nil {
		return run{}, err
	}
	r = run{file: f, level: level}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.remove())
		}
	}()
	if err := f.Chmod(0o600); err != nil {
		return r, err
	}
	err = c.Step(func() error { return r.write(lines) })
	return r, err
}

// write fills the file with what a source returns.
func (r *run) write(lines source) error {
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(r.file, sum), runBuffer)
	for {
		line, err := lines()
		if errors.Is(err, io.EOF) {
			err = w.Flush()
			r.crc = sum.Sum32()
			return err
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		if err := w.WriteByte('\n'); err != nil {
			return err
		}
		r.size += int64(len(line)) + 1
	}
}

// source returns the lines of the file from its start. Only its end tells that
// they were what was written; then an ErrSpoiled may come in the place of io.EOF.
func (r run) source() source {
	sum := crc32.New(castagnoli)
	b := bufio.NewReaderSize(io.TeeReader(io.NewSectionReader(r.file, 0, r.size), sum), runBuffer)
	return func() ([]byte, error) {
		line, err := b.ReadSlice('\n')
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) == 0 && sum.Sum32() == r.crc:
			return nil, io.EOF
		case errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull):
			return nil, &fs.PathError{Op: "read", Path: r.file.Name(), Err: ErrSpoiled}
		}
		return nil, err
	}
}

// check reads the file to its end, and returns the error of that.
func (r run) check() error {
	for lines := r.source(); ; {
		if _, err := lines(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// remove closes and removes the file.
func (r run) remove() error { return errors.Join(r.file.Close(), os.Remove(r.file.Name())) }

// sourcesOf returns the sources of files.
func sourcesOf(runs []run) []source {
	var all []source
	for _, r := range runs {
		all = append(all, r.source())
	}
	return all
}

// merge returns one source of the lines of several, in order.
func merge(sources []source) source {
	var h heads
	next := func() ([]byte, error) {
		if len(h) == 0 {
			return nil, io.EOF
		}
		return h[0].line, nil
	}
	return func() ([]byte, error) {
		if sources != nil { // the first call
			for _, s := range sources {
				line, err := s()
				if errors.Is(err, io.EOF) {
					continue
				}
				if err != nil {
					return nil, err
				}
				h = append(h, head{line, s})
			}
			sources = nil
			heap.Init(&h)
			return next()
		}
		if len(h) == 0 {
			return nil, io.EOF
		}
		line, err := h[0].source()
		switch {
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		case err != nil:
			return nil, err
		default:
			h[0].line = line
			heap.Fix(&h, 0)
		}
		return next()
	}
}

// A head is the next line of a source.
type head struct {
	line   []byte
	source source
}

// heads is a heap of them, the least line first.
type heads []head

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return bytes.Compare(h[i].line, h[j].line) < 0 }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push and Pop are for package heap.
func (h *heads) Push(x any) { *h = append(*h, x.(head)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
