package buckettest

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"cairn/internal/bucket"
)

// LostReply tests a driver of stores on a network, which open opens at an endpoint: an
// object is stored at a server, and the answer gets lost.
func LostReply(t *testing.T, server string, open func(endpoint string) bucket.Bucket) {
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(at)
	var stored atomic.Int32
	line := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			forward.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r)
		if stored.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = io.Copy(w, answer.Body) // the client may have gone
	}))
	t.Cleanup(line.Close)
	b := open(line.URL)
	put := Calls()["Put"]
	if err := put(t.Context(), b); !errors.Is(err, bucket.ErrUnreachable) || !bucket.Transient(err) {
		t.Errorf("Put whose answer is lost: %v, want ErrUnreachable", err)
	}
	if err := put(t.Context(), b); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("Put again: %v, want ErrExists", err)
	}
	want(t, b, "name", []byte("content"))
	stored.Store(0)
	if err := bucket.Create(t.Context(), b, "other", strings.NewReader("content")); err != nil || stored.Load() != 1 {
		t.Errorf("Create whose answer is lost: %v after %d tries, want one", err, stored.Load())
	}
	stored.Store(0)
	if err := bucket.Create(t.Context(), b, "other", strings.NewReader("others")); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("Create over other bytes, whose answer is lost: %v, want ErrExists", err)
	}
	want(t, b, "other", []byte("content"))
}
