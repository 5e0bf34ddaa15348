package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// failingDocuments gives some documents, then an error, whatever is asked for.
type failingDocuments struct {
	httpapi.Documents
	docs int
	err  error
}

func (f *failingDocuments) Get(context.Context, string, string) (cairn.Document, error) {
	return cairn.Document{}, f.err
}

func (f *failingDocuments) Find(context.Context, string, string) (cairn.Document, error) {
	return cairn.Document{}, f.err
}

func (f *failingDocuments) Apply(context.Context, []cairn.Document) ([]cairn.Result, error) {
	return nil, f.err
}

func (f *failingDocuments) Update(context.Context, string, string, func([]byte) ([]byte, error)) (cairn.Document, error) {
	return cairn.Document{}, f.err
}

func (f *failingDocuments) List(context.Context, string) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		for i := range f.docs {
			id := fmt.Sprintf("%08d", i)
			if !yield(document(cairn.CollectionAssets, id, `{"id":"`+id+`","pad":"`+strings.Repeat("x", 900)+`"}`), nil) {
				return
			}
		}
		yield(cairn.Document{}, f.err)
	}
}

func (f *failingDocuments) Changes(ctx context.Context, _ string, _ int64) iter.Seq2[cairn.Document, error] {
	return f.List(ctx, "")
}

func (f *failingDocuments) IDs(ctx context.Context, _ string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for doc, err := range f.List(ctx, "") {
			if !yield(doc.ID, err) {
				return
			}
		}
	}
}

func startFailing(t *testing.T, docs int, err error) *daemon {
	return start(t, func(c *httpapi.Config) {
		c.Documents = &failingDocuments{Documents: c.Documents, docs: docs, err: err}
	})
}

var errSecret = errors.New("SQL logic error: secret-of-the-process")

// lists are the answers that are streamed.
var lists = []string{"/assets", "/assets/identifiers", "/assets/stream/identifiers", "/v1/documents"}

// TestErrors has each operation on documents fail: the code arrives, what only
// the log may know does not.
func TestErrors(t *testing.T) {
	requests := map[string]string{
		"GET /assets": "", "GET /assets/identifiers": "", "GET /assets/stream/identifiers": "", "GET /v1/documents": "",
		"GET /asset/one": "", "GET /assets/one": "", "GET /format/f": "", "GET /v1/documents/assets/one": "",
		"POST /assets/one/delete":    "",
		"POST /assets/create":        objectRoutes["/assets/create"],
		"POST /asset/update":         objectRoutes["/asset/update"],
		"POST /format/update/value":  objectRoutes["/format/update/value"],
		"POST /v1/documents":         line("c", "x", "{}"),
		"HEAD /assets":               "",
		"HEAD /v1/documents/tags/tt": "",
	}
	for _, test := range []struct {
		err    error
		code   cairn.Code
		detail string
	}{
		{errSecret, cairn.CodeInternal, "The daemon failed at this request."},
		{fmt.Errorf("reading: %w", errSecret), cairn.CodeInternal, "The daemon failed at this request."},
		{&cairn.Error{Code: cairn.CodeDiskFull, Message: "No room.", Hint: "Make some.", Err: errSecret}, cairn.CodeDiskFull, "No room."},
		{fmt.Errorf("reading: %w", &cairn.Error{Code: cairn.CodeDamaged, Message: "It is damaged.", Hint: "Copy it.", Err: errSecret}), cairn.CodeDamaged, "It is damaged."},
		{&cairn.Error{Code: cairn.CodeReadOnly, Message: "No.", Hint: "Do.", Err: errSecret}, cairn.CodeReadOnly, "No."},
		{&cairn.Error{Code: cairn.CodeNoPermission, Message: "No.", Hint: "Do.", Err: errSecret}, cairn.CodeNoPermission, "No."},
		{&cairn.Error{Code: cairn.CodeInUse, Message: "No.", Hint: "Do.", Err: errSecret}, cairn.CodeInUse, "No."},
		{context.Canceled, cairn.CodeInternal, "The daemon failed at this request."}, // but nobody cancelled
	} {
		d := startFailing(t, 0, test.err)
		for request, body := range requests {
			method, path, _ := strings.Cut(request, " ")
			media := map[bool]string{true: api.NDJSON, false: api.JSON}[path == "/v1/documents"]
			if body == "" {
				media = ""
			}
			a := d.do(method, path, media, body)
			d.wantErrors++
			if method == "HEAD" {
				if a.status != 500 {
					t.Errorf("%s: status %d, want 500", request, a.status)
				}
				continue
			}
			d.refused(request, a, test.code, test.detail)
			if strings.Contains(a.body, "secret") {
				t.Errorf("%s: the answer says too much: %s", request, a.body)
			}
		}
		if got := d.log.count(slog.LevelError, "secret-of-the-process"); errors.Is(test.err, errSecret) && got != d.wantErrors {
			t.Errorf("the log has %d entries of %v, want %d:\n%s", got, test.err, d.wantErrors, d.log)
		}
	}
}

// TestFailureMidway has a list fail when parts of it are sent already: the
// connection is cut, so that nobody takes them for the whole.
func TestFailureMidway(t *testing.T) {
	t.Parallel()
	const many = 10_000
	for _, path := range lists {
		d := startFailing(t, many, errSecret)
		resp, err := d.http.Get(d.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: after %d bytes: %v, want that it ends unexpectedly", path, len(body), err)
		}
		if resp.StatusCode != http.StatusOK || len(body) == 0 || bytes.HasSuffix(body, []byte("]}")) {
			t.Errorf("%s: status %d and %d bytes that end in %q", path, resp.StatusCode, len(body), body[max(0, len(body)-10):])
		}
		d.wantErrors = 1

		// A client of HTTP/1.0 gets no length and no chunks: it must not see
		// the end of JSON either.
		c := d.dial()
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(c); bytes.HasSuffix(bytes.TrimSpace(text), []byte("]}")) {
			t.Errorf("%s over HTTP/1.0 ends in %q", path, text[max(0, len(text)-10):])
		}
		d.wantErrors = 2
	}
	// As long as nothing was sent, the failure gets its status.
	for _, path := range lists {
		d := startFailing(t, 20, errSecret)
		d.refused(path, d.get(path), cairn.CodeInternal, "The daemon failed")
		d.wantErrors = 1
	}
}

// waitingDocuments waits in each call until the request is cancelled.
type waitingDocuments struct {
	failingDocuments
	waiting, done chan struct{}
}

func (w *waitingDocuments) Get(ctx context.Context, _, _ string) (cairn.Document, error) {
	defer close(w.done)
	close(w.waiting)
	<-ctx.Done()
	return cairn.Document{}, cairn.FileError("using", "/data/x.db", fmt.Errorf("query: %w", ctx.Err()))
}

// TestCancelled has a client go away while its request is served: nobody is to
// be told, and nothing is wrong.
func TestCancelled(t *testing.T) {
	docs := &waitingDocuments{waiting: make(chan struct{}), done: make(chan struct{})}
	d := start(t, func(c *httpapi.Config) { c.Documents = docs })
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", d.url+"/asset/one", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-docs.waiting
		cancel()
	}()
	if _, err := d.http.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	<-docs.done // the log is looked at in the end
}

// TestClientsGo has clients of the real database go away at any moment.
func TestClientsGo(t *testing.T) {
	t.Parallel()
	d := start(t)
	var docs []cairn.Document
	for i := range 1500 {
		docs = append(docs, document("assets", fmt.Sprint(i), `{"pad":"`+strings.Repeat("x", 2000)+`"}`))
	}
	d.store(docs...)
	for i := range 40 {
		for _, request := range []string{
			"GET " + lists[i%len(lists)] + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
			"POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n" + line("c", "x", `{}`),
			"POST /connect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		} {
			c := d.dial()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			if i%3 > 0 && strings.HasPrefix(request, "GET") { // some wait for the answer to begin
				_, _ = io.CopyN(io.Discard, c, int64(i)*700%15_000)
			}
			c.Close()
		}
	}
}

// cutDocuments cancels the request's context without its client's doing.
type cutDocuments struct {
	failingDocuments
	cut context.CancelFunc
}

func (c *cutDocuments) List(ctx context.Context, collection string) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		for doc, err := range c.failingDocuments.List(ctx, collection) {
			if err != nil {
				c.cut()
				err = context.Cause(ctx)
			}
			if !yield(doc, err) {
				return
			}
		}
	}
}

// TestShutdownMidway ends the life of all requests: what was not sent to its
// end is cut off, and no answer of status 200 stands for a request that was
// not served.
func TestShutdownMidway(t *testing.T) {
	for _, n := range []int{0, 10_000} {
		docs := &cutDocuments{failingDocuments: failingDocuments{docs: n, err: errSecret}}
		d := start(t, func(c *httpapi.Config) { c.Documents = docs })
		life, cut := context.WithCancel(context.Background())
		docs.cut = cut
		s := serve(t, d, life)
		resp, err := http.Get(s + "/assets")
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("after %d documents: status %d and an end behind %d bytes", n, resp.StatusCode, len(body))
		}
	}
}
