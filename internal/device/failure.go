package device

import (
	"errors"

	"cairn"
	"cairn/internal/sqlitefile"
)

// What a file can be that cannot be used.
var (
	errForeign = errors.New("not a device.db of cairn")
	errNewer   = errors.New("newer schema")
)

// failure returns err as a *cairn.Error that names the file. doing is what was
// attempted, as in "opening".
func failure(doing, path string, err error) error {
	var told *cairn.Error
	switch {
	case errors.Is(err, errNewer):
		told = &cairn.Error{
			Code:    cairn.CodeSchemaTooNew,
			Message: path + " was written by a newer version of cairn.",
			Hint:    "Update cairn, or choose another data folder with --data.",
			Err:     err,
		}
	case errors.Is(err, errForeign):
		told = sqlitefile.Damaged(path, "it is not a file of cairn")
		told.Err = err
	default:
		return cairn.FileError(doing, path, sqlitefile.Failure(path, err))
	}
	return told
}
