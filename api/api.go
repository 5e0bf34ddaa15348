// Package api is the wire: what travels between the daemon and its clients.
//
// [Spec] describes every path; [Problem] is the body of every error, and
// [StatusOf] the one table from error codes to HTTP statuses that server and
// client share:
//
//	p := api.ProblemOf(err)
//	w.WriteHeader(p.Status)
//
// Models of the original API (assets, formats) travel as raw JSON, so that
// fields which nobody here knows survive.
package api

import _ "embed"

// Spec is the OpenAPI description of all paths that exist, in YAML.
//
//go:embed openapi.yaml
var Spec []byte

// Media types.
const (
	JSON      = "application/json"
	NDJSON    = "application/x-ndjson"
	JSONLines = "application/jsonl" // another name of NDJSON
	SSE       = "text/event-stream" // server-sent events
	Text      = "text/plain; charset=utf-8"
	YAML      = "application/yaml"
	problem   = "application/problem+json"
)
