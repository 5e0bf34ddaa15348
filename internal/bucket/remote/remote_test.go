package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// objects yields objects of these names.
func objects(names ...string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		for _, name := range names {
			if !yield(bucket.Object{Name: name}, nil) {
				return
			}
		}
	}
}

// TestOurs has lists with objects that are none of ours, and one out of order.
func TestOurs(t *testing.T) {
	for _, c := range []struct {
		prefix string
		names  []string
		want   []string
		err    error
	}{
		{"", []string{"a", "a b", "b"}, []string{"a", "b"}, nil},
		{"", []string{"b", "a"}, []string{"b"}, bucket.ErrRejected},
		{"", []string{"a", "a"}, []string{"a"}, bucket.ErrRejected},
		{"a\x00", []string{"a"}, nil, nil},
		{"a/", []string{"a/b", "b"}, []string{"a/b"}, bucket.ErrRejected}, // that of another prefix
		{"", []string{""}, nil, bucket.ErrRejected},
	} {
		var got []string
		var failed error
		for object, err := range remote.Ours(objects(c.names...), c.prefix) {
			if failed = err; err == nil {
				got = append(got, object.Name)
			}
		}
		if !slices.Equal(got, c.want) || !errors.Is(failed, c.err) {
			t.Errorf("of %q there are %q, %v, want %q, %v", c.names, got, failed, c.want, c.err)
		}
	}
}

// TestForeign has objects of others, near and far, and what consoles make.
func TestForeign(t *testing.T) {
	for want, names := range map[string][]string{
		"": {"a", "folder/", "z"}, "a b": {"a", "a b", "c d"},
	} {
		if got, err := remote.Foreign(objects(names...), ""); got != want || err != nil {
			t.Errorf("of %q the first foreign one is %q, %v, want %q", names, got, err, want)
		}
	}
	for prefix, names := range map[string][]string{"b/": {"a/b"}, "": {"b", "a"}} {
		if got, err := remote.Foreign(objects(names...), prefix); !errors.Is(err, bucket.ErrRejected) {
			t.Errorf("of %q below %q the first foreign one is %q, %v, want ErrRejected", names, prefix, got, err)
		}
	}
	var far []string
	for i := range 1000 {
		far = append(far, fmt.Sprintf("a%04d", i))
	}
	far = append(far, "b c")
	if got, err := remote.Foreign(objects(far...), ""); got != "" || err != nil {
		t.Errorf("behind a thousand others, the first foreign one is %q, %v", got, err)
	}
}

// TestLend takes content back while it is lent, and lends it again.
func TestLend(t *testing.T) {
	content := strings.NewReader("content")
	for range 2 {
		lent, size, err := remote.Lend(t.Context(), content)
		if err != nil || size != 7 {
			t.Fatalf("Lend: %d bytes, %v, want 7", size, err)
		}
		if _, err := io.ReadFull(lent, make([]byte, 3)); err != nil {
			t.Error(err)
		}
		if err := lent.Close(); err != nil {
			t.Error(err)
		}
		_, seekErr := lent.Seek(0, io.SeekStart)
		if n, err := lent.Read(make([]byte, 3)); n != 0 || err == nil || err == io.EOF || seekErr == nil {
			t.Errorf("after Close: %d bytes, %v, and from the start: %v, want errors", n, err, seekErr)
		}
		if rest, err := io.ReadAll(content); string(rest) != "tent" || err != nil {
			t.Errorf("after Close the owner reads %q, %v, want the rest", rest, err)
		}
	}
}

// TestLendEnds has a context end while content is lent.
func TestLendEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	lent, _, err := remote.Lend(ctx, strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(lent, make([]byte, 3)); err != nil {
		t.Error(err)
	}
	cancel()
	if n, err := lent.Read(make([]byte, 3)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end it reads %d bytes, %v, want none and context.Canceled", n, err)
	}
}

// TestClassOf has answers of which only the status is known.
func TestClassOf(t *testing.T) {
	for status, want := range map[int]error{
		200: bucket.ErrUnreachable, 302: bucket.ErrNotStore, 400: bucket.ErrRejected, 401: bucket.ErrSecret, 403: bucket.ErrRefused,
		404: bucket.ErrNotFound, 408: bucket.ErrUnreachable, 409: bucket.ErrBusy, 412: bucket.ErrExists, 425: bucket.ErrBusy, 429: bucket.ErrBusy,
		500: bucket.ErrBusy, 501: bucket.ErrRejected, 507: bucket.ErrFull,
	} {
		if got := remote.ClassOf(status); got != want {
			t.Errorf("%d is %v, want %v", status, got, want)
		}
	}
}

// TestAfter reads how long a store wants to be left alone.
func TestAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "9999999": 24 * time.Hour} {
		if got := remote.After(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("after %q it is %v, want %v", text, got, want)
		}
	}
}

// TestWitness has connections fail, bodies break off, and a page.
func TestWitness(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broken":
			w.Header().Set("Content-Length", "9")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/page":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		}
	}))
	t.Cleanup(server.Close)
	transport := remote.Transport(time.Minute)
	t.Cleanup(transport.CloseIdleConnections)
	witness := &remote.Witness{Transport: transport}
	client := &http.Client{Transport: witness}
	for _, c := range []struct{ url, want string }{
		{server.URL, ""}, {server.URL + "/broken", "unexpected EOF"}, {server.URL + "/page", "200 OK, text/html"}, {"http://127.0.0.1:1", "refused"},
	} {
		response, err := client.Get(c.url)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			_ = response.Body.Close() // it was only read
		}
		seen := witness.Err()
		if (err == nil) != (c.want == "") || (seen == nil) != (err == nil) || seen != nil && !strings.Contains(seen.Error(), c.want) {
			t.Errorf("GET %s: %v, and %v was seen, want %q", c.url, err, seen, c.want)
		}
		if witness.Forget(); witness.Err() != nil {
			t.Errorf("after Forget there is still %v", witness.Err())
		}
	}
}
