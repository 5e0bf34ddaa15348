package gcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// classes are the errors that the store answers with, by their reason. Source:
// Google, JSON API, HTTP status and error codes.
var classes = map[string]error{
	"conditionNotMet":           bucket.ErrExists,  // the only condition is that there is none
	"orgPolicyConstraintFailed": bucket.ErrRefused, // 412 too

	"authError":         bucket.ErrSecret,
	"required":          bucket.ErrSecret, // 401: whoever asks is not known
	"expired":           bucket.ErrExpired,
	"accountDisabled":   bucket.ErrRefused,
	"quotaExceeded":     bucket.ErrFull,
	"rateLimitExceeded": bucket.ErrBusy, // 403 too

	"userRateLimitExceeded":  bucket.ErrBusy,
	"backendError":           bucket.ErrBusy,
	"internalError":          bucket.ErrBusy,
	"conflict":               bucket.ErrBusy,
	"uploadBrokenConnection": bucket.ErrUnreachable,
}

// notStore returns the error of an answer that is none of a store.
func notStore(said string) error { return remote.Network(&remote.NotStoreError{Said: said}) }

// An apiError is what the store says when it refuses something.
type apiError struct {
	status          int
	reason, message string
}

// Error implements error.
func (e *apiError) Error() string { return fmt.Sprintf("%d %s %.200q", e.status, e.reason, e.message) }

// namesObject reports whether the store says of the object that it is not there,
// and not of the bucket.
func namesObject(err error) bool {
	api, ok := errors.AsType[*apiError](err)
	return ok && strings.HasPrefix(api.message, noObject)
}

// noObject is how the store begins to say that an object is not there.
const noObject = "No such object: "

// refusal returns the error of an answer that is not a good one.
func refusal(response *http.Response) error {
	const longest = 1 << 20
	text, _ := io.ReadAll(io.LimitReader(response.Body, longest)) // what there is of it
	var said struct {
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Errors  []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	api := &apiError{status: response.StatusCode}
	isAPI := json.Unmarshal(text, &said) == nil && said.Error.Code == response.StatusCode
	isText := isText(text, response)
	switch {
	case isAPI:
		api.message = said.Error.Message
		for _, e := range said.Error.Errors {
			api.reason = e.Reason
		}
	case isText:
		api.message = string(text)
	}
	class := classes[api.reason]
	if class == nil || api.reason == "required" && api.status != http.StatusUnauthorized {
		class = remote.ClassOf(response.StatusCode)
	}
	if class == bucket.ErrExists && api.reason != "" && classes[api.reason] != class {
		class = bucket.ErrRejected // for another condition than ours
	}
	lasts := class != bucket.ErrBusy && class != bucket.ErrUnreachable
	if lasts && !isAPI && !isText && !isBare(text, response) {
		class = bucket.ErrNotStore // of a proxy, say
	}
	answer := &bucket.Answer{Class: class, Said: strings.TrimSpace(fmt.Sprintf("%d %s", api.status, api.reason)), After: remote.After(response.Header), Err: api}
	if class == bucket.ErrRejected && api.message != "" {
		answer.Said += fmt.Sprintf(" %.200q", api.message)
	}
	if class == bucket.ErrNotStore {
		answer.Said = response.Status + ", " + response.Header.Get("Content-Type")
	}
	return answer
}

// isBare reports whether an answer has nothing but its status, and that one which the
// store gives to what the condition forbids: it may leave the rest out.
func isBare(text []byte, response *http.Response) bool {
	return len(text) == 0 && response.StatusCode == http.StatusPreconditionFailed
}

// isText reports whether an answer is an error of the store that is no JSON: what is
// to be downloaded it refuses in words, which it calls a page. Its servers for what is
// stored say so in a header.
func isText(text []byte, response *http.Response) bool {
	return response.StatusCode/100 == 4 && (response.Header.Get("X-Guploader-Uploadid") != "" || strings.HasPrefix(string(text), noObject))
}

// tokenError wraps an error of getting a token; cause is that of the connection.
func tokenError(err, cause error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		if cause != nil { // which the library has as text only
			return remote.Network(fmt.Errorf("getting a token: %w", cause))
		}
		return &bucket.Answer{Class: bucket.ErrNoCredentials, Said: "they give no token", Err: err}
	}
	var said struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
		Subtype     string `json:"error_subtype"`
	}
	_ = json.Unmarshal(refused.Body, &said) // else it says nothing
	// What came with it may be secret.
	answer := &bucket.Answer{Class: bucket.ErrSecret, Err: fmt.Errorf("getting a token: %d %.60q %.200q", refused.Response.StatusCode, said.Code, said.Description)}
	answer.Said = strings.TrimSpace(fmt.Sprintf("%d %.60s", refused.Response.StatusCode, said.Code))
	switch text := strings.ToLower(said.Description); {
	case !bucket.Transient(remote.ClassOf(refused.Response.StatusCode)) && said.Code == "":
		answer.Class = bucket.ErrNotStore
	case bucket.Transient(remote.ClassOf(refused.Response.StatusCode)):
		answer.Class, answer.After = remote.ClassOf(refused.Response.StatusCode), remote.After(refused.Response.Header)
	case strings.Contains(text, "iat and exp"): // of what was signed by this clock
		answer.Class = bucket.ErrClock
	case strings.Contains(text, "account not found"):
		answer.Class = bucket.ErrKey
	case strings.Contains(text, "expired or revoked"), said.Subtype == "invalid_rapt":
		answer.Class = bucket.ErrExpired
	}
	return answer
}
