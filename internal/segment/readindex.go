package segment

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// ReadIndex returns the parts of a segment that has an index, of which r is the
// whole object. The parts are what the segment says of them, and the object is
// the one that was written, to its last byte: nothing is returned before that is
// known. The error is ErrDamaged, ErrKey, ErrFormat, or that of reading r.
func ReadIndex(r io.Reader, identity age.Identity, s Segment) ([]Part, error) {
	x, err := openIndex(r, identity, s)
	if err != nil {
		return nil, err
	}
	defer x.close()
	parts, err := x.parts()
	if err := x.finish(err); err != nil {
		return nil, err
	}
	return parts, nil
}

// Rows yields the catalog of a segment that has an index, of which r is the
// whole object, in order of collection and id. It reads in a stream, so what it
// yields is proved only when it ends without an error. Errors are those of
// ReadIndex.
func Rows(r io.Reader, identity age.Identity, s Segment) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		x, err := openIndex(r, identity, s)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer x.close()
		if _, err = x.parts(); err == nil {
			var stopped bool
			if stopped, err = x.rows(yield); stopped {
				return
			}
		}
		if err := x.finish(err); err != nil {
			yield(Row{}, err)
		}
	}
}

// An indexReader reads the lines of an index.
type indexReader struct {
	segment Segment
	object  *countingReader
	zstd    *zstd.Decoder
	lines   *bufio.Reader
	n       int64 // lines read
}

// openIndex begins to read an index.
func openIndex(r io.Reader, identity age.Identity, s Segment) (*indexReader, error) {
	if err := s.Validate(); err != nil {
		return nil, damaged("%w", err)
	}
	if s.Index == nil {
		return nil, damaged("a segment without an index")
	}
	// A byte more than there should be is enough to know.
	x := &indexReader{segment: s, object: &countingReader{r: io.LimitReader(r, s.Index.Size+1), hash: sha256.New()}}
	decrypted, err := age.Decrypt(x.object, identity)
	if err != nil {
		return nil, x.finish(undecryptable(err))
	}
	x.zstd, err = zstd.NewReader(decrypted, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	x.lines = bufio.NewReaderSize(x.zstd, maxIndexLineBytes)
	return x, nil
}

// close frees what decompresses.
func (x *indexReader) close() { x.zstd.Close() }

// finish reads the object to its end and returns the error that says most: that
// of reading it, that it is not the object which was written, or err, which may
// be nil.
func (x *indexReader) finish(err error) error {
	if _, err := io.Copy(io.Discard, x.object); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	want := *x.segment.Index
	if x.object.size > want.Size {
		return damaged("it has more than %d bytes", want.Size)
	}
	if x.object.size != want.Size {
		return wrongSize(x.object.size, want)
	}
	if sum := Sum(x.object.hash.Sum(nil)); sum != want.SHA256 {
		return wrongSum(sum, want)
	}
	return err
}

// line returns the next line without its line break; it is good until the next
// call. The end is an error as well.
func (x *indexReader) line() ([]byte, error) {
	x.n++
	line, err := x.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return nil, damaged("it ends in line %d", x.n)
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, damaged("line %d has more than %d bytes", x.n, maxIndexLineBytes)
	case err != nil:
		return nil, damaged("it cannot be decrypted and decompressed: %w", err)
	}
	return line[:len(line)-1], nil
}

// parts reads the head and the parts.
func (x *indexReader) parts() ([]Part, error) {
	line, err := x.line()
	if err != nil {
		return nil, err
	}
	var head indexHead
	if err := json.Unmarshal(line, &head); err == nil && head.Format > Format {
		return nil, ErrFormat
	}
	if err := parseJSONLine(line, &head); err != nil {
		return nil, damaged("line 1: %w", err)
	}
	if want := headOf(x.segment); head != want {
		return nil, damaged("its first line says %+v, not %+v", head, want)
	}
	var parts []Part
	stored := x.segment.Index.Size
	for range head.Parts {
		if line, err = x.line(); err != nil {
			return nil, err
		}
		var p Part
		if err := parseJSONLine(line, &p); err != nil {
			return nil, damaged("line %d: %w", x.n, err)
		}
		parts = append(parts, p)
		stored += p.Size
	}
	if err := x.segment.checkParts(parts, stored); err != nil {
		return nil, damaged("%w", err)
	}
	return parts, nil
}

// rows yields the catalog to its end, and reports whether it was stopped.
func (x *indexReader) rows(yield func(Row, error) bool) (stopped bool, err error) {
	var last []byte
	for range x.segment.Documents {
		line, err := x.line()
		if err != nil {
			return false, err
		}
		r, err := ParseRow(line)
		if err != nil {
			return false, damaged("line %d: %w", x.n, err)
		}
		if r.Revision <= x.segment.From || r.Revision > x.segment.To {
			return false, damaged("line %d: revision %d is not in the segment's range (%d, %d]", x.n, r.Revision, x.segment.From, x.segment.To)
		}
		key, _ := rowKey(line) // it is a row
		if string(key) <= string(last) {
			return false, damaged("line %d is not behind the one before it", x.n)
		}
		last = append(last[:0], key...)
		if !yield(r, nil) {
			return true, nil
		}
	}
	if _, err := x.lines.ReadByte(); !errors.Is(err, io.EOF) {
		return false, damaged("it goes on after its last row")
	}
	return false, nil
}

// A countingReader counts and hashes what passes.
type countingReader struct {
	r    io.Reader
	hash hash.Hash
	size int64
	err  error // any but io.EOF; it stays
}

// Read reads from r.
func (c *countingReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	c.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
