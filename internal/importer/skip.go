package importer

import (
	"errors"
	"io/fs"
	"syscall"
)

// A SkipReason says why a file or folder was left out.
type SkipReason string

// The reasons.
const (
	Kept       SkipReason = ""           // it was not left out
	Link       SkipReason = "link"       // a symbolic link
	Special    SkipReason = "special"    // neither file nor folder: a pipe, a socket, a device
	Ignored    SkipReason = "ignored"    // a .gitignore file or info/exclude names it
	Folder     SkipReason = "folder"     // .git or node_modules
	Binary     SkipReason = "binary"     // not valid UTF-8, or with a NUL
	TooLarge   SkipReason = "too_large"  // larger than the caller allows
	Unreadable SkipReason = "unreadable" // an [UnreadableError] says more
	Vanished   SkipReason = "vanished"   // removed or replaced between listing and reading
)

// Skips counts what was left out, by reason. A folder counts once, whatever is
// in it. The zero Skips is ready for use, by one goroutine at a time.
type Skips struct {
	Links      int `json:"links"`
	Special    int `json:"special"`
	Ignored    int `json:"ignored"`
	Folders    int `json:"folders"`
	Binary     int `json:"binary"`
	TooLarge   int `json:"too_large"`
	Unreadable int `json:"unreadable"`
	Vanished   int `json:"vanished"`
}

// Add counts one file or folder; nothing for [Kept].
func (s *Skips) Add(reason SkipReason) {
	switch reason {
	case Link:
		s.Links++
	case Special:
		s.Special++
	case Ignored:
		s.Ignored++
	case Folder:
		s.Folders++
	case Binary:
		s.Binary++
	case TooLarge:
		s.TooLarge++
	case Unreadable:
		s.Unreadable++
	case Vanished:
		s.Vanished++
	}
}

// An UnreadableError tells of one file or folder that is there and cannot be
// read.
type UnreadableError struct {
	Path string // absolute
	Err  error  // without the path
}

// newUnreadable takes the path out of err's own text.
func newUnreadable(path string, err error) *UnreadableError {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return &UnreadableError{Path: path, Err: err}
}

// Error names the path and the cause.
func (e *UnreadableError) Error() string { return "reading " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Err }

// isUnreadable reports whether err tells of one file or folder only.
func isUnreadable(err error) bool {
	_, ok := errors.AsType[*UnreadableError](err)
	return ok
}

// isGone reports whether err says that a path, or a folder on the way to it,
// is no longer there.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// addAll adds the counts of other.
func (s *Skips) addAll(other Skips) {
	s.Links += other.Links
	s.Special += other.Special
	s.Ignored += other.Ignored
	s.Folders += other.Folders
	s.Binary += other.Binary
	s.TooLarge += other.TooLarge
	s.Unreadable += other.Unreadable
	s.Vanished += other.Vanished
}
