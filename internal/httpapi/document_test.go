package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// write posts lines and returns what became of them.
func (d *daemon) write(lines string) api.DocumentsWritten {
	d.t.Helper()
	return written(d.t, d.ok(d.do("POST", "/v1/documents", api.NDJSON, lines)))
}

func written(t *testing.T, body string) api.DocumentsWritten {
	t.Helper()
	var w api.DocumentsWritten
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// line returns a line of POST /v1/documents.
func line(collection, id, document string) string {
	return `{"collection":"` + collection + `","id":"` + id + `","document":` + document + "}\n"
}

// wrote returns a DocumentsWritten without refused lines.
func wrote(added, changed, unchanged, revision int64) api.DocumentsWritten {
	return api.DocumentsWritten{Added: added, Changed: changed, Unchanged: unchanged, Revision: revision, Refused: []api.RefusedLine{}}
}

func wantWritten(t *testing.T, name string, got, want api.DocumentsWritten) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", name, diff)
	}
}

func TestWriteDocuments(t *testing.T) {
	d := start(t)
	three := line("assets", "a", `{"id":"a"}`) + line("tags", "t", `{}`) + line("assets", "b", `{"x":1}`)
	for _, step := range []struct {
		name, lines string
		want        api.DocumentsWritten
	}{
		{"nothing", "", wrote(0, 0, 0, 0)},
		{"three", three, wrote(3, 0, 0, 3)},
		{"the same", three, wrote(0, 0, 3, 3)},
		{"the same with white space", strings.ReplaceAll(three, ":", " :\t"), wrote(0, 0, 3, 3)},
		{"one changed", line("assets", "a", `{"id":"a","x":2}`) + line("tags", "t", `{}`), wrote(0, 1, 1, 4)},
		{"twice in one request", line("tags", "u", `{"n":1}`) + line("tags", "u", `{"n":2}`), wrote(1, 1, 0, 6)},
		{"without a newline at the end", strings.TrimSuffix(line("tags", "v", `{}`), "\n"), wrote(1, 0, 0, 7)},
		{"blank lines", "\n\n  \n" + line("tags", "w", `{}`) + "\r\n\t\n\n", wrote(1, 0, 0, 8)},
		{"CRLF", strings.ReplaceAll(line("tags", "x", `{}`)+line("tags", "y", `{}`), "\n", "\r\n"), wrote(2, 0, 0, 10)},
		{"blank lines alone", "\n\r\n \n", wrote(0, 0, 0, 10)},
		{"a revision, which does not count", `{"revision":99,"collection":"tags","id":"z","document":{}}`, wrote(1, 0, 0, 11)},
		{"members of other names and in another order", `{"document":{},"x":[{}],"id":"zz","collection":"tags"}`, wrote(1, 0, 0, 12)},
		{"the same name in another collection", line("persons", "a", `{"id":"a"}`), wrote(1, 0, 0, 13)},
		{"an id that is no string", line("tags", "n", `{"id":5}`) + line("tags", "m", `{"id":null}`), wrote(2, 0, 0, 15)},
	} {
		wantWritten(t, step.name, d.write(step.lines), step.want)
	}
	for _, media := range []string{"application/ndjson", "application/jsonl", "application/json", "application/x-ndjson; charset=utf-8"} {
		wantWritten(t, media, written(t, d.ok(d.do("POST", "/v1/documents", media, three))), wrote(0, 1, 2, d.db.Stats().Revision))
		d.write(line("assets", "a", `{"id":"a","x":3}`))
	}
	for _, media := range []string{"", "text/plain", "application/octet-stream"} {
		d.unchanged(func() {
			d.refused(media, d.do("POST", "/v1/documents", media, three), cairn.CodeMediaType, "Content-Type")
		})
		wantWritten(t, "an empty body", written(t, d.ok(d.do("POST", "/v1/documents", media, ""))), wrote(0, 0, 0, d.db.Stats().Revision))
	}
}

// TestRefusedLines sends one line of each kind that is refused between lines
// that are stored.
func TestRefusedLines(t *testing.T) {
	t.Parallel()
	d := start(t)
	d.store(document("tags", "kept", `{"n":1}`))
	var lines strings.Builder
	want := wrote(0, 0, 0, 0)
	add := func(text string, refused *api.RefusedLine) {
		lines.WriteString(text)
		if refused == nil {
			want.Added++
			return
		}
		want.RefusedCount++
		refused.Line = int64(strings.Count(lines.String(), "\n"))
		want.Refused = append(want.Refused, *refused)
	}
	good := 0
	invalid := func(text, detail string, names ...string) {
		good++
		add(line("c", fmt.Sprintf("good%d", good), `{}`), nil)
		lines.WriteString("\n") // a blank line counts
		r := &api.RefusedLine{Code: cairn.CodeInvalid, Detail: detail}
		if len(names) > 0 {
			r.Collection, r.ID = names[0], names[1]
		}
		add(text+"\n", r)
	}
	const noDocument = "The line has no document that is an object."
	invalid(`{"collection":`, "The line is not JSON: the text ends too early at byte 15.")
	invalid(`nonsense`, "The line is not JSON: this is not a JSON value at byte 0.")
	invalid("{\"collection\":\"c\",\"id\":\"x\",\"document\":{\"a\":\"\xff\"}}", "The line is not UTF-8 text: the fault is at byte 44.")
	invalid(strings.TrimSpace(line("c", "x", `{}`))+strings.TrimSpace(line("c", "y", `{}`)), "The line is not JSON: something follows the value at byte 41.")
	invalid(`[]`, noDocument)
	invalid(`null`, noDocument)
	invalid(`{}`, noDocument)
	invalid(`{"collection":"c","id":"x"}`, noDocument, "c", "x")
	invalid(`{"collection":"tags","id":"kept","revision":1}`, noDocument, "tags", "kept")
	invalid(`{"collection":"tags","id":"kept","document":null}`, noDocument, "tags", "kept")
	invalid(`{"collection":"c","id":"x","document":[{}]}`, noDocument, "c", "x")
	invalid(`{"collection":"c","id":"x","document":"{}"}`, noDocument, "c", "x")
	invalid(`{"collection":"c","id":"x","document":{"id":"y"}}`, `The document says that its id is "y".`, "c", "x")
	invalid(`{"collection":"c","id":"x","document":{"id":"x","id":"y"}}`, `The document says that its id is "y".`, "c", "x")
	invalid(`{"id":"x","document":{}}`, `"" is not a collection name.`)
	invalid(`{"collection":"C","id":"x","document":{}}`, `"C" is not a collection name.`)
	invalid(`{"collection":7,"id":"x","document":{}}`, `"" is not a collection name.`)
	invalid(`{"collection":"c","document":{}}`, `"" is not an id.`)
	invalid(`{"collection":"c","id":null,"document":{}}`, `"" is not an id.`)
	invalid(`{"collection":"c","id":"..","document":{}}`, `".." is not an id.`)
	invalid(`{"collection":"c","id":"a/b","document":{}}`, `"a/b" is not an id.`)
	invalid(`{"collection":"c","id":"\u0000","document":{}}`, `"\x00" is not an id.`)
	invalid(`{"collection":"c","id":"x","document":{"a":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}}`,
		"The line is not JSON: arrays and objects are nested deeper than 10000 at byte 10041.")
	large := `{"a":"` + strings.Repeat("x", 32<<20) + `"}`
	add(line("c", "large", large), &api.RefusedLine{
		Collection: "c", ID: "large", Code: cairn.CodeTooLarge,
		Detail: fmt.Sprintf("The document is %d bytes of compacted JSON; at most 33554432 bytes (32 MiB) are kept.", len(large)),
	})
	add(strings.TrimSpace(line("c", "last", `{}`)), nil)
	want.Revision = d.db.Stats().Revision + want.Added

	wantWritten(t, "each kind", d.write(lines.String()), want)
	if got := d.ok(d.get("/v1/documents/tags/kept")); got != `{"n":1}` {
		t.Errorf("a refused deletion left %s", got)
	}
}

// countingDocuments notes how many documents each transaction has.
type countingDocuments struct {
	httpapi.Documents
	mu     sync.Mutex
	counts []int
}

func (c *countingDocuments) Apply(ctx context.Context, docs []cairn.Document) ([]cairn.Result, error) {
	c.mu.Lock()
	c.counts = append(c.counts, len(docs))
	c.mu.Unlock()
	return c.Documents.Apply(ctx, docs)
}

func startCounting(t *testing.T) (*daemon, *countingDocuments) {
	c := &countingDocuments{}
	return start(t, func(cfg *httpapi.Config) {
		c.Documents = cfg.Documents
		cfg.Documents = c
	}), c
}

// TestManyLines sends more lines than one transaction takes, and more refused
// ones than an answer names.
func TestManyLines(t *testing.T) {
	t.Parallel()
	d, c := startCounting(t)
	var good, bad, mixed strings.Builder
	for i := range 2500 {
		text := line("c", fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i))
		good.WriteString(text)
		bad.WriteString(strings.Replace(text, `"c"`, `"C"`, 1))
		mixed.WriteString(text + "nonsense\n")
	}
	wantWritten(t, "2,500 lines", d.write(good.String()), wrote(2500, 0, 0, 2500))
	if diff := cmp.Diff([]int{1000, 1000, 500}, c.counts); diff != "" {
		t.Errorf("transactions: (-want +got)\n%s", diff)
	}
	wantWritten(t, "the same", d.write(good.String()), wrote(0, 0, 2500, 2500))

	for name, lines := range map[string]string{"2,500 refused lines": bad.String(), "every second line": mixed.String()} {
		w := d.write(lines)
		if w.RefusedCount != 2500 || len(w.Refused) != api.MaxRefusedLines {
			t.Fatalf("%s: %d were refused and %d named, want 2500 and %d", name, w.RefusedCount, len(w.Refused), api.MaxRefusedLines)
		}
		step := int64(1)
		if w.Unchanged > 0 {
			step = 2
		}
		for i, r := range w.Refused {
			if want := step * int64(i+1); r.Line != want {
				t.Fatalf("%s: refused line %d has the number %d, want %d", name, i, r.Line, want)
			}
		}
	}

	c.counts = nil
	text := `{"a":"` + strings.Repeat("x", 5<<20) + `"}`
	wantWritten(t, "lines of 5 MiB", d.write(line("l", "1", text)+line("l", "2", text)+line("l", "3", text)), wrote(3, 0, 0, 2503))
	if diff := cmp.Diff([]int{2, 1}, c.counts); diff != "" {
		t.Errorf("transactions of large lines: (-want +got)\n%s", diff)
	}
}

// TestLongLine sends a line over its bound behind lines that are stored.
func TestLongLine(t *testing.T) {
	t.Parallel()
	d := start(t)
	var lines strings.Builder
	for i := range 1500 {
		lines.WriteString(line("c", fmt.Sprint(i), `{}`))
	}
	long := `{"collection":"c","id":"long","document":{"a":` + strings.Repeat(" ", 40<<20) + `1}}`
	a := d.do("POST", "/v1/documents", api.NDJSON, lines.String()+long+"\n"+line("c", "behind", "{}"))
	d.refused("a long line", a, cairn.CodeTooLarge,
		"Line 1501 is longer than 40 MiB. Before that, 1000 documents of this request were stored; sending all of it again is safe.")
	if got := d.db.Stats().Documents; got != 1000 {
		t.Errorf("%d documents are stored, want 1000", got)
	}
	d.unchanged(func() {
		a := d.do("POST", "/v1/documents", api.NDJSON, long)
		d.refused("alone", a, cairn.CodeTooLarge, "Line 1 is longer than 40 MiB. Nothing of this request was stored.")
	})
}

// failingApply fails from the given call on.
type failingApply struct {
	httpapi.Documents
	calls, failFrom int
	err             error
}

func (f *failingApply) Apply(ctx context.Context, docs []cairn.Document) ([]cairn.Result, error) {
	f.calls++
	if f.calls >= f.failFrom {
		return nil, f.err
	}
	return f.Documents.Apply(ctx, docs)
}

// TestWriteFails has a transaction fail behind one that was stored.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failFrom int
		err      error
		code     cairn.Code
		detail   string
	}{
		{1, &cairn.Error{Code: cairn.CodeDiskFull, Message: "No room.", Hint: "Make some."}, cairn.CodeDiskFull, "No room. Nothing of this request was stored."},
		{2, &cairn.Error{Code: cairn.CodeDiskFull, Message: "No room.", Hint: "Make some."}, cairn.CodeDiskFull, "No room. Before that, 1000 documents of this request were stored"},
		{3, fmt.Errorf("a secret"), cairn.CodeInternal, "The daemon failed at this request. Before that, 2000 documents of this request were stored"},
	} {
		d := start(t, func(c *httpapi.Config) {
			c.Documents = &failingApply{Documents: c.Documents, failFrom: test.failFrom, err: test.err}
		})
		d.wantErrors = 1
		var lines strings.Builder
		for i := range 2500 {
			lines.WriteString(line("c", fmt.Sprint(i), `{}`))
		}
		a := d.do("POST", "/v1/documents", api.NDJSON, lines.String())
		d.refused("a failure", a, test.code, test.detail)
		if strings.Contains(a.body, "secret") {
			t.Errorf("the answer says too much: %s", a.body)
		}
		if got := d.log.count(0, test.err.Error()); got != 1 {
			t.Errorf("the log has %d entries of %v, want 1:\n%s", got, test.err, d.log)
		}
	}
}

// TestExactText stores what other servers would change on the way.
func TestExactText(t *testing.T) {
	d := start(t)
	for i, text := range []string{
		`{"z":1,"a":2,"M":{"y":0,"b":0}}`,
		`{"n":[1.0,1e2,1E+2,-0,-0.0,0.10,12345678901234567890,1e999,0.1234567890123456789]}`,
		`{"s":"\u0041\u00e9\/\b\f\n\r\t\"\\é😀\ud83d\ude00"}`,
		`{"lone":["\ud800","\udc00x","\ud800\ud800"],"\ud800":1}`,
		`{"html":"<a href='x'>&amp;</a>\u003c\u2028` + "\u2028\u2029\u007f" + `"}`,
		`{"twice":1,"twice":2,"":{"":[]}}`,
		`{"null":null,"false":false,"deep":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		`{"` + strings.Repeat("k", 100_000) + `":"v"}`,
		`{}`,
	} {
		id := fmt.Sprintf("t%d", i)
		spaced := strings.NewReplacer("{", "{ ", ",", "\t,").Replace(text)
		if strings.Contains(text, "é") || strings.Contains(text, "href") {
			spaced = text // with commas or braces in strings
		}
		wantWritten(t, text[:2], d.write(line("exact", id, spaced)), wrote(1, 0, 0, int64(i+1)))
		if got := d.ok(d.get("/v1/documents/exact/" + id)); got != text {
			t.Errorf("stored %.200q\nread   %.200q", text, got)
		}
		want := fmt.Sprintf(`{"collection":"exact","id":"%s","revision":%d,"document":%s}`+"\n", id, i+1, text)
		if got := d.ok(d.get(fmt.Sprintf("/v1/documents?after=%d", i))); got != want {
			t.Errorf("the line is %.200q\nwant        %.200q", got, want)
		}
		wantWritten(t, "again", d.write(want), wrote(0, 0, 1, int64(i+1)))
	}
}

// TestReadDocuments reads by revision and collection.
func TestReadDocuments(t *testing.T) {
	d := start(t)
	d.store(document("assets", "a", `{"n":1}`), document("tags", "t", `{"n":2}`), document("assets", "b", `{"n":3}`))
	d.store(document("assets", "a", `{"n":4}`), cairn.Document{Collection: "tags", ID: "t"}, document("tags", "u", `{"n":6}`))
	const (
		b  = `{"collection":"assets","id":"b","revision":3,"document":{"n":3}}` + "\n"
		a  = `{"collection":"assets","id":"a","revision":4,"document":{"n":4}}` + "\n"
		t5 = `{"collection":"tags","id":"t","revision":5}` + "\n"
		u  = `{"collection":"tags","id":"u","revision":6,"document":{"n":6}}` + "\n"
	)
	for query, want := range map[string]string{
		"":                          b + a + u,
		"?after=0":                  b + a + u,
		"?after=1":                  b + a + t5 + u,
		"?after=3":                  a + t5 + u,
		"?after=6":                  "",
		"?after=99":                 "",
		"?collection=tags":          u,
		"?collection=tags&after=1":  t5 + u,
		"?collection=assets":        b + a,
		"?collection=none":          "",
		"?collection=&after=":       b + a + u,
		"?collection=tags&after=5":  u,
		"?after=3&collection=other": "",
	} {
		got := d.get("/v1/documents" + query)
		if diff := cmp.Diff(want, d.ok(got)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", query, diff)
		}
		if got.header.Get("Content-Type") != api.NDJSON {
			t.Errorf("%s: the type is %q", query, got.header.Get("Content-Type"))
		}
	}
}

// TestMove posts what one daemon answers to another.
func TestMove(t *testing.T) {
	t.Parallel()
	from, to := start(t), start(t)
	var docs []cairn.Document
	for i := range 1300 {
		docs = append(docs, document([]string{"assets", "tags", "persons"}[i%3], fmt.Sprint(i), fmt.Sprintf(`{"i":%d.0,"t":"%s"}`, i, strings.Repeat("x", i%500))))
	}
	from.store(docs...)
	from.store(docs[7:11]...)                                 // unchanged
	from.store(cairn.Document{Collection: "assets", ID: "0"}) // gone
	from.store(document("assets", "3", `{"changed":true}`))
	all := from.ok(from.get("/v1/documents"))
	wantWritten(t, "into an empty database", to.write(all), wrote(1299, 0, 0, 1299))
	wantWritten(t, "again", to.write(all), wrote(0, 0, 1299, 1299))
	if diff := cmp.Diff(contents(from), contents(to)); diff != "" {
		t.Errorf("the databases differ (-from +to)\n%s", diff)
	}
	if from, to := from.db.Stats(), to.db.Stats(); from.Documents != to.Documents || from.Bytes != to.Bytes {
		t.Errorf("the numbers differ: %+v and %+v", from, to)
	}
}

// contents returns all documents by collection and id.
func contents(d *daemon) map[string]string {
	all := map[string]string{}
	for doc, err := range d.db.Changes(d.t.Context(), "", 0) {
		switch {
		case err != nil:
			d.t.Fatal(err)
		case doc.Deleted():
			delete(all, doc.Collection+"/"+doc.ID)
		default:
			all[doc.Collection+"/"+doc.ID] = string(doc.JSON)
		}
	}
	return all
}
