package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
)

// Health returns the id of the installation, when the daemon answers.
func (c *Client) Health(ctx context.Context) (installation string, err error) {
	text, err := c.call(ctx, http.MethodGet, "/.well-known/health", "", nil)
	if err != nil {
		return "", err
	}
	installation, ok := strings.CutPrefix(string(text), "ok:")
	if !ok {
		return "", notOurs(errors.New("it does not say that it is well"))
	}
	return installation, nil
}

// version is what the level of an API looks like.
var version = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// Version returns the level of the Pieces OS API that the daemon speaks.
func (c *Client) Version(ctx context.Context) (string, error) {
	text, err := c.call(ctx, http.MethodGet, "/.well-known/version", "", nil)
	if err == nil && !version.Match(text) {
		err = notOurs(errors.New("it does not say which version it is"))
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

// Connect introduces a program, a TrackedApplication or nil, and returns the
// Context that it works in.
func (c *Client) Connect(ctx context.Context, application json.RawMessage) (json.RawMessage, error) {
	var body []byte
	if application != nil {
		body = append(append([]byte(`{"application":`), application...), '}')
	}
	return answerTo[json.RawMessage](ctx, c, http.MethodPost, "/connect", body)
}

// User returns the UserProfile of the local user; nil while they are signed out.
func (c *Client) User(ctx context.Context) (json.RawMessage, error) {
	v, err := answer[struct {
		User json.RawMessage `json:"user"`
	}](ctx, c, http.MethodGet, "/user")
	if bytes.Equal(v.User, []byte("null")) {
		return nil, err
	}
	return v.User, err
}

// SignIn signs the local user in, which takes no password, and returns their
// UserProfile.
func (c *Client) SignIn(ctx context.Context) (json.RawMessage, error) {
	return answer[json.RawMessage](ctx, c, http.MethodPost, "/os/sign_in")
}

// SignOut signs the local user out: backups are refused until they sign in again.
// Documents stay as they are.
func (c *Client) SignOut(ctx context.Context) error {
	_, err := listed[json.RawMessage](ctx, c, http.MethodPost, "/os/sign_out")
	return err
}

// Allocations returns the AllocationCloud of the local user; none while they are
// signed out, or no cloud is ready.
func (c *Client) Allocations(ctx context.Context) ([]json.RawMessage, error) {
	return listed[json.RawMessage](ctx, c, http.MethodGet, "/allocations")
}

// Metrics returns what the daemon counts, in Prometheus' text format.
func (c *Client) Metrics(ctx context.Context) (string, error) {
	text, err := c.call(ctx, http.MethodGet, "/metrics", "", nil)
	return string(text), err
}
