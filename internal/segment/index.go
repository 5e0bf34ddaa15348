package segment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Format is the number of the form of an index. A reader refuses a higher one
// with ErrFormat.
const Format = 1

// indexHead is the first line of an index:
//
//	{"format":1,"from":0,"to":123,"documents":100,"deletions":2,"parts":3}
//
// Each part follows, in order of revision, in a line that is a [Part]; then each
// document, in order of collection and id, in a line that is a [Row].
type indexHead struct {
	Format    int   `json:"format"`
	From      int64 `json:"from"`
	To        int64 `json:"to"`
	Documents int64 `json:"documents"`
	Deletions int64 `json:"deletions"`
	Parts     int   `json:"parts"`
}

// headOf returns the head of the index of a segment.
func headOf(s Segment) indexHead {
	return indexHead{Format, s.From, s.To, s.Documents, s.Deletions, s.Parts}
}

// maxIndexLineBytes is the longest line of an index.
const maxIndexLineBytes = 16 << 10

// An index is compressed in runs of four windows, on several cores: nothing else
// is left to do then. Names and hashes repeat nearby, or not at all.
const (
	indexWindow  = 512 << 10
	indexWorkers = 4
)

// WriteIndex writes the index of a segment to w, in a stream, and returns its
// size and SHA-256; the name is the caller's. The segment is what [Join]
// returns for its parts, and the catalog must have a row for each document.
//
// It can be called again after an error, for another w; nothing may be added to
// the catalog meanwhile. ErrSpoiled says that the catalog is lost.
func WriteIndex(ctx context.Context, w io.Writer, recipient age.Recipient, s Segment, parts []Part, c *Catalog) (Object, error) {
	var partBytes int64
	for _, p := range parts {
		partBytes += p.Size
	}
	s.Stored = partBytes
	if err := s.checkParts(parts, partBytes); err != nil {
		return Object{}, err
	}
	out := &countingWriter{w: w, hash: sha256.New()}
	encrypted, err := age.Encrypt(out, recipient)
	if err != nil {
		return Object{}, fmt.Errorf("encrypting: %w", err)
	}
	compressed, err := zstd.NewWriter(encrypted, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(indexWindow),
		zstd.WithEncoderConcurrency(min(indexWorkers, runtime.GOMAXPROCS(0))), zstd.WithConcurrentBlocks(true))
	if err != nil {
		return Object{}, err
	}
	if err := writeIndex(ctx, compressed, s, parts, c); err != nil {
		compressed.Close() // stops its workers; what it writes is of no use
		return Object{}, err
	}
	if err := compressed.Close(); err != nil {
		return Object{}, err
	}
	if err := encrypted.Close(); err != nil {
		return Object{}, err
	}
	return Object{Size: out.size, SHA256: Sum(out.hash.Sum(nil))}, nil
}

// writeIndex writes the lines of an index.
func writeIndex(ctx context.Context, w io.Writer, s Segment, parts []Part, c *Catalog) error {
	if err := writeJSONLine(w, headOf(s)); err != nil {
		return err
	}
	for _, p := range parts {
		if err := writeJSONLine(w, p); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.rows != s.Documents:
		return fmt.Errorf("a catalog of %d rows for %d documents", c.rows, s.Documents)
	}
	rows := c.sorted()
	written := int64(0)
	buffer := make([]byte, 0, runBuffer)
	for {
		line, err := rows()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(buffer)+len(line)+1 > cap(buffer) {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			buffer = buffer[:0]
		}
		buffer = append(append(buffer, line...), '\n')
		written++
	}
	if written != c.rows {
		return fmt.Errorf("%d of %d rows of the catalog came back from its files", written, c.rows)
	}
	_, err := w.Write(buffer)
	return err
}

// writeJSONLine writes v, which cannot fail to encode.
func writeJSONLine(w io.Writer, v any) error {
	line, err := appendJSONLine(nil, v)
	if err != nil {
		return err
	}
	if len(line) > maxIndexLineBytes {
		return fmt.Errorf("a line of %d bytes in an index; at most %d are possible", len(line), maxIndexLineBytes)
	}
	_, err = w.Write(line)
	return err
}

// appendJSONLine appends v in the form of package json, and a line break.
func appendJSONLine(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(append(dst, b...), '\n'), err
}

// parseJSONLine reads what appendJSONLine wrote, and nothing else.
func parseJSONLine(line []byte, v any) error {
	if err := json.Unmarshal(line, v); err != nil {
		return err
	}
	again, err := appendJSONLine(nil, v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again[:len(again)-1], line) {
		return fmt.Errorf("it is not in its only form, %s", again[:len(again)-1])
	}
	return nil
}

// A countingWriter counts and hashes what passes.
type countingWriter struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

// Write writes p.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.hash.Write(p[:n])
	c.size += int64(n)
	return n, err
}
