package buckettest

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cairn/internal/bucket"
)

// Calls returns all calls of a bucket, by their names, of an object that is called
// name.
func Calls() map[string]func(context.Context, bucket.Bucket) error {
	return map[string]func(context.Context, bucket.Bucket) error{
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
}

// NoConnection tests a driver of stores on a network, which open opens at an
// endpoint: nothing answers there. Its connections must not stand still for long.
func NoConnection(t *testing.T, open func(endpoint string) bucket.Bucket) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about each of these
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
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
			b := open(c.endpoint)
			var waiting sync.WaitGroup
			for call, do := range Calls() {
				waiting.Go(func() {
					err := do(t.Context(), b)
					answer, ok := errors.AsType[*bucket.Answer](err)
					if !errors.Is(err, c.want) || !ok || !strings.Contains(answer.Said, c.says) {
						t.Errorf("%s: %v, want %v that says %q", call, err, c.want, c.says)
					}
				})
			}
			waiting.Wait()
		})
	}
}

// Missing tests a driver of stores on a network: b is in a bucket that is not there.
func Missing(t *testing.T, b bucket.Bucket) {
	for name, call := range Calls() {
		if err := call(t.Context(), b); !errors.Is(err, bucket.ErrMissing) {
			t.Errorf("%s: %v, want ErrMissing", name, err)
		}
	}
}

// Requests tests that each call of a driver is one request. requests returns those
// since it was asked last, of which few says whether they are as one.
func Requests(t *testing.T, b bucket.Bucket, requests func() []string, few func([]string) bool) {
	for _, name := range []string{"Put", "Put", "Get", "Head", "List", "Delete", "Delete"} {
		requests()
		err := Calls()[name](t.Context(), b)
		if got := requests(); err != nil && !errors.Is(err, bucket.ErrExists) || !few(got) {
			t.Errorf("%s: %v after %q, want one request", name, err, got)
		}
	}
}

// CutAnswers tests a driver of stores on a network, which open opens at an endpoint:
// each answer to a GET, that of a good list with these headers, breaks off half way.
func CutAnswers(t *testing.T, open func(endpoint string) bucket.Bucket, header map[string]string, list string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(list)))
		_, _ = io.WriteString(w, list[:len(list)/2]) // the client may have gone
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	b := open(server.URL)
	for _, name := range []string{"Get", "List"} {
		if err := Calls()[name](t.Context(), b); !errors.Is(err, bucket.ErrUnreachable) || !bucket.Transient(err) {
			t.Errorf("%s: %v, want ErrUnreachable", name, err)
		}
	}
}

// Untold tests a driver as CutAnswers does: answers lack one of these headers each. With
// all of them an object is there.
func Untold(t *testing.T, open func(endpoint string) bucket.Bucket, call string, header map[string]string) {
	const content = "content"
	header["Content-Length"] = strconv.Itoa(len(content))
	for left := range maps.Keys(header) {
		for _, want := range []error{nil, bucket.ErrNotStore} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for name, value := range header {
					if want == nil || name != left {
						w.Header().Set(name, value)
					}
				}
				_ = http.NewResponseController(w).Flush() // no length is made up
				_, _ = io.WriteString(w, content)         // the client may have gone
			}))
			if err := Calls()[call](t.Context(), open(server.URL)); !errors.Is(err, want) {
				t.Errorf("%s without %s: %v, want %v", call, left, err, want)
			}
			server.CloseClientConnections()
			server.Close()
		}
	}
}
