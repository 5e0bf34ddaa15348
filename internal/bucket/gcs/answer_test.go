package gcs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/gcs"
	"cairn/test/emulator"
)

// standIn opens a bucket of what answers as handle has it.
func standIn(t *testing.T, handle http.HandlerFunc) *gcs.Bucket {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return open(t, server.URL)
}

// open opens a bucket at an endpoint, with what credentials there are.
func open(t *testing.T, endpoint string) *gcs.Bucket {
	t.Helper()
	b, err := gcs.OpenImpatient(t.Context(), gcs.Location{Bucket: "bucket", Endpoint: endpoint}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAnswers has a store refuse all calls.
func TestAnswers(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	page := http.Header{"Content-Type": {"text/html"}}
	for _, c := range []struct {
		status int
		reason string // "" for an answer that is a page
		header http.Header
		want   error
	}{
		{status: 400, reason: "invalid", want: bucket.ErrRejected},
		{status: 400, reason: "required", want: bucket.ErrRejected},
		{status: 401, reason: "authError", want: bucket.ErrSecret},
		{status: 401, reason: "required", want: bucket.ErrSecret},
		{status: 403, reason: "forbidden", want: bucket.ErrRefused},
		{status: 403, reason: "insufficientPermissions", want: bucket.ErrRefused},
		{status: 403, reason: "accountDisabled", want: bucket.ErrRefused},
		{status: 403, reason: "quotaExceeded", want: bucket.ErrFull},
		{status: 403, reason: "rateLimitExceeded", want: bucket.ErrBusy},
		{status: 404, reason: "notFound", want: bucket.ErrMissing},
		{status: 408, reason: "uploadBrokenConnection", want: bucket.ErrUnreachable},
		{status: 409, reason: "conflict", want: bucket.ErrBusy},
		{status: 412, reason: "orgPolicyConstraintFailed", want: bucket.ErrRefused},
		{status: 412, reason: "other", want: bucket.ErrRejected},
		{status: 429, reason: "rateLimitExceeded", want: bucket.ErrBusy, header: http.Header{"Retry-After": {"7"}}},
		{status: 500, reason: "internalError", want: bucket.ErrBusy},
		{status: 503, reason: "backendError", want: bucket.ErrBusy},
		{status: 501, reason: "notImplemented", want: bucket.ErrRejected},
		{status: 502, header: page, want: bucket.ErrBusy},
		{status: 404, header: page, want: bucket.ErrNotStore},
		{status: 403, header: page, want: bucket.ErrNotStore},
		{status: 412, header: page, want: bucket.ErrNotStore},
		{status: 302, header: http.Header{"Location": {"http://127.0.0.1:1/sign-in"}}, want: bucket.ErrNotStore},
		{status: 200, header: page, want: bucket.ErrNotStore},
		{status: 206, header: http.Header{"X-Goog-Generation": {"1"}, "Content-Type": {"application/octet-stream"}, "Content-Length": {"6"}}, want: bucket.ErrNotStore},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.reason), func(t *testing.T) {
			b := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), c.header)
				if c.reason == "" {
					w.WriteHeader(c.status)
					fmt.Fprint(w, "<html>")
					return
				}
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `{"error": {"code": %d, "message": "because", "errors": [{"reason": %q}]}}`, c.status, c.reason)
			})
			for name, call := range buckettest.Calls() {
				err := call(t.Context(), b)
				answer, ok := errors.AsType[*bucket.Answer](err)
				if !errors.Is(err, c.want) || !ok || answer.Class != c.want || answer.Said == "" {
					t.Errorf("%s: %v, want %v and what the store said", name, err, c.want)
				} else if waits := len(c.header["Retry-After"]) > 0; waits != (answer.After == 7*time.Second) {
					t.Errorf("%s: the store wants to be left alone for %v", name, answer.After)
				}
				if c.want == bucket.ErrRejected && ok && !strings.Contains(answer.Said, "because") {
					t.Errorf("%s: the store said %q, want its reason", name, answer.Said)
				}
			}
		})
	}
}

// TestWhich has a store say that something is not there, and not what.
func TestWhich(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	for name, c := range map[string]struct {
		list, want error // nil for a list
	}{
		"the object": {nil, bucket.ErrNotFound}, "who may not list": {bucket.ErrRefused, bucket.ErrNotFound}, "the store is busy": {bucket.ErrBusy, bucket.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			statuses := map[error]int{bucket.ErrRefused: http.StatusForbidden, bucket.ErrBusy: http.StatusServiceUnavailable}
			b := standIn(t, func(w http.ResponseWriter, r *http.Request) {
				status := http.StatusNotFound
				if strings.HasSuffix(r.URL.Path, "/o") {
					if status = statuses[c.list]; status == 0 {
						fmt.Fprint(w, `{"kind": "storage#objects"}`)
						return
					}
				}
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"error": {"code": %d, "message": "Not Found"}}`, status)
			})
			_, headErr := b.Head(t.Context(), "name")
			_, getErr := b.Get(t.Context(), "name")
			if !errors.Is(headErr, c.want) || !errors.Is(getErr, c.want) {
				t.Errorf("Head: %v, Get: %v, want %v", headErr, getErr, c.want)
			}
		})
	}
}

// TestWords has a store refuse downloads, and all else, in words that it calls a page,
// as the servers for what is stored do.
func TestWords(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	for _, c := range []struct {
		status        int
		text          string
		marked        bool // with the header of these servers
		get, anything error
	}{
		{404, "No such object: bucket/name", true, bucket.ErrNotFound, nil},
		{404, "No such object: bucket/name", false, bucket.ErrNotFound, nil},
		{404, "The specified bucket does not exist.", true, bucket.ErrMissing, nil},
		{401, "Anonymous caller does not have storage.objects.get access", true, bucket.ErrSecret, bucket.ErrSecret},
		{403, "cairn@project does not have storage.objects.get access", true, bucket.ErrRefused, bucket.ErrRefused},
		{403, "cairn@project does not have storage.objects.get access", false, bucket.ErrNotStore, bucket.ErrNotStore}, // anyone can say so
		{200, "<html>", true, bucket.ErrNotStore, bucket.ErrNotStore},
		{302, "<html>", true, bucket.ErrNotStore, bucket.ErrNotStore},
	} {
		b := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			if c.marked {
				w.Header().Set("X-GUploader-UploadID", "1")
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.text)
		})
		for name, call := range buckettest.Calls() {
			want := c.anything
			if name == "Get" {
				want = c.get
			}
			if err := call(t.Context(), b); want != nil && !errors.Is(err, want) {
				t.Errorf("%s after %d %q, %t: %v, want %v", name, c.status, c.text, c.marked, err, want)
			}
		}
	}
}

// TestLists has what says that it lists, and does not.
func TestLists(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	for answer, want := range map[string]error{
		`{"kind": "storage#objects"}`:                       nil,
		`{"kind": "storage#objects", "nextPageToken": "a"}`: bucket.ErrRejected, // again and again
		`{}`: bucket.ErrNotStore,
		`{"kind": "storage#objects", "items": [{}]}`:                                                   bucket.ErrNotStore,
		`{"kind": "storage#objects", "items": [` + strings.Replace(item("a"), `"1"`, `"-1"`, 1) + `]}`: bucket.ErrNotStore,
		`{"kind": "storage#objects", "items": [` + item("b") + `, ` + item("a") + `]}`:                 bucket.ErrRejected,
	} {
		b := standIn(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
		if err := buckettest.Calls()["List"](t.Context(), b); !errors.Is(err, want) {
			t.Errorf("List of %s: %v, want %v", answer, err, want)
		}
	}
}

// TestDamaged has answers break off, and lack what they must tell.
func TestDamaged(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	at := func(endpoint string) bucket.Bucket { return open(t, endpoint) }
	buckettest.CutAnswers(t, at, map[string]string{"X-Goog-Generation": "1"}, `{"kind": "storage#objects", "items": [`+item("a")+`]}`)
	buckettest.Untold(t, at, "Get", map[string]string{"X-Goog-Generation": "1"})
	whole := map[string]any{"kind": "storage#object", "name": "name", "size": "7", "updated": "2026-11-26T07:00:00Z"}
	for field := range whole {
		for _, wrong := range []any{nil, "", 7} {
			resource := maps.Clone(whole)
			resource[field] = wrong
			b := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
				if err := json.NewEncoder(w).Encode(resource); err != nil {
					t.Error(err)
				}
			})
			for _, call := range []string{"Head", "Put"} {
				if err := buckettest.Calls()[call](t.Context(), b); !errors.Is(err, bucket.ErrNotStore) {
					t.Errorf("%s with the %s %v: %v, want ErrNotStore", call, field, wrong, err)
				}
			}
		}
	}
}

// item is an entry of a list.
func item(name string) string {
	return fmt.Sprintf(`{"name": %q, "size": "1", "updated": "2026-11-26T07:00:00Z"}`, name)
}

// TestWrongStored has a store say that it stored something else.
func TestWrongStored(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	b := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"kind": "storage#object", "name": "name", "size": "3", "updated": "2026-11-26T07:00:00Z"}`)
	})
	if err := buckettest.Calls()["Put"](t.Context(), b); !errors.Is(err, bucket.ErrNotStore) {
		t.Errorf("Put: %v, want ErrNotStore", err)
	}
}

// TestTokens has whoever gives out tokens refuse to.
func TestTokens(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{400, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`, bucket.ErrSecret},
		{400, `{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}`, bucket.ErrKey},
		{400, `{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}`, bucket.ErrExpired},
		{400, `{"error": "invalid_grant", "error_subtype": "invalid_rapt"}`, bucket.ErrExpired},
		{400, `{"error": "invalid_grant", "error_description": "Invalid JWT: ... Check your iat and exp values in the JWT claim."}`, bucket.ErrClock},
		{503, ``, bucket.ErrBusy},
		{403, `<html>`, bucket.ErrNotStore},
		{200, `<html>`, bucket.ErrNotStore},
		{200, `{}`, bucket.ErrNoCredentials},
		{200, `{`, bucket.ErrNoCredentials},
		{-1, ``, bucket.ErrUnreachable}, // it breaks off
		{0, ``, bucket.ErrUnreachable},  // it does not answer
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.status <= 0 {
				if c.status < 0 {
					w.Header().Set("Content-Length", "1000")
					_ = http.NewResponseController(w).Flush()
				}
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		t.Cleanup(server.Close)
		credentials(t, server.URL)
		_, err := open(t, server.URL).Head(t.Context(), "name")
		if _, ok := errors.AsType[*bucket.Answer](err); !errors.Is(err, c.want) || !ok {
			t.Errorf("%d %s: %v, want %v", c.status, c.body, err, c.want)
		}
	}
}

// TestTokenWaits has nobody give out tokens: whoever does not want to wait any more
// does not, and the next call finds the one that has come meanwhile.
func TestTokenWaits(t *testing.T) {
	s := emulator.GCS(t)
	asked, give := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{} // there is room for one
		<-give
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token": "token", "token_type": "Bearer", "expires_in": 3600}`)
	}))
	t.Cleanup(server.Close)
	credentials(t, server.URL)
	b, err := gcs.Open(t.Context(), gcs.Location{Bucket: "bucket", Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- buckettest.Calls()["Get"](ctx, b) }()
		if len(asked) == 0 {
			asked <- <-asked
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Get: %v, want context.Canceled", err)
		}
	}
	close(give)
	if err := buckettest.Calls()["Get"](t.Context(), b); !errors.Is(err, bucket.ErrSecret) { // it is not that of the store
		t.Errorf("Get with the token: %v, want ErrSecret", err)
	}
}

// credentials gives the process some, which are good for a token at a URL.
func credentials(t *testing.T, tokenURL string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "google.json")
	if err := emulator.WriteServiceAccount(file, tokenURL); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
}

// TestNoCredentials has a file that is not there, and one that cannot be read.
func TestNoCredentials(t *testing.T) {
	for _, file := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
		if _, err := gcs.Open(t.Context(), gcs.Location{Bucket: "bucket"}); !errors.Is(err, bucket.ErrNoCredentials) {
			t.Errorf("Open with %s: %v, want ErrNoCredentials", file, err)
		}
	}
}

// TestNoConnection has nothing answer.
func TestNoConnection(t *testing.T) {
	emulator.GCS(t).Setenv(t)
	buckettest.NoConnection(t, func(endpoint string) bucket.Bucket { return open(t, endpoint) })
}

// TestMissing has no such bucket.
func TestMissing(t *testing.T) {
	s := emulator.GCS(t)
	s.Setenv(t)
	buckettest.Missing(t, open(t, s.URL))
}

// TestRequests counts what the calls cost.
func TestRequests(t *testing.T) {
	s := emulator.GCS(t)
	s.Setenv(t)
	buckettest.Requests(t, openBucket(t, s), s.Requests, func(got []string) bool {
		return len(got) == 1 || len(got) == 2 && got[0] == "POST /token"
	})
}
