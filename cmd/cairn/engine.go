package main

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"time"

	"cairn"
	"cairn/internal/asset"
	"cairn/internal/backup"
	"cairn/internal/cloud"
	"cairn/internal/connection"
	"cairn/internal/durable"
	"cairn/internal/jobs"
	"cairn/internal/keys"
	"cairn/internal/schedule"
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
	var err error
	d.clouds, err = connection.New(connection.Config{
		Data:       d.dir,
		Configured: d.config.Cloud,
		Identity:   d.identity,
		Device:     d.device,
		Keys:       &keys.Store{Dir: folder, Log: d.log},
		Observer:   d.metrics,
		Log:        d.log,
	})
	if err != nil {
		return usageError{err}
	}
	d.engine = backup.New(backup.Config{
		Database: d.database,
		Device:   d.device,
		Connect:  d.clouds.Open,
		Place:    d.place,
		Changed:  d.user.Raise,
		Spool:    filepath.Join(d.dir, spoolFolder),
		Version:  backupVersion(version),
		Platform: cairn.Platform(runtime.GOOS),
		Browse:   browse,
		Log:      d.log,
	})
	d.clouds.Use(switched{d.engine, d.scheduler})
	d.jobs = jobs.New(jobs.Config{Engine: d.engine, History: d.device, Ended: d.ended, Log: d.log})
	if err := d.connectFirst(ctx); err != nil {
		e, ok := errors.AsType[*cairn.Error](err)
		if !ok || e.Code == cairn.CodeNotCloud {
			return err
		}
		d.log.Warn("backups are not possible now", "cloud", d.place().URL, "why", e.Message, "hint", e.Hint, "err", e.Err)
	} else if d.place().Local {
		d.log.Warn("backups are on this computer only", "cloud", d.place().URL, "hint", "cairn cloud connect URL --create backs up to another place")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime) // it may ask the cloud
	defer cancel()
	if err := d.jobs.Recover(ctx); err != nil {
		d.log.Warn("the history of backups and restorations cannot be read", "err", err)
	}
	return nil
}

// switched is the engine, and has the scheduler hear of a cloud that is connected.
type switched struct {
	*backup.Engine
	scheduler *schedule.Scheduler
}

// Switch is that of the engine.
func (s switched) Switch(c *cloud.Cloud) {
	s.Engine.Switch(c)
	if c != nil {
		s.scheduler.Connected()
	}
}

// place describes the place of the cloud.
func (d *daemonProcess) place() backup.Place {
	p := d.clouds.Place()
	return backup.Place{URL: p.URL(), Local: p.Local(), Transfers: p.Transfers()}
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
			Message: "The cloud " + d.place().URL + " has not answered yet.",
			Hint:    "The documents are served meanwhile; cairn status says when it has.",
		}
	}
}

// browse finds what a person looks for a document by.
func browse(collection string, json []byte) (name, language, created string) {
	if collection != cairn.CollectionAssets {
		return "", "", ""
	}
	return asset.Browse(json)
}
