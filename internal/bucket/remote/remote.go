// Package remote is what the drivers of stores on a network share: the form of
// their URLs, connections that end when they stand still, the errors of those,
// and lists.
//
//	client := &http.Client{Transport: remote.Transport(remote.StallTime), CheckRedirect: remote.Stay}
//	response, err := client.Do(request)
//	...
//	return remote.Describe(ctx, "storing", name, classify(err))
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"

	"cairn/internal/bucket"
)

// Describe says what was being done to what, and that ctx has ended, if it has. A
// nil err stays nil.
func Describe(ctx context.Context, doing, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return fmt.Errorf("%s %s: %w", doing, what, err)
}

// NewBody returns r, which is what an object holds, with errors that name the
// object and went through classify. It can be read as long as ctx lasts.
func NewBody(ctx context.Context, name string, r io.ReadCloser, classify func(error) error) io.ReadCloser {
	return &body{ctx, name, r, classify}
}

type body struct {
	ctx      context.Context
	name     string
	r        io.ReadCloser
	classify func(error) error
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, Describe(b.ctx, "reading", b.name, err)
	}
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = Describe(b.ctx, "reading", b.name, b.classify(err))
	}
	return n, err
}

func (b *body) Close() error {
	_ = b.r.Close() // it was only read
	return nil
}

// Ours yields of what a store lists below a prefix what can be an object of ours.
// A list that is not in the order of the bytes of names is ErrRejected, and so is
// one of something else than was asked for, as a cache may have it.
func Ours(all iter.Seq2[bucket.Object, error], prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		if strings.ContainsFunc(prefix, unicode.IsControl) {
			return // no name begins with it, and stores fail over it
		}
		for object, err := range checked(all, prefix) {
			if (err != nil || bucket.ValidateName(object.Name) == nil) && !yield(object, err) {
				return
			}
		}
	}
}

// checked yields what a store lists below a prefix, up to an error of the list.
func checked(all iter.Seq2[bucket.Object, error], prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		last := ""
		for object, err := range all {
			switch {
			case err != nil:
			case object.Name <= last:
				err = fmt.Errorf("listing %q: %w: %q comes behind %q", prefix, bucket.ErrRejected, object.Name, last)
			case !strings.HasPrefix(object.Name, prefix):
				err = fmt.Errorf("listing %q: %w: %q does not begin so", prefix, bucket.ErrRejected, object.Name)
			}
			if err != nil {
				yield(bucket.Object{}, err)
				return
			}
			last = object.Name
			if !yield(object, nil) {
				return
			}
		}
	}
}

// Foreign returns the first object, among the first thousand of a list below a
// prefix, that no object of ours can be named like, or "". An empty object whose
// name ends in a slash, as consoles make for folders, does not count.
func Foreign(all iter.Seq2[bucket.Object, error], prefix string) (string, error) {
	const most = 1000
	seen := 0
	for object, err := range checked(all, prefix) {
		if err != nil {
			return "", err
		}
		isFolder := object.Size == 0 && strings.HasSuffix(object.Name, "/")
		if !isFolder && bucket.ValidateName(object.Name) != nil {
			return object.Name, nil
		}
		if seen++; seen == most {
			break
		}
	}
	return "", nil
}

// Below returns what the names of objects below a prefix begin with.
func Below(prefix string) string {
	if prefix == "" {
		return ""
	}
	return prefix + "/"
}

// CutOff is the error of a list that says that it goes on, and not how.
func CutOff() error {
	const said = "a list that is cut off does not tell how it goes on"
	return &bucket.Answer{Class: bucket.ErrRejected, Said: said, Err: errors.New("no other continuation")}
}
