package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"cairn/internal/bucket"
)

// describe says what was being done to what, and gives err the class of
// package bucket that it belongs to. A nil err stays nil.
func (b *Bucket) describe(doing, what string, err error) error {
	if err == nil {
		return nil
	}
	err = classify(err)
	if errors.Is(err, fs.ErrNotExist) {
		if rootErr := b.check(); rootErr != nil {
			err = fmt.Errorf("%w: %w", rootErr, err)
		}
	}
	return fmt.Errorf("%s %s: %w", doing, what, err)
}

// classifyRoot is classify for the folder itself.
func classifyRoot(err error) error {
	err = classify(err)
	if !classified(err) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		return fmt.Errorf("%w: %w", bucket.ErrMissing, err)
	}
	return err
}

// classify wraps an error of the file system in that of package bucket.
func classify(err error) error {
	if classified(err) || errors.Is(err, errContent) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		if class := classOf(number); class != nil {
			return fmt.Errorf("%w: %w", class, err)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", bucket.ErrRefused, err)
	}
	return err
}

// classified reports whether err has a class.
func classified(err error) bool {
	return slices.ContainsFunc([]error{
		bucket.ErrNotFound, bucket.ErrExists, bucket.ErrMissing, bucket.ErrUnreachable,
		bucket.ErrReadOnly, bucket.ErrFull, bucket.ErrRefused, bucket.ErrName,
	}, func(class error) bool { return errors.Is(err, class) })
}

// unsupported reports whether err says that a file system lacks an operation.
// Some say that it is not permitted: FAT, for links and for most modes.
func unsupported(err error) bool {
	if err == nil || errors.Is(err, fs.ErrExist) {
		return false
	}
	number, ok := errors.AsType[syscall.Errno](err)
	return errors.Is(err, errors.ErrUnsupported) || ok && lacks(number)
}
