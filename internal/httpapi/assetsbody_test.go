package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/httpapi"
	"cairn/internal/rawjson"
)

// startSpool starts a daemon with a cloud, whose spool must be empty at its end.
func startSpool(t *testing.T, changes ...func(*httpapi.Config)) (*daemon, *fakeCloud, string) {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { // after the daemon's own, and with it all handlers
		if left := spooled(t, dir); len(left) > 0 {
			t.Errorf("files are left in the spool: %q", left)
		}
	})
	d, f := startCloud(t, append(changes, func(c *httpapi.Config) { c.Spool = dir })...)
	t.Cleanup(d.server.Wait)
	return d, f, dir
}

// spooled returns the paths of the files in the spool.
func spooled(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestBackUpAssets backs up assets as they are sent: compacted, nothing else.
func TestBackUpAssets(t *testing.T) {
	d, f, dir := startSpool(t)
	f.working = func(context.Context, string) error {
		for _, path := range spooled(t, dir) {
			info, err := os.Stat(path)
			if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 || !strings.HasSuffix(path, durable.TempSuffix) {
				t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
			}
		}
		return nil
	}
	var wide strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&wide, `{"id":"w%d","é€😀":"é€😀"},`, i)
	}
	exact := `{"z":1,"id":"exact","n":[1.0,1e2,-0,12345678901234567890,1e999],"s":"\u0041\/\ud800<>&` + "\u2028" + `","z":2}`
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"one":                {`{"iterable":[{"id":"a"}]}`, []string{`{"id":"a"}`}},
		"exact text":         {` { "iterable" : [ ` + exact + ` , {"id":"b"} ] } `, []string{exact, `{"id":"b"}`}},
		"white space":        {"{\"iterable\":[{\n\t\"id\" : \"a\" , \"x\" : [ 1 , { } ] }]}", []string{`{"id":"a","x":[1,{}]}`}},
		"other members":      {`{"schema":null,"indices":{"a":0},"iterable":[{"id":"a"}],"score":{"manual":1},"iterables":[1]}`, []string{`{"id":"a"}`}},
		"a name in escapes":  {`{"\u0069terable":[{"\u0069d":"\u0061"}]}`, []string{`{"\u0069d":"\u0061"}`}},
		"ids of one kind":    {`{"iterable":[{"id":"a"},{"id":"A"},{"id":"a.b"}]}`, []string{`{"id":"a"}`, `{"id":"A"}`, `{"id":"a.b"}`}},
		"as deep as allowed": {`{"iterable":[{"id":"a","x":` + strings.Repeat("[", 8_999) + strings.Repeat("]", 8_999) + `}]}`, []string{`{"id":"a","x":` + strings.Repeat("[", 8_999) + strings.Repeat("]", 8_999) + `}`}},
		"many characters":    {`{"iterable":[` + strings.TrimSuffix(wide.String(), ",") + `]}`, strings.SplitAfter(strings.ReplaceAll(wide.String(), "},", "}\n"), "\n")[:2000]},
	} {
		for shift := range 4 { // each character across the pieces in which it comes
			a := d.post("/backup", strings.Repeat(" ", shift)+test.body)
			answered(t, name, a, 204, "")
			var got []string
			for _, doc := range f.given {
				if id, _ := rawjson.Text(rawjson.Get(doc.JSON, "id")); doc.Collection != cairn.CollectionAssets || id != doc.ID {
					t.Errorf("%s: %s/%s holds %.100s", name, doc.Collection, doc.ID, doc.JSON)
				}
				got = append(got, string(doc.JSON))
			}
			for i := range test.want {
				test.want[i] = strings.TrimSpace(test.want[i])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%.500s", name, diff)
			}
		}
	}
	answered(t, "an asset", d.post("/backup/asset", " { \"x\" : 1.0 , \"id\" : \"a\" }"), 204, "")
	want := []cairn.Document{{Collection: "assets", ID: "a", JSON: []byte(`{"x":1.0,"id":"a"}`)}}
	if diff := cmp.Diff(want, f.given); diff != "" {
		t.Errorf("one asset: (-want +got)\n%s", diff)
	}
}

// TestBackUpAllAssets backs up what is here: assets, as they are stored.
func TestBackUpAllAssets(t *testing.T) {
	d, f, _ := startSpool(t)
	docs := []cairn.Document{snippet("one", "format", "text"), document("tags", "t", `{}`), snippet("two", "other", "text")}
	d.store(docs...)
	for _, body := range []string{"", "null", "{}", " {\n} "} {
		answered(t, body, d.post("/backup", body), 204, "")
		var got []string
		for _, doc := range f.given {
			got = append(got, doc.ID+string(doc.JSON))
		}
		if diff := cmp.Diff([]string{"one" + string(docs[0].JSON), "two" + string(docs[2].JSON)}, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", body, diff)
		}
	}
	// The database fails while it is read.
	d, _, _ = startSpool(t, func(c *httpapi.Config) {
		c.Documents = &failingDocuments{Documents: c.Documents, docs: 5, err: errSecret}
	})
	d.refused("all", d.post("/backup", ""), cairn.CodeInternal, "The daemon failed")
}

// TestReaderLeaves has a client go away whose backup is of all assets here: they
// are read all the same.
func TestReaderLeaves(t *testing.T) {
	d, f, _ := startSpool(t)
	d.store(snippet("one", "format", "text"), snippet("two", "other", "text"))
	ctx, cancel := context.WithCancel(t.Context())
	f.working = func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, "POST", d.url+"/backup", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.http.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	d.server.Wait()
	if len(f.given) != 2 {
		t.Errorf("%d assets were read, want 2", len(f.given))
	}
}

// TestBadAssets sends lists with one fault each: nothing is made of them.
func TestBadAssets(t *testing.T) {
	d, f, _ := startSpool(t)
	deep := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	for _, test := range []struct {
		name, body string
		code       cairn.Code
		cause      string
	}{
		{"no iterable", `{"schema":null}`, cairn.CodeInvalid, "has no iterable"},
		{"iterable is null", `{"iterable":null}`, cairn.CodeInvalid, "is not a list"},
		{"iterable is an object", `{"iterable":{"id":"a"}}`, cairn.CodeInvalid, "is not a list"},
		{"iterable is a string", `{"iterable":"a"}`, cairn.CodeInvalid, "is not a list"},
		{"iterable is empty", `{"iterable":[]}`, cairn.CodeInvalid, "has no assets"},
		{"iterable twice", `{"iterable":[{"id":"a"}],"iterable":[{"id":"b"}]}`, cairn.CodeInvalid, "has iterable twice"},
		{"iterable twice and empty", `{"iterable":[],"\u0069terable":[{"id":"b"}]}`, cairn.CodeInvalid, "has iterable twice"},
		{"an asset without id", `{"iterable":[{"id":"a"},{"name":"b"}]}`, cairn.CodeInvalid, "Asset 2 of the body is not an asset with an id"},
		{"an asset whose id is null", `{"iterable":[{"id":null}]}`, cairn.CodeInvalid, "Asset 1 of the body"},
		{"an asset whose id is a number", `{"iterable":[{"id":7}]}`, cairn.CodeInvalid, "Asset 1 of the body"},
		{"no asset but null", `{"iterable":[null]}`, cairn.CodeInvalid, "Asset 1 of the body"},
		{"no asset but a list", `{"iterable":[["id","a"]]}`, cairn.CodeInvalid, "Asset 1 of the body"},
		{"no asset but an id", `{"iterable":["a"]}`, cairn.CodeInvalid, "Asset 1 of the body"},
		{"an id that is none", `{"iterable":[{"id":"a/b"}]}`, cairn.CodeInvalid, `"a/b" is not an id`},
		{"an empty id", `{"iterable":[{"id":""}]}`, cairn.CodeInvalid, "is not an id"},
		{"a half surrogate", `{"iterable":[{"id":"\ud800"}]}`, cairn.CodeInvalid, "is not an id"},
		{"an asset twice", `{"iterable":[{"id":"a"},{"id":"b"},{"id":"\u0061"}]}`, cairn.CodeInvalid, `"a" comes twice`},
		{"too deep", `{"iterable":[{"id":"a","x":` + deep + `}]}`, cairn.CodeInvalid, "nested deeper than 9000"},
		{"broken in an asset", `{"iterable":[{"id":"a","x":01}]}`, cairn.CodeInvalid, "not JSON"},
		{"a control character", "{\"iterable\":[{\"id\":\"a\",\"x\":\"\n\"}]}", cairn.CodeInvalid, "not JSON"},
		{"no comma", `{"iterable":[{"id":"a"} {"id":"b"}]}`, cairn.CodeInvalid, "not JSON"},
		{"a comma too many", `{"iterable":[{"id":"a"},]}`, cairn.CodeInvalid, "not JSON"},
		{"broken behind it", `{"iterable":[{"id":"a"}],}`, cairn.CodeInvalid, "not JSON"},
		{"broken beside it", `{"iterable":[{"id":"a"}],"score":{"a"}}`, cairn.CodeInvalid, "not JSON"},
		{"no closing brace", `{"iterable":[{"id":"a"}]`, cairn.CodeInvalid, "the text ends too early"},
		{"no closing bracket", `{"iterable":[{"id":"a"}`, cairn.CodeInvalid, "the text ends too early"},
		{"cut in an asset", `{"iterable":[{"id":"a"`, cairn.CodeInvalid, "the text ends too early"},
		{"cut in a name", `{"iter`, cairn.CodeInvalid, "the text ends too early"},
		{"something behind", `{"iterable":[{"id":"a"}]}{}`, cairn.CodeInvalid, "something follows the value"},
		{"bad UTF-8", "{\"iterable\":[{\"id\":\"a\",\"x\":\"\xff\"}]}", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 28"},
		{"bad UTF-8 beside it", "{\"\xed\xa0\x80\":1,\"iterable\":[{\"id\":\"a\"}]}", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 2"},
		{"bad UTF-8 behind it", "{\"iterable\":[{\"id\":\"a\"}]} \xff", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 26"},
		{"UTF-8 cut behind it", "{\"iterable\":[{\"id\":\"a\"}]}\xf0\x9f", cairn.CodeInvalid, "The body is not"},
		{"bad UTF-8 far away", `{"iterable":[{"id":"a","x":"` + strings.Repeat("é", 40_000) + "\xc3\"}]}", cairn.CodeInvalid, "not UTF-8 text: the fault is at byte 80028"},
		{"an asset over the bound", `{"iterable":[{"id":"a","x":"` + strings.Repeat("x", 33<<20) + `"}]}`, cairn.CodeTooLarge, "bytes of compacted JSON"},
		{"an asset without an end", `{"iterable":[{"id":"a"},{"id":"b","x":"` + strings.Repeat("x", 41<<20), cairn.CodeTooLarge, "Asset 2 of the body is larger than 40 MiB"},
		{"white space without an end", `{"iterable":[{"id":"a"},` + strings.Repeat(" ", 41<<20), cairn.CodeTooLarge, "larger than 40 MiB"},
	} {
		d.unchanged(func() { d.refused(test.name, d.post("/backup", test.body), test.code, test.cause) })
		if calls := f.called(); len(calls) > 0 {
			t.Errorf("%s: asked for %q", test.name, calls)
		}
	}
	for n := range len(`{"iterable":[{"id":"a"}]}`) - 1 { // every beginning
		d.refused("cut", d.post("/backup", `{"iterable":[{"id":"a"}]}`[:n+1]), cairn.CodeInvalid, "the text ends too early")
	}
}

// TestUploadsEnd has clients stop, stall and hang up in the middle of a list.
func TestUploadsEnd(t *testing.T) {
	d, f, dir := startSpool(t, func(c *httpapi.Config) { c.ReadStall = patience / 100 })
	part := `{"iterable":[{"id":"a","x":"` + strings.Repeat("x", 200<<10) + `"},{"id":"b"`
	const head = "POST /backup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"
	for i := range 12 {
		c := d.dial()
		if _, err := io.WriteString(c, head+part[:len(part)*i/12]); err != nil {
			t.Fatal(err)
		}
		code, cause := cairn.CodeTimeout, "Nothing of the body came for"
		switch i % 3 {
		case 0:
			c.Close()
			continue
		case 1:
			code, cause = cairn.CodeInvalid, "could not be read to its end"
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		a, err := c.answer("POST", "/backup")
		if err != nil {
			t.Fatal(err)
		}
		d.refused("the end", a, code, cause)
	}
	d.server.Wait()
	if left := spooled(t, dir); len(left) > 0 {
		t.Errorf("files are left: %q", left)
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("asked for %q", calls)
	}
}

// TestNoSpool has no folder for large bodies.
func TestNoSpool(t *testing.T) {
	d, f := startCloud(t, func(c *httpapi.Config) { c.Spool = filepath.Join(t.TempDir(), "gone") })
	d.refused("no folder", d.post("/backup", `{"iterable":[{"id":"a"}]}`), cairn.CodeInternal, "Nothing was backed up.")
	d.wantErrors = 1
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("asked for %q", calls)
	}
	answered(t, "all assets need none", d.post("/backup", ""), 204, "")
}
