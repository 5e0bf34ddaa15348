package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"cairn"
	"cairn/api"
	"cairn/internal/rawjson"
)

const (
	// batchLines and batchBytes bound one transaction of POST /v1/documents.
	batchLines = 1000
	batchBytes = 8 << 20
)

// readDocuments is GET /v1/documents: a line for each change after a revision.
func (s *Server) readDocuments(w http.ResponseWriter, r *http.Request) error {
	collection, err := parameter(r, "collection")
	if err != nil {
		return err
	}
	if collection != "" {
		if err := cairn.ValidateCollection(collection); err != nil {
			return err
		}
	}
	text, err := parameter(r, "after")
	if err != nil {
		return err
	}
	after := int64(0)
	if text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return &cairn.Error{
				Code:    cairn.CodeInvalid,
				Message: "The parameter after is " + cairn.Quote(text) + ".",
				Hint:    "It is the revision of the newest change you have, 0 for none.",
			}
		}
	}
	return stream(w, api.NDJSON, func(buf *bufio.Writer) error {
		old := s.cfg.Documents.Stats().Revision
		for doc, err := range s.cfg.Documents.Changes(r.Context(), collection, after) {
			if err != nil {
				return err
			}
			if doc.Deleted() && after == 0 && doc.Revision <= old {
				continue // who begins has nothing to delete but what this answer brought
			}
			if err := writeLine(buf, doc); err != nil {
				return clientGone(err)
			}
		}
		return nil
	})
}

// writeLine writes an api.DocumentLine.
func writeLine(buf *bufio.Writer, doc cairn.Document) error {
	var o rawjson.Object
	o.SetText("collection", doc.Collection).SetText("id", doc.ID).Set("revision", strconv.AppendInt(nil, doc.Revision, 10))
	head := o.JSON()
	buf.Write(head[:len(head)-1])
	if !doc.Deleted() {
		buf.WriteString(`,"document":`)
		buf.Write(doc.JSON)
	}
	_, err := buf.WriteString("}\n")
	return err
}

// readDocument is GET /v1/documents/{collection}/{id}: the document as stored.
func (s *Server) readDocument(w http.ResponseWriter, r *http.Request) error {
	collection := r.PathValue("collection")
	if cairn.ValidateCollection(collection) != nil {
		return &cairn.Error{
			Code:    cairn.CodeGone,
			Message: "There is no collection " + cairn.Quote(collection) + ".",
			Hint:    "A collection is a lower-case word such as assets or tags.",
		}
	}
	doc, err := s.cfg.Documents.Get(r.Context(), collection, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", api.EntityTag(doc.JSON))
	return writeRaw(w, doc.JSON)
}

// writeDocuments is POST /v1/documents: each line a document, stored as it is,
// in transactions of up to batchLines lines. A line that cannot be stored is
// refused with its reason and does not keep the others.
func (s *Server) writeDocuments(w http.ResponseWriter, r *http.Request) error {
	in := documentReader{r: bufio.NewReaderSize(r.Body, pieceBytes), turn: func() error { return takeTurn(r) }}
	if _, err := in.r.Peek(1); err == nil {
		if err := wantMedia(r, isNDJSON, api.NDJSON); err != nil {
			return err
		}
	}
	out := api.DocumentsWritten{Refused: []api.RefusedLine{}}
	for {
		docs, err := in.batch(&out)
		if err != nil && !errors.Is(err, io.EOF) {
			return storedBefore(err, out)
		}
		if len(docs) > 0 {
			results, applyErr := s.cfg.Documents.Apply(r.Context(), docs)
			if applyErr != nil {
				return storedBefore(applyErr, out)
			}
			count(&out, results)
		}
		endTurn(r)
		if err != nil {
			break
		}
	}
	out.Revision = s.cfg.Documents.Stats().Revision
	writeJSON(w, api.JSON, http.StatusOK, out)
	return nil
}

func count(out *api.DocumentsWritten, results []cairn.Result) {
	for _, r := range results {
		switch r.Outcome {
		case cairn.Added:
			out.Added++
		case cairn.Changed:
			out.Changed++
		default:
			out.Unchanged++
		}
	}
}

// storedBefore adds to an error how much of the request was stored before it.
func storedBefore(err error, out api.DocumentsWritten) error {
	stored := out.Added + out.Changed
	if stored == 0 {
		return told(err, "Nothing of this request was stored.")
	}
	return told(err, fmt.Sprintf("Before that, %d documents of this request were stored; sending all of it again is safe.", stored))
}

// documentReader reads the lines of POST /v1/documents.
type documentReader struct {
	r    *bufio.Reader
	line int64
	turn func() error // waits until there is room for a large line
}

// batch returns the documents of one transaction, adding the lines that are
// refused to out. It ends with io.EOF, which may come with documents.
func (in *documentReader) batch(out *api.DocumentsWritten) (docs []cairn.Document, err error) {
	for lines, size := 0, 0; lines < batchLines && size < batchBytes; {
		text, err := in.next()
		if err != nil {
			return docs, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		lines++
		doc, err := parseLine(text)
		if err != nil {
			refuse(out, in.line, doc, err)
			continue
		}
		size += cap(text) // the document keeps all of it
		docs = append(docs, doc)
	}
	return docs, nil
}

// next returns the next line, which is the caller's.
func (in *documentReader) next() ([]byte, error) {
	in.line++
	var text []byte
	for {
		piece, err := in.r.ReadSlice('\n')
		if len(text)+len(piece) > maxBodyBytes {
			return nil, lineTooLong(in.line)
		}
		if len(text)+len(piece) > largeBody {
			if err := in.turn(); err != nil {
				return nil, err
			}
		}
		text = append(text, piece...)
		switch {
		case err == nil:
			return text, nil
		case errors.Is(err, io.EOF):
			if len(text) > 0 {
				return text, nil
			}
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, readError(err)
		}
	}
}

func lineTooLong(line int64) error {
	return &cairn.Error{
		Code:    cairn.CodeTooLarge,
		Message: fmt.Sprintf("Line %d is longer than %d MiB.", line, maxBodyBytes>>20),
		Hint:    "Send one document a line, each ended by a newline; a document has at most 32 MiB of compacted JSON.",
	}
}

// parseLine reads {"collection":..,"id":..,"document":{..}} in place. On an error the
// names are still filled in as far as they are known.
func parseLine(text []byte) (cairn.Document, error) {
	var doc cairn.Document
	v, err := rawjson.Compact(text[:0], text)
	if err != nil {
		return doc, notJSON("The line", err)
	}
	for name, member := range rawjson.Members(v) {
		switch string(name) {
		case `"collection"`:
			doc.Collection, _ = rawjson.Text(member)
		case `"id"`:
			doc.ID, _ = rawjson.Text(member)
		case `"document"`:
			doc.JSON = member
		}
	}
	if !rawjson.IsObject(doc.JSON) {
		doc.JSON = nil
		return doc, invalidLine("The line has no document that is an object.")
	}
	if own, ok := rawjson.Text(rawjson.Get(doc.JSON, "id")); ok && own != doc.ID {
		return doc, invalidLine("The document says that its id is " + cairn.Quote(own) + ".")
	}
	if err := checkDepth(doc.JSON); err != nil {
		return doc, err
	}
	return doc, doc.Validate()
}

func invalidLine(message string) error {
	return &cairn.Error{Code: cairn.CodeInvalid, Message: message}
}

func refuse(out *api.DocumentsWritten, line int64, doc cairn.Document, err error) {
	out.RefusedCount++
	if len(out.Refused) == api.MaxRefusedLines {
		return
	}
	p := api.ProblemOf(err)
	refused := api.RefusedLine{Line: line, Code: p.Code, Detail: p.Detail}
	if cairn.ValidateCollection(doc.Collection) == nil && cairn.ValidateID(doc.ID) == nil {
		refused.Collection, refused.ID = doc.Collection, doc.ID
	}
	out.Refused = append(out.Refused, refused)
}
