package bucket

import "errors"

// What went wrong, for errors.Is. Drivers wrap them in errors that name the
// object; an error that wraps none of them is of unknown cause.
var (
	ErrNotFound    = errors.New("no such object")
	ErrExists      = errors.New("the object exists")
	ErrMissing     = errors.New("the bucket is not there")      // nor is any object of it, as far as can be told
	ErrUnreachable = errors.New("the store does not answer")    // or not in full; it may later
	ErrReadOnly    = errors.New("the store is read-only")       //
	ErrFull        = errors.New("the store is full")            //
	ErrRefused     = errors.New("the store refused access")     // no permission, or wrong credentials
	ErrName        = errors.New("no object can have this name") // here, or anywhere
	ErrUnknown     = errors.New("the outcome is unknown")       // of [Create]; it wraps the causes too
)

// Transient reports whether the same call may succeed later: err says that the
// store did not answer, or is of unknown cause.
func Transient(err error) bool {
	for _, final := range []error{
		ErrNotFound, ErrExists, ErrMissing, ErrReadOnly, ErrFull, ErrRefused, ErrName, ErrUnknown,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}
