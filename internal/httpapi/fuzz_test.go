package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/internal/database"
	"cairn/internal/httpapi"
)

// bodied are the operations that read a body, each with one that it takes.
var bodied = []struct{ path, mediaType, body string }{
	{"/connect", api.JSON, `{"application":{"name":"VS_CODE","version":"1.0.0","platform":"LINUX"}}`},
	{"/assets/create", api.JSON, `{"type":"SEEDED_ASSET","asset":{"application":{"id":"a","name":"VS_CODE"},"format":{"fragment":{"string":{"raw":"x := 1\n"}}},"metadata":{"name":"x.go"}}}`},
	{"/asset/update", api.JSON, `{"id":"asset","name":"new","formats":{"iterable":[{"id":"format","fragment":{"string":{"raw":"y"}}}]}}`},
	{"/format/update/value", api.JSON, `{"id":"format","fragment":{"string":{"raw":"z"}}}`},
	{"/backup", api.JSON, `{"iterable":[{"id":"asset","name":"n"}]}`},
	{"/backup/asset", api.JSON, `{"id":"asset","name":"n"}`},
	{"/backup/" + sampleID + "/restore", api.JSON, sampleJSON},
	{"/backup/" + sampleID + "/restore/streamed", api.JSON, sampleJSON},
	{"/backups/create", api.JSON, `{}`},
	{"/v1/documents", api.JSONLines, `{"collection":"tags","id":"a","document":{"n":[1.50,"\ud800"]}}` + "\n" + `{"collection":"tags","id":"b"}` + "\n"},
	{"/v1/backups/forget", api.JSON, `{"policy":{"keep_last":-1,"keep_within":"2y3h"},"device":"laptop","dry_run":true}`},
	{"/v1/backups/" + sampleID + "/verify", api.JSON, `{"read_data":true}`},
	{"/v1/cloud/check", api.JSON, `{"read_data":true}`},
	{"/v1/cloud/connect", api.JSON, `{"url":"s3://bucket/prefix","create":true,"key":"AGE-SECRET-KEY-1","passphrase":"correct horse"}`},
	{"/v1/cloud/key", api.JSON, `{"store":"keychain"}`},
	{"/v1/cloud/recovery-kit/acknowledge", api.JSON, `{"code":"0000-0000"}`},
	{"/v1/cloud/passphrases", api.JSON, `{"passphrase":"correct horse"}`},
	{"/v1/cloud/passphrases/change", api.JSON, `{"passphrase":"correct horse","new":"battery staple"}`},
	{"/v1/cloud/passphrases/remove", api.JSON, `{"name":"ab12"}`},
	{"/allocations/connect", api.JSON, `{"id":"user"}`},
	{"/allocations/disconnect", api.JSON, `{"id":"` + cloudID + `"}`},
	{restorePath, api.JSON, `{"documents":[{"collection":"c","id":"x"}]}`},
	{onePath + "/restore", api.JSON, `{}`},
}

// TestBodied holds that FuzzRequest begins with bodies that are taken.
func TestBodied(t *testing.T) {
	t.Parallel()
	d, _ := startCloud(t)
	d.store(snippet("asset", "format", "x"))
	for _, op := range bodied {
		if a := d.do(http.MethodPost, op.path, op.mediaType, op.body); a.status >= 300 {
			t.Errorf("%s: status %d: %s", op.path, a.status, a.body)
		}
	}
}

// A fuzzed is a server that a fuzz target sends its requests to.
type fuzzed struct {
	url string
	db  *database.DB
	log *logbook
}

// startFuzzed is start for all runs of a fuzz target.
func startFuzzed(f *testing.F) *fuzzed {
	f.Helper()
	db, err := database.Open(f.Context(), database.Config{
		Dir: f.TempDir(), Installation: installation, References: references, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	z := &fuzzed{db: db, log: &logbook{}}
	c := &fakeCloud{backups: []cairn.Backup{sample()}, status: cairn.CloudStatus{URL: "file:///b", State: cairn.CloudReady}}
	server := httpapi.New(httpapi.Config{
		Documents: db, Device: &fakeDevice{}, Backups: c, Clouds: &fakeClouds{f: c}, Jobs: fakeJobs{c}, Contents: newContents(c), Spool: f.TempDir(), Log: slog.New(z.log),
	})
	s := httptest.NewServer(server)
	z.url = s.URL
	f.Cleanup(func() {
		server.Close()
		s.Close()
		if err := db.Close(); err != nil {
			f.Error(err)
		}
	})
	return z
}

// FuzzRequest sends any body to each operation that reads one. No handler panics or
// fails in a way that it does not know; what is refused changes nothing; answers are
// as the specification has them, and those of /v1/documents count what has changed.
func FuzzRequest(f *testing.F) {
	z := startFuzzed(f)
	for i, op := range bodied {
		f.Add(uint8(i), []byte(op.body))
	}
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		op := bodied[int(i)%len(bodied)]
		known := []cairn.Document{snippet("asset", "format", "x"), document("tags", "a", `{"n":1}`)}
		if _, err := z.db.Apply(t.Context(), known); err != nil { // writes what differs
			t.Fatal(err)
		}
		before := z.db.Stats()
		resp, answer := z.post(t, op.path, op.mediaType, body)
		after := z.db.Stats()
		if err := conforms(http.MethodPost, op.path, resp, answer); err != nil {
			t.Errorf("%s: status %d: %v\n%.500s", op.path, resp.StatusCode, err, answer)
		}
		if resp.StatusCode >= 400 {
			var p api.Problem
			if err := json.Unmarshal(answer, &p); err != nil || p.Code == cairn.CodeInternal || p.Hint == "" {
				t.Errorf("%s: status %d: %s", op.path, resp.StatusCode, answer)
			}
			if before != after {
				t.Errorf("%s: status %d, and the database changed from %+v to %+v", op.path, resp.StatusCode, before, after)
			}
		} else if op.path == "/v1/documents" {
			var w api.DocumentsWritten
			if err := json.Unmarshal(answer, &w); err != nil || w.Added+w.Changed != after.Revision-before.Revision {
				t.Errorf("revision %d became %d with %s", before.Revision, after.Revision, answer)
			}
		}
		if z.log.count(slog.LevelError, "") > 0 {
			t.Errorf("%s: the log has errors:\n%s", op.path, z.log)
		}
	})
}

// post sends a body, and reads the answer.
func (z *fuzzed) post(t *testing.T, path, mediaType string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, z.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: no answer: %v\n%s", path, err, z.log)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: the answer ends too early: %v\n%s", path, err, z.log)
	}
	return resp, answer
}
