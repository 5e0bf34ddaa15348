package bucket

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// What went wrong, for errors.Is. Drivers wrap them in errors that name the
// object; an error that wraps none of them is of unknown cause.
var (
	ErrNotFound    = errors.New("no such object")
	ErrExists      = errors.New("the object exists")
	ErrMissing     = errors.New("the bucket is not there")      // nor is any object of it, as far as can be told
	ErrUnreachable = errors.New("the store does not answer")    // or not in full; it may later
	ErrReadOnly    = errors.New("the store is read-only")       //
	ErrFull        = errors.New("the store is full")            //
	ErrRefused     = errors.New("the store refused access")     // no permission for this
	ErrName        = errors.New("no object can have this name") // here, or anywhere
	ErrUnknown     = errors.New("the outcome is unknown")       // of [Create], or of Delete; beside the causes

	// Of stores on a network.

	ErrBusy          = errors.New("the store cannot take requests now")              // it may later
	ErrRejected      = errors.New("the store does not accept the request")           // whoever asks
	ErrNoCredentials = errors.New("there are no credentials for the store")          //
	ErrKey           = errors.New("the store does not know the access key")          //
	ErrSecret        = errors.New("the store refused the credentials")               // the secret is wrong
	ErrExpired       = errors.New("the session with the store has expired")          // its credentials were temporary
	ErrClock         = errors.New("the clock of this computer is wrong")             // so that the store refuses what is signed by it
	ErrRegion        = errors.New("the bucket is in another region")                 //
	ErrHost          = errors.New("the name of the store's host is not known")       // to DNS; it may be later
	ErrTLS           = errors.New("no secure connection to the store can be made")   // its certificate is not trusted, or it speaks no TLS
	ErrNotStore      = errors.New("something else than the store answers the calls") // as a proxy with a page of its own
)

// lasting are the errors after which the same call would fail again.
var lasting = []error{
	ErrNotFound, ErrExists, ErrMissing, ErrReadOnly, ErrFull, ErrRefused, ErrName, ErrUnknown,
	ErrRejected, ErrNoCredentials, ErrKey, ErrSecret, ErrExpired, ErrClock, ErrRegion, ErrTLS, ErrNotStore,
}

// Transient reports whether the same call may succeed later: err says that the
// store did not answer or was busy, or is of unknown cause.
func Transient(err error) bool {
	return !slices.ContainsFunc(lasting, func(final error) bool { return errors.Is(err, final) })
}

// An Answer is the error that a store answered a call with.
type Answer struct {
	Class error         // one of this package
	Said  string        // what the store said, in its own words, for a person; short
	After time.Duration // for how long it wants to be left alone; 0 if it did not say
	Err   error         // all that is known, for the log
}

// Error implements error.
func (a *Answer) Error() string { return fmt.Sprintf("%v: %s: %v", a.Class, a.Said, a.Err) }

// Unwrap returns the class and the cause.
func (a *Answer) Unwrap() []error { return []error{a.Class, a.Err} }
