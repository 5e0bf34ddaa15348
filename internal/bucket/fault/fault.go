// Package fault wraps a store whose calls fail when a test says so:
//
//	b := fault.New(inner, func(c fault.Call) fault.Outcome {
//		if c.Op == fault.Put && strings.HasPrefix(c.Name, "backups/") {
//			return fault.Outcome{Effect: fault.Lost}
//		}
//		return fault.Outcome{}
//	})
package fault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"cairn/internal/bucket"
)

// An Op is a method of a bucket.
type Op string

// The methods.
const (
	Put    Op = "put"
	Get    Op = "get"
	Head   Op = "head"
	List   Op = "list"
	Delete Op = "delete"
)

// A Call is one call of the wrapped store.
type Call struct {
	Op   Op
	Name string // of the object; the prefix of a List
	N    int    // how many calls there have been, this one included
}

// An Effect says how far a call gets.
type Effect int

// The effects.
const (
	Pass Effect = iota // the call does its work
	Fail               // it does nothing, and returns the error
	Lost               // it does its work, and returns the error; List yields all objects before it
	Cut                // Get reads, and List yields, the first half and then the error; else as Fail
	Late               // Put and Delete return the error, and do their work when Land is called; else as Fail
)

// An Outcome is what becomes of a call. The zero value lets it pass.
type Outcome struct {
	Effect Effect
	// Err is returned, wrapped in text that names the call; nil means a
	// bucket.ErrUnreachable.
	Err error
	// Delay is how long the call takes before all that. When its context ends
	// meanwhile, it fails with the cause of that.
	Delay time.Duration
	// After is how long the answer takes then, whatever becomes of the context.
	After time.Duration
}

// A Bucket passes calls on, or has them fail.
type Bucket struct {
	inner  bucket.Bucket
	decide func(Call) Outcome

	mu   sync.Mutex
	n    int
	late []func(context.Context) // what Land does
}

// New returns inner with calls that end as decide says. decide is asked once
// for each call, never twice at the same time; nil lets all of them pass. A
// List is a call once it is ranged over.
func New(inner bucket.Bucket, decide func(Call) Outcome) *Bucket {
	return &Bucket{inner: inner, decide: decide}
}

// Unwrap returns the store below.
func (b *Bucket) Unwrap() bucket.Bucket { return b.inner }

// Calls returns how many calls there have been.
func (b *Bucket) Calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// ask counts a call, and asks what becomes of it.
func (b *Bucket) ask(op Op, name string) (Call, Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	call := Call{op, name, b.n}
	if b.decide == nil {
		return call, Outcome{}
	}
	return call, b.decide(call)
}

// begin waits as long as a call takes. err is nil for one that shall pass. Whoever
// makes the call defers the outcome's answer.
func (b *Bucket) begin(ctx context.Context, op Op, name string) (outcome Outcome, err error) {
	call, outcome := b.ask(op, name)
	if outcome.Delay > 0 {
		select {
		case <-time.After(outcome.Delay):
		case <-ctx.Done():
			return Outcome{Effect: Fail}, fmt.Errorf("%s %s (call %d, made to wait): %w", op, name, call.N, context.Cause(ctx))
		}
	}
	if outcome.Effect == Pass {
		return outcome, nil
	}
	if outcome.Err == nil {
		outcome.Err = bucket.ErrUnreachable
	}
	return outcome, fmt.Errorf("%s %s (call %d, made to fail): %w", op, name, call.N, outcome.Err)
}

// answer waits as long as the answer takes.
func (o Outcome) answer() {
	if o.After > 0 {
		<-time.After(o.After)
	}
}

// Put implements [bucket.Bucket].
func (b *Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	o, err := b.begin(ctx, Put, name)
	defer o.answer()
	if o.Effect == Late {
		data, readErr := readAll(content)
		if readErr != nil {
			return readErr
		}
		b.postpone(func(ctx context.Context) { _ = b.inner.Put(ctx, name, bytes.NewReader(data)) })
	}
	if o.Effect != Pass && o.Effect != Lost {
		return err
	}
	innerErr := b.inner.Put(ctx, name, content)
	if o.Effect == Lost {
		return err // whatever the answer was
	}
	return innerErr
}

// Get implements [bucket.Bucket].
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	o, err := b.begin(ctx, Get, name)
	defer o.answer()
	switch o.Effect {
	case Pass:
		return b.inner.Get(ctx, name)
	case Cut:
		return b.cut(ctx, name, err)
	default:
		return nil, err
	}
}

// cut opens an object whose second half cannot be read.
func (b *Bucket) cut(ctx context.Context, name string, err error) (io.ReadCloser, error) {
	object, headErr := b.inner.Head(ctx, name)
	if headErr != nil {
		return nil, headErr
	}
	body, getErr := b.inner.Get(ctx, name)
	if getErr != nil {
		return nil, getErr
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, object.Size/2), failing{err}), body}, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Head implements [bucket.Bucket].
func (b *Bucket) Head(ctx context.Context, name string) (bucket.Object, error) {
	o, err := b.begin(ctx, Head, name)
	defer o.answer()
	if err != nil {
		return bucket.Object{}, err
	}
	return b.inner.Head(ctx, name)
}

// List implements [bucket.Bucket].
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		o, failure := b.begin(ctx, List, prefix)
		defer o.answer()
		effect := o.Effect
		left := -1 // objects to yield; negative for all
		if effect == Cut || effect == Fail || effect == Late {
			left = 0
		}
		if effect == Cut {
			for _, err := range b.inner.List(ctx, prefix) {
				if err == nil {
					left++
				}
			}
			left /= 2
		}
		if left != 0 {
			for object, err := range b.inner.List(ctx, prefix) {
				if !yield(object, err) || err != nil {
					return
				}
				if left--; left == 0 {
					break
				}
			}
		}
		if failure != nil {
			yield(bucket.Object{}, failure)
		}
	}
}

// Delete implements [bucket.Bucket].
func (b *Bucket) Delete(ctx context.Context, name string) error {
	o, err := b.begin(ctx, Delete, name)
	defer o.answer()
	if o.Effect == Late {
		b.postpone(func(ctx context.Context) { _ = b.inner.Delete(ctx, name) })
	}
	if o.Effect != Pass && o.Effect != Lost {
		return err
	}
	innerErr := b.inner.Delete(ctx, name)
	if o.Effect == Lost {
		return err // whatever the answer was
	}
	return innerErr
}

// Land does the work of the calls that were Late, in their order. Nobody hears
// the answers.
func (b *Bucket) Land(ctx context.Context) {
	b.mu.Lock()
	late := b.late
	b.late = nil
	b.mu.Unlock()
	for _, do := range late {
		do(ctx)
	}
}

func (b *Bucket) postpone(do func(context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = append(b.late, do)
}

// readAll reads content from its start.
func readAll(content io.ReadSeeker) ([]byte, error) {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}
