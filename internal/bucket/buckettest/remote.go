package buckettest

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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
			for call, do := range Calls() {
				err := do(t.Context(), b)
				answer, ok := errors.AsType[*bucket.Answer](err)
				if !errors.Is(err, c.want) || !ok || !strings.Contains(answer.Said, c.says) {
					t.Errorf("%s: %v, want %v that says %q", call, err, c.want, c.says)
				}
			}
		})
	}
}
