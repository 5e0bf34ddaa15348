package azure_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/azure"
	"cairn/internal/bucket/buckettest"
	"cairn/test/emulator"
)

// credentials gives the process a key, and nothing else.
func credentials(t *testing.T) {
	t.Helper()
	t.Setenv("AZURE_STORAGE_KEY", base64.StdEncoding.EncodeToString([]byte("secret")))
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "")
}

// standIn opens a container of what answers as handle has it.
func standIn(t *testing.T, handle http.HandlerFunc) *azure.Bucket {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return open(t, server.URL)
}

// open opens a container at an endpoint, with what credentials there are.
func open(t *testing.T, endpoint string) *azure.Bucket {
	t.Helper()
	b, err := azure.OpenImpatient(t.Context(), azure.Location{Container: "box", Account: emulator.Account, Endpoint: endpoint}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAnswers has a store refuse all calls.
func TestAnswers(t *testing.T) {
	credentials(t)
	page := http.Header{"Content-Type": {"text/html"}}
	azures := http.Header{"X-Ms-Version": {"1"}}
	for _, c := range []struct {
		status int
		code   string // "" for an answer that is none of Azure
		says   string
		header http.Header
		want   error
	}{
		{status: 400, code: "InvalidHeaderValue", says: "because", want: bucket.ErrRejected},
		{status: 412, code: "LeaseIdMissing", says: "because", want: bucket.ErrRejected},
		{status: 403, code: "AuthenticationFailed", want: bucket.ErrSecret},
		{status: 400, code: "InvalidAuthenticationInfo", want: bucket.ErrSecret},
		{status: 401, code: "NoAuthenticationInformation", want: bucket.ErrSecret},
		{status: 403, code: "AuthorizationFailure", want: bucket.ErrRefused},
		{status: 403, code: "AuthorizationPermissionMismatch", want: bucket.ErrRefused},
		{status: 403, code: "AuthorizationSourceIPMismatch", want: bucket.ErrRefused},
		{status: 403, code: "AccountIsDisabled", want: bucket.ErrRefused},
		{status: 409, code: "BlobArchived", want: bucket.ErrRefused},
		{status: 409, code: "BlobImmutableDueToPolicy", want: bucket.ErrRefused},
		{status: 404, code: "ContainerNotFound", want: bucket.ErrMissing},
		{status: 409, code: "ContainerBeingDeleted", want: bucket.ErrMissing},
		{status: 400, code: "Md5Mismatch", want: bucket.ErrUnreachable},
		{status: 500, code: "InternalError", want: bucket.ErrBusy},
		{status: 500, code: "OperationTimedOut", want: bucket.ErrBusy},
		{status: 503, code: "ServerBusy", want: bucket.ErrBusy, header: http.Header{"Retry-After": {"7"}}},
		{status: 429, header: page, want: bucket.ErrBusy},
		{status: 507, header: azures, want: bucket.ErrFull},
		{status: 502, header: page, want: bucket.ErrBusy},
		{status: 404, header: page, want: bucket.ErrNotStore},
		{status: 403, header: page, want: bucket.ErrNotStore},
		{status: 302, header: http.Header{"Location": {"http://127.0.0.1:1/sign-in"}}, want: bucket.ErrNotStore},
		{status: 200, header: page, want: bucket.ErrNotStore},
		{status: 206, header: http.Header{"X-Ms-Version": {"1"}}, want: bucket.ErrNotStore},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.code), func(t *testing.T) {
			b := standIn(t, func(w http.ResponseWriter, r *http.Request) {
				maps.Copy(w.Header(), c.header)
				if c.code != "" {
					emulator.RefuseAzure(w, r, c.status, c.code, c.says)
					return
				}
				w.WriteHeader(c.status)
			})
			for name, call := range buckettest.Calls() {
				err := call(t.Context(), b)
				answer, ok := errors.AsType[*bucket.Answer](err)
				if !errors.Is(err, c.want) || !ok || answer.Class != c.want || answer.Said == "" {
					t.Errorf("%s: %v, want %v and what the store said", name, err, c.want)
				} else if waits := len(c.header["Retry-After"]) > 0; waits != (answer.After == 7*time.Second) {
					t.Errorf("%s: the store wants to be left alone for %v", name, answer.After)
				}
				if c.want == bucket.ErrRejected && name != "Head" && ok && !strings.Contains(answer.Said, "because") { // to which no body comes
					t.Errorf("%s: the store said %q, want its reason", name, answer.Said)
				}
			}
		})
	}
}

// TestExists has a store say in all its ways that an object is there, or is not.
func TestExists(t *testing.T) {
	credentials(t)
	for _, c := range []struct {
		call, code string
		status     int
		want       error
	}{
		{"Put", "BlobAlreadyExists", 409, bucket.ErrExists},
		{"Put", "ConditionNotMet", 412, bucket.ErrExists},
		{"Put", "UnauthorizedBlobOverwrite", 403, bucket.ErrExists},
		{"Get", "BlobNotFound", 404, bucket.ErrNotFound},
		{"Head", "ResourceNotFound", 404, bucket.ErrNotFound},
		{"Delete", "BlobNotFound", 404, nil},
		{"Put", "ResourceNotFound", 404, bucket.ErrMissing},
		{"List", "ResourceNotFound", 404, bucket.ErrMissing},
		{"Put", "LeaseLost", 412, bucket.ErrRejected},
	} {
		b := standIn(t, func(w http.ResponseWriter, r *http.Request) { emulator.RefuseAzure(w, r, c.status, c.code, "") })
		err := buckettest.Calls()[c.call](t.Context(), b)
		if !errors.Is(err, c.want) || c.want == bucket.ErrMissing && errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("%s after %s: %v, want %v", c.call, c.code, err, c.want)
		}
	}
}

// TestSecret has a store say what is wrong with credentials.
func TestSecret(t *testing.T) {
	credentials(t)
	for detail, want := range map[string]error{
		"The MAC signature found in the HTTP request is not the same as any computed signature.": bucket.ErrSecret,
		"Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c]":  bucket.ErrExpired,
		"Lifetime validation failed. The token is expired.":                                      bucket.ErrExpired,
		"The Date header in the request is incorrect.":                                           bucket.ErrClock,
		"Request date header too old: 'Fri, 04 Oct 2019 18:02:12 GMT'":                           bucket.ErrClock,
	} {
		b := standIn(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Ms-Version", "1")
			w.Header().Set("X-Ms-Error-Code", "AuthenticationFailed")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "\ufeff"+`<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>%s</AuthenticationErrorDetail></Error>`, detail)
		})
		for name, call := range buckettest.Calls() {
			if err := call(t.Context(), b); !errors.Is(err, want) {
				t.Errorf("%s after %q: %v, want %v", name, detail, err, want)
			}
		}
	}
}

// TestLists has what says that it lists, and does not.
func TestLists(t *testing.T) {
	credentials(t)
	item := func(name string) string {
		return "<Blob><Name>" + name + "</Name><Properties><Content-Length>1</Content-Length><Last-Modified>Thu, 26 Nov 2026 07:00:00 GMT</Last-Modified></Properties></Blob>"
	}
	for answer, want := range map[string]error{
		"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>":              nil,
		"<EnumerationResults><Blobs/><NextMarker>a</NextMarker></EnumerationResults>": bucket.ErrRejected, // again and again
		"<EnumerationResults/>": bucket.ErrNotStore,
		"<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>":                                       bucket.ErrNotStore,
		"<EnumerationResults><Blobs>" + strings.Replace(item("b"), "Content-Length", "Length", 2) + "</Blobs></EnumerationResults>": bucket.ErrNotStore,
		"<EnumerationResults><Blobs>" + item("b") + item("a") + "</Blobs></EnumerationResults>":                                     bucket.ErrRejected,
	} {
		b := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Ms-Version", "1")
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, answer)
		})
		if err := buckettest.Calls()["List"](t.Context(), b); !errors.Is(err, want) {
			t.Errorf("List of %s: %v, want %v", answer, err, want)
		}
	}
}

// TestDamaged has answers break off, and lack what they must tell.
func TestDamaged(t *testing.T) {
	credentials(t)
	at := func(endpoint string) bucket.Bucket { return open(t, endpoint) }
	list := "<EnumerationResults><Blobs/><Prefix>" + strings.Repeat("a", 1000) + "</Prefix><NextMarker/></EnumerationResults>"
	header := map[string]string{"X-Ms-Version": "1", "ETag": `"1"`, "Last-Modified": "Thu, 26 Nov 2026 07:00:00 GMT"}
	buckettest.CutAnswers(t, at, header, list)
	for _, call := range []string{"Get", "Head"} {
		buckettest.Untold(t, at, call, maps.Clone(header))
	}
}

// TestBadSignature has a signature that cannot be a part of a URL, and one with the end
// of a line of the file that it came from.
func TestBadSignature(t *testing.T) {
	t.Setenv("AZURE_STORAGE_KEY", "")
	for signature, want := range map[string]error{
		"sv=1&sig=TOP\x7fSECRET": bucket.ErrNoCredentials, "sv=1&sig=TOP%SECRET": bucket.ErrNoCredentials, "sv=1&sig=TOPSECRET\r\n": bucket.ErrUnreachable,
	} {
		t.Setenv("AZURE_STORAGE_SAS_TOKEN", signature)
		b, err := azure.Open(t.Context(), azure.Location{Container: "box", Account: "abc", Endpoint: "http://127.0.0.1:1"})
		if err == nil {
			_, err = b.Head(t.Context(), "name")
		}
		if !errors.Is(err, want) || strings.Contains(err.Error(), "TOP") {
			t.Errorf("with %q: %v, want %v without the signature", signature, err, want)
		}
	}
}

// TestNoConnection has nothing answer. What the errors tell has no signature in it.
func TestNoConnection(t *testing.T) {
	t.Setenv("AZURE_STORAGE_KEY", "")
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=TOPSECRET")
	buckettest.NoConnection(t, func(endpoint string) bucket.Bucket {
		b := open(t, endpoint)
		if _, err := b.Head(t.Context(), "name"); err == nil || strings.Contains(err.Error(), "TOPSECRET") {
			t.Errorf("Head: %v, want an error without the signature", err)
		}
		return b
	})
}

// TestCredentials has some that are no good, or none.
func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		endpoint    string
		want        error
	}{
		"a key that is not base64": {map[string]string{"AZURE_STORAGE_KEY": "?"}, "https://127.0.0.1:1", bucket.ErrNoCredentials},
		"none":                     {map[string]string{"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}, "https://127.0.0.1:1", bucket.ErrNoCredentials},
		"those of Entra over http": {map[string]string{
			"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential", "AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "TOPSECRET",
		}, "http://127.0.0.1:1", bucket.ErrNoCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"} {
				t.Setenv(variable, "")
			}
			for variable, value := range c.environment {
				t.Setenv(variable, value)
			}
			b, err := azure.Open(t.Context(), azure.Location{Container: "box", Account: emulator.Account, Endpoint: c.endpoint})
			if err == nil {
				_, err = b.Head(t.Context(), "name")
			}
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "TOPSECRET") {
				t.Errorf("Head: %v, want %v", err, c.want)
			}
		})
	}
}

// A trip is the answer to all requests.
type trip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestSignIn has whoever gives out tokens not answer, or not as it should.
func TestSignIn(t *testing.T) {
	for variable, value := range map[string]string{
		"AZURE_STORAGE_KEY": "", "AZURE_STORAGE_SAS_TOKEN": "", "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
		"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "TOPSECRET",
	} {
		t.Setenv(variable, value)
	}
	answer := func(status int, kind string, body io.Reader) trip {
		return func(r *http.Request) (*http.Response, error) {
			header := http.Header{"Content-Type": {kind}}
			return &http.Response{Status: http.StatusText(status), StatusCode: status, Header: header, Body: io.NopCloser(body), Request: r}, nil
		}
	}
	for name, c := range map[string]struct {
		trip trip
		want error
	}{
		"offline": {func(r *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}}
		}, bucket.ErrHost},
		"nobody listens": {func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}, bucket.ErrUnreachable},
		"it breaks off": {answer(200, "application/json", iotest.ErrReader(io.ErrUnexpectedEOF)), bucket.ErrUnreachable},
		"a page":        {answer(200, "text/html", strings.NewReader("<html>")), bucket.ErrNotStore},
		"it is busy":    {answer(503, "text/html", strings.NewReader("<html>")), bucket.ErrBusy},
		"refused":       {answer(401, "application/json", strings.NewReader(`{"error": "invalid_client"}`)), bucket.ErrSecret},
	} {
		b, err := azure.OpenThrough(azure.Location{Container: "box", Account: "abc"}, c.trip)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Head(t.Context(), "name")
		if _, ok := errors.AsType[*bucket.Answer](err); !errors.Is(err, c.want) || !ok || strings.Contains(err.Error(), "TOPSECRET") {
			t.Errorf("%s: Head: %v, want %v", name, err, c.want)
		}
	}
}

// TestMissing has no such container.
func TestMissing(t *testing.T) {
	s := emulator.Azure(t)
	s.Setenv(t)
	buckettest.Missing(t, open(t, s.URL))
}

// TestRequests counts what the calls cost.
func TestRequests(t *testing.T) {
	s := emulator.Azure(t)
	s.Setenv(t)
	buckettest.Requests(t, openBucket(t, s), s.Requests, func(got []string) bool { return len(got) == 1 })
}
