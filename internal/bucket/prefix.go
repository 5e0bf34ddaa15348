package bucket

import (
	"context"
	"io"
	"iter"
	"strings"
)

// Prefix returns the part of b whose names begin with prefix and a slash, as a
// store of its own, whose names lack them. Errors tell the whole names. The
// prefix "" is b itself; one that no name can begin with makes every name an
// ErrName.
func Prefix(b Bucket, prefix string) Bucket {
	if prefix == "" {
		return b
	}
	return &prefixed{b, strings.TrimSuffix(prefix, "/") + "/"}
}

type prefixed struct {
	inner  Bucket
	prefix string // ends in a slash
}

// Unwrap returns the store below.
func (p *prefixed) Unwrap() Bucket { return p.inner }

func (p *prefixed) create(ctx context.Context, policy Policy, name string, content io.ReadSeeker) error {
	return create(ctx, p.inner, policy, p.prefix+name, content)
}

func (p *prefixed) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	return p.inner.Put(ctx, p.prefix+name, content)
}

func (p *prefixed) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return p.inner.Get(ctx, p.prefix+name)
}

func (p *prefixed) Head(ctx context.Context, name string) (Object, error) {
	object, err := p.inner.Head(ctx, p.prefix+name)
	return p.strip(object), err
}

func (p *prefixed) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for object, err := range p.inner.List(ctx, p.prefix+prefix) {
			if !yield(p.strip(object), err) {
				return
			}
		}
	}
}

func (p *prefixed) Delete(ctx context.Context, name string) error {
	return p.inner.Delete(ctx, p.prefix+name)
}

func (p *prefixed) strip(object Object) Object {
	object.Name = strings.TrimPrefix(object.Name, p.prefix)
	return object
}
