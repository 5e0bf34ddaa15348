//go:build !race

// What takes minutes under the race detector and finds nothing there: make stores
// runs it.

package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// TestLargeGuard sends every combination of the tables.
func TestLargeGuard(t *testing.T) {
	t.Parallel()
	start(t).guard(1)
}

// TestLargeDocuments sends documents over the bound in bodies under theirs.
func TestLargeDocuments(t *testing.T) {
	t.Parallel()
	d := start(t)
	d.store(snippet("one", "format", "text"))
	const mib = 1 << 20
	large := strings.Repeat("x", 33*mib)
	d.unchanged(func() {
		for name, a := range map[string]answer{
			"create": d.post("/assets/create", strings.Replace(objectRoutes["/assets/create"], `"t"`, `"`+large+`"`, 1)),
			"update": d.post("/asset/update", strings.Replace(objectRoutes["/asset/update"], "changed", large, 1)),
			"format": d.post("/format/update/value", strings.Replace(objectRoutes["/format/update/value"], "changed", large, 1)),
		} {
			d.refused(name, a, cairn.CodeTooLarge, "bytes of compacted JSON; at most 33554432")
		}
		lines := d.ok(d.do("POST", "/v1/documents", api.NDJSON, `{"collection":"c","id":"x","document":{"a":"`+large+`"}}`))
		if !strings.Contains(lines, `"code":"too_large","detail":"The document is 346`) {
			t.Errorf("a line: %s", lines)
		}
	})
	// White space does not count, up to the bound of the body.
	padding := strings.Repeat(" \n\t", 35*mib/3)
	update := objectRoutes["/asset/update"]
	d.ok(d.post("/asset/update", update[:1]+padding+update[1:]))
	d.ok(d.do("POST", "/v1/documents", api.NDJSON, `{"collection":"c","id":"x","document":{"a":`+strings.Repeat(" ", 35*mib)+`1}}`))
	if got := d.ok(d.get("/v1/documents/c/x")); got != `{"a":1}` {
		t.Errorf("a document with 35 MiB of white space was stored as %.100q", got)
	}
}

// countingJobs take documents and keep none.
type countingJobs struct {
	httpapi.Jobs
	documents, bytes int64
	heap             int64 // the largest
}

func (j *countingJobs) CreateFrom(_ context.Context, documents iter.Seq2[cairn.Document, error]) (cairn.Watch, error) {
	for doc, err := range documents {
		if err != nil {
			return nil, err
		}
		if j.documents++; j.documents%1000 == 0 {
			j.heap = max(j.heap, heap())
		}
		j.bytes += int64(len(doc.JSON))
	}
	return func(context.Context) (cairn.Job, error) { return cairn.Job{Status: cairn.JobCompleted}, nil }, nil
}

// TestLargeUpload backs up 100 MiB of assets within bounded memory, and in a long
// run refuses what has no end.
func TestLargeUpload(t *testing.T) {
	const (
		assetBytes = 4 << 10
		assets     = 100 << 20 / assetBytes
		spaceBytes = 128 << 10
		mostHeap   = 32 << 20
	)
	jobs := &countingJobs{}
	d, _, _ := startSpool(t, func(c *httpapi.Config) { c.Jobs = jobs })
	pad := strings.Repeat("x", assetBytes-len(`{"id":"00000000","x":""},`))
	send := func(assets int64, spaces, pad string) (answer, int64) {
		runtime.GC()
		idle, grown := heap(), int64(0)
		r, w := io.Pipe()
		go func() {
			_, err := io.WriteString(w, `{"iterable":[{"id":"first"}`)
			for i := int64(0); i < assets && err == nil; i++ {
				_, err = fmt.Fprintf(w, `%s,{"id":"%08d","x":"%s"}`, spaces, i, pad)
				if i%500 == 0 {
					grown = max(grown, heap()-idle)
				}
			}
			_, _ = io.WriteString(w, "]}")
			w.Close()
		}()
		req, err := http.NewRequestWithContext(t.Context(), "POST", d.url+"/backup", r)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", api.JSON)
		req.Header.Set("Expect", "100-continue") // the answer is awaited though the rest is not taken
		resp, err := d.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		return newAnswer(resp, text, time.Now()), max(grown, jobs.heap-idle)
	}
	a, grown := send(assets, "", pad)
	answered(t, "100 MiB", a, 204, "")
	if jobs.documents != assets+1 || jobs.bytes < assets*(assetBytes-1) {
		t.Errorf("%d documents of %d bytes came, want %d", jobs.documents, jobs.bytes, assets+1)
	}
	t.Logf("100 MiB: the heap grew by %d MiB", grown>>20)
	if grown > mostHeap {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if os.Getenv("CAIRN_LONG") == "" {
		return
	}
	before := jobs.documents
	a, grown = send(1<<30/spaceBytes, strings.Repeat(" ", spaceBytes), "") // spaces are read fast
	d.refused("1 GiB", a, cairn.CodeTooLarge, "The body is larger than 256 MiB")
	if jobs.documents != before || grown > mostHeap {
		t.Errorf("1 GiB: %d documents came, the heap has grown by %d MiB", jobs.documents-before, grown>>20)
	}
}

// TestLargeList refuses more assets than the ids that are kept.
func TestLargeList(t *testing.T) {
	jobs := &countingJobs{}
	d, _, _ := startSpool(t, func(c *httpapi.Config) { c.Jobs = jobs })
	var body bytes.Buffer
	body.WriteString(`{"iterable":[`)
	for i := range 1_000_000 {
		fmt.Fprintf(&body, `{"id":"%d"},`, i)
	}
	text := body.String()
	d.refused("too many", d.post("/backup", text+`{"id":"x"}]}`), cairn.CodeTooLarge, "more than 1000000 assets")
	if os.Getenv("CAIRN_LONG") == "" {
		return
	}
	answered(t, "as many as may be", d.post("/backup", strings.TrimSuffix(text, ",")+`]}`), 204, "")
	if jobs.documents != 1_000_000 {
		t.Errorf("%d documents came", jobs.documents)
	}
}
