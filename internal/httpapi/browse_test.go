package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// fakeContents are what each backup of a fakeCloud holds. It is a
// httpapi.Contents.
type fakeContents struct {
	f    *fakeCloud
	held []cairn.Document
	// chunk is how many documents Pick yields at a time, and fails the error that
	// it yields behind the last, if it is not nil.
	chunk int
	fails error
}

// newContents returns contents of two documents.
func newContents(f *fakeCloud) *fakeContents {
	return &fakeContents{f: f, chunk: 1000, held: []cairn.Document{
		{Collection: "assets", ID: "one", Revision: 3, JSON: []byte(`{"id":"one","name":"<N>"}`)},
		{Collection: "c", ID: "x", Revision: 7, JSON: []byte(`{}`)},
	}}
}

func (c *fakeContents) Backups(ctx context.Context) ([]cairn.Backup, error) {
	return c.f.backups, c.f.begin(ctx, "backups")
}

func (c *fakeContents) Documents(ctx context.Context, id string, filter cairn.DocumentFilter) iter.Seq2[cairn.BackupDocument, error] {
	return func(yield func(cairn.BackupDocument, error) bool) {
		if err := c.f.begin(ctx, strings.TrimRight(fmt.Sprintf("documents %s %s %s %d", id, filter.Collection, filter.Name, filter.Limit), " 0")); err != nil {
			yield(cairn.BackupDocument{}, err)
			return
		}
		for _, d := range c.held {
			if !yield(cairn.BackupDocument{DocumentName: cairn.DocumentName{Collection: d.Collection, ID: d.ID}, Revision: d.Revision, Bytes: int64(len(d.JSON)), Name: d.ID}, nil) {
				return
			}
		}
		if c.fails != nil {
			yield(cairn.BackupDocument{}, c.fails)
		}
	}
}

func (c *fakeContents) Document(ctx context.Context, id string, name cairn.DocumentName) (doc cairn.Document, err error) {
	for docs, err := range c.Pick(ctx, id, []cairn.DocumentName{name}) {
		if err != nil {
			return doc, err
		}
		doc = docs[0]
	}
	return doc, nil
}

func (c *fakeContents) Pick(ctx context.Context, id string, names []cairn.DocumentName) iter.Seq2[[]cairn.Document, error] {
	var docs []cairn.Document
	for _, name := range names {
		i := slices.IndexFunc(c.held, func(d cairn.Document) bool { return d.Collection == name.Collection && d.ID == name.ID })
		if i < 0 {
			return func(yield func([]cairn.Document, error) bool) {
				yield(nil, &cairn.Error{Code: cairn.CodeNotInBackup, Message: "It holds no " + name.String() + ".", Hint: "List them."})
			}
		}
		docs = append(docs, c.held[i])
	}
	return c.yields(ctx, "pick "+id, docs)
}

func (c *fakeContents) PickAll(ctx context.Context, id string) iter.Seq2[[]cairn.Document, error] {
	return c.yields(ctx, "pick all "+id, c.held)
}

func (c *fakeContents) yields(ctx context.Context, call string, docs []cairn.Document) iter.Seq2[[]cairn.Document, error] {
	return func(yield func([]cairn.Document, error) bool) {
		if err := c.f.begin(ctx, call); err != nil {
			yield(nil, err)
			return
		}
		for chunk := range slices.Chunk(docs, c.chunk) {
			own := make([]cairn.Document, len(chunk)) // the caller may change them
			for i, d := range chunk {
				own[i] = d
				own[i].JSON = slices.Clone(d.JSON)
			}
			if !yield(own, nil) {
				return
			}
		}
		if c.fails != nil {
			yield(nil, c.fails)
		}
	}
}

// startContents is startCloud, and returns the contents of backups.
func startContents(t *testing.T) (*daemon, *fakeContents) {
	t.Helper()
	var c *fakeContents
	d, _ := startCloud(t, func(cfg *httpapi.Config) { c = cfg.Contents.(*fakeContents) })
	return d, c
}

const (
	documentsPath = "/v1/backups/0.1.0_20261123T072541.123456789Z/documents"
	restorePath   = documentsPath + "/restore"
	onePath       = documentsPath + "/assets/one"
)

// browseRoutes are the operations that look into backups, with bodies that they
// take and what they ask for.
var browseRoutes = []struct{ method, path, body, call string }{
	{"GET", "/v1/backups", "", "backups"},
	{"GET", documentsPath, "", "documents " + sampleID},
	{"GET", onePath, "", "pick " + sampleID},
	{"POST", onePath + "/restore", "", "pick " + sampleID},
	{"POST", onePath + "/restore", "{}", "pick " + sampleID},
	{"POST", restorePath, `{"documents":[{"collection":"c","id":"x"}]}`, "pick " + sampleID},
	{"POST", restorePath, `{"all":true}`, "pick all " + sampleID},
}

// send sends a request with a body, or none.
func (d *daemon) send(method, path, body string) answer {
	d.t.Helper()
	if body == "" {
		return d.do(method, path, "", "")
	}
	return d.do(method, path, api.JSON, body)
}

// TestBrowseAnswers reads each answer, and has the user signed out.
func TestBrowseAnswers(t *testing.T) {
	d, c := startContents(t)
	assets := sample()
	assets.Scope = cairn.ScopeAssets
	c.f.backups = append(c.f.backups, assets)
	whole := strings.TrimSpace(d.ok(d.get("/v1/backups/" + sampleID)))
	part := strings.Replace(whole, `"scope":"all"`, `"scope":"assets"`, 1)
	for path, want := range map[string]string{
		"/v1/backups":              `{"iterable":[` + whole + `,` + part + `]}`,
		"/v1/backups?scope=":       `{"iterable":[` + whole + `,` + part + `]}`,
		"/v1/backups?scope=all":    `{"iterable":[` + whole + `]}`,
		"/v1/backups?scope=assets": `{"iterable":[` + part + `]}`,
		documentsPath:              `{"collection":"assets","id":"one","revision":3,"bytes":25,"name":"one"}` + "\n" + `{"collection":"c","id":"x","revision":7,"bytes":2,"name":"x"}`,
		onePath:                    `{"id":"one","name":"<N>"}`,
	} {
		d.unchanged(func() { answered(t, path, d.get(path), 200, want) })
	}
	if tag := d.get(onePath).header.Get("ETag"); tag != api.EntityTag([]byte(`{"id":"one","name":"<N>"}`)) {
		t.Errorf("the ETag is %s", tag)
	}
	c.f.called()
	for query, call := range map[string]string{
		"?collection=tags&name=a%20b&limit=3": "documents " + sampleID + " tags a b 3",
		"?name=%C3%84":                        "documents " + sampleID + "  Ä",
	} {
		d.ok(d.get(documentsPath + query))
		if got := c.f.called(); !slices.Equal(got, []string{call}) {
			t.Errorf("%s asks for %q, want %q", query, got, call)
		}
	}
	for _, path := range []string{"/v1/backups?scope=any", "/v1/backups?scope=all&scope=all", documentsPath + "?limit=0", documentsPath + "?limit=x",
		documentsPath + "?limit=-1", documentsPath + "?collection=A-B", documentsPath + "?name=a&name=b", documentsPath + "?limit=1&limit=1"} {
		d.refused(path, d.get(path), cairn.CodeInvalid, "")
	}
	c.f.backups, c.held = nil, nil
	answered(t, "no backups", d.get("/v1/backups"), 200, `{"iterable":[]}`)
	answered(t, "no documents", d.get(documentsPath), 200, "")
	c.f.called()
	d.device.signedOut.Store(true)
	for _, route := range browseRoutes {
		d.refused(route.path, d.send(route.method, route.path, route.body), cairn.CodeSignedOut, "signed out")
	}
	if calls := c.f.called(); len(calls) > 0 {
		t.Errorf("a user who is signed out asked for %q", calls)
	}
}

// TestBrowseCodes has each operation fail with each code that its work can.
func TestBrowseCodes(t *testing.T) {
	d, c := startContents(t)
	for code, status := range map[cairn.Code]int{
		"no_cloud": 511, "cloud_locked": 511, "format_too_new": 505, "backup_not_found": 500, "damaged": 500, "cloud_unreachable": 500,
		"disk_full": 500, "too_large": 413, "not_in_backup": 404,
	} {
		c.f.err = fmt.Errorf("outer: %w", &cairn.Error{Code: code, Message: "What happened.", Hint: "Do this.", Err: errSecret})
		for _, route := range browseRoutes {
			var a answer
			d.unchanged(func() { a = d.send(route.method, route.path, route.body) })
			d.refused(route.path, a, code, "What happened.")
			if a.status != status || strings.Contains(a.body, "secret") {
				t.Errorf("%s: %s has status %d, want %d: %s", route.path, code, a.status, status, a.body)
			}
			if calls := c.f.called(); !slices.Equal(calls, []string{route.call}) {
				t.Errorf("%s asks for %q, want %q", route.path, calls, route.call)
			}
		}
	}
	d.wantErrors = d.log.count(slog.LevelError, "")
	c.f.err = nil
	for _, id := range []string{"..%2Fx", "a%20b", strings.Repeat("a", 129)} {
		for _, route := range browseRoutes[1:] {
			path := strings.Replace(route.path, sampleID, id, 1)
			d.refused(path, d.send(route.method, path, route.body), cairn.CodeBackupNotFound, "There is no backup")
		}
		for _, path := range []string{documentsPath + "/assets/" + id, documentsPath + "/A" + id + "/one"} {
			d.refused(path, d.get(path), cairn.CodeNotInBackup, "holds no document")
			d.refused(path, d.post(path+"/restore", ""), cairn.CodeNotInBackup, "holds no document")
		}
	}
	if calls := c.f.called(); len(calls) > 0 {
		t.Errorf("names that cannot be are asked for: %q", calls)
	}
}

// TestRestoreChoices names what to restore, rightly and wrongly.
func TestRestoreChoices(t *testing.T) {
	d, _ := startContents(t)
	many := strings.Repeat(`{"collection":"c","id":"x"},`, 10_001)
	for _, test := range []struct {
		body, cause string
		code        cairn.Code
	}{
		{"", "does not say which", cairn.CodeInvalid},
		{"{}", "does not say which", cairn.CodeInvalid},
		{`{"all":false}`, "does not say which", cairn.CodeInvalid},
		{`{"all":"yes"}`, "does not say which", cairn.CodeInvalid},
		{`{"documents":[]}`, "does not say which", cairn.CodeInvalid},
		{`{"documents":{}}`, "does not say which", cairn.CodeInvalid},
		{`{"documents":["assets/one"]}`, "does not say which", cairn.CodeInvalid},
		{`{"all":true,"documents":[{"collection":"c","id":"x"}]}`, "does not say which", cairn.CodeInvalid},
		{`[]`, "not an object", cairn.CodeInvalid},
		{`{"documents":[{"collection":"c","id":"x"},{"collection":"C","id":"x"}]}`, "not a collection name", cairn.CodeInvalid},
		{`{"documents":[{"collection":"c"}]}`, "is not an id", cairn.CodeInvalid},
		{`{"documents":[` + strings.TrimSuffix(many, ",") + `]}`, "names 10001 documents", cairn.CodeTooLarge},
		{`{"documents":[{"collection":"c","id":"x"},{"collection":"c","id":"y"}]}`, "holds no c/y", cairn.CodeNotInBackup},
	} {
		d.unchanged(func() {
			d.refused(test.body[:min(len(test.body), 80)], d.post(restorePath, test.body), test.code, test.cause)
		})
	}
	d.unchanged(func() {
		d.refused("text", d.do("POST", restorePath, "text/plain", `{"all":true}`), cairn.CodeMediaType, "text/plain")
	})
}

// TestRestoreDocuments puts documents back: what was there is added, changed or left
// alone, and nothing else is touched.
func TestRestoreDocuments(t *testing.T) {
	d, c := startContents(t)
	d.store(document("assets", "one", `{"id":"one"}`), document("assets", "two", `{}`))
	answered(t, "one", d.post(onePath+"/restore", "{}"), 200, `{"collection":"assets","id":"one","outcome":"changed","revision":3}`)
	answered(t, "one again", d.post(onePath+"/restore", ""), 200, `{"collection":"assets","id":"one","outcome":"unchanged","revision":3}`)
	for _, chunk := range []int{1, 1000} {
		c.chunk = chunk
		d.store(cairn.Document{Collection: "c", ID: "x"})
		revision := d.db.Stats().Revision + 1
		answered(t, "all", d.post(restorePath, `{"all":true}`), 200, fmt.Sprintf(
			`{"collection":"assets","id":"one","outcome":"unchanged","revision":3}`+"\n"+
				`{"collection":"c","id":"x","outcome":"added","revision":%[1]d}`+"\n"+
				`{"restored":{"added":1,"changed":0,"unchanged":1,"revision":%[1]d}}`, revision))
	}
	answered(t, "by name", d.post(restorePath, `{"documents":[{"collection":"c","id":"x"}],"more":1}`), 200,
		`{"collection":"c","id":"x","outcome":"unchanged","revision":6}`+"\n"+`{"restored":{"added":0,"changed":0,"unchanged":1,"revision":6}}`)
	for name, want := range map[string]string{"assets/one": `{"id":"one","name":"<N>"}`, "assets/two": `{}`, "c/x": `{}`} {
		answered(t, name, d.get("/v1/documents/"+name), 200, want)
	}
	c.held[0].JSON = []byte(`{ "id" : "one" }`) // of another program
	d.ok(d.post(onePath+"/restore", ""))
	answered(t, "white space", d.get("/v1/documents/assets/one"), 200, `{"id":"one"}`)
	for _, text := range []string{`{"id":}`, "{\"a\":\"\xff\"}", `{"a":` + strings.Repeat("[", 9_500) + strings.Repeat("]", 9_500) + "}"} {
		c.held[0].JSON = []byte(text)
		d.unchanged(func() {
			d.refused(text[:5], d.post(onePath+"/restore", ""), cairn.CodeDamaged, "The document assets/one in the backup")
			d.refused(text[:5], d.post(restorePath, `{"all":true}`), cairn.CodeDamaged, "The document assets/one in the backup")
			d.wantErrors += 2
		})
	}
}

// TestRestorePart has a restoration of documents fail behind its first ones: what
// was stored is told, and why it was not all.
func TestRestorePart(t *testing.T) {
	d, c := startContents(t)
	c.chunk = 1
	for _, test := range []struct {
		err  error
		code cairn.Code
		text string
	}{
		{&cairn.Error{Code: cairn.CodeDamaged, Message: "It is broken.", Hint: "Mend it.", Err: errSecret}, "damaged", "It is broken. Before that, 2 documents were restored; doing it again is safe."},
		{errSecret, "internal", "The daemon failed at this request. Before that, 2 documents were restored; doing it again is safe."},
	} {
		c.fails = test.err
		lines := strings.Split(strings.TrimSpace(d.ok(d.post(restorePath, `{"all":true}`))), "\n")
		var last api.RestoredLine
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 3 || last.Restored == nil || last.Restored.Problem == nil {
			t.Fatalf("the answer is %q", lines)
		}
		if p := last.Restored.Problem; p.Code != test.code || p.Detail != test.text || p.Hint == "" || last.Restored.Total() != 2 {
			t.Errorf("the last line is %q", lines[2])
		}
		d.wantErrors++
	}
	// A list that is not all of them is an error, or is cut off when it has begun.
	d.refused("a short list", d.get(documentsPath), "internal", "The daemon failed")
	for range 2000 {
		c.held = append(c.held, c.held[0])
	}
	resp, err := d.http.Get(d.url + documentsPath)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a list ends with %v", err)
	}
	d.wantErrors += 2
}

// TestRestoreAsItGoes has documents told of when they are there, and a client leave.
func TestRestoreAsItGoes(t *testing.T) {
	step, ended := make(chan struct{}, 1), make(chan error, 1)
	d, _ := startCloud(t, func(cfg *httpapi.Config) {
		c := cfg.Contents.(*fakeContents)
		c.chunk = 1
		cfg.Contents = slow{c, step, ended}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", d.url+restorePath, strings.NewReader(`{"all":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", api.JSON)
	step <- struct{}{}
	resp, err := d.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"id":"one"`) {
		t.Errorf("the first line is %q, %v", line, err)
	}
	if _, err := d.db.Get(t.Context(), "assets", "one"); err != nil {
		t.Errorf("what was told is not there: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the work ends with %v", err)
	}
}

// slow is fakeContents that waits for a step before each document, and says how it
// ended.
type slow struct {
	*fakeContents
	step  chan struct{}
	ended chan error
}

func (s slow) PickAll(ctx context.Context, id string) iter.Seq2[[]cairn.Document, error] {
	return func(yield func([]cairn.Document, error) bool) {
		for docs, err := range s.fakeContents.PickAll(ctx, id) {
			select {
			case <-s.step:
			case <-ctx.Done():
				err = context.Cause(ctx)
				s.ended <- err
			}
			if !yield(docs, err) || err != nil {
				return
			}
		}
	}
}
