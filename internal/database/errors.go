package database

import (
	"database/sql"
	"errors"
	"os"

	"cairn"
	"cairn/internal/sqlitefile"
)

// wrap turns an error of SQLite or of the file system into a *cairn.Error.
func (d *DB) wrap(err error) error { return failure(d.path, err) }

// failure is wrap for the given file.
func failure(path string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return sqlitefile.Damaged(path, "its state row is missing")
	}
	return sqlitefile.Failure(path, err)
}

// probe opens the file as the system would, for the reason that SQLite keeps
// to itself when it cannot.
func probe(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return sqlitefile.Damaged(path, "it is missing, though "+currentFile+" names it")
	}
	if err != nil {
		return cairn.FileError("opening", path, err)
	}
	return f.Close()
}
