package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"cairn"
)

// TestIDs puts ids that are none into each path that has one.
func TestIDs(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	routes := []struct{ method, before, after string }{
		{"GET", "/asset/", ""},
		{"GET", "/assets/", ""},
		{"POST", "/assets/", "/delete"},
		{"GET", "/format/", ""},
		{"GET", "/v1/documents/assets/", ""},
		{"GET", "/v1/documents/", "/one"},
	}
	for id, code := range map[string]cairn.Code{
		// These are names, if of nothing.
		"unknown":                              cairn.CodeGone,
		"a%2Fb":                                cairn.CodeGone,
		"..%2Fone":                             cairn.CodeGone,
		"%2e%2e%2fone":                         cairn.CodeGone,
		"one%2F..":                             cairn.CodeGone,
		"a%2F%2Fb":                             cairn.CodeGone,
		"%00":                                  cairn.CodeGone,
		"one%00":                               cairn.CodeGone,
		"%C3%A9":                               cairn.CodeGone,
		"\u00e9":                               cairn.CodeGone,
		"%FF%FE":                               cairn.CodeGone,
		"%0D%0ASet-Cookie:%20a":                cairn.CodeGone,
		"%20":                                  cairn.CodeGone,
		"%25":                                  cairn.CodeGone,
		"...":                                  cairn.CodeGone,
		"one;x=1":                              cairn.CodeGone,
		"'%20OR%20'1'='1":                      cairn.CodeGone,
		"ONE":                                  cairn.CodeGone,
		strings.Repeat("a", 1000):              cairn.CodeGone,
		strings.Repeat("%F0%9F%98%80", 300):    cairn.CodeGone,
		"00000000-0000-0000-0000-000000000000": cairn.CodeGone,
		// These are no names, or more than one.
		"":           cairn.CodeNotFound,
		".":          cairn.CodeNotFound,
		"..":         cairn.CodeNotFound,
		"%2e":        cairn.CodeNotFound,
		"%2E%2e":     cairn.CodeNotFound,
		".%2e":       cairn.CodeNotFound,
		"/":          cairn.CodeNotFound,
		"%2F":        cairn.CodeNotFound,
		"/one":       cairn.CodeNotFound,
		"one/":       cairn.CodeNotFound,
		"one//":      cairn.CodeNotFound,
		"a/b/c/d":    cairn.CodeNotFound,
		"../one":     cairn.CodeNotFound,
		"./one":      cairn.CodeNotFound,
		"one/..":     cairn.CodeNotFound,
		"one/../one": cairn.CodeNotFound,
	} {
		for _, route := range routes {
			path := route.before + id + route.after
			d.unchanged(func() {
				a := d.raw(route.method, path, route.method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
				d.refused(route.method+" "+path, a, code, "")
				if len(a.problem.Detail) > 500 {
					t.Errorf("%.50s: the detail has %d bytes", path, len(a.problem.Detail))
				}
			})
		}
	}
}

// TestUnknownIDs names documents that are not there in bodies.
func TestUnknownIDs(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	for _, id := range []string{"unknown", "..", "", "a/b", `\u0000`, `\ud800`, strings.Repeat("a", 1000), "é"} {
		d.unchanged(func() {
			d.refused("update", d.post("/asset/update", `{"id":"`+id+`","name":"x"}`), cairn.CodeGone, "There is no document")
			d.refused("format", d.post("/format/update/value", `{"id":"`+id+`","fragment":{}}`), cairn.CodeGone, "There is no format")
		})
	}
	for _, id := range []string{"null", "1", "{}", "true", `["one"]`} {
		d.unchanged(func() {
			d.refused("update", d.post("/asset/update", `{"id":`+id+`,"name":"x"}`), cairn.CodeInvalid, "names no asset: it has no id")
			d.refused("format", d.post("/format/update/value", `{"id":`+id+`}`), cairn.CodeInvalid, "names no format: it has no id")
		})
	}
}

// TestRoutes holds the routes to the specification in both directions: each
// path of it is served, and takes the methods that it has there and no others.
func TestRoutes(t *testing.T) {
	d, f := startCloud(t)
	for _, kind := range []cairn.JobKind{cairn.Creation, cairn.Restoration} { // or their statuses are 404
		f.jobs = append(f.jobs, cairn.Job{ID: "j", Kind: kind, Backup: cairn.Backup{ID: "x"}, Status: cairn.JobInitialized})
	}
	for template, item := range specification().Paths.Map() {
		path := strings.NewReplacer("{id}", "x", "{collection}", "c", "{backup}", "x").Replace(template)
		var want []string
		for method := range item.Operations() {
			want = append(want, method)
			if method == "GET" && item.Head == nil {
				want = append(want, "HEAD")
			}
		}
		slices.Sort(want)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
			a := d.raw(method, path, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
			if slices.Contains(want, method) {
				if a.status == 404 || a.status == 405 {
					t.Errorf("%s %s: status %d for a route of the specification", method, path, a.status)
				}
				continue
			}
			got := strings.Split(a.header.Get("Allow"), ", ")
			slices.Sort(got)
			if a.status != 405 || !slices.Equal(got, want) {
				t.Errorf("%s %s: status %d, Allow %q, want 405 and %q", method, path, a.status, got, want)
			}
			if method != "HEAD" {
				d.refused(method+" "+path, a, cairn.CodeNotAllowed, "does not take "+method)
			}
		}
	}
}

// TestUnknownPaths asks for what is not there.
func TestUnknownPaths(t *testing.T) {
	d := start(t)
	for _, path := range []string{
		"//", "/.", "/..", "/index.html", "/favicon.ico", "//assets", "/assets/", "/assets//", "/assets/../user", "/./assets",
		"/%2e%2e/assets", "/assets%2Fidentifiers", "/ASSETS", "/assets/identifiers/", "/v1", "/v1/", "/v1/documents/",
		"/v1/documents/assets", "/v1/documents/a/b/c", "/backups/x", "/asset", "/format", "/user/", "/.well-known",
		"/.well-known/health/", "/%2F", "/assets/x/y",
	} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			d.unchanged(func() {
				a := d.raw(method, path, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
				if method == "HEAD" && a.status == 404 {
					return
				}
				d.refused(method+" "+path, a, cairn.CodeNotFound, "There is nothing at")
			})
		}
	}
	// The original API has these, where one could see an id.
	for _, path := range []string{
		"/assets/draft", "/assets/recommended", "/assets/related", "/assets/pseudo", "/assets/search", "/assets/stream",
		"/assets/%73earch", "/asset/reclassify", "/format/reclassify",
	} {
		d.refused(path, d.get(path), cairn.CodeNotFound, "There is nothing at")
		a := d.do("POST", path, "", "")
		if a.status != 404 {
			t.Errorf("POST %s: status %d, want 404", path, a.status)
		}
	}
}

// TestQueries sends parameters that are none, to routes that would otherwise
// answer or change something.
func TestQueries(t *testing.T) {
	d := start(t)
	d.store(snippet("one", "format", "text"))
	type query struct{ text, cause string }
	flags := []query{
		{"transferables=maybe", `transferables is "maybe"`},
		{"transferables=-1", `transferables is "-1"`},
		{"transferables=true&transferables=true", "transferables comes 2 times"},
		{"transferables=true&transferables=false", "transferables comes 2 times"},
		{"transferables=%zz", "cannot be read"},
		{"a=1;transferables=false", "cannot be read"},
	}
	for _, route := range []struct{ method, path string }{
		{"GET", "/assets"}, {"GET", "/assets/one"}, {"GET", "/asset/one"}, {"GET", "/format/format"},
		{"POST", "/assets/create"}, {"POST", "/asset/update"}, {"POST", "/format/update/value"},
	} {
		for _, q := range flags {
			d.unchanged(func() {
				a := d.do(route.method, route.path+"?"+q.text, "application/json", objectRoutes[route.path])
				d.refused(route.path+"?"+q.text, a, cairn.CodeInvalid, q.cause)
			})
		}
	}
	d.refused("transferable", d.get("/format/format?transferable=x"), cairn.CodeInvalid, `transferable is "x"`)
	for _, q := range []query{
		{"after=-1", `after is "-1"`},
		{"after=x", `after is "x"`},
		{"after=1.5", `after is "1.5"`},
		{"after=9223372036854775808", "after is"},
		{"after=0&after=1", "after comes 2 times"},
		{"after=%", "cannot be read"},
		{"collection=Assets", `"Assets" is not a collection name`},
		{"collection=..%2F", "is not a collection name"},
		{"collection=assets&collection=tags", "collection comes 2 times"},
		{"collection=" + strings.Repeat("a", 65), "is not a collection name"},
	} {
		d.refused(q.text, d.get("/v1/documents?"+q.text), cairn.CodeInvalid, q.cause)
	}
	for _, path := range []string{
		"/assets?transferables=", "/assets?transferables=TRUE&unknown=1&unknown=2", "/assets?transferables=0", "/v1/documents?after=&collection=",
		"/v1/documents?after=9223372036854775807",
	} {
		d.ok(d.get(path))
	}
}
