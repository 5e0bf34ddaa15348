package database

import (
	"database/sql"
	"errors"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

// errChecksum says that the text of a document is not what was written.
var errChecksum = errors.New("a document of another checksum")

// errState says that the state row holds what no write puts there.
var errState = errors.New("a state row of other types")

// failure turns an error of SQLite or of the file system about a generation into
// a *cairn.Error.
func failure(path string, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return sqlitefile.Damaged(path, "its state row is missing")
	case errors.Is(err, errState):
		return sqlitefile.Damaged(path, "its state row is not what was written")
	case isConstraint(err):
		return sqlitefile.Damaged(path, "its documents are not those that its state row counts")
	case errors.Is(err, errChecksum):
		return sqlitefile.Damaged(path, "the text of a document in it is not what was written")
	}
	return sqlitefile.Failure(path, err)
}

// isConstraint reports whether a row is there that must not be.
func isConstraint(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

// probe asks the system, for the reason that SQLite keeps to itself when it
// cannot open a file.
func probe(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return sqlitefile.Damaged(path, "it is missing, though "+CurrentFile+" names it")
	case err == nil && !info.Mode().IsRegular():
		return sqlitefile.Damaged(path, "it is no file")
	case err == nil:
		err = durable.Writable(path)
	}
	return cairn.FileError("opening", path, err)
}
