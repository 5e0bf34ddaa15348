package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Retry returns b with calls that are tried again while the store does not
// answer, or fails for an unknown cause. Put is settled as by [Create]; Delete
// that fails is ErrUnknown besides when a try had no answer, since that may
// still be carried out; Get is tried again until the object is open, and [Read]
// reads it again too; List goes on after the object that it yielded last.
func Retry(b Bucket, policy Policy) Bucket {
	return &retrying{b, policy}
}

type retrying struct {
	inner  Bucket
	policy Policy
}

// Unwrap returns the store below.
func (r *retrying) Unwrap() Bucket { return r.inner }

func (r *retrying) create(ctx context.Context, _ Policy, name string, content io.ReadSeeker) error {
	return create(ctx, r.inner, r.policy, name, content)
}

func (r *retrying) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	return create(ctx, r.inner, r.policy, name, content)
}

func (r *retrying) Get(ctx context.Context, name string) (body io.ReadCloser, err error) {
	err = Try(ctx, r.policy, func() error {
		body, err = r.inner.Get(ctx, name)
		return err
	})
	return body, err
}

func (r *retrying) Head(ctx context.Context, name string) (object Object, err error) {
	err = Try(ctx, r.policy, func() error {
		object, err = r.inner.Head(ctx, name)
		return err
	})
	return object, err
}

func (r *retrying) Delete(ctx context.Context, name string) error {
	unanswered := false
	err := Try(ctx, r.policy, func() error {
		err := r.inner.Delete(ctx, name)
		unanswered = unanswered || err != nil && silent(err)
		return err
	})
	if err != nil && unanswered {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

func (r *retrying) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		last := "" // before every name
		for left := r.policy.budget(); ; {
			before := last
			var failure error
			for object, err := range r.inner.List(ctx, prefix) {
				if err != nil {
					failure = err
					break
				}
				if object.Name <= last {
					continue // yielded before the failure
				}
				last = object.Name
				if !yield(object, nil) {
					return
				}
			}
			if failure == nil {
				return
			}
			if last != before {
				left = r.policy.budget() // it got on, so the store is there
			}
			if !Transient(failure) || !left.pause(ctx, failure) {
				yield(Object{}, left.describe(ctx, failure))
				return
			}
		}
	}
}

// Try calls f until it succeeds, fails for good, or the policy ends it.
func Try(ctx context.Context, policy Policy, f func() error) error {
	left := policy.budget()
	for {
		err := f()
		if err == nil {
			return nil
		}
		if !Transient(err) || !left.pause(ctx, err) {
			return left.describe(ctx, err)
		}
	}
}

// describe adds to the last error how often it was tried, and that ctx ended.
func (b *budget) describe(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	if b.tries > 1 {
		return fmt.Errorf("after %d tries: %w", b.tries, err)
	}
	return err
}
