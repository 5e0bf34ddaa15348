//go:build !windows

package folder

import (
	"slices"
	"syscall"

	"cairn/internal/bucket"
)

// classOf returns the class of an error number; nil for most.
func classOf(number syscall.Errno) error {
	switch number {
	case syscall.ENOSPC, syscall.EDQUOT:
		return bucket.ErrFull
	case syscall.EROFS:
		return bucket.ErrReadOnly
	case syscall.ENAMETOOLONG, syscall.EILSEQ, syscall.EISDIR:
		return bucket.ErrName
	case syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENXIO, syscall.ENODEV, syscall.EBUSY,
		syscall.EAGAIN, syscall.EINTR, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENETDOWN,
		syscall.ENETUNREACH, syscall.ENOTCONN, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED:
		return bucket.ErrUnreachable
	}
	return nil
}

// lacks reports whether a number says that a file system has no such operation.
func lacks(number syscall.Errno) bool {
	return slices.Contains([]syscall.Errno{
		syscall.EPERM, syscall.EACCES, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS,
		syscall.EINVAL, syscall.EMLINK, syscall.EXDEV,
	}, number)
}
