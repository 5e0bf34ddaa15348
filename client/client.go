// Package client speaks to a running cairn daemon.
//
//	c := client.New("http://127.0.0.1:39300")
//	st, err := c.Status(ctx)
//	for asset, err := range c.Assets(ctx, true) { ... }
//	for progress, err := range c.StreamCreate(ctx) { ... }
//
// Errors are *cairn.Error values with the codes that the daemon sent;
// cairn.CodeUnreachable means that none answered.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"cairn"
	"cairn/api"
)

// A Client calls one daemon. It may be used by several goroutines.
type Client struct {
	at    string // where the daemon is, as it was given
	base  string // of the URLs of requests
	token string // "" for none
	http  *http.Client
}

// New returns a client of the daemon at a URL: http or https without a path, or
// unix:///absolute/path of a socket. It connects when it is first used.
func New(at string) *Client {
	// The daemon is on this machine, or known by its address: no proxy stands in
	// between.
	transport := &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 16}
	c := &Client{at: strings.TrimRight(at, "/"), http: &http.Client{
		Transport: transport,
		// It never redirects. Whatever else does must not lead documents away.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.base = c.at
	if path, ok := socketPath(at); ok {
		c.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	return c
}

// WithToken returns a client that shows a token with all it asks, over the same
// connections. "" is none.
func (c *Client) WithToken(token string) *Client {
	other := *c
	other.token = token
	return &other
}

// socketPath returns the path of a socket that a URL names, unix:///path, or, with
// nothing escaped, unix:/path or unix:path.
func socketPath(at string) (path string, ok bool) {
	path, ok = strings.CutPrefix(at, "unix:")
	if !ok || !strings.HasPrefix(path, "//") {
		return path, ok
	}
	path = strings.TrimPrefix(path, "//")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	if runtime.GOOS == "windows" {
		path = filepath.FromSlash(strings.TrimPrefix(path, "/")) // unix:///C:/folder/socket
	}
	return path, true
}

// Status returns what the daemon says of itself and its database.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return answer[api.Status](ctx, c, http.MethodGet, "/v1/status")
}

// Daemon returns what the daemon says of itself, at once.
func (c *Client) Daemon(ctx context.Context) (api.Daemon, error) {
	return answer[api.Daemon](ctx, c, http.MethodGet, "/v1/daemon")
}

// answer sends a request without a body and returns the answer, which is JSON.
func answer[T any](ctx context.Context, c *Client, method, path string) (v T, err error) {
	text, err := c.call(ctx, method, path, "", nil)
	return decode[T](text, err)
}

// answerTo is answer to a request with a body, which is JSON; nil is none.
func answerTo[T any](ctx context.Context, c *Client, method, path string, body []byte) (v T, err error) {
	if body == nil {
		return answer[T](ctx, c, method, path)
	}
	text, err := c.call(ctx, method, path, api.JSON, jsonBody(body))
	return decode[T](text, err)
}

// errNoList says what an answer lacks.
var errNoList = errors.New("the list is missing")

// listed returns the items of an answer {"iterable":[...]}.
func listed[T any](ctx context.Context, c *Client, method, path string) ([]T, error) {
	v, err := answer[struct {
		Iterable []T `json:"iterable"`
	}](ctx, c, method, path)
	if err == nil && v.Iterable == nil {
		err = notOurs(errNoList)
	}
	return v.Iterable, err
}

// decode returns an answer as what it should be, unless there is an error.
func decode[T any](text []byte, err error) (v T, _ error) {
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, notOurs(err)
	}
	return v, nil
}

// call sends a request and returns the whole answer.
func (c *Client) call(ctx context.Context, method, path, mediaType string, body io.Reader) ([]byte, error) {
	header := http.Header{}
	if mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	return c.callWith(ctx, method, path, header, body)
}

// callWith is call with a header.
func (c *Client) callWith(ctx context.Context, method, path string, header http.Header, body io.Reader) ([]byte, error) {
	resp, err := c.send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, c.cutOff(ctx, err)
	}
	return text, nil
}

// post sends a request with a JSON body, or none for nil, whose answer has none.
func (c *Client) post(ctx context.Context, path string, body []byte) error {
	var header http.Header
	var reader io.Reader
	if body != nil {
		header, reader = http.Header{"Content-Type": {api.JSON}}, jsonBody(body)
	}
	resp, err := c.sendFor(ctx, http.StatusNoContent, http.MethodPost, path, header, reader)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// send sends a request; an answer of any status but 200 is an error.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	return c.sendFor(ctx, http.StatusOK, method, path, header, body)
}

// sendFor is send for an answer of another status.
func (c *Client) sendFor(ctx context.Context, status int, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	c.authorize(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode == status {
		return resp, nil
	}
	return nil, refusal(resp)
}

// authorize adds the token to a header, if there is one.
func (c *Client) authorize(header http.Header) {
	if c.token != "" && header != nil {
		header.Set("Authorization", "Bearer "+c.token)
	}
}

// request returns a request to the daemon.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	if strings.ContainsFunc(c.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The token for the daemon has a character that none has, such as a space or the end of a line.",
			Hint:    "Give it, as the variable CAIRN_TOKEN or otherwise, just as the daemon has it.",
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The daemon's address " + cairn.Quote(c.at) + " is not a URL.",
			Hint:    "It looks like http://127.0.0.1:39300 or unix:///path/of/socket.",
			Err:     err,
		}
	}
	return req, nil
}

// refusal returns the error that an answer of another status than the wanted one
// tells of.
func refusal(resp *http.Response) error {
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return api.ReadProblem(resp.StatusCode, resp.Header.Get("Content-Type"), text)
}

// unreachable says that no answer came.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		return e // of the body that was to be sent
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &cairn.Error{
			Code:    cairn.CodeUnreachable,
			Message: "The certificate of the daemon at " + c.at + " is not for that name, or of nobody whom this computer trusts.",
			Hint:    "Use the name in the certificate; on Linux the variable SSL_CERT_FILE can name a file of those to trust. On the daemon's own computer its socket needs none.",
			Err:     err,
		}
	}
	return &cairn.Error{
		Code:    cairn.CodeUnreachable,
		Message: "No daemon answers at " + c.at + ".",
		Hint:    "Start it with cairn serve, or name another address in CAIRN_URL.",
		Err:     err,
	}
}

// cutOff says that an answer ended too early.
func (c *Client) cutOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &cairn.Error{
		Code:    cairn.CodeUnreachable,
		Message: "The answer of the daemon at " + c.at + " was cut off.",
		Hint:    "Try again; the daemon's log may say why.",
		Err:     err,
	}
}

// broken says why an answer could not be decoded: it was cut off, or it is not
// what a daemon sends.
func (c *Client) broken(ctx context.Context, err error) error {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	if syntax || kind {
		return notOurs(err)
	}
	return c.cutOff(ctx, err)
}

func notOurs(err error) error {
	return &cairn.Error{
		Code:    cairn.CodeInternal,
		Message: "The answer is not what a cairn daemon sends.",
		Hint:    "Check what else listens on this address.",
		Err:     err,
	}
}

// segment makes one segment of a path of an id.
func segment(id string) string { return url.PathEscape(id) }

func jsonBody(v []byte) io.Reader { return bytes.NewReader(v) }
