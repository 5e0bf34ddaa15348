package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/httpapi"
)

// shelf holds one document, in backups of both scopes. It is a httpapi.Contents.
type shelf struct{ *cloud }

func (s shelf) Backups(context.Context) ([]cairn.Backup, error) {
	part := s.backup
	part.Scope = cairn.ScopeAssets
	return []cairn.Backup{s.backup, part}, nil
}

func (s shelf) Documents(_ context.Context, id string, f cairn.DocumentFilter) iter.Seq2[cairn.BackupDocument, error] {
	s.ask("documents %s %s %s %d", id, f.Collection, f.Name, f.Limit)
	return func(yield func(cairn.BackupDocument, error) bool) {
		yield(cairn.BackupDocument{DocumentName: cairn.DocumentName{Collection: "tags", ID: "t"}, Revision: 4, Bytes: 9, Name: "<n>"}, nil)
	}
}

func (s shelf) Document(_ context.Context, id string, name cairn.DocumentName) (cairn.Document, error) {
	s.ask("document %s %s", id, name)
	if name.ID != "t" {
		return cairn.Document{}, &cairn.Error{Code: cairn.CodeNotInBackup, Message: "It is not there.", Hint: "List them."}
	}
	return cairn.Document{Collection: "tags", ID: "t", Revision: 4, JSON: []byte(`{"n":1.0}`)}, nil
}

func (s shelf) Pick(ctx context.Context, id string, names []cairn.DocumentName) iter.Seq2[[]cairn.Document, error] {
	return func(yield func([]cairn.Document, error) bool) {
		for _, name := range names {
			doc, err := s.Document(ctx, id, name)
			if !yield([]cairn.Document{doc}, err) || err != nil {
				return
			}
		}
	}
}

func (s shelf) PickAll(ctx context.Context, id string) iter.Seq2[[]cairn.Document, error] {
	return s.Pick(ctx, id, []cairn.DocumentName{{Collection: "tags", ID: "t"}})
}

// TestBrowse looks into a backup through a real daemon's API, and puts back what it
// holds.
func TestBrowse(t *testing.T) {
	f := &cloud{backup: cairn.Backup{ID: "b", Scope: cairn.ScopeAll}}
	c := serve(t, f, jobs{f}, httpapi.Config{Contents: shelf{f}})
	ctx := t.Context()
	for scope, want := range map[cairn.Scope]int{"": 2, cairn.ScopeAll: 1, cairn.ScopeAssets: 1} {
		list, err := c.AllBackups(ctx, scope)
		if err != nil || len(list) != want || scope != "" && list[0].Scope != scope {
			t.Errorf("the backups of scope %q are %+v, %v", scope, list, err)
		}
	}
	for d, err := range c.BackupDocuments(ctx, "b", cairn.DocumentFilter{Collection: "tags", Name: "a&b", Limit: 7}) {
		if want := (api.BackupDocument{Collection: "tags", ID: "t", Revision: 4, Bytes: 9, Name: "<n>"}); err != nil || d != want {
			t.Errorf("a document is listed as %+v, %v", d, err)
		}
	}
	for _, err := range c.BackupDocuments(ctx, "b", cairn.DocumentFilter{}) {
		if err != nil {
			t.Error(err)
		}
	}
	name, missing := cairn.DocumentName{Collection: "tags", ID: "t"}, cairn.DocumentName{Collection: "tags", ID: "x"}
	if text, err := c.BackupDocument(ctx, "b", name); err != nil || string(text) != `{"n":1.0}` {
		t.Errorf("the document is %s, %v", text, err)
	}
	if got, err := c.RestoreDocument(ctx, "b", name); err != nil || got != (api.RestoredDocument{Collection: "tags", ID: "t", Outcome: "added", Revision: 1}) {
		t.Errorf("restored is %+v, %v", got, err)
	}
	for what, lines := range map[string]iter.Seq2[api.RestoredLine, error]{
		"by name": c.RestoreDocuments(ctx, "b", []cairn.DocumentName{name}), "all": c.RestoreAllDocuments(ctx, "b"),
	} {
		if got := told(lines); got != "tags/t unchanged 1, {Added:0 Changed:0 Unchanged:1 Revision:1 Problem:<nil>}" {
			t.Errorf("%s: %s", what, got)
		}
	}
	_, documentErr := c.BackupDocument(ctx, "b", missing)
	_, restoreErr := c.RestoreDocument(ctx, "b", missing)
	for _, err := range []error{documentErr, restoreErr} {
		if cairn.CodeOf(err) != cairn.CodeNotInBackup {
			t.Errorf("a document that is not there is %v", err)
		}
	}
	if got := told(c.RestoreDocuments(ctx, "b", []cairn.DocumentName{missing})); got != "error not_in_backup It is not there." {
		t.Errorf("a document that is not there is %s", got)
	}
	want := []string{"documents b tags a&b 7", "documents b   0", "document b tags/t", "document b tags/t", "document b tags/t", "document b tags/t",
		"document b tags/x", "document b tags/x", "document b tags/x"}
	if !slices.Equal(f.asked, want) {
		t.Errorf("the daemon was asked for %q, want %q", f.asked, want)
	}
}

// told returns what lines say.
func told(lines iter.Seq2[api.RestoredLine, error]) string {
	var all []string
	for l, err := range lines {
		switch {
		case err != nil:
			e, _ := errors.AsType[*cairn.Error](err)
			all = append(all, fmt.Sprintf("error %s %s", e.Code, e.Message))
		case l.Restored != nil:
			all = append(all, fmt.Sprintf("%+v", *l.Restored))
		default:
			all = append(all, fmt.Sprintf("%s/%s %s %d", l.Collection, l.ID, l.Outcome, l.Revision))
		}
	}
	return strings.Join(all, ", ")
}

// TestBrokenRestore reads answers that end too early, or tell of a failure.
func TestBrokenRestore(t *testing.T) {
	const line = `{"collection":"tags","id":"t","outcome":"added","revision":1}` + "\n"
	for text, want := range map[string]string{
		"":                       "error daemon_unreachable The answer of the daemon",
		line:                     "tags/t added 1, error daemon_unreachable The answer of the daemon",
		line[:20]:                "error daemon_unreachable The answer of the daemon",
		line + "{}\n":            "tags/t added 1, error internal The answer is not what a cairn daemon sends",
		line + "<html>\n":        "tags/t added 1, error internal The answer is not what a cairn daemon sends",
		line + `{"restored":{}}`: "tags/t added 1, {Added:0",
		`{"restored":{"added":1,"problem":{"code":"damaged","detail":"It is broken.","hint":"Mend it."}}}`: "error damaged It is broken.",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", api.NDJSON)
			_, _ = io.WriteString(w, text)
		}))
		if got := told(client.New(s.URL).RestoreAllDocuments(t.Context(), "b")); !strings.HasPrefix(got, want) {
			t.Errorf("%q is told as %q, want %q", text, got, want)
		}
		s.Close()
	}
}
