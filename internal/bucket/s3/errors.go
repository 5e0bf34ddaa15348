package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// classes are the errors that stores answer with, by their code. Source: AWS,
// S3 API Reference, Error responses; those of other stores are marked.
var classes = map[string]error{
	"NoSuchKey":    bucket.ErrNotFound,
	"NotFound":     bucket.ErrNotFound, // of HEAD, which has no body
	"NoSuchBucket": bucket.ErrMissing,

	"PreconditionFailed": bucket.ErrExists, // the only condition is that there is none

	"InvalidAccessKeyId":           bucket.ErrKey,
	"InvalidAccessKey":             bucket.ErrKey,
	"NotSignedUp":                  bucket.ErrKey,
	"InvalidSecurity":              bucket.ErrKey, // GCS
	"SignatureDoesNotMatch":        bucket.ErrSecret,
	"InvalidToken":                 bucket.ErrSecret,
	"InvalidTokenId":               bucket.ErrSecret, // MinIO
	"Unauthorized":                 bucket.ErrSecret, // R2
	"AuthorizationHeaderMalformed": bucket.ErrSecret,
	"ExpiredToken":                 bucket.ErrExpired,
	"ExpiredTokenException":        bucket.ErrExpired,
	"TokenRefreshRequired":         bucket.ErrExpired,
	"RequestTimeTooSkewed":         bucket.ErrClock,
	"RequestExpired":               bucket.ErrClock,

	"AccessDenied":       bucket.ErrRefused,
	"AllAccessDisabled":  bucket.ErrRefused,
	"AccountProblem":     bucket.ErrRefused,
	"InvalidObjectState": bucket.ErrRefused, // it was moved to an archive

	"PermanentRedirect":                  bucket.ErrRegion,
	"TemporaryRedirect":                  bucket.ErrRegion,
	"Redirect":                           bucket.ErrRegion,
	"IllegalLocationConstraintException": bucket.ErrRegion,
	"InvalidRegionName":                  bucket.ErrRegion, // R2

	"QuotaExceeded":                  bucket.ErrFull, // Ceph
	"XMinioStorageFull":              bucket.ErrFull, // MinIO
	"XMinioAdminBucketQuotaExceeded": bucket.ErrFull, // MinIO
	"InsufficientStorage":            bucket.ErrFull,

	"KeyTooLongError": bucket.ErrName,

	"SlowDown":                   bucket.ErrBusy,
	"ServiceUnavailable":         bucket.ErrBusy,
	"InternalError":              bucket.ErrBusy,
	"TooManyRequests":            bucket.ErrBusy,
	"RequestLimitExceeded":       bucket.ErrBusy,
	"BandwidthLimitExceeded":     bucket.ErrBusy,
	"OperationAborted":           bucket.ErrBusy, // another write of the object is under way
	"ConditionalRequestConflict": bucket.ErrBusy, // the same

	"RequestTimeout":            bucket.ErrUnreachable, // the request did not arrive in full
	"IncompleteBody":            bucket.ErrUnreachable,
	"BadDigest":                 bucket.ErrUnreachable, // nor as it was sent
	"XAmzContentSHA256Mismatch": bucket.ErrUnreachable,
}

// describe says what was being done to what, and gives err the class of package
// bucket that it belongs to. A nil err stays nil.
func describe(ctx context.Context, doing, what string, err error) error {
	return remote.Describe(ctx, doing, what, classify(err))
}

// describeAll is describe for what is asked of the bucket: when something is not there,
// that is it.
func describeAll(ctx context.Context, doing, what string, err error) error {
	return remote.Describe(ctx, doing, what, remote.Missing(classify(err)))
}

// classify wraps an error of a call in that of package bucket. A nil err stays nil.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*bucket.Answer](err); ok || errors.Is(err, bucket.ErrExists) {
		return err
	}
	if finding, ok := errors.AsType[*credentialsError](err); ok {
		return noCredentials(finding.err) // whoever was asked for them
	}
	answer := &bucket.Answer{Err: err}
	response := responseOf(err)
	if response != nil {
		answer.Said = strconv.Itoa(response.HTTPStatusCode())
		answer.After = remote.After(response.Response.Header)
	}
	api, _ := errors.AsType[smithy.APIError](err)
	if api != nil {
		answer.Class = classes[api.ErrorCode()]
		if strings.HasPrefix(api.ErrorMessage(), "Credential access key has length") { // R2
			answer.Class = bucket.ErrKey
		}
		answer.Said += " " + api.ErrorCode()
	}
	switch region := regionOf(response, api); {
	case skewed(err):
		answer.Class = bucket.ErrClock
	case region != "" && (answer.Class == nil || answer.Class == bucket.ErrRegion || answer.Class == bucket.ErrSecret):
		answer.Class = bucket.ErrRegion
		answer.Said = "it is in " + region
	case answer.Class == nil && response != nil:
		answer.Class = remote.ClassOf(response.HTTPStatusCode())
	case answer.Class == nil:
		return remote.Network(err)
	}
	if answer.Class == bucket.ErrRejected && api != nil && api.ErrorMessage() != "" {
		answer.Said += fmt.Sprintf(" %.200q", api.ErrorMessage())
	}
	return answer
}

// responseOf returns the error that has the answer of a store; nil if it did not
// answer.
func responseOf(err error) *smithyhttp.ResponseError {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || response.HTTPStatusCode() == 0 {
		return nil
	}
	return response
}

// regionOf returns the region in which a store says that the bucket is; "" if it
// does not.
func regionOf(response *smithyhttp.ResponseError, api smithy.APIError) string {
	if api == nil || response == nil {
		return ""
	}
	status := response.HTTPStatusCode()
	if status/100 != 3 && status != http.StatusBadRequest {
		return ""
	}
	if region := response.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return region
	}
	if found := expecting.FindStringSubmatch(api.ErrorMessage()); found != nil {
		return found[1]
	}
	return ""
}

// expecting is how a store says which region it wants a request to be signed for.
var expecting = regexp.MustCompile(`expecting '([a-z0-9-]+)'`)

// skewed reports whether a call was refused for a wrong clock: the SDK compares
// it with that of the answer.
func skewed(err error) bool {
	again, ok := errors.AsType[interface {
		error
		RetryableError() bool
	}](err)
	_, isAPI := errors.AsType[smithy.APIError](err)
	return ok && isAPI && again.RetryableError()
}

// noCredentials wraps an error of finding credentials.
func noCredentials(err error) error {
	answer := &bucket.Answer{Class: bucket.ErrNoCredentials, Said: remote.Reason(err), Err: err}
	switch text := err.Error(); { // most of these errors have no type
	case strings.Contains(text, "no EC2 IMDS role"): // the last place that is looked at
		answer.Said = "neither the environment nor the files of the AWS tools have any"
	case responseOf(err) != nil && bucket.Transient(remote.ClassOf(responseOf(err).HTTPStatusCode())): // of a service that hands them out
		answer.Class = remote.ClassOf(responseOf(err).HTTPStatusCode())
	case responseOf(err) == nil && isNetwork(err): // that service does not answer
		return remote.Network(err)
	case strings.Contains(text, "SSO token"), strings.Contains(text, "SSO session"):
		answer.Class, answer.Said = bucket.ErrExpired, "that of SSO, or it has not begun"
	}
	return answer
}

// isNetwork reports whether err is one of a connection, or of what it is for.
func isNetwork(err error) bool {
	_, op := errors.AsType[*net.OpError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	_, send := errors.AsType[*smithyhttp.RequestSendError](err)
	return op || dns || send || errors.Is(err, remote.ErrStall)
}

// configError wraps an error of reading the configuration.
func configError(err error) error {
	said := "the configuration of the AWS tools cannot be read"
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		said = "there is no profile " + missing.Profile
	}
	return &bucket.Answer{Class: bucket.ErrNoCredentials, Said: said, Err: err}
}
