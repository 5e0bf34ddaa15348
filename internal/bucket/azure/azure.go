// Package azure is a store in a container of Azure Blob Storage. An object name is
// that of a block blob.
//
//	l, err := azure.ParseURL("azblob://container/prefix?storage_account=account")
//	b, err := azure.Open(ctx, l)
//
// Credentials come from where those of the Azure tools come from. No call is tried
// again here; see [bucket.Retry].
package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// contentType is that of all objects. A page that a proxy sends has another one.
const contentType = "application/octet-stream"

// A Bucket keeps its objects in a container of the store. Where names are below
// the prefix of a location is the business of [bucket.Prefix].
type Bucket struct {
	container *container.Client
	http      *http.Client
}

// Open returns the store at a location, without its prefix. It asks nobody yet. The
// error is ErrNoCredentials when what the environment has of them is malformed.
func Open(ctx context.Context, l Location) (*Bucket, error) {
	return OpenImpatient(ctx, l, remote.StallTime)
}

// OpenImpatient is Open with another time than a minute for which a connection
// may stand still.
func OpenImpatient(ctx context.Context, l Location, stall time.Duration) (*Bucket, error) {
	client := &http.Client{Transport: remote.Transport(stall), CheckRedirect: remote.Stay}
	c, err := newClient(l, client)
	if err != nil {
		return nil, describe(ctx, "opening", l.String(), err)
	}
	return &Bucket{c, client}, nil
}

// Close closes the connections that no call uses. Calls still work.
func (b *Bucket) Close() { b.http.CloseIdleConnections() }

// Put implements [bucket.Bucket]. The object goes in one request, on the condition
// that there is none, which this store keeps.
func (b *Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if err := bucket.ValidateName(name); err != nil {
		return err
	}
	lent, _, err := remote.Lend(ctx, content)
	if err != nil {
		return remote.Describe(ctx, "storing", name, err)
	}
	defer lent.Close()
	none := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	_, err = b.container.NewBlockBlobClient(name).Upload(ctx, lent, &blockblob.UploadOptions{
		AccessConditions: none,
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: to.Ptr(contentType)},
	})
	return describeAll(ctx, "storing", name, err)
}

// Get implements [bucket.Bucket].
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := bucket.ValidateName(name); err != nil {
		return nil, err
	}
	r, err := b.container.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, describe(ctx, "opening", name, err)
	}
	return remote.NewBody(ctx, name, r.Body, classify), nil
}

// Head implements [bucket.Bucket].
func (b *Bucket) Head(ctx context.Context, name string) (bucket.Object, error) {
	if err := bucket.ValidateName(name); err != nil {
		return bucket.Object{}, err
	}
	p, err := b.container.NewBlobClient(name).GetProperties(ctx, nil)
	if err == nil && (p.ContentLength == nil || p.LastModified == nil) {
		err = &remote.NotStoreError{Said: "an object without a length or a time"}
	}
	if refused, ok := errors.AsType[*azcore.ResponseError](err); ok && classes[refused.ErrorCode] == bucket.ErrSecret {
		// The answer to a HEAD has no body that would tell why.
		r, why := b.container.NewBlobClient(name).DownloadStream(ctx, nil)
		if why == nil {
			_ = r.Body.Close() // what is in it is not of interest
		} else {
			err = why
		}
	}
	if err != nil {
		return bucket.Object{}, describe(ctx, "looking for", name, err)
	}
	return bucket.Object{Name: name, Size: *p.ContentLength, Modified: p.LastModified.UTC()}, nil
}

// List implements [bucket.Bucket].
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return remote.Ours(b.list(ctx, prefix), prefix)
}

// list yields all that is there, whatever it is named.
func (b *Bucket) list(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		options := &container.ListBlobsFlatOptions{Prefix: &prefix}
		for {
			page, err := b.container.NewListBlobsFlatPager(options).NextPage(ctx)
			next := value(page.NextMarker)
			if err == nil && next != "" && next == value(options.Marker) {
				err = remote.CutOff()
			}
			if err == nil && page.Segment == nil {
				err = &remote.NotStoreError{Said: "a list without a part for names"}
			}
			if err != nil {
				yield(bucket.Object{}, describeAll(ctx, "listing", fmt.Sprintf("%q", prefix), err))
				return
			}
			for _, item := range page.Segment.BlobItems {
				object, err := describeItem(item)
				if !yield(object, describe(ctx, "listing", fmt.Sprintf("%q", prefix), err)) || err != nil {
					return
				}
			}
			if next == "" {
				return
			}
			options.Marker = &next
		}
	}
}

// describeItem returns what an entry of a list describes.
func describeItem(item *container.BlobItem) (bucket.Object, error) {
	p := item.Properties
	if p == nil || item.Name == nil || p.ContentLength == nil || p.LastModified == nil {
		return bucket.Object{}, &remote.NotStoreError{Said: "a list without names, lengths or times"}
	}
	return bucket.Object{Name: *item.Name, Size: *p.ContentLength, Modified: p.LastModified.UTC()}, nil
}

// value returns what p points to; the zero value for nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
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
	_, err := b.container.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)})
	if err = describe(ctx, "deleting", name, err); errors.Is(err, bucket.ErrNotFound) {
		return nil
	}
	return err
}
