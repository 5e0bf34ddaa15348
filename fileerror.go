package cairn

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
)

// Error numbers of Windows that package syscall has no names for. Source:
// Microsoft, System Error Codes (0-499).
const (
	windowsWriteProtect = syscall.Errno(19)
	windowsHandleFull   = syscall.Errno(39)
	windowsDiskFull     = syscall.Errno(112)
)

// FileError turns an error of the file system about path, in the data folder,
// into an *Error that names the cause and the cure: [CodeDiskFull],
// [CodeReadOnly], [CodeNoPermission], else [CodeInternal]. doing is what was
// attempted, as in "writing". A nil err stays nil, an *Error stays as it is.
func FileError(doing, path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := &Error{Code: CodeInternal, Err: fmt.Errorf("%s %s: %w", doing, path, err)}
	switch {
	case isErrno(err, []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}, windowsDiskFull, windowsHandleFull):
		e.Code = CodeDiskFull
		e.Message = fmt.Sprintf("There is no room left on the disk of %s, so nothing was changed.", path)
		e.Hint = "Free some space on that disk, then try again."
	case isErrno(err, []syscall.Errno{syscall.EROFS}, windowsWriteProtect):
		e.Code = CodeReadOnly
		e.Message = fmt.Sprintf("%s is on a read-only file system, so nothing was changed.", path)
		e.Hint = "Make the file system writable, or choose another data folder with --data."
	case errors.Is(err, fs.ErrPermission):
		e.Code = CodeNoPermission
		e.Message = fmt.Sprintf("This user has no permission for %s (%s).", path, doing)
		e.Hint = "Start cairn as the user who owns the data folder, or choose another one with --data."
	default:
		e.Message = fmt.Sprintf("%s %s failed: %s.", capital(doing), path, reason(err))
		e.Hint = "Check the disk; the log of the daemon says more."
	}
	return e
}

// capital returns text with its first letter, which is ASCII, in upper case.
func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// reason returns what the system calls an error, without the path that it is
// about, if it is one of the system.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func isErrno(err error, unix []syscall.Errno, windows ...syscall.Errno) bool {
	codes := unix
	if runtime.GOOS == "windows" {
		codes = windows
	}
	for _, code := range codes {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
