package bucket

import (
	"context"
	"io"
	"iter"
)

// An Observer hears what is asked of a store. Its methods may be called at the
// same time, and must not wait.
type Observer interface {
	// Called hears of a call that has ended: put, get, head, list or delete, and its
	// error. A get ends when the object is open, a list when it is read.
	Called(operation string, err error)
	// Sent and Received hear of bytes of objects: those that a Put has stored, and
	// those that are read.
	Sent(bytes int64)
	Received(bytes int64)
}

// Meter returns b with an observer. Put it below [Retry], and it hears of each try.
func Meter(b Bucket, observer Observer) Bucket { return &metered{b, observer} }

type metered struct {
	inner    Bucket
	observer Observer
}

// Unwrap returns the store below.
func (m *metered) Unwrap() Bucket { return m.inner }

func (m *metered) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	size, sizeErr := content.Seek(0, io.SeekEnd) // Put reads from the start
	err := m.inner.Put(ctx, name, content)
	m.observer.Called("put", err)
	if err == nil && sizeErr == nil {
		m.observer.Sent(size)
	}
	return err
}

func (m *metered) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	body, err := m.inner.Get(ctx, name)
	m.observer.Called("get", err)
	if err != nil {
		return nil, err
	}
	return &meteredBody{body, m.observer}, nil
}

func (m *metered) Head(ctx context.Context, name string) (Object, error) {
	object, err := m.inner.Head(ctx, name)
	m.observer.Called("head", err)
	return object, err
}

func (m *metered) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		var failed error
		defer func() { m.observer.Called("list", failed) }()
		for object, err := range m.inner.List(ctx, prefix) {
			failed = err
			if !yield(object, err) {
				return
			}
		}
	}
}

func (m *metered) Delete(ctx context.Context, name string) error {
	err := m.inner.Delete(ctx, name)
	m.observer.Called("delete", err)
	return err
}

// meteredBody counts what is read.
type meteredBody struct {
	io.ReadCloser
	observer Observer
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.observer.Received(int64(n))
	return n, err
}
