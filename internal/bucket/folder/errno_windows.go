package folder

import (
	"syscall"

	"golang.org/x/sys/windows"

	"cairn/internal/bucket"
)

// classOf returns the class of an error number; nil for most.
func classOf(number syscall.Errno) error {
	switch number {
	case windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED:
		return bucket.ErrFull
	case windows.ERROR_WRITE_PROTECT:
		return bucket.ErrReadOnly
	case windows.ERROR_INVALID_NAME, windows.ERROR_FILENAME_EXCED_RANGE:
		return bucket.ErrName
	case windows.ERROR_NOT_READY, windows.ERROR_CRC, windows.ERROR_GEN_FAILURE, windows.ERROR_SHARING_VIOLATION,
		windows.ERROR_LOCK_VIOLATION, windows.ERROR_BAD_NETPATH, windows.ERROR_DEV_NOT_EXIST,
		windows.ERROR_UNEXP_NET_ERR, windows.ERROR_NETNAME_DELETED, windows.ERROR_BAD_NET_NAME,
		windows.ERROR_SEM_TIMEOUT, windows.ERROR_IO_DEVICE, windows.ERROR_DEVICE_NOT_CONNECTED,
		windows.ERROR_NETWORK_UNREACHABLE:
		return bucket.ErrUnreachable
	}
	return nil
}

// lacks reports whether a number says that a file system has no such operation.
func lacks(number syscall.Errno) bool {
	return number == windows.ERROR_INVALID_FUNCTION || number == windows.ERROR_NOT_SUPPORTED
}
