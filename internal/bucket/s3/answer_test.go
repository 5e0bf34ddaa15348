package s3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cairn/internal/bucket"
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
var calls = map[string]func(context.Context, bucket.Bucket) error{
	"Put": func(ctx context.Context, b bucket.Bucket) error {
		return b.Put(ctx, "name", strings.NewReader("content"))
	},
	"Get": func(ctx context.Context, b bucket.Bucket) error {
		body, err := b.Get(ctx, "name")
		if err != nil {
			return err
		}
		_, err = io.ReadAll(body)
		return errors.Join(err, body.Close())
	},
	"Head": func(ctx context.Context, b bucket.Bucket) error { _, err := b.Head(ctx, "name"); return err },
	"List": func(ctx context.Context, b bucket.Bucket) error {
		for _, err := range b.List(ctx, "") {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"Delete": func(ctx context.Context, b bucket.Bucket) error { return b.Delete(ctx, "name") },
}

// TestSignature has a store look at what was signed: the servers of Google change
// Accept-Encoding, so it must not be, while the Go client must not ask for gzip.
func TestSignature(t *testing.T) {
	credentials(t, "key", "secret")
	var asked atomic.Int32
	server := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("%s has the Accept-Encoding %q, not identity", r.Method, got)
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
				switch {
				case call == "Delete" && slices.Contains([]string{"nothing", "a page that is XML", "a part", "no length"}, name):
					continue // who deletes looks whether it is gone
				case call != "Get" && call != "List" && slices.Contains([]string{"a part", "no length"}, name):
					continue
				case call == "Head" && strings.HasPrefix(name, "nobody"):
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

// TestNoConnection has nothing answer.
func TestNoConnection(t *testing.T) {
	credentials(t, "key", "secret")
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about each of these
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := standIn(t, http.NotFound)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, c := range map[string]struct {
		endpoint string
		want     error
		says     string
	}{
		"a certificate nobody knows": {secure.URL, bucket.ErrTLS, "unknown authority"},
		"TLS where there is none":    {strings.Replace(plain.URL, "http:", "https:", 1), bucket.ErrTLS, "HTTPS client"},
		"no such host":               {"http://no-such-host.invalid", bucket.ErrHost, "no-such-host.invalid"},
		"nobody listens":             {gone.URL, bucket.ErrUnreachable, "refused"},
		"nobody answers":             {"http://" + silent.Addr().String(), bucket.ErrUnreachable, "stands still"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := s3.OpenImpatient(t.Context(), s3.Location{Bucket: "bucket", Endpoint: c.endpoint}, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			for call, do := range calls {
				err := do(t.Context(), b)
				answer, ok := errors.AsType[*bucket.Answer](err)
				if !errors.Is(err, c.want) || !ok || !strings.Contains(answer.Said, c.says) {
					t.Errorf("%s: %v, want %v that says %q", call, err, c.want, c.says)
				}
			}
		})
	}
}

// TestStall has connections that stand still, and some that are only slow.
func TestStall(t *testing.T) {
	credentials(t, "key", "secret")
	const stall, size = time.Second, 8 << 20
	release := make(chan struct{})
	wait := func(r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		switch name := strings.TrimPrefix(r.URL.Path, "/bucket/"); {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case name == "stops": // in the middle of a body
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(make([]byte, size/2))
			_ = http.NewResponseController(w).Flush()
			wait(r)
		case name == "breaks":
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(make([]byte, size/2))
			panic(http.ErrAbortHandler)
		case name == "trickles":
			w.Header().Set("Content-Length", "8")
			for range 8 {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(stall / 3)
			}
		case name == "ignores": // what is sent
			wait(r)
		case name == "slow": // to take what is sent: all of it in three times the stall
			buf := make([]byte, 1<<20)
			for {
				if _, err := io.ReadFull(r.Body, buf); err != nil {
					break
				}
				time.Sleep(stall / 20)
			}
		}
	}))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
			t.Error(err)
		}
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	b, err := s3.OpenImpatient(t.Context(), s3.Location{Bucket: "bucket", Endpoint: server.URL}, stall)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) (int, error) {
		body, err := b.Get(t.Context(), name)
		if err != nil {
			return 0, err
		}
		data, err := io.ReadAll(body)
		return len(data), errors.Join(err, body.Close())
	}
	for _, name := range []string{"stops", "breaks"} {
		if n, err := read(name); !errors.Is(err, bucket.ErrUnreachable) || n != size/2 {
			t.Errorf("reading a body that %s: %d bytes, %v, want half of it and ErrUnreachable", name, n, err)
		}
	}
	if n, err := read("trickles"); err != nil || n != 8 {
		t.Errorf("reading a body that trickles: %d bytes, %v, want all 8", n, err)
	}
	content := strings.Repeat("x", 60<<20) // what buffers hold of it is little
	if err := b.Put(t.Context(), "ignores", strings.NewReader(content)); !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("Put to a server that takes nothing: %v, want ErrUnreachable", err)
	}
	if err := b.Put(t.Context(), "slow", strings.NewReader(content)); err != nil {
		t.Errorf("Put to a server that takes its time: %v", err)
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
		"no token":        entry + `<IsTruncated>true</IsTruncated>`,
		"the same again":  `<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>`,
		"nothing is told": `<Contents></Contents>`, // of the object; it has no name that could be ours
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

// TestTLSAlert has a store refuse the connection that is to be secure.
func TestTLSAlert(t *testing.T) {
	credentials(t, "key", "secret")
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10} // too old
	server.StartTLS()
	t.Cleanup(server.Close)
	if err := calls["Get"](t.Context(), open(t, server)); !errors.Is(err, bucket.ErrTLS) {
		t.Errorf("Get: %v, want ErrTLS", err)
	}
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

// TestClose has connections that nobody uses closed.
func TestClose(t *testing.T) {
	credentials(t, "key", "secret")
	var standing atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"1"`) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			standing.Add(1)
		case http.StateClosed:
			standing.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	b := open(t, server)
	if err := calls["Get"](t.Context(), b); err != nil || standing.Load() != 1 {
		t.Fatalf("Get: %v, with %d connections", err, standing.Load())
	}
	b.Close()
	for end := time.Now().Add(10 * time.Second); standing.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the server hears of it when it reads
	}
	if n := standing.Load(); n != 0 {
		t.Errorf("%d connections stand after Close", n)
	}
	if err := calls["Get"](t.Context(), b); err != nil {
		t.Errorf("Get after Close: %v", err)
	}
}
