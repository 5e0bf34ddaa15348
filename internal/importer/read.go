package importer

import (
	"bytes"
	"io"
	"io/fs"
	"math"
	"os"
	"unicode/utf8"
)

// ReadText returns the content of the text file at path: valid UTF-8 without a
// NUL, possibly empty. Otherwise text is nil and reason is one of
//
//   - [Binary]: it is not text;
//   - [TooLarge]: it has more than max bytes; no more than max+1 were read;
//   - [Vanished]: it is gone, or was replaced while being opened;
//   - [Link], [Special]: it is not a regular file, or no longer one. A link is
//     not followed if it is the last element of path, and a pipe is not waited
//     for;
//   - [Unreadable]: err, an [*UnreadableError], says why. For all others err is
//     nil.
//
// The text belongs to the caller.
func ReadText(path string, max int64) (text []byte, reason SkipReason, err error) {
	text, reason, err = readRegular(path, max)
	if reason != Kept {
		return nil, reason, err
	}
	if bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) {
		return nil, Binary, nil
	}
	return text, Kept, nil
}

// readRegular is [ReadText] for any content.
func readRegular(path string, max int64) ([]byte, SkipReason, error) {
	f, size, reason, err := openRegular(path)
	if reason != Kept {
		return nil, reason, err
	}
	defer f.Close()
	if size > max {
		return nil, TooLarge, nil
	}
	// The size is a hint only: the file may grow, and those of /proc say 0.
	buf := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(f, min(max, math.MaxInt64-1)+1)); err != nil {
		return nil, Unreadable, newUnreadable(path, err)
	}
	if int64(buf.Len()) > max {
		return nil, TooLarge, nil
	}
	return buf.Bytes(), Kept, nil
}

// openRegular opens the regular file at path and returns its size. What stands
// at path may change at any time, so it is looked at before opening, since
// opening a device can have effects, and again afterwards, through the handle.
func openRegular(path string) (*os.File, int64, SkipReason, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return openFailed(path, err)
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, 0, Link, nil
	}
	if !before.Mode().IsRegular() {
		return nil, 0, Special, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return openFailed(path, err)
	}
	after, err := f.Stat()
	switch {
	case err != nil:
		f.Close()
		return openFailed(path, err)
	case !os.SameFile(before, after):
		f.Close()
		return nil, 0, Vanished, nil
	}
	return f, after.Size(), Kept, nil
}

// openFailed sorts the errors of [openRegular].
func openFailed(path string, err error) (*os.File, int64, SkipReason, error) {
	if isGone(err) {
		return nil, 0, Vanished, nil
	}
	return nil, 0, Unreadable, newUnreadable(path, err)
}
