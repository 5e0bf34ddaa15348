package cloud

import (
	"context"
	"errors"
	"fmt"
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
	if _, ok := errors.AsType[*cairn.Error](err); ok {
		return err
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	e := &cairn.Error{Err: fmt.Errorf("%s %s: %w", doing, name, err)}
	switch {
	case errors.Is(err, bucket.ErrMissing):
		e.Code = cairn.CodeBucketMissing
		e.Message = fmt.Sprintf("The cloud %s is not there (%s the object %s).", c.url, doing, name)
		e.Hint = "Is the disk mounted, and the address right? Then try again."
	case errors.Is(err, bucket.ErrFull):
		e.Code = cairn.CodeDiskFull
		e.Message = fmt.Sprintf("There is no room left in the cloud %s (%s the object %s).", c.url, doing, name)
		e.Hint = "Make room on its disk, then try again."
	case errors.Is(err, bucket.ErrReadOnly):
		e.Code = cairn.CodeReadOnly
		e.Message = fmt.Sprintf("The cloud %s is read-only (%s the object %s).", c.url, doing, name)
		e.Hint = "Make it writable, or choose another cloud with --cloud."
	case errors.Is(err, bucket.ErrRefused):
		e.Code = cairn.CodeRefused
		e.Message = fmt.Sprintf("The cloud %s does not let cairn in (%s the object %s).", c.url, doing, name)
		e.Hint = "Check the permissions of the folder, or the credentials of the store, then try again."
	case errors.Is(err, bucket.ErrNotFound):
		return c.Damaged(name, "it is missing")
	case errors.Is(err, bucket.ErrName), errors.Is(err, bucket.ErrExists):
		e.Code = cairn.CodeInternal
		e.Message = fmt.Sprintf("The object %s cannot be written to the cloud %s.", name, c.url)
		e.Hint = "The log of the daemon says more."
	default:
		e.Code = cairn.CodeCloudLost
		e.Message = fmt.Sprintf("The cloud %s does not answer (%s the object %s).", c.url, doing, name)
		e.Hint = "Check the connection to it, then try again."
	}
	if errors.Is(err, bucket.ErrUnknown) && decides(name) {
		e.Message += " Whether it was done is not known."
	}
	return e
}

// decides reports whether a backup exists or not by what became of an object. A
// part or an index that nothing names is of no account.
func decides(name string) bool {
	return strings.HasPrefix(name, backupFolder) || strings.HasPrefix(name, trashFolder)
}
