package httpapi

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
	"os"

	"cairn"
)

// spool keeps documents of one collection, the assets, in a temporary file:
//
//	length of the id, uvarint | id | length of the text, uvarint | text
//
// for each. newSpool, add for each document, finish, documents, remove.
type spool struct {
	all  bool // the client named no assets, and means all
	file *os.File
	w    *bufio.Writer
}

// newSpool makes a file that only this user can read. Its name has the suffix
// of unfinished files, which start-up removes after a crash.
func newSpool(folder string) (*spool, error) {
	f, err := os.CreateTemp(folder, "body-*.tmp")
	if err != nil {
		return nil, cairn.FileError("writing", folder, err)
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, pieceBytes)}, nil
}

// remove removes the file. It does nothing without one.
func (s *spool) remove() error {
	if s == nil || s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}

func (s *spool) failure(doing string, err error) error {
	return cairn.FileError(doing, s.file.Name(), err)
}

// add appends a document. It keeps nothing of it.
func (s *spool) add(doc cairn.Document) error {
	var length [binary.MaxVarintLen64]byte
	s.w.Write(binary.AppendUvarint(length[:0], uint64(len(doc.ID))))
	s.w.WriteString(doc.ID)
	s.w.Write(binary.AppendUvarint(length[:0], uint64(len(doc.JSON))))
	_, err := s.w.Write(doc.JSON) // it has the error of the others too
	return s.failure("writing", err)
}

// finish goes from writing to reading.
func (s *spool) finish() error { return s.failure("writing", s.w.Flush()) }

// documents yields the documents in their order.
func (s *spool) documents() iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		r := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, math.MaxInt64), pieceBytes)
		for {
			doc, err := readSpooled(r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = s.failure("reading", err)
			}
			if !yield(doc, err) || err != nil {
				return
			}
		}
	}
}

// readSpooled reads a document, or returns io.EOF when there is none.
func readSpooled(r *bufio.Reader) (cairn.Document, error) {
	id, err := readField(r)
	if err != nil {
		return cairn.Document{}, err
	}
	text, err := readField(r)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return cairn.Document{Collection: cairn.CollectionAssets, ID: string(id), JSON: text}, err
}

// readField reads a length and so many bytes, or returns io.EOF when there is
// nothing.
func readField(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > cairn.MaxDocumentBytes {
		return nil, errors.New("a length that was never written")
	}
	field := make([]byte, n)
	if _, err := io.ReadFull(r, field); errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return field, nil
}
