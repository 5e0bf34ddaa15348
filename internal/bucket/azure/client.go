package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// newClient returns the client of a container. Credentials are what the environment
// has of a storage account, as the Azure tools read it, a key before a shared access
// signature; else those that Azure's libraries find by default.
func newClient(l Location, client *http.Client) (*container.Client, error) {
	once := policy.RetryOptions{MaxRetries: -1} // package bucket tries again
	silent := policy.TelemetryOptions{Disabled: true}
	options := &container.ClientOptions{ClientOptions: policy.ClientOptions{Retry: once, Telemetry: silent, Transport: guard{client}}}
	address := l.service() + "/" + l.Container
	if key := os.Getenv("AZURE_STORAGE_KEY"); key != "" {
		shared, err := container.NewSharedKeyCredential(l.Account, key)
		if err != nil {
			return nil, malformed("AZURE_STORAGE_KEY", "it is not base64")
		}
		return container.NewClientWithSharedKeyCredential(address, shared, options)
	}
	if signature := strings.TrimPrefix(strings.TrimSpace(os.Getenv("AZURE_STORAGE_SAS_TOKEN")), "?"); signature != "" {
		if _, err := url.ParseQuery(signature); err != nil || strings.ContainsFunc(signature, isOdd) {
			return nil, malformed("AZURE_STORAGE_SAS_TOKEN", "it is not the query of a URL")
		}
		return container.NewClientWithNoCredential(address+"?"+signature, options)
	}
	witness := &remote.Witness{Transport: client.Transport}
	found, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: policy.ClientOptions{Retry: once, Telemetry: silent, Transport: &http.Client{Transport: witness, CheckRedirect: remote.Stay}},
	})
	if err != nil {
		return nil, &bucket.Answer{Class: bucket.ErrNoCredentials, Said: "what there is of them cannot be read", Err: err}
	}
	return container.NewClient(address, signIn{found, witness}, options)
}

// signIn gets tokens, of which the client asks for one at a time.
type signIn struct {
	azcore.TokenCredential
	witness *remote.Witness
}

// GetToken implements azcore.TokenCredential. That nobody answers, which the library
// tells as a failure to sign in, is an error of the connection.
func (s signIn) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.witness.Forget()
	token, err := s.TokenCredential.GetToken(ctx, options)
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if cause := s.witness.Err(); ok && failed.RawResponse == nil && cause != nil && strings.Contains(err.Error(), cause.Error()) {
		err = fmt.Errorf("signing in: %w", cause)
	}
	return token, err
}

// malformed returns the error for a variable with a secret, which it does not tell.
func malformed(variable, why string) error {
	return &bucket.Answer{Class: bucket.ErrNoCredentials, Said: variable + " is malformed", Err: errors.New(why)}
}

// isOdd reports whether a URL cannot have a character in its query: an error of package
// url has the whole of it.
func isOdd(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

// A guard lets no answer through that says that all is well and does not come from
// the store: what a proxy says of itself must not pass for an object, nor for a
// container without objects, nor for success.
type guard struct{ client *http.Client }

// Do implements policy.Transporter.
func (g guard) Do(request *http.Request) (*http.Response, error) {
	response, err := g.client.Do(request)
	if err != nil {
		return nil, withoutQuery(request, err)
	}
	object := request.Method == http.MethodGet && request.URL.Query().Get("comp") == ""
	switch {
	case response.StatusCode/100 != 2:
		response.Body = limited{io.LimitReader(response.Body, longestError), response.Body}
	case !object:
		response.Body = limited{io.LimitReader(response.Body, longest), response.Body}
	}
	if said := fault(request, response, object); said != "" {
		_ = response.Body.Close() // it is of no use
		return nil, &remote.NotStoreError{Said: response.Status + ", " + response.Header.Get("Content-Type") + said}
	}
	return response, nil
}

// withoutQuery returns the error of a request without the query of its URL, which may
// hold a signature that is as good as a password.
func withoutQuery(request *http.Request, err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return fmt.Errorf("%s %s%s: %w", request.Method, request.URL.Host, request.URL.Path, err)
}

// How many bytes of an answer are read that is no object: the SDK holds them in memory.
const (
	longest      = 16 << 20 // a list of 5,000 names
	longestError = 64 << 10 // all of which is in the text of the error
)

// limited is a body of which not all is read.
type limited struct {
	io.Reader
	io.Closer
}

// fault says why an answer is none of the store; "" if it is one.
func fault(request *http.Request, response *http.Response, object bool) string {
	status := response.StatusCode
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return "" // whoever says so: it may be over by the next try
	case response.Header.Get("X-Ms-Version") == "" && response.Header.Get("X-Ms-Request-Id") == "", status/100 == 3:
		return ", without what Azure puts into its answers"
	case status/100 != 2:
		return ""
	case request.Method == http.MethodGet && status != http.StatusOK:
		return ", for the whole of it"
	case object && response.ContentLength < 0:
		return ", of no length" // it could end anywhere
	case request.Method == http.MethodDelete && status != http.StatusAccepted, request.Method == http.MethodPut && status != http.StatusCreated:
		return ", for a " + request.Method
	case (object || request.Method == http.MethodHead) && (response.Header.Get("ETag") == "" || response.Header.Get("Last-Modified") == ""):
		return ", without an ETag or a time"
	}
	return ""
}
