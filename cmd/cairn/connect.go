package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"cairn"
	"cairn/internal/asset"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/folder"
	"cairn/internal/cloud"
	"cairn/internal/durable"
	"cairn/internal/jobs"
	"cairn/internal/keys"
)

// openCloud makes the engine and the jobs, and connects to the cloud. A cloud
// that cannot be used now does not keep the documents from being served; one
// that can never be is refused.
func (d *daemonProcess) openCloud(ctx context.Context) error {
	folder := filepath.Join(d.dir, keysFolder)
	if err := durable.MkdirAll(folder); err != nil {
		return cairn.FileError("creating", folder, err)
	}
	if _, err := durable.RemoveTemps(folder); err != nil {
		return cairn.FileError("tidying", folder, err)
	}
	d.engine = backup.New(backup.Config{
		Database:  d.database,
		Device:    d.device,
		Connect:   d.connect,
		URL:       d.place.url,
		Local:     d.place.local,
		Spool:     filepath.Join(d.dir, spoolFolder),
		Transfers: d.place.transfers(),
		Version:   backupVersion(version),
		Platform:  cairn.Platform(runtime.GOOS),
		Browse:    browse,
		Log:       d.log,
	})
	d.jobs = jobs.New(jobs.Config{Engine: d.engine, History: d.device, Ended: d.ended, Log: d.log})
	if err := d.connectFirst(ctx); err != nil {
		e, ok := errors.AsType[*cairn.Error](err)
		if !ok || e.Code == cairn.CodeNotCloud {
			return err
		}
		d.log.Warn("backups are not possible now", "cloud", d.place.url, "why", e.Message, "hint", e.Hint, "err", e.Err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime) // it may ask the cloud
	defer cancel()
	if err := d.jobs.Recover(ctx); err != nil {
		d.log.Warn("the history of backups and restorations cannot be read", "err", err)
	}
	return nil
}

// connectTime is how long the start waits for a cloud. A folder on a server that
// is gone may never answer, and the documents do not need it.
const connectTime = 5 * time.Second

// connectFirst connects to the cloud, and leaves it to itself when that takes
// long.
func (d *daemonProcess) connectFirst(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		_, err := d.engine.Connect(ctx)
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(connectTime):
		return &cairn.Error{
			Code:    cairn.CodeCloudLost,
			Message: "The cloud " + d.place.url + " has not answered yet.",
			Hint:    "The documents are served meanwhile; cairn status says when it has.",
		}
	}
}

// staleAfter is when an unfinished file in the folder of a cloud can be no one's
// that still writes it.
const staleAfter = 24 * time.Hour

// connect opens the cloud. A folder that held a cloud before is never made anew:
// it may be on a disk that is not mounted.
func (d *daemonProcess) connect(ctx context.Context) (*cloud.Cloud, error) {
	known, err := d.device.KnownCloud(ctx, d.place.key)
	if err != nil {
		return nil, err
	}
	open := d.openFolder
	if d.place.path == "" {
		open = d.openBucket
	}
	store, err := open(ctx, known)
	if err != nil {
		d.metrics.Connected(err)
		return nil, err
	}
	c, err := cloud.Open(ctx, cloud.Config{
		Bucket:   bucket.Retry(bucket.Meter(store.bucket, d.metrics), bucket.Policy{}),
		URL:      d.place.url,
		Keys:     &keys.Store{Dir: filepath.Join(d.dir, keysFolder), Log: d.log},
		Identity: d.identity,
		Known:    known,
		Expected: d.expectsCloud(),
		Foreign:  store.foreign,
		Outer:    store.outer,
		Cache:    d.device,
		Log:      d.log,
	})
	if e, ok := errors.AsType[*cairn.Error](err); ok && e.Code == cairn.CodeCloudNotFound {
		missing := *e // the operations on backups declare no 404
		missing.Code = cairn.CodeBucketMissing
		return nil, &missing
	}
	if err != nil {
		return nil, err
	}
	if d.connected != "" && d.connected != c.ID() {
		return nil, &cairn.Error{
			Code:    cairn.CodeBucketMissing,
			Message: "At " + d.place.url + " is another cloud, " + c.ID() + ", than this daemon began with, " + d.connected + ".",
			Hint:    cloud.Whereabouts(d.place.url) + " To go on with the other cloud, start cairn again.",
		}
	}
	// What a crash left half written is nobody's after a day, on whichever
	// device it was; in the data folder, which is locked, at the start.
	age := staleAfter
	if d.place.local && d.connected == "" {
		age = 0
	}
	d.connected = c.ID()
	if _, err := store.tidy(ctx, age); err != nil {
		d.log.Warn("unfinished files of earlier runs could not be removed", "cloud", d.place.url, "err", err)
	}
	if c.ID() != known {
		if err := d.device.SetKnownCloud(ctx, d.place.key, c.ID()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// A store is an open bucket, and what else its driver can do.
type store struct {
	bucket  bucket.Bucket
	foreign func(context.Context) (string, error)
	outer   []cloud.Place
	tidy    func(ctx context.Context, age time.Duration) (removed int, err error)
}

// expectsCloud reports whether there must be a cloud in the place: whoever gives its
// key has seen it, and may have mistyped the place.
func (d *daemonProcess) expectsCloud() bool { return d.identity != nil && d.place.given }

// openFolder opens the folder of the cloud. It makes the default one, and the
// last part of one that was given. Where a cloud is expected, the folder must be
// there.
func (d *daemonProcess) openFolder(ctx context.Context, known string) (store, error) {
	path := d.place.path
	if info, err := os.Stat(path); err == nil && !info.IsDir() && known == "" {
		return store{}, &cairn.Error{
			Code:    cairn.CodeNotCloud,
			Message: d.place.url + " is a file, and a cloud is a folder.",
			Hint:    "Choose an empty folder with --cloud. Nothing was written.",
		}
	}
	open := folder.Create
	if known != "" || d.expectsCloud() {
		open = folder.Open
	} else if _, err := os.Stat(filepath.Dir(path)); d.place.given && errors.Is(err, os.ErrNotExist) {
		return store{}, &cairn.Error{
			Code:    cairn.CodeBucketMissing,
			Message: "The folder " + filepath.Dir(path) + ", in which the cloud should be, is not there.",
			Hint:    "Is the disk mounted, and the path right? If so, make the folder, then try again.",
			Err:     err,
		}
	}
	b, err := open(path)
	if err != nil {
		return store{}, cloud.Failure(ctx, d.place.url, err)
	}
	var outer []cloud.Place
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // it is inside of what is above it there
	}
	for at := path; known == "" && at != filepath.Dir(at); {
		at = filepath.Dir(at)
		if b, err := folder.Open(at); err == nil { // or nobody can look there
			outer = append(outer, cloud.Place{URL: folderURL(at), Bucket: b})
		}
	}
	return store{b, b.Foreign, outer, b.Tidy}, nil
}

// browse finds what a person looks for a document by.
func browse(collection string, json []byte) (name, language, created string) {
	if collection != cairn.CollectionAssets {
		return "", "", ""
	}
	return asset.Browse(json)
}
