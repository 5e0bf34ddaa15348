package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cairn/internal/bucket"
)

// A NotStoreError is what a driver has for an answer that is none of a store.
type NotStoreError struct{ Said string }

// Error implements error.
func (e *NotStoreError) Error() string { return "this is no answer of such a store: " + e.Said }

// IsPage reports whether a content type is that of a page for people, such as a
// proxy sends.
func IsPage(contentType string) bool { return strings.HasPrefix(contentType, "text/html") }

// ClassOf returns the class of an answer by its status alone.
func ClassOf(status int) error {
	switch {
	case status == http.StatusNotFound:
		return bucket.ErrNotFound
	case status == http.StatusUnauthorized:
		return bucket.ErrSecret
	case status == http.StatusForbidden:
		return bucket.ErrRefused
	case status == http.StatusPreconditionFailed:
		return bucket.ErrExists
	case status == http.StatusInsufficientStorage:
		return bucket.ErrFull
	case status == http.StatusRequestTimeout:
		return bucket.ErrUnreachable
	case status == http.StatusTooManyRequests, status == http.StatusConflict, status == http.StatusTooEarly, status == http.StatusMisdirectedRequest, status >= 500 && status != http.StatusNotImplemented:
		return bucket.ErrBusy
	case status/100 == 3:
		return bucket.ErrNotStore
	case status/100 == 2:
		return bucket.ErrUnreachable // the body of the answer is not whole
	}
	return bucket.ErrRejected
}

// Missing returns err, but one of an object that is not there as one of the bucket: what
// is stored or listed is asked of that.
func Missing(err error) error {
	if answer, ok := errors.AsType[*bucket.Answer](err); ok && answer.Class == bucket.ErrNotFound {
		return &bucket.Answer{Class: bucket.ErrMissing, Said: answer.Said, After: answer.After, Err: answer.Err}
	}
	return err
}

// After returns for how long a store wants to be left alone; 0 if it does not
// say. Source: RFC 9110, section 10.2.3.
func After(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 24*60*60)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// Network wraps an error of a call that the store did not answer, or not in full.
func Network(err error) error {
	class := bucket.ErrUnreachable
	other, isOther := errors.AsType[*NotStoreError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !isTimeout(err):
		return err
	case isOther:
		return &bucket.Answer{Class: bucket.ErrNotStore, Said: other.Said, Err: err}
	case dns:
		class = bucket.ErrHost
	case isTLS(err):
		class = bucket.ErrTLS
	}
	return &bucket.Answer{Class: class, Said: Reason(err), Err: err}
}

// isTimeout reports whether a connection stood still for too long; the end of a
// context is no such thing.
func isTimeout(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Timeout()
}

// isTLS reports whether a connection failed for its certificate, or because one
// side speaks TLS and the other does not.
func isTLS(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	alert := isOp && op.Op == "remote error" && !isPassing(op.Err.Error()) // the other side's, as crypto/tls has it
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verification || header || alert || authority || name || invalid || errors.Is(err, http.ErrSchemeMismatch)
}

// isPassing reports whether a TLS alert is about what was sent, and not about who
// sent it: bytes that changed on their way, or a fault of the other side.
func isPassing(alert string) bool {
	return strings.Contains(alert, "bad record MAC") || strings.Contains(alert, "internal error")
}

// Reason returns the innermost error that says something to a person.
func Reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host " + dns.Name + " is not known"
	}
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return verification.Err.Error()
	}
	if errors.Is(err, ErrStall) {
		return ErrStall.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return Innermost(err).Error()
}

// Innermost returns the last error of a chain.
func Innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
