package web_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/web"
)

// page returns the page for a status and a number of documents, which were
// backed up.
func page(t *testing.T, st api.Status, documents int64) *httptest.ResponseRecorder {
	t.Helper()
	made := time.Date(2026, 11, 23, 7, 25, 41, 0, time.Local)
	return pageOf(t, web.Config{
		Status: func() api.Status { return st },
		Stats:  func() cairn.Stats { return cairn.Stats{Documents: documents} },
		Last: func(context.Context) (cairn.Base, int64, bool, error) {
			return cairn.Base{Created: made}, 0, true, nil
		},
		Cloud: func(context.Context) cairn.CloudStatus {
			return cairn.CloudStatus{URL: "file:///backups", State: cairn.CloudReady}
		},
	})
}

func pageOf(t *testing.T, cfg web.Config) *httptest.ResponseRecorder {
	t.Helper()
	h, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	return w
}

// element returns what stands in the element with the id.
func element(t *testing.T, html, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(html, ` id="`+id+`">`)
	if !ok {
		t.Fatalf("the page has no element %s:\n%s", id, html)
	}
	text, _, _ := strings.Cut(rest, "<")
	return text
}

func TestPage(t *testing.T) {
	st := api.Status{Version: "1.2.3", Data: "/home/ada/.local/share/cairn", URLs: []string{"http://127.0.0.1:1000", "http://127.0.0.1:39300"}}
	for documents, next := range map[int64]string{0: "cairn import files DIR", 1: "cairn assets list", 123456: "cairn assets list"} {
		w := page(t, st, documents)
		html := w.Body.String()
		for id, want := range map[string]string{
			"version":   st.Version,
			"data":      st.Data,
			"documents": map[int64]string{0: "0", 1: "1", 123456: "123456"}[documents],
			"next":      next,
		} {
			if got := element(t, html, id); got != want {
				t.Errorf("of %d documents: %s is %q, want %q", documents, id, got, want)
			}
		}
		if !strings.Contains(html, "http://127.0.0.1:1000, http://127.0.0.1:39300<") {
			t.Errorf("the addresses are not in the page:\n%s", html)
		}
	}
}

// TestBackups shows the states of backups.
func TestBackups(t *testing.T) {
	const restore = "cairn backup list\ncairn backup restore ID"
	made := time.Date(2026, 11, 23, 7, 25, 41, 0, time.Local)
	for _, c := range []struct {
		name                string
		documents, changes  int64
		ok                  bool
		cloud               cairn.CloudStatus
		backup, place, next string
	}{
		{"none", 3, 0, false, cairn.CloudStatus{URL: "file:///data/cloud", Local: true}, "none yet", "file:///data/cloud (on this computer only)", "cairn backup create"},
		{"fresh", 3, 0, true, cairn.CloudStatus{URL: "file:///b"}, "2026-11-23 07:25:41, nothing has changed since", "file:///b", "cairn assets list"},
		{"one", 3, 1, true, cairn.CloudStatus{URL: "file:///b"}, "2026-11-23 07:25:41, 1 document has changed since", "file:///b", "cairn assets list"},
		{"elsewhere", 3, 0, false, cairn.CloudStatus{URL: "file:///b", Backups: 1}, "none of this database", "file:///b, 1 backup", "cairn backup create"},
		{"lost", 0, 0, false, cairn.CloudStatus{URL: "file:///b", Backups: 2}, "none of this database", "file:///b, 2 backups", restore},
		{"emptied", 0, 3, true, cairn.CloudStatus{URL: "file:///b", Backups: 2}, "2026-11-23 07:25:41, 3 documents have changed since", "file:///b, 2 backups", restore},
		{"locked", 3, 12, true, cairn.CloudStatus{URL: "file:///b", State: cairn.CloudLocked, Problem: &cairn.Error{Message: "Its key is missing.", Hint: "Bring it."}},
			"2026-11-23 07:25:41, 12 documents have changed since", "file:///b: Its key is missing. Bring it.", "cairn assets list"},
	} {
		html := pageOf(t, web.Config{
			Status: func() api.Status { return api.Status{} },
			Stats:  func() cairn.Stats { return cairn.Stats{Documents: c.documents} },
			Last: func(context.Context) (cairn.Base, int64, bool, error) {
				return cairn.Base{Created: made}, c.changes, c.ok, nil
			},
			Cloud: func(context.Context) cairn.CloudStatus { return c.cloud },
		}).Body.String()
		for id, want := range map[string]string{"backup": c.backup, "cloud": c.place, "next": c.next} {
			if got := element(t, html, id); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, id, got, want)
			}
		}
	}
}

func TestHeader(t *testing.T) {
	header := page(t, api.Status{}, 0).Header()
	if got := header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type is %q", got)
	}
	if got := header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy is %q", got)
	}
	policy := map[string]bool{}
	for part := range strings.SplitSeq(header.Get("Content-Security-Policy"), "; ") {
		policy[part] = true
	}
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !policy[want] {
			t.Errorf("the policy %v lacks %s", policy, want)
		}
	}
	for part := range policy {
		if strings.HasPrefix(part, "script-src") {
			t.Errorf("the policy allows scripts: %s", part)
		}
	}
}

// TestHostileNames shows names that are markup.
func TestHostileNames(t *testing.T) {
	for _, hostile := range []string{
		`/data/<script>alert(1)</script>`,
		`/data/"onmouseover="alert(1)`,
		`/data/'><img src=x onerror=alert(1)>`,
		`/data/</dd></dl><h1>hi</h1>`,
		`/data/&lt;b&gt;&amp;`,
		"/data/\x00\xff\u2028",
		`/data/{{.Stats}}`,
		`javascript:alert(1)`,
	} {
		plain := page(t, api.Status{Version: "v", Data: "d", URLs: []string{"u"}}, 1).Body.String()
		html := page(t, api.Status{Version: hostile, Data: hostile, URLs: []string{hostile, hostile}}, 1).Body.String()
		for _, mark := range []string{"<", ">", `"`, "'"} {
			if got, want := strings.Count(html, mark), strings.Count(plain, mark); got != want {
				t.Errorf("with %q the page has %d %s instead of %d", hostile, got, mark, want)
			}
		}
		if strings.Contains(hostile, "&") && !strings.Contains(html, "&amp;lt;b&amp;gt;&amp;amp;") {
			t.Errorf("%q is not shown as it is", hostile)
		}
	}
}
