// Package memory is a store in memory, for tests of what uses one:
//
//	var b memory.Bucket
//	err := b.Put(ctx, "name", strings.NewReader("content"))
package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cairn/internal/bucket"
)

// A Bucket keeps its objects until it is forgotten. The zero value is empty.
type Bucket struct {
	// Now is the clock of the bucket; nil means time.Now. It must not change
	// once the bucket is in use, and can be called at the same time.
	Now func() time.Time

	mu      sync.Mutex
	objects map[string]stored // by name
}

type stored struct {
	data     []byte // never changes
	modified time.Time
}

// Put implements [bucket.Bucket].
func (b *Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if err := check(ctx, "storing", name); err != nil {
		return err
	}
	_, err := content.Seek(0, io.SeekStart)
	var data []byte
	if err == nil {
		data, err = io.ReadAll(content)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[name]; ok {
		return fmt.Errorf("storing %s: %w", name, bucket.ErrExists)
	}
	if b.objects == nil {
		b.objects = make(map[string]stored)
	}
	b.objects[name] = stored{data, now()}
	return nil
}

// Get implements [bucket.Bucket].
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := b.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return &body{ctx: ctx, name: name, r: bytes.NewReader(object.data)}, nil
}

// Head implements [bucket.Bucket].
func (b *Bucket) Head(ctx context.Context, name string) (bucket.Object, error) {
	object, err := b.find(ctx, name)
	if err != nil {
		return bucket.Object{}, err
	}
	return describe(name, object), nil
}

// List implements [bucket.Bucket]: it yields what is there when it begins, but
// for what is deleted meanwhile.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		b.mu.Lock()
		names := slices.Sorted(maps.Keys(b.objects))
		b.mu.Unlock()
		for _, name := range names {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			if ctx.Err() != nil {
				break
			}
			b.mu.Lock()
			object, ok := b.objects[name]
			b.mu.Unlock()
			if ok && !yield(describe(name, object), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(bucket.Object{}, fmt.Errorf("listing %q: %w", prefix, err))
		}
	}
}

// Delete implements [bucket.Bucket].
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := check(ctx, "deleting", name); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, name)
	return nil
}

func (b *Bucket) find(ctx context.Context, name string) (stored, error) {
	if err := check(ctx, "reading", name); err != nil {
		return stored{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	object, ok := b.objects[name]
	if !ok {
		return stored{}, fmt.Errorf("reading %s: %w", name, bucket.ErrNotFound)
	}
	return object, nil
}

func check(ctx context.Context, doing, name string) error {
	if err := bucket.ValidateName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	return nil
}

func describe(name string, object stored) bucket.Object {
	return bucket.Object{Name: name, Size: int64(len(object.data)), Modified: object.modified}
}

// A body reads an object as long as its context lasts.
type body struct {
	ctx  context.Context
	name string
	r    *bytes.Reader
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, fmt.Errorf("reading %s: %w", b.name, err)
	}
	return b.r.Read(p)
}

func (b *body) Close() error { return nil }
