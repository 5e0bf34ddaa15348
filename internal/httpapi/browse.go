package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"cairn"
	"cairn/api"
	"cairn/internal/rawjson"
)

// Contents looks into the backups of both scopes. Whatever asks the cloud returns
// the codes of clouds, cairn.CodeBackupNotFound and cairn.CodeDamaged.
type Contents interface {
	// Backups returns the backups of both scopes, newest first.
	Backups(ctx context.Context) ([]cairn.Backup, error)
	// Documents yields what a backup says of the documents that the filter
	// chooses, in order of collection and id. An error ends it.
	Documents(ctx context.Context, backup string, filter cairn.DocumentFilter) iter.Seq2[cairn.BackupDocument, error]
	// Document returns a document as it is in a backup, or cairn.CodeNotInBackup.
	Document(ctx context.Context, backup string, name cairn.DocumentName) (cairn.Document, error)
	// Pick yields documents of a backup, at most 1,000 at a time, which are good
	// until the next are asked for. If one of them is not there, it yields
	// cairn.CodeNotInBackup and no document. PickAll does so for all that it holds.
	Pick(ctx context.Context, backup string, names []cairn.DocumentName) iter.Seq2[[]cairn.Document, error]
	PickAll(ctx context.Context, backup string) iter.Seq2[[]cairn.Document, error]
}

// maxPicked is how many documents can be named in one request.
const maxPicked = 10_000

// allBackups is GET /v1/backups.
func (s *Server) allBackups(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	text, err := parameter(r, "scope")
	if err != nil {
		return err
	}
	scope := cairn.Scope(text)
	if scope != "" && scope != cairn.ScopeAll && scope != cairn.ScopeAssets {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The parameter scope is " + cairn.Quote(text) + ".",
			Hint:    "It is all for backups of whole databases, or assets for those of chosen assets; without it come both.",
		}
	}
	list, err := s.cfg.Contents.Backups(r.Context())
	if err != nil {
		return err
	}
	all := api.AllBackups{Iterable: []api.BackupDetails{}}
	for _, b := range list {
		if scope == "" || scope == b.Scope {
			all.Iterable = append(all.Iterable, api.BackupDetailsOf(b))
		}
	}
	writeJSON(w, api.JSON, http.StatusOK, all)
	return nil
}

// readBackup returns the id of a backup that a signed-in user wants to look into.
func (s *Server) readBackup(r *http.Request) (string, error) {
	if err := s.signedIn(); err != nil {
		return "", err
	}
	return backupID(r)
}

// backupDocuments is GET /v1/backups/{backup}/documents: a line for each document.
func (s *Server) backupDocuments(w http.ResponseWriter, r *http.Request) error {
	id, err := s.readBackup(r)
	if err != nil {
		return err
	}
	filter, err := filterOf(r)
	if err != nil {
		return err
	}
	return stream(w, api.NDJSON, func(buf *bufio.Writer) error {
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false)
		for d, err := range s.cfg.Contents.Documents(r.Context(), id, filter) {
			if err != nil {
				return err
			}
			if err := enc.Encode(api.BackupDocumentOf(d)); err != nil {
				return clientGone(err)
			}
		}
		return nil
	})
}

// filterOf returns what the query chooses of a backup.
func filterOf(r *http.Request) (f cairn.DocumentFilter, err error) {
	if f.Collection, err = parameter(r, "collection"); err != nil {
		return f, err
	}
	if f.Collection != "" {
		if err := cairn.ValidateCollection(f.Collection); err != nil {
			return f, err
		}
	}
	if f.Name, err = parameter(r, "name"); err != nil {
		return f, err
	}
	text, err := parameter(r, "limit")
	if err != nil || text == "" {
		return f, err
	}
	if f.Limit, err = strconv.ParseInt(text, 10, 64); err != nil || f.Limit < 1 {
		return f, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The parameter limit is " + cairn.Quote(text) + ".",
			Hint:    "It is the most documents you want, 1 or more; without it come all.",
		}
	}
	return f, nil
}

// nameIn returns the document that the path names in a backup.
func nameIn(r *http.Request, backup string) (cairn.DocumentName, error) {
	name := cairn.DocumentName{Collection: r.PathValue("collection"), ID: r.PathValue("id")}
	if name.Validate() == nil {
		return name, nil
	}
	return name, &cairn.Error{
		Code:    cairn.CodeNotInBackup,
		Message: fmt.Sprintf("The backup %s holds no document %s.", cairn.Quote(backup), cairn.Quote(name.String())),
		Hint:    "GET /v1/backups/{backup}/documents, or cairn backup documents ID, lists those that it holds.",
	}
}

// backupDocument is GET /v1/backups/{backup}/documents/{collection}/{id}: the
// document as it is in the backup.
func (s *Server) backupDocument(w http.ResponseWriter, r *http.Request) error {
	id, err := s.readBackup(r)
	if err != nil {
		return err
	}
	name, err := nameIn(r, id)
	if err != nil {
		return err
	}
	doc, err := s.cfg.Contents.Document(r.Context(), id, name)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", api.EntityTag(doc.JSON))
	return writeRaw(w, doc.JSON)
}

// restoreDocument is POST /v1/backups/{backup}/documents/{collection}/{id}/restore:
// the document of the backup takes the place of the one that is here.
func (s *Server) restoreDocument(w http.ResponseWriter, r *http.Request) error {
	id, err := s.readBackup(r)
	if err != nil {
		return err
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	name, err := nameIn(r, id)
	if err != nil {
		return err
	}
	doc, err := s.cfg.Contents.Document(r.Context(), id, name)
	if err != nil {
		return err
	}
	lines, err := s.putBack(r.Context(), id, []cairn.Document{doc})
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, lines[0])
	return nil
}

// putBack writes documents of a backup into the database, in one transaction.
func (s *Server) putBack(ctx context.Context, backup string, docs []cairn.Document) ([]api.RestoredDocument, error) {
	for i, doc := range docs {
		text, err := rawjson.Compact(doc.JSON[:0], doc.JSON)
		if err == nil {
			err = checkDepth(text)
		}
		if err != nil {
			return nil, &cairn.Error{
				Code:    cairn.CodeDamaged,
				Message: fmt.Sprintf("The document %s/%s in the backup %s is not JSON that can be kept.", doc.Collection, doc.ID, cairn.Quote(backup)),
				Hint:    "Look at it with cairn backup cat, and restore others without it.",
				Err:     err,
			}
		}
		docs[i].JSON = text
	}
	results, err := s.cfg.Documents.Apply(ctx, docs)
	if err != nil {
		return nil, err
	}
	lines := make([]api.RestoredDocument, len(docs))
	for i, doc := range docs {
		lines[i] = api.RestoredDocument{Collection: doc.Collection, ID: doc.ID, Outcome: results[i].Outcome.String(), Revision: results[i].Revision}
	}
	return lines, nil
}

// restoreDocuments is POST /v1/backups/{backup}/documents/restore: a line for each
// document that was put back, then one for all of them.
func (s *Server) restoreDocuments(w http.ResponseWriter, r *http.Request) error {
	id, err := s.readBackup(r)
	if err != nil {
		return err
	}
	body, err := readObject(r)
	if err != nil {
		return err
	}
	names, all, err := namesIn(body)
	if err != nil {
		return err
	}
	documents := s.cfg.Contents.PickAll
	if !all {
		documents = func(ctx context.Context, id string) iter.Seq2[[]cairn.Document, error] {
			return s.cfg.Contents.Pick(ctx, id, names)
		}
	}
	return s.putAllBack(w.(*response), r, id, documents(r.Context(), id))
}

// namesIn reads {"documents":[{"collection":..,"id":..}, ...]} or {"all":true}.
func namesIn(body []byte) (names []cairn.DocumentName, all bool, err error) {
	var in struct {
		All       bool `json:"all"`
		Documents []struct {
			Collection string `json:"collection"`
			ID         string `json:"id"`
		} `json:"documents"`
	}
	err = json.Unmarshal(body, &in)
	if err != nil || in.All == (len(in.Documents) > 0) {
		return nil, false, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The body does not say which documents to restore. Nothing was changed.",
			Hint:    `Send {"documents":[{"collection":"assets","id":"..."}]}, or {"all":true} for all that the backup holds.`,
			Err:     err,
		}
	}
	if len(in.Documents) > maxPicked {
		return nil, false, &cairn.Error{
			Code:    cairn.CodeTooLarge,
			Message: fmt.Sprintf("The body names %d documents; at most %d can be restored at a time. Nothing was changed.", len(in.Documents), maxPicked),
			Hint:    `Send several requests, or {"all":true}.`,
		}
	}
	for _, d := range in.Documents {
		name := cairn.DocumentName{Collection: d.Collection, ID: d.ID}
		if err := name.Validate(); err != nil {
			return nil, false, told(err, "Nothing was changed.")
		}
		names = append(names, name)
	}
	return names, in.All, nil
}

// putAllBack writes documents of a backup into the database and tells of each when
// it is there. What fails before the first has its own status; later, the last line
// says why.
func (s *Server) putAllBack(w *response, r *http.Request, backup string, documents iter.Seq2[[]cairn.Document, error]) error {
	w.Header().Set("Content-Type", api.NDJSON)
	buf := bufio.NewWriterSize(w, pieceBytes)
	var sum api.DocumentsRestored
	var line []byte
	for docs, err := range documents {
		var lines []api.RestoredDocument
		if err == nil {
			lines, err = s.putBack(r.Context(), backup, docs)
		}
		if err != nil {
			if sum.Total() == 0 || r.Context().Err() != nil {
				return err
			}
			s.logFailure(r, err)
			problem := api.ProblemOf(told(err, "Before that, "+strconv.FormatInt(sum.Total(), 10)+" documents were restored; doing it again is safe."))
			sum.Problem = &problem
			break
		}
		for _, l := range lines {
			sum.Count(l)
			line = appendLine(line[:0], api.RestoredLine{RestoredDocument: &l})
			if _, err := buf.Write(line); err != nil {
				return clientGone(err)
			}
		}
		// Whoever waits sees how far it is.
		if err := buf.Flush(); err != nil {
			return clientGone(err)
		}
		_ = w.control.Flush() // a client that is gone ends the request
	}
	sum.Revision = s.cfg.Documents.Stats().Revision
	buf.Write(appendLine(line[:0], api.RestoredLine{Restored: &sum}))
	return clientGone(buf.Flush())
}

// appendLine appends v as a line of JSON.
func appendLine(dst []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types; a test would have found it
	}
	return append(append(dst, text...), '\n')
}
