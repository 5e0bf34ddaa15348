package s3server

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// A Handler answers a request to a [Front], mostly by handing it to forward,
// with changes or without: that sends it to the server and copies the answer.
// Of the body and the answer, forward holds only pieces.
type Handler func(w http.ResponseWriter, r *http.Request, forward http.Handler)

// A Front stands before a server. It signs each request anew, with the
// credentials of root and whatever signature it came with, so that handlers can
// change it; but a body whose pieces are signed one by one, or a signature in
// the query, it cannot. While the server is stopped, it breaks connections.
type Front struct {
	URL string

	handler atomic.Pointer[Handler]
	mu      sync.Mutex
	log     []Request
}

// A Request says what a request to a front is about.
type Request struct {
	Op  string // put, get, head, list, delete; other: what is not about whole objects
	Key string // of the object; of a list, the prefix
}

// NewFront starts a front, which ends with the test. A nil handler forwards
// everything.
func NewFront(t testing.TB, s *Server, handler Handler) *Front {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	forward := &httputil.ReverseProxy{
		Transport:    transport,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target); s.sign(r.Out) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0), // clients that hang up, and servers that stop
	}
	f := new(Front)
	f.Handle(handler)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.log = append(f.log, RequestOf(r))
		f.mu.Unlock()
		if r.ContentLength > 0 {
			// Nobody looks for more behind it: the server closes it when the answer
			// begins, which would break the transport.
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(r.Body, r.ContentLength), r.Body}
		}
		(*f.handler.Load())(w, r, forward)
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		transport.CloseIdleConnections()
	})
	f.URL = front.URL
	return f
}

// Handle sets the handler of the requests that come from now on; nil forwards
// them.
func (f *Front) Handle(handler Handler) {
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request, forward http.Handler) { forward.ServeHTTP(w, r) }
	}
	f.handler.Store(&handler)
}

// Requests returns what was asked for, in the order of arrival.
func (f *Front) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// Reset forgets the requests.
func (f *Front) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = nil
}

// RequestOf says what a request is about.
func RequestOf(r *http.Request) Request {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	if key == "" {
		if r.Method == http.MethodGet && query.Get("list-type") == "2" {
			return Request{Op: "list", Key: query.Get("prefix")}
		}
		return Request{Op: "other"}
	}
	query.Del("x-id") // the name of the operation
	op := map[string]string{
		http.MethodPut:    "put",
		http.MethodGet:    "get",
		http.MethodHead:   "head",
		http.MethodDelete: "delete",
	}[r.Method]
	if op == "" || len(query) > 0 || r.Header.Get("X-Amz-Copy-Source") != "" {
		op = "other"
	}
	return Request{Op: op, Key: key}
}

// sign signs a request as root. The hash of the body stays what its sender
// says; if that is nothing, the body is not part of the signature.
func (s *Server) sign(r *http.Request) {
	const hashHeader = "X-Amz-Content-Sha256"
	r.Header.Del("X-Amz-Security-Token")
	if r.Header.Get(hashHeader) == "" {
		r.Header.Set(hashHeader, "UNSIGNED-PAYLOAD")
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	root := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.Secret}
	if err := signer.SignHTTP(r.Context(), root, r, r.Header.Get(hashHeader), "s3", region, time.Now()); err != nil {
		panic(err) // it has no reason to fail
	}
}
