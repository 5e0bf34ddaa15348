package connection

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/folder"
	"cairn/internal/cloud"
)

// A store is an open bucket, and what else its driver can do.
type store struct {
	bucket  bucket.Bucket
	foreign func(context.Context) (string, error)
	outer   []cloud.Place
	tidy    func(ctx context.Context, age time.Duration) (removed int, err error)
	close   func() // closes what no call uses; nil if there is nothing to close
}

// openStore opens the place. known is the id of the cloud that was there before; ""
// for none. Where a cloud is expected, a folder must be there; else the default one
// is made, and the last part of one that was given.
func (p Place) openStore(ctx context.Context, known string, expected bool) (store, error) {
	if p.path == "" {
		return p.openBucket(ctx)
	}
	if info, err := os.Stat(p.path); err == nil && !info.IsDir() && known == "" {
		return store{}, &cairn.Error{
			Code:    cairn.CodeNotCloud,
			Message: p.url + " is a file, and a cloud is a folder.",
			Hint:    "Choose an empty folder. Nothing was written.",
		}
	}
	open := folder.Create
	if known != "" || expected {
		open = folder.Open
	} else if _, err := os.Stat(filepath.Dir(p.path)); p.given && errors.Is(err, os.ErrNotExist) {
		return store{}, &cairn.Error{
			Code:    cairn.CodeBucketMissing,
			Message: "The folder " + filepath.Dir(p.path) + ", in which the cloud should be, is not there.",
			Hint:    "Is the disk mounted, and the path right? If so, make the folder, then try again.",
			Err:     err,
		}
	}
	b, err := open(p.path)
	if err != nil {
		return store{}, cloud.Failure(ctx, p.url, err)
	}
	var outer []cloud.Place
	real := p.path
	if at, err := filepath.EvalSymlinks(real); err == nil {
		real = at // it is inside of what is above it there
	}
	for at := real; known == "" && at != filepath.Dir(at); {
		at = filepath.Dir(at)
		if b, err := folder.Open(at); err == nil { // or nobody can look there
			outer = append(outer, cloud.Place{URL: folderURL(at), Bucket: b})
		}
	}
	return store{bucket: b, foreign: b.Foreign, outer: outer, tidy: b.Tidy}, nil
}

// openBucket opens the bucket of the place. Credentials are read anew each time.
func (p Place) openBucket(ctx context.Context) (store, error) {
	b, prefix, places, err := p.bucket.open(ctx)
	if err != nil {
		return store{}, cloud.Failure(ctx, p.url, err)
	}
	var outer []cloud.Place
	for _, at := range places {
		outer = append(outer, cloud.Place{URL: at.url, Bucket: bucket.Retry(bucket.Prefix(b, at.prefix), bucket.Policy{})})
	}
	return store{
		bucket: bucket.Prefix(b, prefix),
		foreign: func(ctx context.Context) (name string, err error) {
			err = bucket.Try(ctx, bucket.Policy{}, func() error {
				name, err = b.Foreign(ctx, prefix)
				return err
			})
			return name, err
		},
		outer: outer,
		tidy:  func(context.Context, time.Duration) (int, error) { return 0, nil }, // an object is there whole, or not
		close: b.Close,
	}, nil
}
