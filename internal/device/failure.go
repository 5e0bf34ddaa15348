package device

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"cairn"
)

// What a file can be that cannot be used.
var (
	errForeign = errors.New("not a device.db of cairn")
	errNewer   = errors.New("newer schema")
)

// failure returns err as a *cairn.Error that names the file. doing is what was
// attempted, as in "opening".
func failure(doing, path string, err error) error {
	e := &cairn.Error{Code: codeOf(err), Err: err}
	switch e.Code {
	case cairn.CodeSchemaTooNew:
		e.Message = fmt.Sprintf("%s was written by a newer version of cairn.", path)
		e.Hint = "Update cairn, or choose another data folder with --data."
	case cairn.CodeDamaged:
		e.Message = fmt.Sprintf("%s is damaged, or is not a file of cairn.", path)
		e.Hint = "Put back a copy of it. Or move it away: cairn then starts as a new device, with the same documents."
	case cairn.CodeDiskFull:
		e.Message = fmt.Sprintf("There is no room left on the disk of %s, so nothing was changed.", path)
		e.Hint = "Free some space on that disk, then try again."
	case cairn.CodeReadOnly:
		e.Message = fmt.Sprintf("%s cannot be written, so nothing was changed.", path)
		e.Hint = "Make the data folder writable for the user who runs cairn, then try again."
	case cairn.CodeInUse:
		e.Message = fmt.Sprintf("Another program holds %s locked, so nothing was changed.", path)
		e.Hint = "Close the other program that has the file open, then try again."
	default:
		return cairn.FileError(doing, path, err)
	}
	return e
}

// codeOf returns the code of an error of this package or of SQLite, or "" for
// any other. Source of the codes: SQLite, Result and Error Codes.
func codeOf(err error) cairn.Code {
	if errors.Is(err, errNewer) {
		return cairn.CodeSchemaTooNew
	}
	if errors.Is(err, errForeign) {
		return cairn.CodeDamaged
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return ""
	}
	switch e.Code() {
	case sqlite3.SQLITE_IOERR_SHORT_READ:
		return cairn.CodeDamaged
	case sqlite3.SQLITE_IOERR_SHMSIZE:
		return cairn.CodeDiskFull
	}
	switch e.Code() & 0xff { // less the extension
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return cairn.CodeDamaged
	case sqlite3.SQLITE_FULL:
		return cairn.CodeDiskFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return cairn.CodeReadOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return cairn.CodeInUse
	}
	return ""
}
