package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/httpapi"
)

// parsed returns JSON as Go values.
func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	return v
}

// at follows names and indexes into JSON.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// TestAssetLife makes, reads, changes and deletes a snippet.
func TestAssetLife(t *testing.T) {
	ids := 0
	now := time.Date(2026, 11, 23, 7, 25, 41, 123456789, time.FixedZone("", 3600))
	d := start(t, func(c *httpapi.Config) {
		c.NewID = func() string { ids++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", ids) }
		c.Now = func() time.Time { return now }
	})
	const (
		id     = "00000000-0000-4000-8000-000000000001"
		format = "00000000-0000-4000-8000-000000000002"
	)
	created := d.ok(d.post("/assets/create", `{"type":"SEEDED_ASSET","asset":{"application":{"id":"a","name":"VS_CODE"},
		"metadata":{"name":"the name"},"format":{"fragment":{"string":{"raw":"package main\n"},"metadata":{"ext":"go"}}}}}`))
	v := parsed(t, created)
	for _, want := range []struct {
		path  []any
		value any
	}{
		{[]any{"id"}, id},
		{[]any{"name"}, "the name"},
		{[]any{"creator"}, userID},
		{[]any{"created", "value"}, "2026-11-23T06:25:41.123Z"},
		{[]any{"formats", "iterable", 0, "id"}, format},
		{[]any{"formats", "iterable", 0, "asset", "id"}, id},
		{[]any{"formats", "iterable", 0, "classification", "specific"}, "go"},
		{[]any{"original", "reference", "fragment", "string", "raw"}, "package main\n"},
		{[]any{"preview", "base", "reference", "fragment", "string", "raw"}, "package main\n"},
		{[]any{"original", "reference", "classification", "specific"}, "go"},
	} {
		if got := at(v, want.path...); got != want.value {
			t.Errorf("%v is %v, want %v", want.path, got, want.value)
		}
	}
	for _, path := range []string{"/asset/" + id, "/assets/" + id} {
		if got := d.ok(d.get(path)); got != created {
			t.Errorf("%s differs from what was created: %s", path, got)
		}
	}
	if got := d.ok(d.get("/assets")); got != `{"iterable":[`+created+`]}` {
		t.Errorf("the list differs: %s", got)
	}
	one := parsed(t, d.ok(d.get("/format/"+format)))
	if diff := cmp.Diff(at(v, "formats", "iterable", 0), any(one)); diff != "" {
		t.Errorf("the format differs from that in the asset (-asset +format)\n%s", diff)
	}

	now = now.Add(time.Hour)
	updated := parsed(t, d.ok(d.post("/asset/update", `{"id":"`+id+`","name":"new","mechanism":null,"ours":{"kept":1.0}}`)))
	if at(updated, "name") != "new" || at(updated, "mechanism") != "MANUAL" || at(updated, "ours", "kept") != 1.0 || at(updated, "updated", "value") != "2026-11-23T07:25:41.123Z" {
		t.Errorf("the update made %v", updated)
	}
	d.unchanged(func() {
		d.ok(d.post("/asset/update", `{"id":"`+id+`","name":"new"}`))
		d.ok(d.post("/asset/update", d.ok(d.get("/asset/"+id)))) // what was read
	})
	changed := parsed(t, d.ok(d.post("/format/update/value", `{"id":"`+format+`","fragment":{"string":{"raw":"x"}}}`)))
	if at(changed, "fragment", "string", "raw") != "x" || at(changed, "bytes", "value") != 1.0 || at(changed, "fragment", "metadata", "ext") != "go" {
		t.Errorf("the format's update made %v", changed)
	}
	d.unchanged(func() {
		d.ok(d.post("/format/update/value", `{"id":"`+format+`","fragment":{"string":{"raw":"x"}}}`))
		d.refused("formats without ids", d.post("/asset/update", `{"id":"`+id+`","formats":{"iterable":[{}]}}`), cairn.CodeInvalid, "has no id")
		d.refused("formats that are none", d.post("/asset/update", `{"id":"`+id+`","formats":[]}`), cairn.CodeInvalid, "formats")
	})

	if got := d.ok(d.do("POST", "/assets/"+id+"/delete", "", "")); got != id {
		t.Errorf("deleting answers %q, want the id", got)
	}
	d.unchanged(func() {
		d.ok(d.post("/assets/"+id+"/delete", "{}")) // again
		for _, path := range []string{"/asset/" + id, "/assets/" + id, "/format/" + format, "/v1/documents/assets/" + id} {
			d.refused(path, d.get(path), cairn.CodeGone, "")
		}
		d.refused("update", d.post("/asset/update", `{"id":"`+id+`","name":"x"}`), cairn.CodeGone, "")
		d.refused("format", d.post("/format/update/value", `{"id":"`+format+`"}`), cairn.CodeGone, "")
		d.refused("never there", d.post("/assets/00000000-0000-4000-8000-00000000000f/delete", ""), cairn.CodeGone, "There is no asset")
	})
}

// TestBadSeeds sends seeds from which no asset can be made.
func TestBadSeeds(t *testing.T) {
	d := start(t)
	for seed, cause := range map[string]string{
		`{"type":"SEEDED_ASSET"}`:                   "The seed has no asset.",
		`{"asset":[]}`:                              "The seed has no asset.",
		`{"asset":{}}`:                              "no application",
		`{"asset":{"application":"x"}}`:             "no application",
		`{"asset":{"application":{}}}`:              "no text and no file",
		`{"asset":{"application":{},"format":{}}}`:  "no text and no file",
		`{"asset":{"application":{},"format":"x"}}`: "no text and no file",
		`{"asset":{"application":{},"format":{"fragment":{"string":{"raw":null}}}}}`: "no text and no file",
	} {
		d.unchanged(func() { d.refused(seed, d.post("/assets/create", seed), cairn.CodeInvalid, cause) })
	}
}

// TestOddAssets reads documents that were stored as assets, though no client
// would make them: what is answered has the shape that clients can read.
func TestOddAssets(t *testing.T) {
	d := start(t)
	for i, text := range []string{
		`{}`, `{"id":"x"}`, `{"formats":null}`, `{"formats":[]}`, `{"formats":"x"}`, `{"formats":{}}`, `{"formats":{"iterable":null}}`,
		`{"formats":{"iterable":{}}}`, `{"formats":{"iterable":[null,{}]}}`,
		`{"formats":{"iterable":[{"id":"f","asset":null},{"id":"f","asset":"x"},{"id":"f","asset":{"formats":[]}}]}}`,
		`{"original":null,"preview":null}`, `{"original":"x","preview":[{}]}`, `{"original":{"id":"none"},"preview":{"base":null,"overlay":7}}`,
		`{"formats":{"iterable":[{"id":"f"}]},"formats":{"iterable":[]}}`,
		`{"\u0066ormats":{"iterable":[{"id":"f"}]}}`,
	} {
		doc := line("assets", fmt.Sprintf("o%d", i), strings.Replace(text, `"id":"x"`, fmt.Sprintf(`"id":"o%d"`, i), 1))
		if w := d.write(doc); w.Added != 1 {
			t.Fatalf("%s: %+v", text, w)
		}
		d.ok(d.get(fmt.Sprintf("/asset/o%d", i)))
		if a := d.post("/asset/update", fmt.Sprintf(`{"id":"o%d","name":"x"}`, i)); a.status != 200 && a.status != 400 {
			t.Errorf("updating %s: status %d", text, a.status)
		}
	}
	d.ok(d.get("/assets"))
	d.ok(d.get("/assets?transferables=false"))
	for _, id := range []string{"f", "5", ""} {
		if a := d.get("/format/" + id); a.status != 200 && a.status != 404 && a.status != 410 {
			t.Errorf("/format/%s: status %d", id, a.status)
		}
	}
}

// TestConcurrentUpdates changes one asset from many clients: no change is lost.
func TestConcurrentUpdates(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	const clients, updates = 8, 10
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for i := range updates {
				if a := d.post("/asset/update", fmt.Sprintf(`{"id":"one","c%d":{"u%d":true}}`, c, i)); a.status != 200 {
					t.Errorf("client %d: status %d: %s", c, a.status, a.body)
				}
			}
		})
	}
	group.Wait()
	v := parsed(t, d.ok(d.get("/asset/one")))
	for c := range clients {
		for i := range updates {
			if at(v, fmt.Sprintf("c%d", c), fmt.Sprintf("u%d", i)) != true {
				t.Errorf("update %d of client %d is lost", i, c)
			}
		}
	}
	if got := d.db.Stats().Revision; got != 1+clients*updates {
		t.Errorf("revision %d, want %d", got, 1+clients*updates)
	}
}
