package s3_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/s3"
)

// credentials gives the process credentials, and keeps it from any others.
func credentials(t *testing.T, key, secret string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

// standIn serves what an S3 store would, as handle has it.
func standIn(t *testing.T, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server
}

// open opens a bucket of a stand-in.
func open(t *testing.T, server *httptest.Server) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// calls are all calls of a bucket.
var calls = buckettest.Calls()

// TestSignature has a store look at what was signed: the servers of Google change
// Accept-Encoding, so it must not be, while the Go client must not ask for gzip.
// Nor is a checksum sent, which some stores refuse.
func TestSignature(t *testing.T) {
	credentials(t, "key", "secret")
	var asked atomic.Int32
	server := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("%s has the Accept-Encoding %q, not identity", r.Method, got)
		}
		for header := range r.Header {
			if strings.Contains(strings.ToLower(header), "checksum") || header == "X-Amz-Trailer" {
				t.Errorf("%s has the header %s", r.Method, header)
			}
		}
		_, signed, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
		signed, _, _ = strings.Cut(signed, ",")
		if names := strings.Split(signed, ";"); !slices.Contains(names, "host") || slices.Contains(names, "accept-encoding") {
			t.Errorf("%s has signed %q, not host, or accept-encoding", r.Method, signed)
		}
		w.WriteHeader(http.StatusNotFound)
	})
	b := open(t, server)
	for name, call := range calls {
		before := asked.Load()
		if err := call(t.Context(), b); err == nil && name != "Delete" || asked.Load() == before {
			t.Errorf("%s: %v after %d requests, not an error", name, err, asked.Load()-before)
		}
	}
	if got := asked.Load(); got != 7 { // a HEAD before the PUT, and one of the bucket
		t.Errorf("the calls made %d requests, not 7", got)
	}
}

// TestPathStyle looks where a bucket is asked for, at hosts that have names.
func TestPathStyle(t *testing.T) {
	credentials(t, "key", "secret")
	t.Setenv("AWS_REGION", "eu-west-1")
	for _, c := range []struct{ location, environment, want string }{
		{"https://store.example", "", "https://store.example/bucket/name"},
		{"https://s3.eu-west-1.amazonaws.com", "", "https://s3.eu-west-1.amazonaws.com/bucket/name"},
		{"", "http://store.example:9000", "http://store.example:9000/bucket/name"},
		{"", "", "https://bucket.s3.eu-west-1.amazonaws.com/name"},
	} {
		t.Setenv("AWS_ENDPOINT_URL_S3", c.environment)
		b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: c.location})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s3.Address(t.Context(), b, "name")
		if err != nil || got != c.want {
			t.Errorf("with the endpoint %q%q it asks for %s, %v, want %s", c.location, c.environment, got, err, c.want)
		}
	}
}

// TestAnswers has a store refuse all calls.
func TestAnswers(t *testing.T) {
	credentials(t, "key", "secret")
	for _, c := range []struct {
		status int
		code   string // "" for an answer without a body
		says   string
		header http.Header
		want   error
	}{
		{status: 403, code: "InvalidAccessKeyId", want: bucket.ErrKey},
		{status: 403, code: "SignatureDoesNotMatch", want: bucket.ErrSecret},
		{status: 401, code: "Unauthorized", want: bucket.ErrSecret},
		{status: 400, code: "ExpiredToken", want: bucket.ErrExpired},
		{status: 400, code: "InvalidArgument", says: "Credential access key has length 20, should be 32", want: bucket.ErrKey}, // R2
		{status: 403, code: "InvalidTokenId", want: bucket.ErrSecret},
		{status: 403, code: "AccessDenied", want: bucket.ErrRefused},
		{status: 403, want: bucket.ErrRefused},
		{status: 404, code: "NoSuchBucket", want: bucket.ErrMissing},
		{status: 301, code: "PermanentRedirect", want: bucket.ErrRegion, header: http.Header{"X-Amz-Bucket-Region": {"eu-west-1"}}},
		{
			status: 400, code: "AuthorizationHeaderMalformed", want: bucket.ErrRegion,
			header: http.Header{"X-Amz-Bucket-Region": {"eu-west-1"}},
		},
		{status: 400, code: "AuthorizationHeaderMalformed", want: bucket.ErrSecret},
		{status: 400, code: "AuthorizationHeaderMalformed", says: "the region 'x' is wrong; expecting 'eu-west-1'", want: bucket.ErrRegion},
		{status: 507, code: "XMinioStorageFull", want: bucket.ErrFull},
		{status: 403, code: "QuotaExceeded", want: bucket.ErrFull},
		{status: 503, code: "SlowDown", want: bucket.ErrBusy},
		{status: 429, want: bucket.ErrBusy},
		{status: 500, code: "InternalError", want: bucket.ErrBusy},
		{status: 502, want: bucket.ErrBusy},
		{status: 429, header: http.Header{"Content-Type": {"text/html"}}, want: bucket.ErrBusy},
		{status: 408, header: http.Header{"Content-Type": {"text/html"}}, want: bucket.ErrUnreachable},
		{status: 425, want: bucket.ErrBusy},
		{status: 307, code: "TemporaryRedirect", want: bucket.ErrRegion, header: http.Header{
			"X-Amz-Bucket-Region": {"eu-west-1"}, "Location": {"http://127.0.0.1:1/"}}},
		{status: 504, header: http.Header{"Content-Type": {"text/html"}}, want: bucket.ErrBusy}, // of a gateway
		{status: 400, code: "RequestTimeout", want: bucket.ErrUnreachable},
		{status: 400, code: "InvalidRequest", want: bucket.ErrRejected},
		{status: 405, code: "MethodNotAllowed", want: bucket.ErrRejected},
		{status: 413, header: http.Header{"Content-Type": {"text/html"}}, want: bucket.ErrNotStore}, // of a proxy before the store
		{status: 407, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, want: bucket.ErrNotStore},
		{status: 302, header: http.Header{"Location": {"http://127.0.0.1:1/sign-in"}}, want: bucket.ErrNotStore},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.code), func(t *testing.T) {
			server := standIn(t, func(w http.ResponseWriter, r *http.Request) {
				maps.Copy(w.Header(), c.header)
				if c.code == "" {
					w.WriteHeader(c.status)
					return
				}
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, c.code, c.says)
			})
			b := open(t, server)
			for name, call := range calls {
				err := call(t.Context(), b)
				answer, ok := errors.AsType[*bucket.Answer](err)
				if !errors.Is(err, c.want) || !ok || answer.Class != c.want || answer.Said == "" {
					t.Errorf("%s: %v, want %v and what the store said", name, err, c.want)
				}
				if c.want == bucket.ErrRegion && !strings.Contains(answer.Said, "eu-west-1") {
					t.Errorf("%s does not tell the region: %v", name, err)
				}
			}
		})
	}
}

// TestHeadRefused has a store answer a HEAD as if the object were not there, or not
// for this user, and a GET with the object.
func TestHeadRefused(t *testing.T) {
	credentials(t, "key", "secret")
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden} {
		b := open(t, standIn(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 07:00:00 GMT")
			fmt.Fprint(w, "content")
		}))
		want := bucket.Object{Name: "name", Size: 7, Modified: time.Date(2026, 11, 26, 7, 0, 0, 0, time.UTC)}
		if got, err := b.Head(t.Context(), "name"); err != nil || got != want {
			t.Errorf("Head after %d: %+v, %v, want %+v", status, got, err, want)
		}
	}
}

// TestNoSuchKey has a store say that an object is not there to what is asked of the
// bucket: a list, and an object that is to be stored.
func TestNoSuchKey(t *testing.T) {
	credentials(t, "key", "secret")
	b := open(t, standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`)
	}))
	for name, want := range map[string]error{"Get": bucket.ErrNotFound, "Head": bucket.ErrNotFound, "Put": bucket.ErrMissing, "List": bucket.ErrMissing} {
		err := calls[name](t.Context(), b)
		if !errors.Is(err, want) || errors.Is(err, bucket.ErrNotFound) != (want == bucket.ErrNotFound) {
			t.Errorf("%s: %v, want %v alone", name, err, want)
		}
	}
}

// TestRejected has a store say what it does not like: that is for a person to read.
func TestRejected(t *testing.T) {
	credentials(t, "key", "secret")
	b := open(t, standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<Error><Code>InvalidRequest</Code><Message>Missing &#x202e; header%s</Message></Error>`, strings.Repeat("!", 1000))
	}))
	for name, call := range calls {
		answer, ok := errors.AsType[*bucket.Answer](call(t.Context(), b))
		if !ok || !strings.HasPrefix(answer.Said, `400 InvalidRequest "Missing \u202e header!!!`) || len(answer.Said) > 300 {
			t.Errorf("%s: the store said %+v", name, answer)
		}
	}
}

// TestLongErrors has what answers never come to an end.
func TestLongErrors(t *testing.T) {
	credentials(t, "key", "secret")
	for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusBadGateway} {
		var sent atomic.Int64
		b := open(t, standIn(t, func(w http.ResponseWriter, r *http.Request) {
			if status == http.StatusOK && r.Method == http.MethodGet && !r.URL.Query().Has("list-type") {
				w.WriteHeader(http.StatusForbidden)
				return // an object may be long
			}
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(status)
			if r.Method == http.MethodHead {
				return // nor has it a body
			}
			fmt.Fprint(w, "<ListBucketResult><Name>")
			for chunk := []byte(strings.Repeat("x", 1<<20)); sent.Load() < 1<<30; sent.Add(1 << 20) {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}))
		for name, call := range calls {
			sent.Store(0)
			if err := call(t.Context(), b); err == nil && status != http.StatusOK {
				t.Errorf("%s succeeds", name)
			}
			if got := sent.Load(); got > 64<<20 { // what lies in buffers of the system counts
				t.Errorf("%s took %d MB of an answer with status %d", name, got>>20, status)
			}
		}
	}
}

// TestPages has something that is no store answer that all is well.
func TestPages(t *testing.T) {
	credentials(t, "key", "secret")
	const page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please sign in</body></html>"
	for name, handle := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) },
		"a page of no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, page)
		},
		"a page with a tag": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, page)
		},
		"a page that is XML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xhtml+xml")
			fmt.Fprint(w, `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>`)
		},
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"a part": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Length", "4")
			w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 07:00:00 GMT")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "half")
		},
		"no length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			_ = http.NewResponseController(w).Flush()
			fmt.Fprint(w, "half")
		},
		"nobody's word that nothing is there": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "default backend - 404", http.StatusNotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, standIn(t, handle))
			for call, do := range calls {
				if call == "Head" && strings.HasPrefix(name, "nobody") {
					continue // it has no words
				}
				if err := do(t.Context(), b); !errors.Is(err, bucket.ErrNotStore) {
					t.Errorf("%s: %v, want ErrNotStore", call, err)
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	credentials(t, "key", "secret")
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999999": 24 * time.Hour, "9999999": 24 * time.Hour,
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): time.Hour, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		b := open(t, standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", text)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		_, err := b.Get(t.Context(), "name")
		answer, ok := errors.AsType[*bucket.Answer](err)
		if !ok || answer.Class != bucket.ErrBusy || answer.After.Round(time.Minute/10) != want.Round(time.Minute/10) {
			t.Errorf("Retry-After: %s: %v, want to wait for %v", text, err, want)
		}
	}
}

// clockServer is a store whose clock is wrong, by that of this computer.
func clockServer(t *testing.T, wrong time.Duration, tells bool) (b *s3.Bucket, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	server := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		now := time.Now().Add(wrong)
		w.Header()["Date"] = nil
		if tells {
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		}
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed).Abs() > 15*time.Minute {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>`)
			return
		}
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, "content")
	})
	return open(t, server), requests
}

func TestClock(t *testing.T) {
	credentials(t, "key", "secret")
	for _, wrong := range []time.Duration{time.Hour, -24 * time.Hour} {
		b, requests := clockServer(t, wrong, true)
		for range 3 {
			if err := calls["Get"](t.Context(), b); err != nil {
				t.Errorf("Get with a clock that is wrong by %v: %v", wrong, err)
			}
		}
		if n := requests.Load(); n != 4 {
			t.Errorf("three Gets took %d requests, want one more", n)
		}
		b, _ = clockServer(t, wrong, false)
		if err := calls["Get"](t.Context(), b); !errors.Is(err, bucket.ErrClock) || bucket.Transient(err) {
			t.Errorf("Get with a clock that is wrong by %v, of a store that does not tell the time: %v, want ErrClock", wrong, err)
		}
	}
}

// TestListOrder has a store list as it likes.
func TestListOrder(t *testing.T) {
	credentials(t, "key", "secret")
	for _, c := range []struct {
		keys, want []string
		err        error
	}{
		{[]string{"a", "b", "c"}, []string{"a", "b", "c"}, nil},
		{[]string{"a", "a b", "a/", "b"}, []string{"a", "b"}, nil}, // names that we do not have
		{[]string{"a", "c", "b"}, []string{"a", "c"}, bucket.ErrRejected},
		{[]string{"a", "a"}, []string{"a"}, bucket.ErrRejected},
	} {
		b := open(t, standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name>`)
			for _, key := range c.keys {
				fmt.Fprintf(w, `<Contents><Key>%s</Key><LastModified>2026-11-26T07:00:00.123Z</LastModified><Size>3</Size></Contents>`, key)
			}
			fmt.Fprint(w, `</ListBucketResult>`)
		}))
		var got []string
		var err error
		for object, objectErr := range b.List(t.Context(), "") {
			if objectErr != nil {
				err = objectErr
				break
			}
			got = append(got, object.Name)
		}
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("of %q List yields %q, %v, want %q, %v", c.keys, got, err, c.want, c.err)
		}
	}
}

// TestCutList has a store break lists off without telling how they go on.
func TestCutList(t *testing.T) {
	credentials(t, "key", "secret")
	const entry = `<Contents><Key>a</Key><LastModified>2026-11-26T07:00:00Z</LastModified><Size>3</Size></Contents>`
	for name, body := range map[string]string{
		"no token":       entry + `<IsTruncated>true</IsTruncated>`,
		"the same again": `<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>`,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, standIn(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				fmt.Fprintf(w, `<ListBucketResult><Name>bucket</Name>%s</ListBucketResult>`, body)
			}))
			if err := calls["List"](t.Context(), b); !errors.Is(err, bucket.ErrRejected) {
				t.Errorf("List: %v, want ErrRejected", err)
			}
		})
	}
}

// TestUntold has a store leave out what it must tell of an object.
func TestUntold(t *testing.T) {
	credentials(t, "key", "secret")
	told := map[string]string{"ETag": `"1"`, "Content-Length": "7", "Last-Modified": "Thu, 26 Nov 2026 07:00:00 GMT"}
	for header := range told {
		for _, refused := range []bool{false, true} { // a HEAD, so that a GET follows
			b := open(t, standIn(t, func(w http.ResponseWriter, r *http.Request) {
				if refused && r.Method == http.MethodHead {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				for name, value := range told {
					if name != header {
						w.Header().Set(name, value)
					}
				}
				_ = http.NewResponseController(w).Flush() // without a length there is none
				fmt.Fprint(w, "content")
			}))
			if got, err := b.Head(t.Context(), "name"); !errors.Is(err, bucket.ErrNotStore) {
				t.Errorf("Head without %s, %t: %+v, %v, want ErrNotStore", header, refused, got, err)
			}
		}
	}
	const key, size, modified = `<Key>a</Key>`, `<Size>3</Size>`, `<LastModified>2026-11-26T07:00:00Z</LastModified>`
	for entry, want := range map[string]error{
		key + size + modified: nil, size + modified: bucket.ErrNotStore, key + modified: bucket.ErrNotStore, key + size: bucket.ErrNotStore,
		key + `<Size>-3</Size>` + modified: bucket.ErrNotStore,
	} {
		b := open(t, standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `<ListBucketResult><Contents>%s</Contents></ListBucketResult>`, entry)
		}))
		if err := calls["List"](t.Context(), b); !errors.Is(err, want) {
			t.Errorf("List of %s: %v, want %v", entry, err, want)
		}
	}
}

// TestCutAnswers has answers break off.
func TestCutAnswers(t *testing.T) {
	credentials(t, "key", "secret")
	const list = `<ListBucketResult><Contents><Key>a</Key><Size>3</Size><LastModified>2026-11-26T07:00:00Z</LastModified></Contents></ListBucketResult>`
	buckettest.CutAnswers(t, func(endpoint string) bucket.Bucket {
		b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}, map[string]string{"ETag": `"1"`}, list)
}

func TestForeign(t *testing.T) {
	credentials(t, "key", "secret")
	for _, c := range []struct {
		keys []string
		want string
	}{
		{nil, ""},
		{[]string{"p/", "p/a/", "p/b"}, ""},
		{[]string{"p/b", "p/holiday photo.jpg"}, "p/holiday photo.jpg"},
		{[]string{"p/.hidden"}, "p/.hidden"},
	} {
		b := open(t, standIn(t, func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query().Get("prefix"); got != "p/" {
				t.Errorf("it was listed below %q, want p/", got)
			}
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, `<ListBucketResult>`)
			for _, key := range c.keys {
				size := 3
				if strings.HasSuffix(key, "/") {
					size = 0
				}
				fmt.Fprintf(w, `<Contents><Key>%s</Key><LastModified>2026-11-26T07:00:00Z</LastModified><Size>%d</Size></Contents>`, key, size)
			}
			fmt.Fprint(w, `</ListBucketResult>`)
		}))
		if got, err := b.Foreign(t.Context(), "p"); got != c.want || err != nil {
			t.Errorf("Foreign among %q is %q, %v, want %q", c.keys, got, err, c.want)
		}
	}
}
