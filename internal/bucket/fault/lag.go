package fault

import (
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cairn/internal/bucket"
)

// Lag returns inner with listings that are late: they show what was there some
// time before, as those of some stores do. All else is up to date. It knows of
// what is changed through it.
func Lag(inner bucket.Bucket, behind time.Duration) bucket.Bucket {
	return &lagging{Bucket: inner, behind: behind}
}

type lagging struct {
	bucket.Bucket
	behind time.Duration

	mu      sync.Mutex
	changes []change // oldest first
}

// A change is one of what is stored under a name.
type change struct {
	at     time.Time
	name   string
	before *bucket.Object // nil for none
}

// Unwrap returns the store below.
func (l *lagging) Unwrap() bucket.Bucket { return l.Bucket }

// Put implements [bucket.Bucket].
func (l *lagging) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	return l.change(ctx, name, func() error { return l.Bucket.Put(ctx, name, content) })
}

// Delete implements [bucket.Bucket].
func (l *lagging) Delete(ctx context.Context, name string) error {
	return l.change(ctx, name, func() error { return l.Bucket.Delete(ctx, name) })
}

// change does a change, and notes it when it was done.
func (l *lagging) change(ctx context.Context, name string, do func() error) error {
	c := change{name: name}
	if object, err := l.Bucket.Head(ctx, name); err == nil {
		c.before = &object
	}
	if err := do(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.at = time.Now()
	l.changes = append(l.changes, c)
	return nil
}

// List implements [bucket.Bucket].
func (l *lagging) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		listed := map[string]bucket.Object{}
		for object, err := range l.Bucket.List(ctx, prefix) {
			if err != nil {
				yield(object, err)
				return
			}
			listed[object.Name] = object
		}
		l.mu.Lock()
		for _, c := range slices.Backward(l.changes) {
			if time.Since(c.at) >= l.behind || !strings.HasPrefix(c.name, prefix) {
				continue
			}
			delete(listed, c.name)
			if c.before != nil {
				listed[c.name] = *c.before
			}
		}
		l.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(listed)) {
			if !yield(listed[name], nil) {
				return
			}
		}
	}
}
