package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"cairn/api"
)

// A Spec holds answers to an OpenAPI document.
type Spec struct{ doc *openapi3.T }

// LoadSpec reads the document of package api.
func LoadSpec() (*Spec, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(api.Spec)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("checking the OpenAPI document: %w", err)
	}
	registerDecoders()
	return &Spec{doc}, nil
}

// Answers that are not on the list of a route, because they are not the
// route's: its method or path does not exist, or the guard or the token
// kept the request out.
var unrouted = []int{http.StatusForbidden, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusNotFound, http.StatusMethodNotAllowed}

// Check returns what is wrong with an answer to the request in it, whose body
// has been read.
func (s *Spec) Check(resp *http.Response, body []byte) error {
	req := resp.Request
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return errors.New("an answer must be no redirect")
	}
	route, params := s.route(req)
	if route == nil && req.Method == http.MethodHead {
		asGet := *req
		asGet.Method = http.MethodGet // HEAD answers as GET does
		route, params = s.route(&asGet)
	}
	if req.Method == http.MethodOptions && resp.StatusCode == http.StatusNoContent && resp.Header.Get("Access-Control-Allow-Methods") != "" {
		return nil // a browser asked whether a page may send a request
	}
	if resp.StatusCode >= 400 {
		if err := s.checkProblem(resp, body); err != nil {
			return err
		}
	}
	if route == nil {
		if !slices.Contains(unrouted, resp.StatusCode) {
			return errors.New("no such operation is in the document")
		}
		return nil
	}
	if err := s.validate(resp, body, route, params); err != nil {
		return err
	}
	if answer := route.Operation.Responses.Status(resp.StatusCode); answer != nil {
		media := resp.Header.Get("Content-Type")
		if content := answer.Value.Content[media]; content != nil {
			if schema, ok := content.Extensions["x-lines"].(string); ok {
				return s.checkLines(schema, media, body)
			}
		}
	}
	return nil
}

// checkProblem checks an answer of status 400 or more, on whatever route.
func (s *Spec) checkProblem(resp *http.Response, body []byte) error {
	if got := resp.Header.Get("Content-Type"); got != api.ProblemType {
		return fmt.Errorf("an error has the Content-Type %q, not %q", got, api.ProblemType)
	}
	if resp.StatusCode == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "" {
		return errors.New("method not allowed, but there is no Allow header")
	}
	if resp.Request.Method == http.MethodHead {
		return nil
	}
	if err := s.CheckSchema("Problem", body); err != nil {
		return err
	}
	var p api.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		return err
	}
	if p.Status != resp.StatusCode || api.StatusOf(p.Code) != resp.StatusCode {
		return fmt.Errorf("the problem has code %s and status %d in an answer of status %d", p.Code, p.Status, resp.StatusCode)
	}
	return nil
}

// checkLines checks an answer of lines, or of server-sent events, each of which
// the document has a schema for.
func (s *Spec) checkLines(schema, media string, body []byte) error {
	end := "\n"
	if media == api.SSE {
		end = "\n\n"
	}
	if len(body) > 0 && !bytes.HasSuffix(body, []byte(end)) {
		return errors.New("the last line has no end")
	}
	n := 0
	for line := range bytes.SplitAfterSeq(body, []byte(end)) {
		if len(line) == 0 {
			break // behind the last
		}
		n++
		if media == api.SSE {
			data, ok := bytes.CutPrefix(line, []byte("data: "))
			if !ok {
				return fmt.Errorf("event %d has no data", n)
			}
			line = data
		}
		if err := s.CheckSchema(schema, line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// CheckSchema returns how a JSON text differs from the schema of that name.
func (s *Spec) CheckSchema(name string, text []byte) error {
	schema := s.doc.Components.Schemas[name]
	if schema == nil {
		return fmt.Errorf("the document has no schema %s", name)
	}
	v, err := decodeJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	opts := append(schemaOptions(), openapi3.VisitAsResponse(), openapi3.SetSchemaErrorMessageCustomizer(short))
	if err := schema.Value.VisitJSON(v, opts...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (s *Spec) validate(resp *http.Response, body []byte, route *routers.Route, params map[string]string) error {
	options := &openapi3filter.Options{IncludeResponseStatus: true, SchemaValidationOptions: schemaOptions()}
	options.WithCustomSchemaErrorFunc(short)
	return openapi3filter.ValidateResponse(resp.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: resp.Request, PathParams: params, Route: route,
		},
		Status:  resp.StatusCode,
		Header:  resp.Header,
		Body:    io.NopCloser(bytes.NewReader(body)),
		Options: options,
	})
}

func schemaOptions() []openapi3.SchemaValidationOption {
	uuid := openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC4122)
	return []openapi3.SchemaValidationOption{openapi3.WithStringFormatValidator("uuid", uuid)}
}

// short tells of a mismatch without the value, which may be large.
func short(err *openapi3.SchemaError) string {
	return fmt.Sprintf("/%s: %s", strings.Join(err.JSONPointer(), "/"), err.Reason)
}

// route returns the operation that a request is for, nil when there is none.
// Of two paths the one with the earlier literal part counts, as for the
// standard library's mux, but whatever methods it has.
func (s *Spec) route(req *http.Request) (*routers.Route, map[string]string) {
	var best string
	for path := range s.doc.Paths.Map() {
		if _, ok := match(path, req.URL.EscapedPath()); ok && (best == "" || literalFirst(path, best)) {
			best = path
		}
	}
	item := s.doc.Paths.Value(best)
	if item == nil || item.GetOperation(req.Method) == nil {
		return nil, nil
	}
	params, _ := match(best, req.URL.EscapedPath())
	return &routers.Route{
		Spec: s.doc, Path: best, PathItem: item, Method: req.Method, Operation: item.GetOperation(req.Method),
	}, params
}

// match compares a path with one of the document, such as /assets/{id}.
func match(template, escaped string) (params map[string]string, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(escaped, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params = map[string]string{}
	for i, w := range want {
		g, err := url.PathUnescape(got[i])
		switch {
		case err != nil:
			return nil, false
		case strings.HasPrefix(w, "{"):
			if g == "" || g == "." || g == ".." || g == "/" {
				return nil, false
			}
			params[strings.Trim(w, "{}")] = g
		case w != g:
			return nil, false
		}
	}
	return params, true
}

// literalFirst reports whether path a has a literal part where b, which
// matches the same requests, has a variable first.
func literalFirst(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range x {
		if x[i] != y[i] {
			return !strings.HasPrefix(x[i], "{")
		}
	}
	return false
}

// registerDecoders tells the library how to read the bodies that are sent
// here. Its own JSON decoder would let a second document pass, and it would
// take YAML, which the document calls a string, apart.
func registerDecoders() {
	asJSON := func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		return decodeJSON(body)
	}
	openapi3filter.RegisterBodyDecoder(api.JSON, asJSON)
	openapi3filter.RegisterBodyDecoder(api.ProblemType, asJSON)
	for _, mediaType := range []string{api.NDJSON, api.JSONLines, api.SSE, api.YAML, "text/html"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.PlainBodyDecoder)
	}
}

// decodeJSON reads exactly one JSON document. Numbers stay as they are: a
// document may hold some that no float64 does.
func decodeJSON(r io.Reader) (any, error) {
	d := json.NewDecoder(r)
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON document")
	}
	return v, nil
}
