package database

import (
	"database/sql"
	"errors"
	"fmt"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"cairn"
)

// wrap turns an error of SQLite or of the file system into a *cairn.Error.
func (d *DB) wrap(err error) error { return storageError(d.path, err) }

// storageError is wrap for the given file. Source of the codes: SQLite, Result
// and Error Codes.
func storageError(path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*cairn.Error](err); ok {
		return err
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		if errors.Is(err, sql.ErrNoRows) {
			return damaged(path, "its state row is missing")
		}
		return cairn.FileError("using", path, err)
	}
	code := e.Code()
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return withCause(&cairn.Error{
			Code:    cairn.CodeDiskFull,
			Message: fmt.Sprintf("There is no room left on the disk of %s, so nothing was changed.", path),
			Hint:    "Free some space on that disk, then try again.",
		}, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return withCause(&cairn.Error{
			Code:    cairn.CodeReadOnly,
			Message: fmt.Sprintf("%s cannot be written, so nothing was changed.", path),
			Hint:    "Make the data folder writable for the user who runs cairn, then try again.",
		}, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return withCause(damaged(path, "SQLite finds its pages malformed"), err)
	case sqlite3.SQLITE_IOERR:
		return ioError(path, code, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return withCause(&cairn.Error{
			Code:    cairn.CodeInUse,
			Message: fmt.Sprintf("Another program holds %s locked, so nothing was changed.", path),
			Hint:    "Close the other program that has the file open, then try again.",
		}, err)
	}
	return err
}

// ioError handles a failed read or write. A short read means that the file was
// cut. Growing the shared memory file fails this way on a full disk.
func ioError(path string, code int, err error) error {
	switch code {
	case sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS:
		return withCause(damaged(path, "it ends too early"), err)
	case sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC:
		return withCause(&cairn.Error{
			Code:    cairn.CodeDiskFull,
			Message: fmt.Sprintf("The disk of %s takes no more data, so nothing was changed.", path),
			Hint:    "Free some space on that disk and check its health, then try again.",
		}, err)
	}
	return withCause(&cairn.Error{
		Code:    cairn.CodeInternal,
		Message: fmt.Sprintf("The disk of %s failed to read or write.", path),
		Hint:    "Check the health of that disk; the log of the daemon says more.",
	}, err)
}

func withCause(e *cairn.Error, err error) error {
	e.Err = err
	return e
}

// damaged says that a file is not what was written.
func damaged(path, why string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: fmt.Sprintf("The database file %s is damaged: %s. Nothing was changed.", path, why),
		Hint:    "Keep a copy of the data folder, then restore a backup into a new one with --data.",
	}
}

// probe opens the file as the system would, for the reason that SQLite keeps
// to itself when it cannot.
func probe(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return damaged(path, "it is missing, though CURRENT names it")
	}
	if err != nil {
		return cairn.FileError("opening", path, err)
	}
	return f.Close()
}
