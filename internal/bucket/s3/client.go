package s3

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"cairn/internal/bucket/remote"
)

// newClient returns the client of a store: credentials and whatever else the
// location does not say come from where those of the AWS tools come from.
func newClient(ctx context.Context, l Location, stall time.Duration) (*awss3.Client, error) {
	metadata := imds.ClientDisabled
	if (l.Endpoint == "" || strings.HasSuffix(l.Endpoint, ".amazonaws.com")) && onEC2() {
		metadata = imds.ClientDefaultEnableState
	}
	client := httpClient(stall)
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer { return onceForTheClock() }),
		config.WithEC2IMDSClientEnableState(metadata),
		config.WithLogger(logging.Nop{}), // its errors say it all
		// Other stores do not know the checksums that AWS has by default. What
		// is sent is signed with its SHA-256.
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if l.Region != "" {
		options = append(options, config.WithRegion(l.Region))
	}
	if l.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(l.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, configError(err)
	}
	cfg.Region = cmp.Or(cfg.Region, l.region())
	if cfg.Credentials != nil {
		cfg.Credentials = chain{cfg.Credentials}
	}
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		if l.Endpoint != "" {
			o.BaseEndpoint = &l.Endpoint
		}
		if o.BaseEndpoint != nil {
			o.UsePathStyle = true // a name for each bucket is what AWS has
		}
		if own, ok := o.HTTPClient.(*awshttp.BuildableClient); ok { // with what the configuration adds to it
			o.HTTPClient = guard{&http.Client{Transport: own.GetTransport(), CheckRedirect: remote.Stay}}
		} else {
			o.HTTPClient = guard{o.HTTPClient}
		}
		o.HTTPSignerV4 = signer{o.HTTPSignerV4}
	}), nil
}

// A signer leaves the header Accept-Encoding out of the signature: the servers
// of Google change it on its way, and refuse what was signed with it.
type signer struct{ awss3.HTTPSignerV4 }

// SignHTTP implements s3.HTTPSignerV4.
func (s signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, at time.Time, options ...func(*v4.SignerOptions)) error {
	const name = "Accept-Encoding"
	if values, ok := r.Header[name]; ok {
		delete(r.Header, name)
		defer func() { r.Header[name] = values }() // it is sent all the same
	}
	return s.HTTPSignerV4.SignHTTP(ctx, c, r, hash, service, region, at, options...)
}

// httpClient returns a client whose connections end when they stand still.
func httpClient(stall time.Duration) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithReadTimeout(0).WithTransportOptions(func(t *http.Transport) { remote.Guard(t, stall) })
}

// onceForTheClock has a call that was refused because of a wrong clock done
// again, by the clock of the store, which its answer told. Everything else is
// for package bucket to try again.
func onceForTheClock() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(skewed(err))
		})}
	})
}

// A chain finds credentials, and says so when it finds none.
type chain struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err == nil {
		return found, nil
	}
	if process, ok := errors.AsType[*processcreds.ProviderError](err); ok {
		// Its text may quote what was printed, secrets too.
		err = errors.New("credential_process: " + remote.Innermost(process).Error())
	}
	return found, &credentialsError{err}
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "finding credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// notStore returns the error of an answer that is none of a store.
func notStore(said string) error { return &remote.NotStoreError{Said: said} }

// A guard lets no answer through that says that all is well and does not come
// from an S3 store: what a proxy says of itself must not pass for an object, nor
// for a bucket without objects, nor for success.
type guard struct{ client awss3.HTTPClient }

// Do implements s3.HTTPClient.
func (g guard) Do(request *http.Request) (*http.Response, error) {
	response, err := g.client.Do(request)
	if err != nil {
		return response, err
	}
	if most := longest(request, response); most > 0 {
		response.Body = &joined{io.LimitReader(response.Body, most), response.Body}
	}
	if err := check(request, response); err != nil {
		_ = response.Body.Close() // it is of no use
		return nil, err
	}
	return response, nil
}

// close closes the connections that nobody uses.
func (g guard) close() {
	if own, ok := g.client.(*http.Client); ok {
		own.CloseIdleConnections()
	}
}

// longest returns how many bytes of the body of an answer are read: the SDK holds
// those of errors and lists in memory. 0 means all, which an object has.
func longest(request *http.Request, response *http.Response) int64 {
	switch {
	case response.StatusCode/100 != 2:
		return 1 << 20
	case isList(request):
		return 8 << 20 // a thousand names of a kilobyte, escaped
	}
	return 0
}

func isList(request *http.Request) bool { return request.URL.Query().Has("list-type") }

// peeked is how much of an answer is looked at.
const peeked = 512

// check looks at an answer, and no further into its body than it must.
func check(request *http.Request, response *http.Response) error {
	said := response.Status
	if kind := response.Header.Get("Content-Type"); kind != "" {
		said += ", " + kind
	}
	list := isList(request)
	object := request.Method == http.MethodGet && !list
	switch status := response.StatusCode; {
	case status/100 == 2:
	case status == http.StatusNotImplemented && !isError(request, response):
		return notStore(said) // what a store does not know, it must say itself
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return nil // whoever says so: it may be over by the next try
	case remote.IsPage(response.Header.Get("Content-Type")):
		return notStore(said) // an error of a store is XML, or has no body
	case status == http.StatusNotFound && !isError(request, response):
		return notStore(said) // and so with what is not there
	default:
		return nil
	}
	if request.Method == http.MethodDelete && response.StatusCode != http.StatusNoContent {
		return notStore(said + ", for a deletion")
	}
	if (object || request.Method == http.MethodHead) && response.StatusCode != http.StatusOK {
		return notStore(said + ", for a whole object")
	}
	if object && response.ContentLength < 0 {
		return notStore(said + ", of no length") // it could end anywhere
	}
	if request.Method != http.MethodDelete && !list && response.Header.Get("ETag") == "" {
		return notStore(said + ", without an ETag")
	}
	if remote.IsPage(response.Header.Get("Content-Type")) {
		return notStore(said)
	}
	if request.Method == http.MethodHead {
		return nil
	}
	start := peek(response)
	switch {
	case remote.IsPage(http.DetectContentType(start)):
		return notStore(said)
	case list && !bytes.Contains(start, []byte("<ListBucketResult")):
		return notStore(said + ", in place of a list")
	}
	return nil
}

// isError reports whether an answer is an error of a store. Those to HEAD have no
// body that would tell.
func isError(request *http.Request, response *http.Response) bool {
	return request.Method == http.MethodHead || bytes.Contains(peek(response), []byte("<Error"))
}

// peek returns the beginning of a body, which stays there.
func peek(response *http.Response) []byte {
	body := bufio.NewReader(response.Body)
	start, _ := body.Peek(peeked) // an error comes back when that is read
	response.Body = &joined{body, response.Body}
	return start
}

// joined is a body whose start was looked at.
type joined struct {
	io.Reader
	io.Closer
}
