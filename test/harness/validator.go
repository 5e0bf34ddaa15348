package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"cairn/api"
)

// maxViolations is how many violations a validator keeps; it counts all.
const maxViolations = 20

// A Validator is a reverse proxy in front of a daemon. It changes nothing,
// holds every answer to the OpenAPI document, and at the end of the test
// fails it for each that differs. Answers are passed on once they are whole, but
// lines and events as they come: those are looked at when the last has come, or
// the client is gone. Websockets it lets through.
type Validator struct {
	URL string // use it in place of the daemon's

	spec *Spec

	mu         sync.Mutex
	answers    int
	violations []string
	more       int // violations that were not kept
}

// NewValidator returns a validator in front of the daemon at target.
func NewValidator(t testing.TB, target string) *Validator {
	t.Helper()
	spec, err := LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	v := &Validator{spec: spec}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			// As the client sent it: our address, loopback too, or what it
			// tries to pass off.
			r.Out.Host = r.In.Host
		},
		Transport:      transport,
		ModifyResponse: v.check,
		// An answer that was cut off is cut off here too.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     stdlog.New(io.Discard, "", 0),
	})
	v.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
		for _, violation := range v.Violations() {
			t.Error(violation)
		}
		if v.Answers() == 0 {
			t.Error("no answer came through the validator")
		}
	})
	return v
}

// Violations returns what was wrong so far, a line for each answer.
func (v *Validator) Violations() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.more == 0 {
		return v.violations[:len(v.violations):len(v.violations)]
	}
	return append(v.violations[:len(v.violations):len(v.violations)], fmt.Sprintf("and %d more answers differ from the OpenAPI document", v.more))
}

// Answers returns how many answers were looked at.
func (v *Validator) Answers() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.answers
}

// check is the proxy's ModifyResponse: it reads the answer to its end, holds
// it to the document, and puts it back.
func (v *Validator) check(resp *http.Response) error {
	switch resp.Header.Get("Content-Type") {
	case api.NDJSON, api.JSONLines:
		v.pass(resp, "\n")
		return nil
	case api.SSE:
		v.pass(resp, "\n\n")
		return nil
	}
	var body []byte
	if resp.StatusCode != http.StatusSwitchingProtocols {
		var err error
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // all of it was read
		if err != nil {
			return err
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	v.note(resp, body)
	return nil
}

// pass has an answer looked at when it has gone by, whose lines or events end so.
func (v *Validator) pass(resp *http.Response, end string) {
	resp.Body = &passing{ReadCloser: resp.Body, end: []byte(end), check: func(body []byte) { v.note(resp, body) }}
}

// note holds an answer to the document.
func (v *Validator) note(resp *http.Response, body []byte) {
	err := v.spec.Check(resp, body)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers++
	if err == nil {
		return
	}
	if len(v.violations) == maxViolations {
		v.more++
		return
	}
	text := err.Error()
	if len(text) > 600 {
		text = text[:600] + "..."
	}
	v.violations = append(v.violations, fmt.Sprintf("%s %s answers %d %s, which differs from the OpenAPI document: %s",
		resp.Request.Method, resp.Request.URL.EscapedPath(), resp.StatusCode, resp.Header.Get("Content-Type"), text))
}

// passing is the body of an answer of lines or events, on its way.
type passing struct {
	io.ReadCloser
	end   []byte            // of each
	check func(body []byte) // gets them; nil when it has

	mu  sync.Mutex // Close may be called while Read is
	buf []byte
}

func (p *passing) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = append(p.buf, b[:n]...)
	if errors.Is(err, io.EOF) {
		p.gone(p.buf)
	}
	return n, err
}

// Close ends an answer of which maybe not all has come: what has no end does not
// count then.
func (p *passing) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	if i := bytes.LastIndex(p.buf, p.end); i >= 0 {
		n = i + len(p.end)
	}
	p.gone(p.buf[:n])
	return p.ReadCloser.Close()
}

// gone has an answer looked at. mu must be held.
func (p *passing) gone(body []byte) {
	if p.check != nil {
		p.check(body)
		p.check = nil
	}
}
