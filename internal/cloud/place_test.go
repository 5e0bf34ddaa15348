package cloud_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// TestHintsByPlace has a cloud be gone, and another one in its place: who reads
// that of a bucket is not asked for a disk.
func TestHintsByPlace(t *testing.T) {
	for url, want := range map[string]string{
		"file:///mnt/disk/cloud":                  "Is the right disk mounted? ",
		"s3://bucket/laptop?region=eu-central-1":  "Are the bucket, the prefix and the endpoint right? ",
		"gs://bucket/laptop":                      "Are the bucket, the prefix and the endpoint right? ",
		"azblob://box/laptop?storage_account=abc": "Are the container, the prefix and the endpoint right? ",
	} {
		d := newDevice(t, stores.New(t))
		d.URL = url
		c := d.open(t)
		other := newDevice(t, stores.New(t))
		other.open(t)
		own := get(t, d.Bucket, "cairn.json")
		replace(t, d.Bucket, "cairn.json", get(t, other.Bucket, "cairn.json"))
		replaced := c.Check(t.Context())
		replace(t, d.Bucket, "cairn.json", own)
		if err := d.Bucket.Delete(t.Context(), "cairn.json"); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{"replaced": replaced, "gone": c.Check(t.Context())} {
			e, ok := errors.AsType[*cairn.Error](err)
			if !ok || e.Code != cairn.CodeBucketMissing || !strings.HasPrefix(e.Hint, want) {
				t.Errorf("%s, %s: %+v, want a hint that begins with %q", url, name, err, want)
			}
		}
	}
}

// A blind bucket lets nobody read what was written to it.
type blind struct {
	bucket.Bucket
	written bool
}

func (b *blind) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	b.written = true
	return b.Bucket.Put(ctx, name, content)
}

func (b *blind) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if b.written {
		return nil, bucket.ErrRefused
	}
	return b.Bucket.Get(ctx, name)
}

// TestNoPermissionToReadBack makes a cloud that cannot be read back: the hint names
// the permission.
func TestNoPermissionToReadBack(t *testing.T) {
	d := newDevice(t, &blind{Bucket: stores.New(t)})
	d.URL = "s3://bucket/laptop"
	_, err := cloud.Open(t.Context(), d.Config)
	wantError(t, err, cairn.CodeDenied, "reading back", "cairn.json")
	if e, ok := errors.AsType[*cairn.Error](err); !ok || !strings.Contains(e.Hint, "the permission s3:GetObject and s3:ListBucket;") {
		t.Errorf("%+v, want the permission in the hint", err)
	}
}
