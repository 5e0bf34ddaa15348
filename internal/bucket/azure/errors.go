package azure

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// classes are the errors that the store answers with, by their code. Source:
// Microsoft, Common REST API error codes, and Blob service error codes.
var classes = map[string]error{
	"BlobNotFound":              bucket.ErrNotFound,
	"ResourceNotFound":          bucket.ErrNotFound,
	"ContainerNotFound":         bucket.ErrMissing,
	"ContainerBeingDeleted":     bucket.ErrMissing,
	"ContainerDisabled":         bucket.ErrRefused,
	"BlobAlreadyExists":         bucket.ErrExists,
	"UnauthorizedBlobOverwrite": bucket.ErrExists, // of who may make blobs, and not replace them
	"ConditionNotMet":           bucket.ErrExists, // the only condition is that there is none

	"AuthenticationFailed":               bucket.ErrSecret,
	"InvalidAuthenticationInfo":          bucket.ErrSecret,
	"NoAuthenticationInformation":        bucket.ErrSecret,
	"AuthorizationFailure":               bucket.ErrRefused,
	"AuthorizationPermissionMismatch":    bucket.ErrRefused,
	"InsufficientAccountPermissions":     bucket.ErrRefused,
	"KeyBasedAuthenticationNotPermitted": bucket.ErrRefused,
	"PublicAccessNotPermitted":           bucket.ErrRefused,
	"AccountIsDisabled":                  bucket.ErrRefused,
	"BlobImmutableDueToPolicy":           bucket.ErrRefused,
	"BlobArchived":                       bucket.ErrRefused,
	"BlobBeingRehydrated":                bucket.ErrRefused,
	"InvalidAccountName":                 bucket.ErrMissing,

	"ServerBusy":          bucket.ErrBusy,
	"InternalError":       bucket.ErrBusy,
	"OperationTimedOut":   bucket.ErrBusy,
	"AccountBeingCreated": bucket.ErrBusy,

	"Md5Mismatch":   bucket.ErrUnreachable, // it did not arrive as it was sent
	"Crc64Mismatch": bucket.ErrUnreachable,
}

// describe says what was being done to what, and gives err the class of package
// bucket that it belongs to. A nil err stays nil.
func describe(ctx context.Context, doing, what string, err error) error {
	return remote.Describe(ctx, doing, what, classify(err))
}

// describeAll is describe for what is asked of the container: when something is not there,
// that is it.
func describeAll(ctx context.Context, doing, what string, err error) error {
	return remote.Describe(ctx, doing, what, remote.Missing(classify(err)))
}

// classify wraps an error of a call in that of package bucket. A nil err stays nil.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*bucket.Answer](err); ok {
		return err
	}
	if signIn, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		return signInError(signIn)
	}
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return refusal(response)
	}
	if strings.HasPrefix(err.Error(), "DefaultAzureCredential: ") || strings.Contains(err.Error(), overHTTP) { // it has no type
		return noCredentials(err)
	}
	return remote.Network(err)
}

// overHTTP is in the error of a client that should send a token unencrypted.
const overHTTP = "not permitted for non-TLS"

// refusal wraps what the store answered.
func refusal(response *azcore.ResponseError) error {
	answer := &bucket.Answer{Class: classes[response.ErrorCode], Said: strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, response.ErrorCode)), Err: response}
	if answer.Class == nil {
		answer.Class = remote.ClassOf(response.StatusCode)
		if answer.Class == bucket.ErrExists && response.ErrorCode != "" {
			answer.Class = bucket.ErrRejected // for another condition than ours
		}
	}
	if response.RawResponse != nil {
		answer.After = remote.After(response.RawResponse.Header)
	}
	message, detail := said(response)
	if answer.Class == bucket.ErrSecret {
		answer.Class = secretClass(message + " " + detail)
	}
	if answer.Class == bucket.ErrRejected && message != "" {
		answer.Said += fmt.Sprintf(" %.200q", message)
	}
	return answer
}

// secretClass returns what is wrong with credentials by what the store says of them:
// it has one code for all.
func secretClass(text string) error {
	switch text = strings.ToLower(text); {
	case strings.Contains(text, "date header"), strings.Contains(text, "skew"):
		return bucket.ErrClock
	case strings.Contains(text, "time frame"), strings.Contains(text, "expired"), strings.Contains(text, "lifetime validation"):
		return bucket.ErrExpired
	}
	return bucket.ErrSecret
}

// said returns what the store says to people, of which the first line is of interest.
func said(response *azcore.ResponseError) (message, detail string) {
	if response.RawResponse == nil || response.RawResponse.Body == nil {
		return "", ""
	}
	text, _ := io.ReadAll(io.LimitReader(response.RawResponse.Body, longest)) // what there is of it
	var body struct {
		Message string
		Detail  string `xml:"AuthenticationErrorDetail"`
	}
	_ = xml.Unmarshal(text, &body) // else it says nothing
	message, _, _ = strings.Cut(body.Message, "\n")
	return message, body.Detail
}

// signInError wraps what the service answered that gives out tokens.
func signInError(err *azidentity.AuthenticationFailedError) error {
	answer := &bucket.Answer{Class: bucket.ErrSecret, Said: "signing in failed", Err: err}
	if err.RawResponse != nil {
		answer.Said = fmt.Sprintf("signing in: %d", err.RawResponse.StatusCode)
		if class := remote.ClassOf(err.RawResponse.StatusCode); bucket.Transient(class) {
			answer.Class, answer.After = class, remote.After(err.RawResponse.Header)
		}
	}
	// Source: Microsoft, Entra authentication and authorization error codes.
	for code, class := range map[string]error{
		"AADSTS700016": bucket.ErrKey, "AADSTS90002": bucket.ErrKey, // no such client, no such tenant
		"AADSTS7000222": bucket.ErrExpired, "AADSTS700082": bucket.ErrExpired, "AADSTS50173": bucket.ErrExpired,
		"AADSTS700024": bucket.ErrClock,
	} {
		if strings.Contains(err.Error(), code) {
			answer.Class, answer.Said = class, answer.Said+" "+code
		}
	}
	return answer
}

// noCredentials wraps the error of finding none.
func noCredentials(err error) error {
	said := "neither the environment nor the Azure tools have any"
	if strings.Contains(err.Error(), overHTTP) {
		said = "those that there are must not go over http"
	}
	return &bucket.Answer{Class: bucket.ErrNoCredentials, Said: said, Err: err}
}
