package remote

import (
	"io"
	"net/http"
	"sync"
)

// A Witness makes the requests of a library that has failures of a connection as text
// only, and remembers the last one: why a request had no answer, or not in full. A page
// in place of an answer is a [NotStoreError]. The library makes one request at a time.
type Witness struct {
	Transport http.RoundTripper

	mu   sync.Mutex
	last error
}

// RoundTrip implements http.RoundTripper.
func (w *Witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.Transport.RoundTrip(r)
	if err == nil && response.StatusCode/100 == 2 && IsPage(response.Header.Get("Content-Type")) {
		_ = response.Body.Close() // it is of no use
		err = &NotStoreError{Said: response.Status + ", " + response.Header.Get("Content-Type")}
	}
	if err != nil {
		w.note(err)
		return nil, err
	}
	response.Body = &witnessed{response.Body, w}
	return response, nil
}

// Err returns the last failure since Forget; nil for none.
func (w *Witness) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Forget has the next failure be the first.
func (w *Witness) Forget() { w.note(nil) }

func (w *Witness) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}

// witnessed is a body whose failure is remembered.
type witnessed struct {
	io.ReadCloser
	by *Witness
}

func (b *witnessed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.by.note(err)
	}
	return n, err
}
