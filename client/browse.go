package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"cairn"
	"cairn/api"
)

// AllBackups returns the backups in the cloud of one scope, or of both for "",
// newest first. Those of cairn.ScopeAssets are in no other list.
func (c *Client) AllBackups(ctx context.Context, scope cairn.Scope) ([]api.BackupDetails, error) {
	path := "/v1/backups"
	if scope != "" {
		path += "?" + url.Values{"scope": {string(scope)}}.Encode()
	}
	return listed[api.BackupDetails](ctx, c, http.MethodGet, path)
}

// BackupDocuments yields what a backup holds, in order of collection and id: the
// documents that the filter chooses. Unless the last is an error, it is all of them.
func (c *Client) BackupDocuments(ctx context.Context, backup string, f cairn.DocumentFilter) iter.Seq2[api.BackupDocument, error] {
	q := url.Values{}
	if f.Collection != "" {
		q.Set("collection", f.Collection)
	}
	if f.Name != "" {
		q.Set("name", f.Name)
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.FormatInt(f.Limit, 10))
	}
	return lines[api.BackupDocument](ctx, c, http.MethodGet, documentsOf(backup)+"?"+q.Encode(), nil)
}

// BackupDocument returns a document as it is in a backup, or
// cairn.CodeNotInBackup.
func (c *Client) BackupDocument(ctx context.Context, backup string, name cairn.DocumentName) (json.RawMessage, error) {
	return c.call(ctx, http.MethodGet, documentIn(backup, name), "", nil)
}

// RestoreDocument puts one document of a backup back, in the place of the one of
// its name that the daemon has, or returns cairn.CodeNotInBackup.
func (c *Client) RestoreDocument(ctx context.Context, backup string, name cairn.DocumentName) (api.RestoredDocument, error) {
	return answer[api.RestoredDocument](ctx, c, http.MethodPost, documentIn(backup, name)+"/restore")
}

// RestoreDocuments is RestoreDocument for up to 10,000 documents. It yields
// each when it is there, and then a line of all of them. Before that, an error says
// why not all were restored; those that were yielded are. When one of the names is
// not in the backup, it is cairn.CodeNotInBackup, and nothing was changed.
func (c *Client) RestoreDocuments(ctx context.Context, backup string, names []cairn.DocumentName) iter.Seq2[api.RestoredLine, error] {
	body := []byte(`{"documents":[`)
	for i, name := range names {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(body, `{"collection":`...), quoted(name.Collection)...)
		body = append(append(body, `,"id":`...), quoted(name.ID)...)
		body = append(body, '}')
	}
	return c.restoreDocuments(ctx, backup, append(body, `]}`...))
}

// RestoreAllDocuments is RestoreDocuments for all that a backup holds.
func (c *Client) RestoreAllDocuments(ctx context.Context, backup string) iter.Seq2[api.RestoredLine, error] {
	return c.restoreDocuments(ctx, backup, []byte(`{"all":true}`))
}

func (c *Client) restoreDocuments(ctx context.Context, backup string, body []byte) iter.Seq2[api.RestoredLine, error] {
	return func(yield func(api.RestoredLine, error) bool) {
		for line, err := range lines[api.RestoredLine](ctx, c, http.MethodPost, documentsOf(backup)+"/restore", body) {
			last := line.Restored != nil
			switch {
			case err != nil:
			case last && line.Restored.Problem != nil:
				p := line.Restored.Problem
				line, err = api.RestoredLine{}, &cairn.Error{Code: p.Code, Message: p.Detail, Hint: p.Hint}
			case !last && line.RestoredDocument == nil:
				err = notOurs(errNoLine)
			}
			if !yield(line, err) || err != nil || last {
				return
			}
		}
		yield(api.RestoredLine{}, c.cutOff(ctx, io.ErrUnexpectedEOF))
	}
}

// errNoLine says what an answer has.
var errNoLine = errors.New("a line tells of nothing")

// documentsOf returns the path of the documents of a backup.
func documentsOf(backup string) string { return "/v1/backups/" + segment(backup) + "/documents" }

// documentIn returns the path of a document in a backup.
func documentIn(backup string, name cairn.DocumentName) string {
	return documentsOf(backup) + "/" + segment(name.Collection) + "/" + segment(name.ID)
}

// lines sends a request, with a body of JSON or none for nil, and yields the lines
// of the answer as they come. An error ends it.
func lines[T any](ctx context.Context, c *Client, method, path string, body []byte) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var header http.Header
		var reader io.Reader
		if body != nil {
			header, reader = http.Header{"Content-Type": {api.JSON}}, jsonBody(body)
		}
		var none T
		resp, err := c.send(ctx, method, path, header, reader)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		d := json.NewDecoder(bufio.NewReader(resp.Body))
		for {
			var v T
			err := d.Decode(&v)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				v, err = none, c.broken(ctx, err)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
