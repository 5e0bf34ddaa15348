// Package bucket is the narrow interface to an object store, and what all
// stores share: names, errors, retries and prefixes. The drivers and the tools
// to test them are in packages below it.
//
// Store an object with [Create], which finds out what became of it when an
// answer is lost, and wrap a store that can be out of reach in [Retry]:
//
//	b := bucket.Retry(driver, bucket.Policy{})
//	err := bucket.Create(ctx, b, "parts/ab/abcdef", bytes.NewReader(data))
package bucket

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Bucket is a flat store of objects that never change. Its methods can be
// called at the same time. Names are as [ValidateName] has them; any other is
// ErrName. Errors are those of this package, wrapped in text that names the
// object; once ctx has ended they match ctx.Err too, but for a call that was
// nearly done.
type Bucket interface {
	// Put stores an object unless there is one of that name, which is
	// ErrExists. When it returns nil, the object is whole and survives a crash
	// of the store. It reads content from its start. An error does not mean
	// that nothing was stored: the answer may have been lost. See [Create].
	// When a request had no answer, the error is Transient, whatever another
	// request for the same Put was answered.
	Put(ctx context.Context, name string, content io.ReadSeeker) error
	// Get opens an object; ErrNotFound when there is none. What it returns can
	// be read as long as ctx lasts, and must be closed.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// Head describes an object; ErrNotFound when there is none.
	Head(ctx context.Context, name string) (Object, error)
	// List yields the objects whose names begin with the prefix, in the order
	// of the bytes of their names. It ends after an error. An object that is
	// stored or deleted meanwhile may be yielded or not; all others are.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Delete removes an object; nil when there is none. It can be repeated.
	Delete(ctx context.Context, name string) error
}

// An Object describes what is stored under a name.
type Object struct {
	Name     string
	Size     int64     // bytes
	Modified time.Time // by the clock of the bucket
}
