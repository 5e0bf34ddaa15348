// Package s3 is a store in a bucket of Amazon S3, or of whatever else speaks its
// protocol. An object name is the key.
//
//	l, err := s3.ParseURL("s3://bucket/prefix?endpoint=https://store.example")
//	b, err := s3.Open(ctx, l)
//
// Credentials come from where those of the AWS tools come from. No call is tried
// again here, but for what only this package can know; see [bucket.Retry].
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// A Bucket keeps its objects in a bucket of a store. Where names are below the
// prefix of a location is the business of [bucket.Prefix].
type Bucket struct {
	location Location
	client   *awss3.Client

	conditions atomic.Int32 // what the store makes of them
	trying     sync.Mutex   // held by who finds out
}

// Open returns the store at a location, without its prefix. It asks nobody yet.
// The error is ErrNoCredentials when the configuration of the AWS tools lacks
// the profile, or cannot be read.
func Open(ctx context.Context, l Location) (*Bucket, error) {
	return OpenImpatient(ctx, l, remote.StallTime)
}

// OpenImpatient is Open with another time than a minute for which a connection
// may stand still.
func OpenImpatient(ctx context.Context, l Location, stall time.Duration) (*Bucket, error) {
	client, err := newClient(ctx, l, stall)
	if err != nil {
		return nil, describe(ctx, "opening", l.String(), err)
	}
	return &Bucket{location: l, client: client}, nil
}

// Close closes the connections that no call uses. Calls still work.
func (b *Bucket) Close() {
	if g, ok := b.client.Options().HTTPClient.(guard); ok {
		g.close()
	}
}

// Get implements [bucket.Bucket].
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := bucket.ValidateName(name); err != nil {
		return nil, err
	}
	found, err := b.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &b.location.Bucket, Key: &name})
	if err != nil {
		return nil, describe(ctx, "opening", name, err)
	}
	return remote.NewBody(ctx, name, found.Body, classify), nil
}

// Head implements [bucket.Bucket].
func (b *Bucket) Head(ctx context.Context, name string) (bucket.Object, error) {
	if err := bucket.ValidateName(name); err != nil {
		return bucket.Object{}, err
	}
	object, err := b.head(ctx, name)
	if status(err) == http.StatusNotFound {
		object, err = b.look(ctx, name) // the object is not there, or the bucket
	}
	return object, describe(ctx, "looking for", name, err)
}

// head is Head with the errors of the SDK; which of the two is not there, they do
// not tell.
func (b *Bucket) head(ctx context.Context, name string) (bucket.Object, error) {
	found, err := b.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &b.location.Bucket, Key: &name})
	switch status(err) {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return b.look(ctx, name)
	}
	if err != nil {
		return bucket.Object{}, err
	}
	return objectOf(&name, found.ContentLength, found.LastModified)
}

// look is head by a GET, whose answer says why it was refused: that to a HEAD has
// no body.
func (b *Bucket) look(ctx context.Context, name string) (bucket.Object, error) {
	found, err := b.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &b.location.Bucket, Key: &name})
	if err != nil {
		return bucket.Object{}, err
	}
	_ = found.Body.Close() // what is in it is not of interest
	return objectOf(&name, found.ContentLength, found.LastModified)
}

// objectOf returns what an answer describes, which a store tells in full. The time
// is as HTTP has it: some stores tell more in their lists.
func objectOf(name *string, size *int64, modified *time.Time) (bucket.Object, error) {
	if name == nil || size == nil || *size < 0 || modified == nil {
		return bucket.Object{}, notStore("an object without a name, a length or a time")
	}
	return bucket.Object{Name: *name, Size: *size, Modified: modified.UTC().Truncate(time.Second)}, nil
}

// List implements [bucket.Bucket].
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return remote.Ours(b.list(ctx, prefix), prefix)
}

// list yields all that is there, whatever it is named.
func (b *Bucket) list(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		input := &awss3.ListObjectsV2Input{Bucket: &b.location.Bucket, Prefix: &prefix}
		for {
			page, err := b.client.ListObjectsV2(ctx, input)
			next := ""
			if err == nil && aws.ToBool(page.IsTruncated) {
				next = aws.ToString(page.NextContinuationToken)
				if next == "" || next == aws.ToString(input.ContinuationToken) {
					err = remote.CutOff()
				}
			}
			if err != nil {
				yield(bucket.Object{}, describeAll(ctx, "listing", fmt.Sprintf("%q", prefix), err))
				return
			}
			for _, entry := range page.Contents {
				object, err := objectOf(entry.Key, entry.Size, entry.LastModified)
				if !yield(object, describe(ctx, "listing", fmt.Sprintf("%q", prefix), err)) || err != nil {
					return
				}
			}
			if next == "" {
				return
			}
			input.ContinuationToken = &next
		}
	}
}

// Foreign returns the first object below a prefix, among the first thousand,
// that no object of ours can be named like, or "". An empty object whose name
// ends in a slash, as consoles make for folders, does not count.
func (b *Bucket) Foreign(ctx context.Context, prefix string) (string, error) {
	below := remote.Below(prefix)
	return remote.Foreign(b.list(ctx, below), below)
}

// Delete implements [bucket.Bucket].
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := bucket.ValidateName(name); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &b.location.Bucket, Key: &name})
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchKey" {
		return nil // some stores tell
	}
	return describe(ctx, "deleting", name, err)
}
