package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"cairn/internal/bucket"
)

// conditions says what a store makes of If-None-Match, with which an object is
// only stored where there is none.
type conditions = int32

const (
	untried  conditions = iota // it is sent, and a HEAD goes before it
	kept                       // as it is meant
	ignored                    // the object would be replaced: a HEAD goes before
	rejected                   // it must not be sent: a HEAD goes before
)

// contentType is that of all objects. A page that a proxy sends has another one.
const contentType = "application/octet-stream"

// Put implements [bucket.Bucket]. A store that does not know how to store an
// object only where there is none is asked first whether there is one; then two
// that do so at the same moment can both succeed, and the last one stands. So it
// is as long as it is not known whether the store does. That is found out with
// the first object, which is put twice.
func (b *Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if err := bucket.ValidateName(name); err != nil {
		return err
	}
	const (
		tries = 6                      // of two that write at the same moment
		pause = 100 * time.Millisecond // the longest between the first two
	)
	for try := 0; ; try++ {
		err := b.put(ctx, name, content)
		if !isConflict(err) || try == tries {
			return describeAll(ctx, "storing", name, err)
		}
		select {
		case <-time.After(rand.N(pause << try)):
		case <-ctx.Done():
			return describe(ctx, "storing", name, err)
		}
	}
}

func (b *Bucket) put(ctx context.Context, name string, content io.ReadSeeker) error {
	known := b.conditions.Load()
	if known != kept {
		switch _, err := b.head(ctx, name); {
		case err == nil:
			return bucket.ErrExists
		case !errors.Is(classify(err), bucket.ErrNotFound):
			return err
		}
	}
	err := b.send(ctx, name, content, known != rejected)
	switch {
	case known == untried && isUnsupported(err):
		if err = b.send(ctx, name, content, false); err == nil {
			b.conditions.CompareAndSwap(untried, rejected)
		}
	case known == untried && err == nil && b.trying.TryLock():
		defer b.trying.Unlock()
		b.try(ctx, name, content)
	}
	return err
}

// try finds out whether the store keeps an object that is there: it puts the
// same one again. Without an answer the next Put tries.
func (b *Bucket) try(ctx context.Context, name string, content io.ReadSeeker) {
	if b.conditions.Load() != untried {
		return
	}
	switch err := b.send(ctx, name, content, true); {
	case err == nil:
		b.conditions.Store(ignored)
	case errors.Is(classify(err), bucket.ErrExists):
		b.conditions.Store(kept)
	}
}

// send stores an object in one request; with the condition, only where there is
// none.
func (b *Bucket) send(ctx context.Context, name string, content io.ReadSeeker, condition bool) error {
	size, err := content.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("reading what is to be stored: %w", err)
	}
	input := &awss3.PutObjectInput{
		Bucket:        &b.location.Bucket,
		Key:           &name,
		Body:          content,
		ContentLength: &size,
		ContentType:   aws.String(contentType),
	}
	if condition {
		input.IfNoneMatch = aws.String("*")
	}
	_, err = b.client.PutObject(ctx, input)
	return err
}

// isConflict reports whether a store could not say who of two was first.
func isConflict(err error) bool { return status(err) == http.StatusConflict }

// isUnsupported reports whether a store does not know a condition.
func isUnsupported(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "NotImplemented" && status(err) == http.StatusNotImplemented
}

// status returns that of the answer that an error tells of; 0 without one.
func status(err error) int {
	if response := responseOf(err); response != nil {
		return response.HTTPStatusCode()
	}
	return 0
}
