package httpapi_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// TestIfMatch changes an asset only while it is what the client has seen.
func TestIfMatch(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	seen := d.get("/v1/documents/assets/one")
	tag := seen.header.Get("ETag")
	if tag != api.EntityTag([]byte(d.ok(seen))) {
		t.Fatalf("the ETag is %q, not that of the stored text", tag)
	}
	d.ok(d.do("POST", "/asset/update", api.JSON, `{"id":"one","name":"first"}`, "If-Match", tag))
	d.unchanged(func() {
		a := d.do("POST", "/asset/update", api.JSON, `{"id":"one","name":"second"}`, "If-Match", tag)
		d.refused("asset", a, cairn.CodeChanged, "was changed meanwhile")
		a = d.do("POST", "/format/update/value", api.JSON, `{"id":"format","fragment":{"string":{"raw":"x"}}}`, "If-Match", tag)
		d.refused("format", a, cairn.CodeChanged, "was changed meanwhile")
	})
	tag = d.get("/v1/documents/assets/one").header.Get("ETag")
	for _, test := range []struct {
		match string
		want  int
	}{
		{"*", 200},
		{tag, 200},
		{`"other", ` + tag, 200},
		{`"other",` + tag + `,"more"`, 200},
		{`"other"`, 412},
		{`"other", "more"`, 412},
		{"W/" + tag, 412},
		{`"other, *, tag"`, 412},
		{strings.Trim(tag, `"`), 412},
	} {
		if a := d.do("POST", "/asset/update", api.JSON, `{"id":"one"}`, "If-Match", test.match); a.status != test.want {
			t.Errorf("If-Match: %s: status %d, want %d", test.match, a.status, test.want)
		}
	}
	a := d.do("POST", "/asset/update", api.JSON, `{"id":"none"}`, "If-Match", "*")
	d.refused("no asset", a, cairn.CodeGone, "There is no document")
}

// deletingDocuments deletes a document that a reader has just got.
type deletingDocuments struct {
	httpapi.Documents
	once sync.Once
}

func (f *deletingDocuments) Changes(ctx context.Context, collection string, after int64) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		for doc, err := range f.Documents.Changes(ctx, collection, after) {
			if !yield(doc, err) {
				return
			}
			f.once.Do(func() {
				if _, err := f.Apply(ctx, []cairn.Document{{Collection: doc.Collection, ID: doc.ID}}); err != nil {
					panic(err)
				}
			})
		}
	}
}

// TestDeletedWhileRead has a document deleted behind a reader that began at 0:
// it must hear of that, or would keep the document for ever.
func TestDeletedWhileRead(t *testing.T) {
	d := start(t, func(c *httpapi.Config) { c.Documents = &deletingDocuments{Documents: c.Documents} })
	d.store(document("c", "old", `{}`), document("c", "kept", `{}`), document("c", "read", `{}`))
	d.store(document("c", "old", `{}`), cairn.Document{Collection: "c", ID: "old"})
	want := `{"collection":"c","id":"kept","revision":2,"document":{}}
{"collection":"c","id":"read","revision":3,"document":{}}
{"collection":"c","id":"kept","revision":5}
`
	if got := d.ok(d.get("/v1/documents")); got != want {
		t.Errorf("the lines are\n%swant\n%s", got, want)
	}
}

// TestNesting stores what is nested as deep as allowed, which everybody must be
// able to read in a list and post back, and refuses what is deeper.
func TestNesting(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	d := start(t)
	// The document is one level, and its list or line two more.
	if got := d.ok(d.do("POST", "/v1/documents", api.NDJSON, line("assets", "deep", `{"x":`+nested(8_999)+`}`))); !strings.Contains(got, `"added":1`) {
		t.Fatalf("a document nested 9,000 deep was not stored: %s", got)
	}
	lines := d.ok(d.get("/v1/documents"))
	if got := d.ok(d.do("POST", "/v1/documents", api.NDJSON, lines)); !strings.Contains(got, `"unchanged":1`) {
		t.Errorf("what was read cannot be posted back: %.300s", got)
	}
	d.ok(d.get("/assets"))
	d.unchanged(func() {
		const deeper = "nested deeper than 9000"
		got := d.ok(d.do("POST", "/v1/documents", api.NDJSON, line("c", "x", `{"x":`+nested(9_000)+`}`)))
		if !strings.Contains(got, deeper) {
			t.Errorf("a line nested too deep: %.300s", got)
		}
		// An application moves two levels deeper on its way into an asset.
		d.refused("seed", d.post("/assets/create", fmt.Sprintf(`{"asset":{"application":{"x":%s},"format":{"fragment":{"string":{"raw":""}}}}}`, nested(8_996))),
			cairn.CodeInvalid, deeper)
		d.refused("update", d.post("/asset/update", `{"id":"deep","y":`+nested(9_000)+`}`), cairn.CodeInvalid, deeper)
	})
}

// TestExpect refuses a large body of a client that waits for a word before it
// sends it, as curl does, and looks for the answer only when it has sent all.
// It must not lose the answer to a reset connection.
func TestExpect(t *testing.T) {
	d := start(t)
	for range 3 {
		c := d.dial()
		fmt.Fprint(c, "POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"+
			"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
		for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
			if word, err := c.in.ReadString('\n'); err != nil || word != want {
				t.Fatalf("the word to go on is %q, %v", word, err)
			}
		}
		// The line is refused at 40 MiB; the rest is on its way then.
		piece := "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n"
		for range 52 {
			if _, err := c.Write([]byte(piece)); err != nil {
				t.Fatalf("the daemon hung up: %v", err)
			}
		}
		a, err := c.answer("POST", "/v1/documents")
		if err != nil {
			t.Fatalf("the answer got lost: %v", err)
		}
		if a.status != http.StatusRequestEntityTooLarge {
			t.Fatalf("status %d, want 413", a.status)
		}
	}
}
