package harness

import (
	"bytes"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// maxViolations is how many violations a validator keeps; it counts all.
const maxViolations = 20

// A Validator is a reverse proxy in front of a daemon. It changes nothing,
// holds every answer to the OpenAPI document, and at the end of the test
// fails it for each that differs. Answers are passed on once they are whole,
// so it is not for streams that last; websockets it lets through.
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
	err := v.spec.Check(resp, body)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers++
	if err == nil {
		return nil
	}
	if len(v.violations) == maxViolations {
		v.more++
		return nil
	}
	text := err.Error()
	if len(text) > 600 {
		text = text[:600] + "..."
	}
	v.violations = append(v.violations, fmt.Sprintf("%s %s answers %d %s, which differs from the OpenAPI document: %s",
		resp.Request.Method, resp.Request.URL.EscapedPath(), resp.StatusCode, resp.Header.Get("Content-Type"), text))
	return nil
}
