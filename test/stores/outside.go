package stores

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"cairn/internal/bucket"
)

// calls are what makeCalls is to do.
var calls = make(chan func())

// makeCalls does all calls, each in a goroutine of its own. It is in no bubble of
// testing/synctest, and so are they.
func makeCalls() {
	for do := range calls {
		go do()
	}
}

// call has do done outside of the bubble of the caller, and waits for it. The
// bubble's time stands still meanwhile: a mutex is none of its own things.
func call(do func()) {
	var done sync.Mutex
	done.Lock()
	calls <- func() {
		defer done.Unlock()
		do()
	}
	done.Lock()
}

// An outside bucket has its calls made outside of the bubble of the caller: they
// share connections that outlast it, and deadlines by another clock.
type outside struct{ inner bucket.Bucket }

// Unwrap returns the store below.
func (o outside) Unwrap() bucket.Bucket { return o.inner }

// A twin is a context that ends soon after another one, and was made for calls
// outside of a bubble: nobody there may wait for a context of the bubble.
type twin struct {
	context.Context
	of     context.Context
	cancel context.CancelFunc
	stop   func() bool // following it
}

func newTwin(ctx context.Context) *twin {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { call(cancel) })
	return &twin{own, ctx, cancel, stop}
}

// call makes a call with the context, and returns its error, which tells that the
// other one has ended.
func (w *twin) call(do func() error) (err error) {
	if w.of.Err() != nil {
		call(w.cancel) // what follows it may be late
	}
	call(func() { err = do() })
	if cause := w.of.Err(); cause != nil && err != nil && err != io.EOF && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// end forgets the twin, which nobody uses any more.
func (w *twin) end() {
	w.stop()
	call(w.cancel)
}

// Put implements [bucket.Bucket]. Content that is not good for ever is read here: it
// asks for the time, which is another one outside.
func (o outside) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if _, ok := content.(bucket.Perishable); ok {
		_, seekErr := content.Seek(0, io.SeekStart)
		data, err := io.ReadAll(content)
		if err := errors.Join(seekErr, err); err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	w := newTwin(ctx)
	defer w.end()
	if _, ok := content.(bucket.Perishable); ok {
		// It looks at the clock, which is another one outside.
		_, seekErr := content.Seek(0, io.SeekStart)
		data, err := io.ReadAll(content)
		if err := errors.Join(seekErr, err); err != nil {
			return fmt.Errorf("storing %s: %w", name, err)
		}
		content = bytes.NewReader(data)
	}
	return w.call(func() error { return o.inner.Put(w, name, content) })
}

// Get implements [bucket.Bucket].
func (o outside) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	w := newTwin(ctx)
	var inner io.ReadCloser
	err := w.call(func() (err error) {
		inner, err = o.inner.Get(w, name)
		return err
	})
	if err != nil {
		w.end()
		return nil, err
	}
	return &body{w, inner}, nil
}

// A body is read outside.
type body struct {
	twin  *twin
	inner io.ReadCloser
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	err = b.twin.call(func() (err error) {
		n, err = b.inner.Read(p)
		return err
	})
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.twin.end()
	return b.twin.call(b.inner.Close)
}

// Head implements [bucket.Bucket].
func (o outside) Head(ctx context.Context, name string) (object bucket.Object, err error) {
	w := newTwin(ctx)
	defer w.end()
	err = w.call(func() (err error) {
		object, err = o.inner.Head(w, name)
		return err
	})
	return object, err
}

// List implements [bucket.Bucket]. It yields nothing before it has listed all.
func (o outside) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		w := newTwin(ctx)
		defer w.end()
		var objects []bucket.Object
		err := w.call(func() error {
			for object, err := range o.inner.List(w, prefix) {
				if err != nil {
					return err
				}
				objects = append(objects, object)
			}
			return nil
		})
		for _, object := range objects {
			if !yield(object, nil) {
				return
			}
		}
		if err != nil {
			yield(bucket.Object{}, err)
		}
	}
}

// Delete implements [bucket.Bucket].
func (o outside) Delete(ctx context.Context, name string) error {
	w := newTwin(ctx)
	defer w.end()
	return w.call(func() error { return o.inner.Delete(w, name) })
}
