package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cairn"
	"cairn/internal/bucket"
)

// Damaged returns an error of cairn.CodeDamaged that names an object of the
// cloud. why goes on from "is damaged: ", as in "its SHA-256 is wrong".
func (c *Cloud) Damaged(name, why string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: fmt.Sprintf("The object %s of the cloud %s is damaged: %s.", name, c.url, why),
		Hint:    "If there is a copy of the bucket, put the object back from it. Backups that do not use it are not affected.",
	}
}

// tooNew returns the error for an object of a format that is not known here.
func (c *Cloud) tooNew(name string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeFormatTooNew,
		Message: fmt.Sprintf("The object %s of the cloud %s was written by a newer version of cairn, in a format that this one does not know.", name, c.url),
		Hint:    "Update cairn on this device.",
	}
}

// noBackup returns the error for a backup that is not there.
func (c *Cloud) noBackup(id string) error {
	return &cairn.Error{
		Code:    cairn.CodeBackupNotFound,
		Message: fmt.Sprintf("The cloud %s has no backup %s.", c.url, cairn.Quote(id)),
		Hint:    "cairn backup list names the backups that it has.",
	}
}

// missing returns noBackup, if this is still the cloud.
func (c *Cloud) missing(ctx context.Context, id string) error {
	if err := c.Check(ctx); err != nil {
		return err
	}
	return c.noBackup(id)
}

// failure returns err, which came from the bucket, as a *cairn.Error that names
// the object. doing is what was attempted, as in "reading". When ctx has ended,
// its error stays in the tree; an *Error stays as it is.
func (c *Cloud) failure(ctx context.Context, doing, name string, err error) error {
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		if errors.Is(err, bucket.ErrUnknown) {
			open := *e
			open.Err = err
			leaveOpen(&open, name)
			return &open
		}
		return err
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	if errors.Is(err, bucket.ErrNotFound) {
		e := c.Damaged(name, "it is missing")
		e.Err = fmt.Errorf("%s %s: %w", doing, name, err)
		return e
	}
	e := &cairn.Error{Err: fmt.Errorf("%s %s: %w", doing, name, err)}
	f := failureOf(err)
	said := ""
	if answer, ok := errors.AsType[*bucket.Answer](err); ok && answer.Said != "" {
		said = ": " + answer.Said
	}
	e.Code = f.code
	e.Message = fmt.Sprintf(f.message, c.url) + fmt.Sprintf(" (%s the object %s%s).", doing, name, said)
	e.Hint = f.hint
	if store := storeOf(c.url); store != nil {
		e.Hint = cmp.Or(store.hint(f.code, doing), f.hint)
	}
	if errors.Is(err, bucket.ErrUnknown) {
		leaveOpen(e, name)
	}
	return e
}

// leaveOpen adds to an error that the outcome is not known, if that matters: a
// backup exists or not by what became of its manifest, and a passphrase opens the
// cloud or not by what became of its slot.
func leaveOpen(e *cairn.Error, name string) {
	if strings.HasPrefix(name, backupFolder) {
		e.Message += " Whether it was done is not known."
		e.Hint = "In a little while, cairn backup list shows whether it was. " + e.Hint
	}
	if isSlotName(name) {
		e.Message += " Whether it was done is not known."
		e.Hint = "Doing it again does no harm. " + e.Hint
	}
}

// A kind of failure, as a person and a program see it.
type kind struct {
	class   error // of package bucket
	code    cairn.Code
	message string // of the cloud, without its end
	hint    string
}

// kinds are the failures of a store; the first that fits counts.
var kinds = []kind{
	{bucket.ErrMissing, cairn.CodeBucketMissing, "The cloud %s is not there",
		"Is the disk mounted, and the address right? Then try again."},
	{bucket.ErrFull, cairn.CodeDiskFull, "There is no room left in the cloud %s",
		"Make room on its disk, or raise its quota, then try again."},
	{bucket.ErrReadOnly, cairn.CodeReadOnly, "The cloud %s is read-only",
		"Make it writable, or choose another cloud with cairn cloud connect."},
	{bucket.ErrNoCredentials, cairn.CodeNoCredentials, "There are no credentials for the cloud %s",
		"Give the daemon AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment, or a profile; docs/clouds.md shows how."},
	{bucket.ErrKey, cairn.CodeKeyUnknown, "The store of the cloud %s does not know the access key",
		"Check AWS_ACCESS_KEY_ID or the profile, and that the key belongs to this store; then try again."},
	{bucket.ErrSecret, cairn.CodeRefused, "The store of the cloud %s refuses the credentials",
		"Check AWS_SECRET_ACCESS_KEY or the profile: the secret does not belong to the access key. Then try again."},
	{bucket.ErrExpired, cairn.CodeExpired, "The session with the store of the cloud %s has expired",
		"Sign in to it again, as with aws sso login, or set new credentials; then try again."},
	{bucket.ErrRefused, cairn.CodeDenied, "The cloud %s does not allow this",
		"Check the permissions of its folder, then try again."},
	{bucket.ErrClock, cairn.CodeClock, "The clock of this computer is wrong, so the store of the cloud %s refuses all requests",
		"Set the clock, then try again."},
	{bucket.ErrRegion, cairn.CodeRegion, "The bucket of the cloud %s is in another region",
		"Add its region to the address, as in ?region=eu-central-1."},
	{bucket.ErrHost, cairn.CodeHostUnknown, "The host of the cloud %s is not known",
		"Is this computer online, and the address right? Then try again."},
	{bucket.ErrTLS, cairn.CodeTLS, "No secure connection to the cloud %s can be made",
		"Is the endpoint right, http or https? A certificate of your own goes into a file that AWS_CA_BUNDLE or SSL_CERT_FILE names."},
	{bucket.ErrNotStore, cairn.CodeNotStore, "Something else than a store answers at the cloud %s",
		"Is there a proxy, or a network that wants a sign-in, between this computer and the store? Is the endpoint the right one, that for S3 say? Then try again."},
	{bucket.ErrRejected, cairn.CodeRejected, "The store of the cloud %s does not accept a request",
		"The log of the daemon has its answer; docs/clouds.md says what a store must know."},
	{bucket.ErrBusy, cairn.CodeCloudBusy, "The store of the cloud %s cannot take requests now",
		"Try again later."},
	{bucket.ErrName, cairn.CodeInternal, "An object cannot be written to the cloud %s",
		"The log of the daemon says more."},
	{bucket.ErrExists, cairn.CodeInternal, "An object cannot be written to the cloud %s",
		"The log of the daemon says more."},
}

// failureOf returns what kind of failure err is. What is of no known kind may be
// over by the next try.
func failureOf(err error) kind {
	i := slices.IndexFunc(kinds, func(k kind) bool { return errors.Is(err, k.class) })
	if i < 0 {
		return kind{bucket.ErrUnreachable, cairn.CodeCloudLost, "The cloud %s does not answer", "Check the connection to it, then try again."}
	}
	return kinds[i]
}
