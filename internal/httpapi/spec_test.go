package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"cairn"
	"cairn/api"
)

// specification is api.Spec, parsed.
var specification = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		panic(err)
	}
	return doc
})

func TestSpecification(t *testing.T) {
	if err := specification().Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestUndeclared holds answers to the specification that it does not allow.
func TestUndeclared(t *testing.T) {
	for _, test := range []struct {
		method, path string
		code         cairn.Code
		ok           bool
	}{
		{"GET", "/backups", cairn.CodeGone, false},
		{"GET", "/backups", cairn.CodeInvalid, false},
		{"GET", "/backup/b", cairn.CodeJobNotFound, false},
		{"POST", "/backups/create", cairn.CodeNothingToUndo, false},
		{"GET", "/backup/b/creation/status", cairn.CodeCloudLocked, false},
		{"GET", "/backup/b/restoration/status", cairn.CodeFormatTooNew, false},
		{"GET", "/backup/b/creation/status", cairn.CodeJobNotFound, true},
		{"GET", "/backups", cairn.CodeShuttingDown, true},
		{"POST", "/v1/restoration/undo", cairn.CodeNothingToUndo, true},
	} {
		problem := api.ProblemOf(&cairn.Error{Code: test.code, Message: "What happened."})
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", api.ProblemType)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(problem.Status)
		body, err := json.Marshal(problem)
		if err != nil {
			t.Fatal(err)
		}
		resp := w.Result()
		resp.ContentLength = int64(len(body))
		if err := conforms(test.method, test.path, resp, body); (err == nil) != test.ok {
			t.Errorf("%s %s with %s: %v, want it to conform: %t", test.method, test.path, test.code, err, test.ok)
		}
	}
}

// validator is an http.RoundTripper that holds each answer to the
// specification when it was read to its end.
type validator struct {
	t    *testing.T
	next http.RoundTripper
}

func (v validator) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := v.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if err := conforms(req.Method, req.URL.EscapedPath(), resp, nil); err != nil {
			v.t.Errorf("%s %.100s: %v", req.Method, req.URL, err)
		}
		return resp, nil
	}
	resp.Body = &validatedBody{ReadCloser: resp.Body, done: func(body []byte) {
		if err := conforms(req.Method, req.URL.EscapedPath(), resp, body); err != nil {
			v.t.Errorf("%s %.100s: status %d: %v\n%.500s", req.Method, req.URL, resp.StatusCode, err, body)
		}
	}}
	return resp, nil
}

// validatedBody calls done with all of the body, once.
type validatedBody struct {
	io.ReadCloser
	text bytes.Buffer
	done func([]byte)
}

func (b *validatedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.text.Write(p[:n])
	if errors.Is(err, io.EOF) && b.done != nil {
		b.done(b.text.Bytes())
		b.done = nil
	}
	return n, err
}

func newConnection(t *testing.T, conn net.Conn) *connection {
	return &connection{t: t, Conn: conn, in: bufio.NewReader(conn)}
}

// answer reads the next answer, to a request of the method and path.
func (c *connection) answer(method, path string) (answer, error) {
	began := time.Now()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	var body []byte
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		if body, err = io.ReadAll(resp.Body); err != nil {
			return newAnswer(resp, body, began), err
		}
	}
	a := newAnswer(resp, body, began)
	if err := c.conforms(method, path, resp, body); err != nil {
		return answer{}, fmt.Errorf("status %d: %w: %.300s", resp.StatusCode, err, body)
	}
	if resp.Close {
		a.header.Set("Connection", "close")
	}
	return a, nil
}

// conforms is the function of that name, asked once for the same answer.
func (c *connection) conforms(method, path string, resp *http.Response, body []byte) error {
	if c.known == nil {
		return conforms(method, path, resp, body)
	}
	header := resp.Header.Clone()
	header.Del("Date")
	header.Del("Sec-WebSocket-Accept")
	key := fmt.Sprint(method, path, resp.StatusCode, header, string(body))
	if _, ok := c.known.Load(key); ok {
		return nil
	}
	if err := conforms(method, path, resp, body); err != nil {
		return err
	}
	c.known.Store(key, true)
	return nil
}

// conforms returns an error unless the specification allows the answer to a
// request of the method and escaped path.
func conforms(method, path string, resp *http.Response, body []byte) error {
	switch status := resp.StatusCode; {
	case status >= 300 && status < 400:
		return errors.New("nothing is ever redirected")
	case resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store":
		if status != http.StatusSwitchingProtocols {
			return fmt.Errorf("nosniff or no-store is missing in %v", resp.Header)
		}
	}
	operations := operationsAt(path)
	switch {
	case slices.Contains(everywhere, resp.StatusCode):
		return isProblem(method, resp, body)
	case method == http.MethodOptions && resp.StatusCode == http.StatusNoContent && operations != nil:
		return isPreflight(resp, body)
	case operations == nil:
		if resp.StatusCode != http.StatusNotFound {
			return errors.New("this path is not in the specification")
		}
		return isProblem(method, resp, body)
	}
	op := operations[method]
	if op == nil && method == http.MethodHead {
		op = operations[http.MethodGet]
	}
	if op == nil {
		if resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusNotFound {
			return errors.New("this method is not in the specification")
		}
		return isProblem(method, resp, body)
	}
	declared := op.Responses.Status(resp.StatusCode)
	if declared == nil {
		if resp.StatusCode < 400 || op.Responses.Default() == nil {
			return errors.New("this status is not in the specification")
		}
		declared = op.Responses.Default()
	}
	if resp.StatusCode >= 400 {
		if err := isProblem(method, resp, body); err != nil {
			return err
		}
	}
	return contentConforms(method, declared.Value, resp, body)
}

// everywhere are the statuses that every path can have: of the guard and the token.
var everywhere = []int{http.StatusForbidden, http.StatusUnauthorized, http.StatusTooManyRequests}

// isPreflight returns an error unless the answer lets a page of one origin send a
// request.
func isPreflight(resp *http.Response, body []byte) error {
	origin := resp.Header.Get("Access-Control-Allow-Origin")
	if origin == "" || origin == "*" || resp.Header.Get("Access-Control-Allow-Methods") == "" || len(body) > 0 {
		return fmt.Errorf("204 with %v and the body %q is no answer to a preflight", resp.Header, body)
	}
	return nil
}

// operationsAt returns the operations of the path, nil when it has none. A
// literal path goes before one with parameters.
func operationsAt(path string) map[string]*openapi3.Operation {
	var found map[string]*openapi3.Operation
	fewest := 100
	for template, item := range specification().Paths.Map() {
		if n, ok := matches(template, path); ok && n < fewest {
			found, fewest = item.Operations(), n
		}
	}
	return found
}

// matches reports whether the escaped path is one of the template's, and how
// many parameters that takes.
func matches(template, path string) (parameters int, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i := range want {
		text, err := url.PathUnescape(got[i])
		switch {
		case err != nil:
			return 0, false
		case strings.HasPrefix(want[i], "{"):
			if text == "" || text == "." || text == ".." || text == "/" {
				return 0, false
			}
			parameters++
		case want[i] != text:
			return 0, false
		}
	}
	return parameters, true
}

// isProblem returns an error unless the answer is a problem document that
// says the same as its status line.
func isProblem(method string, resp *http.Response, body []byte) error {
	if got := resp.Header.Get("Content-Type"); got != api.ProblemType {
		return fmt.Errorf("an error of type %q", got)
	}
	if resp.StatusCode == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "" {
		return errors.New("405 without Allow")
	}
	if resp.ContentLength < 0 {
		return errors.New("an error without a length, whose end may come late")
	}
	if method == http.MethodHead {
		return nil
	}
	schema := specification().Components.Schemas["Problem"].Value
	if err := jsonConforms(schema, body); err != nil {
		return err
	}
	p := problemOf(body)
	if p.Status != resp.StatusCode || p.Title != http.StatusText(p.Status) || api.StatusOf(p.Code) != p.Status {
		return fmt.Errorf("status %d, title %q and code %s do not go together", p.Status, p.Title, p.Code)
	}
	return nil
}

func problemOf(body []byte) api.Problem {
	var p api.Problem
	if json.Unmarshal(body, &p) != nil {
		return api.Problem{}
	}
	return p
}

// contentConforms checks type and content of an answer.
func contentConforms(method string, declared *openapi3.Response, resp *http.Response, body []byte) error {
	if len(declared.Content) == 0 {
		if len(body) > 0 {
			return errors.New("a body where none is declared")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	content := declared.Content[media]
	if content == nil {
		return fmt.Errorf("the type %s is not in the specification", media)
	}
	switch {
	case method == http.MethodHead:
		if len(body) > 0 {
			return errors.New("a body for HEAD")
		}
		return nil
	case strings.HasSuffix(media, "json") && media != api.NDJSON:
		return jsonConforms(content.Schema.Value, body)
	case content.Extensions["x-lines"] != nil:
		return linesConform(content.Extensions["x-lines"].(string), media, body)
	}
	return content.Schema.Value.VisitJSON(string(body))
}

// jsonConforms checks one JSON text against a schema.
func jsonConforms(schema *openapi3.Schema, text []byte) error {
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return schema.VisitJSON(doubles(v))
}

// doubles returns the value with its numbers as doubles, however large: those
// of documents are as people wrote them.
func doubles(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return min(max(f, -math.MaxFloat64), math.MaxFloat64)
	case []any:
		for i := range v {
			v[i] = doubles(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = doubles(v[name])
		}
	}
	return v
}

// linesConform checks lines or server-sent events against a schema.
func linesConform(schema, media string, body []byte) error {
	before, end := "", "\n"
	if media == api.SSE {
		before, end = "data: ", "\n\n"
	}
	if len(body) > 0 && !bytes.HasSuffix(body, []byte(end)) {
		return errors.New("the last line has no end")
	}
	of := specification().Components.Schemas[schema].Value
	if len(body) == 0 {
		return nil
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(body), end), end) {
		data, ok := strings.CutPrefix(line, before)
		if !ok {
			return fmt.Errorf("the event %.100q has no data", line)
		}
		if err := jsonConforms(of, []byte(data)); err != nil {
			return fmt.Errorf("line %.100q: %w", line, err)
		}
	}
	return nil
}
