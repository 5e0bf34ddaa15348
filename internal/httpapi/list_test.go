package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/httpapi"
)

// TestSlowClient reads a long list, at first byte by byte with writes in
// between: the writes finish, neither the WAL nor the memory grows with what
// the client has not taken, and the list is whole in the end.
func TestSlowClient(t *testing.T) {
	const (
		docBytes = 4 << 10
		batch    = 20
		writes   = 150
		mostWAL  = 64 << 20
		mostHeap = 16 << 20
	)
	n := 6_000
	switch {
	case os.Getenv("CAIRN_LONG") != "":
		n = 100_000
	case testing.Short():
		n = 2_000
	}
	d := start(t)
	pad := strings.Repeat("x", docBytes)
	doc := func(i, version int) cairn.Document {
		id := fmt.Sprintf("%08d", i)
		return document(cairn.CollectionAssets, id, fmt.Sprintf(`{"id":"%s","version":%d,"pad":"%s"}`, id, version, pad))
	}
	for from := 0; from < n; from += 1000 {
		var docs []cairn.Document
		for i := range 1000 {
			docs = append(docs, doc(from+i, 0))
		}
		d.store(docs...)
	}

	runtime.GC()
	idle := heap()
	c := d.dial()
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET /assets HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	began := make([]byte, writes)
	for i := range began {
		if _, err := io.ReadFull(c.Conn, began[i:i+1]); err != nil {
			t.Fatal(err)
		}
		var docs []cairn.Document
		for j := range batch { // half of them at the end of the list
			docs = append(docs, doc((j%2*n+(1-j%2*2)*(i*batch+j)+n)%n, i+1))
		}
		d.store(docs...)
		if size := fileSize(t, d.db.Path()+"-wal"); size > mostWAL {
			t.Fatalf("after %d writes the WAL has %d MiB", i+1, size>>20)
		}
		if grown := heap() - idle; grown > mostHeap {
			t.Fatalf("after %d writes the heap has grown by %d MiB", i+1, grown>>20)
		}
	}

	c.in.Reset(io.MultiReader(strings.NewReader(string(began)), c.Conn))
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen, count := make([]bool, n), 0
	schema := specification().Components.Schemas["Asset"].Value
	for item := range splitItems(t, resp.Body) {
		i, err := strconv.Atoi(string(item[len(`{"id":"`):][:8]))
		if err != nil || seen[i] || len(item) < docBytes {
			t.Fatalf("after %d assets: %.50q, which is cut or came before: %v", count, item, err)
		}
		seen[i] = true
		if count++; count%100 > 0 {
			continue
		}
		if err := jsonConforms(schema, item); err != nil {
			t.Errorf("%.100s: %v", item, err)
		}
		if grown := heap() - idle; grown > mostHeap {
			t.Fatalf("after %d assets the heap has grown by %d MiB", count, grown>>20)
		}
	}
	if count != n {
		t.Errorf("the list has %d assets, want %d", count, n)
	}
}

// splitItems yields the items of {"iterable":[...]}, each of which begins with
// its id, without looking into them.
func splitItems(t *testing.T, r io.Reader) iter.Seq[[]byte] {
	const head, tail, between = `{"iterable":[`, `]}`, `,{"id":"`
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.Index(data, []byte(between)); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	return func(yield func([]byte) bool) {
		var last []byte
		for i := 0; s.Scan(); i++ {
			if i > 0 && !yield(last) {
				return
			}
			last = append(last[:0], s.Bytes()...)
			if i == 0 && !bytes.HasPrefix(last, []byte(head)) {
				t.Fatalf("the list begins with %.50q", last)
			}
			last = bytes.TrimPrefix(last, []byte(head))
		}
		if !bytes.HasSuffix(last, []byte(tail)) || s.Err() != nil {
			t.Fatalf("the list ends with %q, %v", last[max(0, len(last)-50):], s.Err())
		}
		yield(bytes.TrimSuffix(last, []byte(tail)))
	}
}

// heap returns the bytes of the heap that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// listItems yields the items of {"iterable":[...]} as they come.
func listItems(r io.Reader) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		dec := json.NewDecoder(r)
		for range 3 {
			if _, err := dec.Token(); err != nil {
				yield(nil, err)
				return
			}
		}
		for dec.More() {
			var item json.RawMessage
			err := dec.Decode(&item)
			if !yield(item, err) || err != nil {
				return
			}
		}
		for range 2 {
			if _, err := dec.Token(); err != nil {
				yield(nil, err)
				return
			}
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			yield(nil, fmt.Errorf("at the end: %w", err))
		}
	}
}

// TestTransferables lists and reads without contents.
func TestTransferables(t *testing.T) {
	d := start(t)
	const secret = "the text of the snippet"
	d.store(snippet("one", "format", secret))
	for _, path := range []string{"/assets", "/assets/one", "/asset/one", "/format/format"} {
		for query, want := range map[string]bool{
			"": true, "?transferables=true": true, "?transferables=": true, "?transferables=1": true,
			"?transferables=false": false, "?transferables=0": false,
		} {
			got := d.ok(d.get(path + query))
			if strings.Contains(got, secret) != want || !strings.Contains(got, `"format"`) {
				t.Errorf("%s%s: contents: %t, want %t: %s", path, query, !want, want, got)
			}
		}
	}
	for query, want := range map[string]bool{"?transferable=true": true, "?transferable=false": false, "?transferable=true&transferables=false": false} {
		if got := d.ok(d.get("/format/format" + query)); strings.Contains(got, secret) != want {
			t.Errorf("/format/format%s: contents: %t, want %t", query, !want, want)
		}
	}
	for path, body := range map[string]string{
		"/asset/update":        `{"id":"one","name":"x"}`,
		"/format/update/value": `{"id":"format","fragment":{"string":{"raw":"` + secret + `."}}}`,
	} {
		if got := d.ok(d.post(path+"?transferables=false", body)); strings.Contains(got, secret) {
			t.Errorf("%s without contents has them: %s", path, got)
		}
		if got := d.ok(d.post(path, body)); !strings.Contains(got, secret) {
			t.Errorf("%s lacks the contents: %s", path, got)
		}
	}
}

// TestLists reads lists of nothing, one and many.
func TestLists(t *testing.T) {
	t.Parallel()
	d := start(t)
	for path, want := range map[string]string{"/assets": `{"iterable":[]}`, "/assets/identifiers": `{"iterable":[]}`, "/assets/stream/identifiers": `{"iterable":[]}`} {
		if got := d.ok(d.get(path)); got != want {
			t.Errorf("%s of an empty database is %s", path, got)
		}
	}
	d.store(document("tags", "t", `{}`), document("assets", "b", `{"id":"b"}`), document("assets", "a", `{"id":"a"}`))
	for path, want := range map[string]string{
		"/assets":                    `{"iterable":[{"id":"b","formats":{"iterable":[]}},{"id":"a","formats":{"iterable":[]}}]}`,
		"/assets/identifiers":        `{"iterable":[{"id":"a"},{"id":"b"}]}`,
		"/assets/stream/identifiers": `{"iterable":[{"asset":{"id":"a"}},{"asset":{"id":"b"}}]}`,
	} {
		if got := d.ok(d.get(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	var docs []cairn.Document
	for i := range 2500 {
		docs = append(docs, document("assets", fmt.Sprint(i), `{}`))
	}
	d.store(docs...)
	for _, path := range []string{"/assets", "/assets/identifiers", "/assets/stream/identifiers"} {
		n := 0
		for _, err := range listItems(strings.NewReader(d.ok(d.get(path)))) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 2502 {
			t.Errorf("%s has %d items, want 2502", path, n)
		}
		if a := d.do("HEAD", path, "", ""); a.status != 200 || a.body != "" {
			t.Errorf("HEAD %s: status %d, %d bytes", path, a.status, len(a.body))
		}
	}
}

// endlessDocuments lists documents until nobody takes them.
type endlessDocuments struct {
	httpapi.Documents
	bytes int
	ended chan struct{}
}

func (e *endlessDocuments) List(context.Context, string) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		defer close(e.ended)
		doc := document(cairn.CollectionAssets, "x", `{"pad":"`+strings.Repeat("x", 10_000)+`"}`)
		for yield(doc, nil) {
			e.bytes += len(doc.JSON)
		}
	}
}

func (e *endlessDocuments) IDs(context.Context, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		defer close(e.ended)
		id := strings.Repeat("x", 128)
		for yield(id, nil) {
			e.bytes += len(id)
		}
	}
}

// TestStalledClient takes nothing of an answer: it is produced no further than
// the buffers in between reach, and given up in time.
func TestStalledClient(t *testing.T) {
	docs := &endlessDocuments{ended: make(chan struct{})}
	d := start(t, func(c *httpapi.Config) {
		docs.Documents = c.Documents
		c.Documents = docs
		c.WriteStall = 100 * time.Millisecond
	})
	c := d.dial()
	if _, err := io.WriteString(c, "GET /assets HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-docs.ended:
	case <-time.After(patience):
		t.Fatal("the answer is not given up")
	}
	if docs.bytes > 64<<20 {
		t.Errorf("%d MiB were produced for a client that takes nothing", docs.bytes>>20)
	}
	if _, err := c.answer("GET", "/assets"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading what was given up: %v, want that it ends unexpectedly", err)
	}
}
