package cairn_test

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cairn"
)

func TestFileError(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want cairn.Code
	}{
		{"a full disk", syscall.ENOSPC, cairn.CodeDiskFull},
		{"a quota", syscall.EDQUOT, cairn.CodeDiskFull},
		{"a read-only file system", syscall.EROFS, cairn.CodeReadOnly},
		{"no permission", syscall.EACCES, cairn.CodeNoPermission},
		{"not permitted", syscall.EPERM, cairn.CodeNoPermission},
		{"fs.ErrPermission", fs.ErrPermission, cairn.CodeNoPermission},
		{"a failing disk", syscall.EIO, cairn.CodeInternal},
		{"a missing file", fs.ErrNotExist, cairn.CodeInternal},
		{"another error", io.ErrUnexpectedEOF, cairn.CodeInternal},
	} {
		if runtime.GOOS == "windows" && !errors.Is(test.err, fs.ErrPermission) && !errors.Is(test.err, io.ErrUnexpectedEOF) {
			continue // its file system has numbers of its own
		}
		cause := &fs.PathError{Op: "write", Path: "/data/x", Err: test.err}
		err := cairn.FileError("writing", "/data/x", cause)
		checkCode(t, test.name, err, test.want)
		e, ok := errors.AsType[*cairn.Error](err)
		if !ok || !strings.Contains(e.Message, "/data/x") {
			t.Errorf("%s: the message %q does not name the file", test.name, e.Message)
		}
		if test.want == cairn.CodeInternal && e.Message != "Writing /data/x failed: "+test.err.Error()+"." {
			t.Errorf("%s: the message is %q", test.name, e.Message)
		}
		if !errors.Is(err, test.err) || !errors.Is(err, cause) {
			t.Errorf("%s: %v does not wrap its cause", test.name, err)
		}
	}
}

func TestFileErrorOnWindows(t *testing.T) {
	for number, want := range map[syscall.Errno]cairn.Code{
		39:  cairn.CodeDiskFull,
		112: cairn.CodeDiskFull,
		19:  cairn.CodeReadOnly,
	} {
		if runtime.GOOS != "windows" {
			want = cairn.CodeInternal // these numbers mean something else here
		}
		checkCode(t, number.Error(), cairn.FileError("writing", "x", number), want)
	}
}

func TestFileErrorKeeps(t *testing.T) {
	if err := cairn.FileError("writing", "x", nil); err != nil {
		t.Errorf("FileError of nil = %v, want nil", err)
	}
	known := &cairn.Error{Code: cairn.CodeDamaged, Message: "m", Err: syscall.ENOSPC}
	if err := cairn.FileError("writing", "x", known); err != error(known) {
		t.Errorf("FileError of an *Error = %v, want it as it is", err)
	}
}
