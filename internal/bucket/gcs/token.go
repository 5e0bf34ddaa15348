package gcs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"cairn/internal/bucket/remote"
)

// tokens are what requests are allowed with. The library that gets them does not hear
// of a context, and has failures of a connection as text only.
type tokens struct {
	source oauth2.TokenSource
	fetch  *lastFailure // of the connections of source
	flight singleflight.Group
}

// get returns a token that is good for a while. When ctx ends, getting one goes on,
// for whoever comes next.
func (t *tokens) get(ctx context.Context) (*oauth2.Token, error) {
	got := t.flight.DoChan("", func() (any, error) {
		t.fetch.forget()
		token, err := t.source.Token()
		if err == nil && token.AccessToken == "" {
			err = errors.New("the token is empty")
		}
		if err != nil {
			err = tokenError(err, t.fetch.err())
		}
		return token, err
	})
	select {
	case result := <-got:
		token, _ := result.Val.(*oauth2.Token)
		return token, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lastFailure remembers why a request of a transport had no answer, or not in full.
// The requests for tokens come one at a time.
type lastFailure struct {
	inner http.RoundTripper
	mu    sync.Mutex
	last  error
}

// RoundTrip implements http.RoundTripper. A page is no answer.
func (l *lastFailure) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.inner.RoundTrip(r)
	if err == nil && response.StatusCode/100 == 2 && remote.IsPage(response.Header.Get("Content-Type")) {
		_ = response.Body.Close() // it is of no use
		err = &remote.NotStoreError{Said: response.Status + ", " + response.Header.Get("Content-Type") + ", for a token"}
	}
	if err != nil {
		l.note(err)
		return nil, err
	}
	response.Body = &noted{response.Body, l}
	return response, nil
}

func (l *lastFailure) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
}

func (l *lastFailure) forget() { l.note(nil) }

func (l *lastFailure) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// noted is a body whose failure is remembered.
type noted struct {
	io.ReadCloser
	by *lastFailure
}

func (n *noted) Read(p []byte) (int, error) {
	count, err := n.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		n.by.note(err)
	}
	return count, err
}
