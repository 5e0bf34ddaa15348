package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
)

// localCodes never travel: they are for the start of a daemon or for a client
// that found none.
var localCodes = []cairn.Code{cairn.CodeSchemaTooNew, cairn.CodeUnreachable}

// TestCodes holds the three lists of codes to each other: the constants, the
// table of statuses and the enum of the specification.
func TestCodes(t *testing.T) {
	constants := constants(t)
	if len(constants) < 15 {
		t.Fatalf("found only %d codes", len(constants))
	}
	var wire []cairn.Code
	for _, code := range constants {
		if !slices.Contains(localCodes, code) {
			wire = append(wire, code)
		}
	}
	slices.Sort(wire)
	if diff := cmp.Diff(wire, enum(t)); diff != "" {
		t.Errorf("the enum of openapi.yaml differs from the codes of package cairn (-cairn +openapi)\n%s", diff)
	}
	if diff := cmp.Diff(wire, table(t, constants)); diff != "" {
		t.Errorf("the table of statuses differs from the codes of package cairn (-cairn +table)\n%s", diff)
	}
}

// constants returns the codes that package cairn declares, by their names.
func constants(t *testing.T) map[string]cairn.Code {
	t.Helper()
	codes := map[string]cairn.Code{}
	ast.Inspect(parse(t, "../error.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes[spec.Names[0].Name] = cairn.Code(text)
		}
		return true
	})
	return codes
}

// table returns the codes that have a row in the table of statuses.
func table(t *testing.T, constants map[string]cairn.Code) []cairn.Code {
	t.Helper()
	var codes []cairn.Code
	ast.Inspect(parse(t, "problem.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "statuses" {
			return true
		}
		for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
			codes = append(codes, constants[row.(*ast.KeyValueExpr).Key.(*ast.SelectorExpr).Sel.Name])
		}
		return false
	})
	slices.Sort(codes)
	return codes
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// enum returns the codes that the specification allows.
func enum(t *testing.T) []cairn.Code {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	var codes []cairn.Code
	for _, v := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		codes = append(codes, cairn.Code(v.(string)))
	}
	slices.Sort(codes)
	return codes
}

// TestStatuses pins the status of each code: programs rely on it.
func TestStatuses(t *testing.T) {
	want := map[cairn.Code]int{
		"invalid": 400, "unauthorized": 401, "forbidden": 403, "too_many_failures": 429, "not_found": 404, "method_not_allowed": 405, "timeout": 408, "gone": 410, "changed": 412,
		"too_large": 413, "unsupported_media_type": 415,
		"job_not_found": 404, "not_in_backup": 404, "nothing_to_undo": 409, "key_needed": 409, "too_late": 409, "check_running": 409, "format_too_new": 505,
		"signed_out": 511, "no_cloud": 511, "cloud_locked": 511, "key_wrong": 511, "passphrase_wrong": 511, "credentials_refused": 511,
		"credentials_missing": 511, "access_key_unknown": 511, "session_expired": 511,
	}
	for _, code := range enum(t) {
		status := want[code]
		if status == 0 {
			status = 500
		}
		if got := api.StatusOf(code); got != status {
			t.Errorf("%s has status %d, want %d", code, got, status)
		}
	}
	for _, code := range append(localCodes, "", "no such code") {
		if got := api.StatusOf(code); got != 500 {
			t.Errorf("%q has status %d, want 500", code, got)
		}
	}
}

// TestDeclared pins what the operations on backups answer: clients that were
// generated for the original API know these statuses and no others.
func TestDeclared(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		t.Fatal(err)
	}
	const cloud, broken = "500 505 511", "400 408 413 415"
	for operation, want := range map[string]string{
		"POST /backup":                                    "204 401 403 429 " + cloud + " " + broken,
		"POST /backup/asset":                              "204 401 403 429 " + cloud + " " + broken,
		"GET /backup/{backup}":                            "200 401 403 429 " + cloud,
		"POST /backup/{backup}/restore":                   "200 401 403 429 " + cloud + " " + broken,
		"GET /backup/{backup}/creation/status":            "200 401 403 429 404 500",
		"GET /backup/{backup}/restoration/status":         "200 401 403 429 404 500",
		"GET /backups":                                    "200 401 403 429 " + cloud,
		"POST /backups/create":                            "200 401 403 429 " + cloud + " " + broken,
		"POST /backup/{backup}/restore/streamed":          "200 401 403 429 " + cloud + " " + broken,
		"GET /backup/{backup}/restore/streamed/websocket": "101 200 400 401 403 429 " + cloud,
		"POST /backup/{backup}/creation/cancel":           "204 401 403 429 500 " + broken,
		"POST /backup/{backup}/restoration/cancel":        "204 401 403 429 500 " + broken,
		"POST /backups/create/streamed":                   "200 401 403 429 " + cloud + " " + broken,
		"GET /backups/create/streamed/websocket":          "101 200 400 401 403 429 " + cloud,
		"GET /backups/streamed/progress":                  "101 200 400 401 403 429 500",
		"POST /backups/{backup}/delete":                   "204 401 403 429 " + cloud + " " + broken,
	} {
		method, path, _ := strings.Cut(operation, " ")
		got := slices.Sorted(maps.Keys(doc.Paths.Value(path).GetOperation(method).Responses.Map()))
		if diff := cmp.Diff(slices.Sorted(slices.Values(strings.Fields(want))), got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", operation, diff)
		}
	}
}

// TestProblems sends each code over the wire and back.
func TestProblems(t *testing.T) {
	for _, code := range enum(t) {
		sent := fmt.Errorf("outer: %w", &cairn.Error{Code: code, Message: "What <happened> é.", Hint: "Do \"this\".", Err: errors.New("a secret")})
		p := api.ProblemOf(sent)
		if p.Status != api.StatusOf(code) || p.Title != http.StatusText(p.Status) || p.Type != "about:blank" {
			t.Errorf("%s: %+v", code, p)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got := api.ReadProblem(p.Status, "application/problem+json; charset=utf-8", text)
		want := &cairn.Error{Code: code, Message: "What <happened> é.", Hint: "Do \"this\"."}
		if diff := cmp.Diff(error(want), got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", code, diff)
		}
		if !errors.Is(got, &cairn.Error{Code: code}) || !errors.Is(sent, &cairn.Error{Code: code}) {
			t.Errorf("%s: errors.Is differs on the two sides of the wire", code)
		}
	}
	p := api.ProblemOf(errors.New("a secret"))
	want := api.Problem{
		Type: "about:blank", Title: "Internal Server Error", Status: 500, Code: cairn.CodeInternal,
		Detail: "The daemon failed at this request.", Hint: "Its log says why.",
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("an unknown error: (-want +got)\n%s", diff)
	}
}

// TestForeignProblems reads errors that no cairn sent.
func TestForeignProblems(t *testing.T) {
	for _, test := range []struct {
		status            int
		contentType, body string
	}{
		{404, "text/plain", "404 page not found"},
		{404, "application/problem+json", ""},
		{404, "application/problem+json", "<html>"},
		{404, "application/problem+json", `{"title":"x","status":404}`},
		{404, "application/problem+json", `{"code":7}`},
		{502, "application/json", `{"code":"gone","detail":"x"}`},
		{599, "", ""},
		{301, "", ""},
	} {
		err := api.ReadProblem(test.status, test.contentType, []byte(test.body))
		want := &cairn.Error{
			Code:    cairn.CodeInternal,
			Message: fmt.Sprintf("The answer has status %d and does not come from cairn.", test.status),
			Hint:    "Check what else listens on this address.",
		}
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("%d %s %q: (-want +got)\n%s", test.status, test.contentType, test.body, diff)
		}
	}
}
