package gcs

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// scope is what credentials are asked for: to read and to write objects.
const scope = "https://www.googleapis.com/auth/devstorage.read_write"

// contentType is that of all objects. A page that a proxy sends has another one.
const contentType = "application/octet-stream"

// A client makes requests.
type client struct {
	http   *http.Client
	tokens *tokens
}

// newClient returns a client with the application default credentials.
func newClient(ctx context.Context, stall time.Duration) (*client, error) {
	transport := remote.Transport(stall)
	transport.DisableCompression = true // what is stored is compressed
	fetch := &remote.Witness{Transport: transport}
	// Tokens are fetched as long as there is a client.
	ctx = context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, &http.Client{Transport: fetch, CheckRedirect: remote.Stay})
	found, err := findCredentials(ctx)
	if err != nil {
		return nil, err
	}
	return &client{&http.Client{Transport: transport, CheckRedirect: remote.Stay}, &tokens{source: found.TokenSource, fetch: fetch}}, nil
}

func findCredentials(ctx context.Context) (*google.Credentials, error) {
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		said := "neither GOOGLE_APPLICATION_CREDENTIALS nor the files of gcloud have any"
		if strings.Contains(err.Error(), "GOOGLE_APPLICATION_CREDENTIALS") { // it has no type
			said = "the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be read"
		}
		return nil, &bucket.Answer{Class: bucket.ErrNoCredentials, Said: said, Err: err}
	}
	return found, nil
}

// An upload is the body of a request; the zero value for none.
type upload struct {
	content *remote.Lent
	size    int64 // bytes
}

// do makes a request. The answer is a good one; its body must be closed.
func (c *client) do(ctx context.Context, method, url string, body upload) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if body.content != nil {
		request.Header.Set("Content-Type", contentType)
		if body.size > 0 {
			request.Body, request.ContentLength = body.content, body.size
		}
	}
	request.Header.Set("User-Agent", "cairn")
	token.SetAuthHeader(request)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, remote.Network(err)
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

// ask makes a request and reads the answer.
func (c *client) ask(ctx context.Context, method, url string, body upload, into any) error {
	response, err := c.do(ctx, method, url, body)
	if err != nil {
		return err
	}
	return decode(response, into)
}

// checkObject returns an error unless an answer is a whole object: what a proxy says
// of itself must not pass for one.
func checkObject(response *http.Response) error {
	said := response.Status + ", " + response.Header.Get("Content-Type")
	switch {
	case response.StatusCode != http.StatusOK:
		return notStore(said + ", for a whole object")
	case response.ContentLength < 0:
		return notStore(said + ", of no length") // it could end anywhere
	case remote.IsPage(response.Header.Get("Content-Type")), response.Header.Get("X-Goog-Generation") == "":
		return notStore(said + ", without a generation")
	}
	return nil
}
