// Package sqlitefile opens SQLite files the way cairn keeps them, and turns
// SQLite's errors into the domain's:
//
//	if err := sqlitefile.Touch(path); err != nil { ... }
//	db, err := sqlitefile.Open(path, 1)
//	...
//	return sqlitefile.Failure(path, err)
package sqlitefile

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // registers the database/sql driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"cairn"
)

// Touch makes an empty file with mode 0600 whatever the umask, unless there is
// one, whose mode it sets. SQLite gives the files that it makes beside it the
// same mode.
func Touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// busyTime is how many milliseconds a connection waits for another's lock.
const busyTime = 10_000

// Open returns a pool of at most conns connections to the file at the absolute
// path, which must exist. Commits wait for the disk (synchronous=FULL), write
// transactions take their lock at the start. pragmas come besides; the driver
// sorts them, so one that must precede another does not belong here.
func Open(path string, conns int, pragmas ...string) (*sql.DB, error) {
	return open(path, "rw", conns, pragmas)
}

// OpenReadOnly returns a connection that leaves the file at the absolute path as
// it is, a log beside it (-wal) that a crash left included.
func OpenReadOnly(path string) (*sql.DB, error) { return open(path, "ro", 1, nil) }

func open(path, mode string, conns int, pragmas []string) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	for _, p := range append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTime),
		"journal_size_limit(67108864)", // bytes
		"synchronous(FULL)",
		"fullfsync(1)", // macOS: through the drive's cache
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	slash := filepath.ToSlash(path)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash // C:/folder/file.db
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: slash, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// A sqliteError is one of the driver or of a [Reader].
type sqliteError interface {
	error
	Code() int // extended
}

// Failure turns an error of SQLite or of the file system about the file into a
// *cairn.Error: cairn.CodeDiskFull, CodeReadOnly, CodeNoPermission, CodeInUse,
// CodeDamaged or CodeInternal. A nil err stays nil, a *cairn.Error, and an
// error that is neither, stay as they are.
//
// Source of the codes: SQLite, Result and Error Codes.
func Failure(path string, err error) error {
	if _, ok := errors.AsType[*cairn.Error](err); ok || err == nil {
		return err
	}
	e, ok := errors.AsType[sqliteError](err)
	if !ok {
		if _, ok := errors.AsType[*os.PathError](err); ok {
			return cairn.FileError("using", path, err)
		}
		return err
	}
	told := tell(path, e.Code())
	if e.Code()&0xff == sqlite3.SQLITE_IOERR && readOnly(path) {
		return cairn.FileError("writing", path, errors.Join(syscall.EROFS, err))
	}
	if e.Code()&0xff == sqlite3.SQLITE_CANTOPEN {
		if why := noFile(path); why != nil {
			return cairn.FileError("creating a file beside", path, errors.Join(why, err))
		}
	}
	told.Err = err
	return told
}

// readOnly asks the system what SQLite keeps to itself: whether the disk of an
// open file has become read-only. It looks at the file's write-ahead log, since
// closing the file itself would take SQLite's locks on it away.
func readOnly(path string) bool {
	f, err := os.OpenFile(path+"-wal", os.O_WRONLY, 0)
	if err != nil {
		return errors.Is(err, syscall.EROFS)
	}
	_ = f.Close() // nothing was written
	return false
}

// noFile asks the system what SQLite keeps to itself when it cannot make the
// files that it has beside a database: why none can be made there. It returns nil
// if one can.
func noFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "room.*.tmp")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// NotWritten says that the disk of a file did not take a change.
func NotWritten(path string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeDiskFull,
		Message: fmt.Sprintf("The disk of %s takes no more data, so nothing was changed.", path),
		Hint:    "Free some space on that disk and check its health, then try again.",
	}
}

// IsUnsynced reports whether err is that of a commit whose sync failed. SQLite
// takes the change back, but a crash before the next commit can bring it forth
// again: all of it is in the write-ahead log.
func IsUnsynced(err error) bool {
	e, ok := errors.AsType[sqliteError](err)
	return ok && e.Code() == sqlite3.SQLITE_IOERR_FSYNC
}

// tell returns what a person should know of a result code.
func tell(path string, code int) *cairn.Error {
	switch code {
	case sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS:
		return Damaged(path, "it ends too early")
	case sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE:
		// Growing the file of shared memory fails in this way on a full disk.
		return NotWritten(path)
	case sqlite3.SQLITE_IOERR_FSYNC:
		return &cairn.Error{
			Code:    cairn.CodeDiskFull,
			Message: fmt.Sprintf("The disk of %s failed to keep a change. It is not there now, but may be after a restart, until the next change succeeds.", path),
			Hint:    "Free some space on that disk and check its health, then try again.",
		}
	}
	switch code & 0xff { // without the extension
	case sqlite3.SQLITE_FULL:
		return &cairn.Error{
			Code:    cairn.CodeDiskFull,
			Message: fmt.Sprintf("There is no room left on the disk of %s, so nothing was changed.", path),
			Hint:    "Free some space on that disk, then try again.",
		}
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return &cairn.Error{
			Code:    cairn.CodeReadOnly,
			Message: fmt.Sprintf("%s cannot be written, so nothing was changed.", path),
			Hint:    "Make the data folder writable for the user who runs cairn, then try again.",
		}
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return Damaged(path, "SQLite finds it malformed")
	case sqlite3.SQLITE_ERROR:
		// All statements are fixed: one that does not fit meets other tables.
		return Damaged(path, "its tables are not those of cairn")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return &cairn.Error{
			Code:    cairn.CodeInUse,
			Message: fmt.Sprintf("Another program holds %s locked, so nothing was changed.", path),
			Hint:    "Close the other program that has the file open, then try again.",
		}
	}
	return &cairn.Error{
		Code:    cairn.CodeInternal,
		Message: fmt.Sprintf("Using %s failed.", path),
		Hint:    "Check the health of its disk; the log of the daemon says more.",
	}
}

// Damaged says that a file is not what cairn wrote. why ends the sentence.
func Damaged(path, why string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: fmt.Sprintf("The file %s is damaged: %s. Nothing was changed.", path, why),
		Hint:    "Keep a copy of the data folder, then put back an older copy of this file, or start anew with another folder (--data).",
	}
}

// TooNew says that a file has a schema of a later cairn.
func TooNew(path string, version, known int64) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeSchemaTooNew,
		Message: fmt.Sprintf("%s was written by a newer cairn (version %d; this build reads up to %d).", path, version, known),
		Hint:    "Update cairn, then start it again. Nothing was changed.",
	}
}
