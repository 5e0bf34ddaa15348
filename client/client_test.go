package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/asset"
	"cairn/internal/database"
	"cairn/internal/device"
	"cairn/internal/httpapi"
)

// daemon starts a real daemon's API and returns a client of it.
func daemon(t *testing.T) *client.Client {
	t.Helper()
	f := &cloud{}
	return serve(t, f, jobs{f}, httpapi.Config{})
}

// serve starts a real daemon's API, configured so, over a cloud and jobs.
func serve(t *testing.T, f *cloud, j httpapi.Jobs, cfg httpapi.Config) *client.Client {
	t.Helper()
	c, _ := closable(t, f, j, cfg)
	return c
}

// closable is serve for a test that closes the server itself.
func closable(t *testing.T, f *cloud, j httpapi.Jobs, cfg httpapi.Config) (*client.Client, *httpapi.Server) {
	t.Helper()
	dir := t.TempDir()
	dev, err := device.Open(t.Context(), device.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(t.Context(), database.Config{Dir: dir, References: func(_ string, doc []byte) []string { return asset.FormatIDs(doc) }})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Documents, cfg.Device, cfg.Backups, cfg.Jobs, cfg.Log = db, dev, f, j, slog.New(slog.DiscardHandler)
	handler := httpapi.New(cfg)
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		handler.Close()
		server.Close()
		handler.Wait()
		if err := errors.Join(db.Close(), dev.Close()); err != nil {
			t.Error(err)
		}
	})
	return client.New(server.URL + "/"), handler
}

// fake starts a server that is not cairn's.
func fake(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return client.New(server.URL)
}

// calls are all methods of a client, each as one that returns an error alone.
var calls = map[string]func(ctx context.Context, c *client.Client) error{
	"Status":   func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx); return err },
	"Assets":   func(ctx context.Context, c *client.Client) error { return drain(c.Assets(ctx, true)) },
	"AssetIDs": func(ctx context.Context, c *client.Client) error { return drain(c.AssetIDs(ctx)) },
	"Asset":    func(ctx context.Context, c *client.Client) error { _, err := c.Asset(ctx, "x"); return err },
	"CreateAsset": func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateAsset(ctx, []byte(`{}`))
		return err
	},
	"UpdateAsset": func(ctx context.Context, c *client.Client) error {
		_, err := c.UpdateAsset(ctx, []byte(`{"id":"x"}`), nil)
		return err
	},
	"DeleteAsset": func(ctx context.Context, c *client.Client) error { return c.DeleteAsset(ctx, "x") },
	"Document": func(ctx context.Context, c *client.Client) error {
		_, err := c.Document(ctx, "assets", "x")
		return err
	},
	"Documents":     func(ctx context.Context, c *client.Client) error { return drain(c.Documents(ctx, "", 0)) },
	"Backups":       func(ctx context.Context, c *client.Client) error { _, err := c.Backups(ctx); return err },
	"Backup":        func(ctx context.Context, c *client.Client) error { _, err := c.Backup(ctx, "x"); return err },
	"BackupDetails": func(ctx context.Context, c *client.Client) error { _, err := c.BackupDetails(ctx, "x"); return err },
	"CreateBackup":  func(ctx context.Context, c *client.Client) error { _, err := c.CreateBackup(ctx); return err },
	"RestoreBackup": func(ctx context.Context, c *client.Client) error { _, err := c.RestoreBackup(ctx, "x"); return err },
	"DeleteBackup":  func(ctx context.Context, c *client.Client) error { return c.DeleteBackup(ctx, "x") },
	"UndeleteBackup": func(ctx context.Context, c *client.Client) error {
		_, err := c.UndeleteBackup(ctx, "x")
		return err
	},
	"DeletedBackups": func(ctx context.Context, c *client.Client) error { _, err := c.DeletedBackups(ctx); return err },
	"Prune":          func(ctx context.Context, c *client.Client) error { return drain(c.Prune(ctx, false)) },
	"ForgetBackups": func(ctx context.Context, c *client.Client) error {
		_, err := c.ForgetBackups(ctx, api.ForgetRequest{})
		return err
	},
	"CreationStatus": func(ctx context.Context, c *client.Client) error {
		_, err := c.CreationStatus(ctx, "x")
		return err
	},
	"RestorationStatus": func(ctx context.Context, c *client.Client) error {
		_, err := c.RestorationStatus(ctx, "x")
		return err
	},
	"UndoRestore": func(ctx context.Context, c *client.Client) error { return c.UndoRestore(ctx) },
	"Jobs":        func(ctx context.Context, c *client.Client) error { _, err := c.Jobs(ctx); return err },
	"BackUpAssets": func(ctx context.Context, c *client.Client) error {
		return c.BackUpAssets(ctx, json.RawMessage(`{"id":"x"}`))
	},
	"BackUpAllAssets":   func(ctx context.Context, c *client.Client) error { return c.BackUpAllAssets(ctx) },
	"BackUpAsset":       func(ctx context.Context, c *client.Client) error { return c.BackUpAsset(ctx, []byte(`{"id":"x"}`)) },
	"CancelCreation":    func(ctx context.Context, c *client.Client) error { return c.CancelCreation(ctx, "x") },
	"CancelRestoration": func(ctx context.Context, c *client.Client) error { return c.CancelRestoration(ctx, "x") },
	"StreamCreate":      func(ctx context.Context, c *client.Client) error { return drain(c.StreamCreate(ctx)) },
	"StreamRestore":     func(ctx context.Context, c *client.Client) error { return drain(c.StreamRestore(ctx, "x")) },
	"StreamProgress":    func(ctx context.Context, c *client.Client) error { return drain(c.StreamProgress(ctx)) },
	"StreamAssetIDs":    func(ctx context.Context, c *client.Client) error { return drain(c.StreamAssetIDs(ctx)) },
	"Health":            func(ctx context.Context, c *client.Client) error { _, err := c.Health(ctx); return err },
	"Version":           func(ctx context.Context, c *client.Client) error { _, err := c.Version(ctx); return err },
	"Metrics":           func(ctx context.Context, c *client.Client) error { _, err := c.Metrics(ctx); return err },
	"Connect":           func(ctx context.Context, c *client.Client) error { _, err := c.Connect(ctx, nil); return err },
	"User":              func(ctx context.Context, c *client.Client) error { _, err := c.User(ctx); return err },
	"SignIn":            func(ctx context.Context, c *client.Client) error { _, err := c.SignIn(ctx); return err },
	"SignOut":           func(ctx context.Context, c *client.Client) error { return c.SignOut(ctx) },
	"Allocations":       func(ctx context.Context, c *client.Client) error { _, err := c.Allocations(ctx); return err },
	"Format":            func(ctx context.Context, c *client.Client) error { _, err := c.Format(ctx, "x"); return err },
	"VerifyBackup": func(ctx context.Context, c *client.Client) error {
		_, err := c.VerifyBackup(ctx, "x", true)
		return err
	},
	"CheckCloud":   func(ctx context.Context, c *client.Client) error { _, err := c.CheckCloud(ctx, ""); return err },
	"StreamVerify": func(ctx context.Context, c *client.Client) error { return drain(c.StreamVerify(ctx, "x", true)) },
	"StreamCheck":  func(ctx context.Context, c *client.Client) error { return drain(c.StreamCheck(ctx, "5%")) },
	"UpdateFormatValue": func(ctx context.Context, c *client.Client) error {
		_, err := c.UpdateFormatValue(ctx, []byte(`{"id":"x"}`))
		return err
	},
	"WriteDocuments": func(ctx context.Context, c *client.Client) error {
		_, err := c.WriteDocuments(ctx, []api.DocumentLine{{Collection: "c", ID: "x", Document: []byte("{}")}})
		return err
	},
}

// void are the calls whose answer says nothing.
var void = []string{"DeleteBackup", "UndoRestore", "BackUpAssets", "BackUpAllAssets", "BackUpAsset", "CancelCreation", "CancelRestoration"}

// drain returns the error of a sequence, which must be its end.
func drain[T any](seq iter.Seq2[T, error]) error {
	var failed error
	for _, err := range seq {
		if failed != nil {
			return fmt.Errorf("the sequence goes on after %w", failed)
		}
		failed = err
	}
	return failed
}

// collect returns what a sequence yields.
func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	all := []T{}
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func wantCode(t *testing.T, name string, err error, code cairn.Code) {
	t.Helper()
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok || !errors.Is(err, &cairn.Error{Code: code}) || e.Message == "" || e.Hint == "" {
		t.Errorf("%s: %#v, want an error of %s with message and hint", name, err, code)
	}
}

// TestErrorsBothWays asks for what is not there: errors.Is tells the same as
// it would in the daemon.
func TestErrorsBothWays(t *testing.T) {
	c := daemon(t)
	for name, want := range map[string]cairn.Code{
		"Asset": cairn.CodeGone, "DeleteAsset": cairn.CodeGone, "UpdateAsset": cairn.CodeGone, "Document": cairn.CodeGone, "CreateAsset": cairn.CodeInvalid,
		"Format": cairn.CodeGone, "UpdateFormatValue": cairn.CodeGone,
	} {
		wantCode(t, name, calls[name](t.Context(), c), want)
	}
	for _, id := range []string{"a/b", "../x", "é", "\x00", "a?b#c", "%2e", strings.Repeat("a", 1000)} {
		_, err := c.Asset(t.Context(), id)
		wantCode(t, "Asset "+id, err, cairn.CodeGone)
	}
	for _, id := range []string{"", ".", "..", "/"} {
		_, err := c.Asset(t.Context(), id)
		wantCode(t, "Asset "+id, err, cairn.CodeNotFound)
	}
	wantCode(t, "a bad collection", drain(c.Documents(t.Context(), "No", 0)), cairn.CodeInvalid)
	wantCode(t, "a bad revision", drain(c.Documents(t.Context(), "", -1)), cairn.CodeInvalid)

	for code, status := range map[cairn.Code]int{cairn.CodeDiskFull: 500, cairn.CodeForbidden: 403, cairn.CodeShuttingDown: 500, "a_later_code": 500} {
		failing := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", api.ProblemType)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"about:blank","title":"t","status":%d,"detail":"What.","code":%q,"hint":"Do."}`, status, code)
		})
		for name, call := range calls {
			want := &cairn.Error{Code: code, Message: "What.", Hint: "Do."}
			if diff := cmp.Diff(error(want), call(t.Context(), failing)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", name, diff)
			}
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for name, call := range calls {
		err := call(t.Context(), client.New("http://"+address))
		wantCode(t, name, err, cairn.CodeUnreachable)
		if !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v does not name the address", name, err)
		}
		wantCode(t, name, call(t.Context(), client.New("127.0.0.1:39300")), cairn.CodeInvalid)
		wantCode(t, name, call(t.Context(), client.New("http://bad host")), cairn.CodeInvalid)
	}
}

// TestCutOff has answers end early, at each place where they can.
func TestCutOff(t *testing.T) {
	const list = `{"iterable":[{"id":"a"},{"id":"b"}]}`
	for n := range len(list) - 1 {
		for _, clean := range []bool{true, false} {
			c := fake(t, cut(list[:n+1], clean))
			for _, name := range []string{"Assets", "AssetIDs"} {
				wantCode(t, fmt.Sprintf("%s of %q", name, list[:n+1]), calls[name](t.Context(), c), cairn.CodeUnreachable)
			}
		}
	}
	const line = `{"collection":"c","id":"x","revision":1,"document":{}}` + "\n"
	for n := range 2*len(line) - 1 {
		c := fake(t, cut((line + line)[:n+1], false))
		wantCode(t, "Documents", calls["Documents"](t.Context(), c), cairn.CodeUnreachable)
	}
	for _, name := range []string{
		"Status", "Asset", "CreateAsset", "UpdateAsset", "DeleteAsset", "Document", "WriteDocuments", "Backups", "CreateBackup", "Jobs",
		"Health", "Version", "Connect", "User", "SignIn", "SignOut", "Allocations", "Format", "UpdateFormatValue",
	} {
		wantCode(t, name, calls[name](t.Context(), fake(t, cut(`{"a":`, false))), cairn.CodeUnreachable)
	}
}

// cut answers with part of an answer; clean ends it as if it were whole.
func cut(text string, clean bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, text)
		if !clean {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

// TestForeignServers calls what is not a cairn daemon.
func TestForeignServers(t *testing.T) {
	for name, text := range map[string]string{"HTML": "<!doctype html>", "another list": `[{"id":"a"}]`, "another object": `{"items":[]}`, "a scalar": `"x"`, "another type": `{"iterable":{}}`} {
		c := fake(t, cut(text, true))
		for _, call := range []string{"Assets", "AssetIDs"} {
			wantCode(t, call+" of "+name, calls[call](t.Context(), c), cairn.CodeInternal)
		}
	}
	html := fake(t, cut("<!doctype html>", true))
	for _, call := range []string{
		"Status", "Documents", "WriteDocuments", "Backups", "Backup", "BackupDetails", "CreateBackup", "RestoreBackup", "DeleteBackup",
		"UndoRestore", "CreationStatus", "RestorationStatus", "Jobs", "BackUpAssets", "BackUpAllAssets", "BackUpAsset", "CancelCreation",
		"CancelRestoration", "StreamCreate", "StreamRestore", "StreamProgress", "StreamAssetIDs", "Health", "Version", "Connect", "User", "SignIn",
		"SignOut", "Allocations", "Format", "UpdateFormatValue",
	} {
		wantCode(t, call, calls[call](t.Context(), html), cairn.CodeInternal)
	}
	for _, call := range []string{"Backups", "Jobs", "SignOut", "Allocations"} {
		wantCode(t, call, calls[call](t.Context(), fake(t, cut(`{"items":[]}`, true))), cairn.CodeInternal)
	}
	for _, status := range []int{201, 204, 404, 418, 502} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		for name, call := range calls {
			err := call(t.Context(), c)
			if status == http.StatusNoContent && slices.Contains(void, name) {
				if err != nil {
					t.Errorf("%s: %v for the answer that it wants", name, err)
				}
				continue
			}
			wantCode(t, name, err, cairn.CodeInternal)
			if !strings.Contains(err.Error(), fmt.Sprint(status)) {
				t.Errorf("%s: %v does not tell the status %d", name, err, status)
			}
		}
	}
}

// TestRedirects leads a client away, which it does not follow: documents go to
// the daemon alone.
func TestRedirects(t *testing.T) {
	led := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was led away", r.Method, r.URL)
	}))
	defer led.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, led.URL+r.URL.Path, status) })
		for name, call := range calls {
			wantCode(t, name, call(t.Context(), c), cairn.CodeInternal)
		}
	}
}

func TestCancelled(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	c := daemon(t)
	for name, call := range calls {
		if err := call(ctx, c); !errors.Is(err, cause) {
			t.Errorf("%s: %v, want the cause", name, err)
		}
	}
	// In the middle of an answer.
	for _, name := range []string{"Assets", "AssetIDs", "Documents", "Status", "WriteDocuments"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		waiting := fake(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"iterable":[`)
			_ = http.NewResponseController(w).Flush()
			cancel(cause)
			<-r.Context().Done()
		})
		if err := calls[name](ctx, waiting); !errors.Is(err, cause) {
			t.Errorf("%s cancelled midway: %v, want the cause", name, err)
		}
	}
}

// TestEarlyEnd stops reading before the end of an answer.
func TestEarlyEnd(t *testing.T) {
	gone := make(chan struct{}, 3)
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		begin, item := `{"iterable":[{"id":"a"}`, `,{"id":"a"}`
		if r.URL.Path == "/v1/documents" {
			begin, item = "", `{"collection":"c","id":"a","revision":1}`+"\n"
		}
		_, err := io.WriteString(w, begin)
		for err == nil {
			_, err = io.WriteString(w, item)
		}
		gone <- struct{}{}
	})
	for range c.Assets(t.Context(), true) {
		break
	}
	for range c.AssetIDs(t.Context()) {
		break
	}
	for range c.Documents(t.Context(), "", 0) {
		break
	}
	for range 3 {
		<-gone // the connection was given up
	}
}

// TestDocuments stores and reads documents that encoding/json would change.
func TestDocuments(t *testing.T) {
	c := daemon(t)
	exact := map[string]string{
		"numbers": `{"n":[1.0,1e2,-0,12345678901234567890,1e999]}`,
		"escapes": `{"s":"\u0041\/\ud800<>&` + "\u2028" + `","html":"<b>"}`,
		"order":   `{"z":1,"a":2,"z":3}`,
	}
	var lines []api.DocumentLine
	for id, text := range exact {
		lines = append(lines, api.DocumentLine{Collection: "exact", ID: id, Document: json.RawMessage(text)})
	}
	lines = append(lines,
		api.DocumentLine{Collection: "exact", ID: "spaced", Document: json.RawMessage("{\n\t\"a\":\r\n [\n1 ]\n}\n")},
		api.DocumentLine{Collection: "exact", ID: "deletion"},
		api.DocumentLine{Collection: "No", ID: "\"\n", Document: json.RawMessage(`{}`)},
		api.DocumentLine{Collection: "exact", ID: "broken", Document: json.RawMessage("{\"a\":\"b\nc\"}")},
		api.DocumentLine{Collection: "exact", ID: "two", Document: json.RawMessage(`{}}` + "\n" + `{"collection":"exact","id":"smuggled","document":{}`)},
		api.DocumentLine{Collection: "exact", ID: "empty", Document: json.RawMessage("")},
	)
	exact["spaced"] = `{"a":[1]}`
	w, err := c.WriteDocuments(t.Context(), lines)
	if err != nil {
		t.Fatal(err)
	}
	if w.Added != 4 || w.RefusedCount != 5 || w.Revision != 4 {
		t.Errorf("%+v, want 4 added and 5 refused", w)
	}
	for i, r := range w.Refused {
		if want := int64(len(lines) - 5 + i + 1); r.Line != want {
			t.Errorf("line %d is refused, want %d: %s", r.Line, want, r.Detail)
		}
	}
	read := map[string]string{}
	for _, line := range collect(t, c.Documents(t.Context(), "exact", 0)) {
		read[line.ID] = string(line.Document)
		if one, err := c.Document(t.Context(), "exact", line.ID); err != nil || string(one) != string(line.Document) {
			t.Errorf("%s alone is %s, %v", line.ID, one, err)
		}
	}
	if diff := cmp.Diff(exact, read); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w, err := c.WriteDocuments(t.Context(), nil); err != nil || w.Revision != 4 {
		t.Errorf("writing nothing: %+v, %v", w, err)
	}
	if got := collect(t, c.Documents(t.Context(), "", 3)); len(got) != 1 || got[0].Revision != 4 {
		t.Errorf("after revision 3: %+v", got)
	}
}

// TestAssets makes, lists, changes and deletes snippets.
func TestAssets(t *testing.T) {
	c := daemon(t)
	if got := collect(t, c.Assets(t.Context(), true)); len(got) != 0 {
		t.Errorf("an empty database has assets: %s", got)
	}
	var ids []string
	for i := range 3 {
		body, err := c.CreateAsset(t.Context(), json.RawMessage(fmt.Sprintf(`{"asset":{"application":{},"format":{"fragment":{"string":{"raw":"text %d"}}}}}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		var a struct{ ID string }
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
		one, err := c.Asset(t.Context(), a.ID)
		if err != nil || string(one) != string(body) {
			t.Errorf("what was created reads as %s, %v", one, err)
		}
	}
	if got := collect(t, c.AssetIDs(t.Context())); len(got) != 3 {
		t.Errorf("the ids are %q, want 3", got)
	}
	for contents, want := range map[bool]bool{true: true, false: false} {
		all := collect(t, c.Assets(t.Context(), contents))
		if len(all) != 3 || strings.Contains(string(all[0]), "text 0") != want {
			t.Errorf("with contents %t: %s", contents, all)
		}
	}
	body, err := c.UpdateAsset(t.Context(), json.RawMessage(`{"id":"`+ids[0]+`","name":"new"}`), nil)
	if err != nil || !strings.Contains(string(body), `"name":"new"`) {
		t.Errorf("the update made %s, %v", body, err)
	}
	var made struct {
		Formats struct{ Iterable []struct{ ID string } }
	}
	if err := json.Unmarshal(body, &made); err != nil || len(made.Formats.Iterable) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	format := made.Formats.Iterable[0].ID
	set, err := c.UpdateFormatValue(t.Context(), json.RawMessage(`{"id":"`+format+`","fragment":{"string":{"raw":"another text"}}}`))
	if err != nil || !strings.Contains(string(set), "another text") {
		t.Errorf("the update of the format made %s, %v", set, err)
	}
	if one, err := c.Format(t.Context(), format); err != nil || string(one) != string(set) {
		t.Errorf("the format reads as %s, %v", one, err)
	}
	for range 2 {
		if err := c.DeleteAsset(t.Context(), ids[0]); err != nil {
			t.Errorf("deleting: %v", err)
		}
	}
	st, err := c.Status(t.Context())
	if err != nil || st.Database.Documents != 2 || st.Database.Deletions != 1 || st.APILevel != cairn.APILevel {
		t.Errorf("the status is %+v, %v", st, err)
	}
}
