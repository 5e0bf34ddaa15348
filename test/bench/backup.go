package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"cairn/api"
)

// backupsAndBack measures creating and restoring a backup of what bulk left, each
// beside the limit of its parts in the same run.
func (b *bench) backupsAndBack(ctx context.Context) error {
	raw, err := openRaw(filepath.Join(b.dir, "bulk.db"))
	if err != nil {
		return err
	}
	defer raw.close()
	limit, err := newLimit(filepath.Join(b.dir, "limit"))
	if err != nil {
		return err
	}
	var made api.Backup
	var creations, scans, restorations, inserts []float64
	var createPeak, restorePeak int64
	for range b.rounds {
		took, err := timed(func() error { return limit.create(ctx, raw) })
		if err != nil {
			return err
		}
		scans = append(scans, took)
		took, peak, err := b.work(ctx, "/backups/create", &made)
		if err != nil {
			return err
		}
		creations, createPeak = append(creations, took), max(createPeak, peak)
	}
	for range b.rounds {
		path := filepath.Join(b.dir, "limit.db")
		took, err := timed(func() error { return limit.restore(ctx, path) })
		if err := errors.Join(err, os.Remove(path)); err != nil {
			return err
		}
		inserts = append(inserts, took)
		took, peak, err := b.work(ctx, "/backup/"+made.ID+"/restore", &made)
		if err != nil {
			return err
		}
		restorations, restorePeak = append(restorations, took), max(restorePeak, peak)
	}
	mb := megabytes(b.docs.bytes())
	fmt.Printf("\n%-46s %12s %12s %8s\n", "", "cairn", "its parts", "ratio")
	row("POST /backups/create, MB/s", "%.0f", mb/middle(creations), mb/middle(scans))
	alone("  peak memory, MB", "%.0f", float64(createPeak)/1e6)
	row("POST /backup/{backup}/restore, MB/s", "%.0f", mb/middle(restorations), mb/middle(inserts))
	alone("  peak memory, MB", "%.0f", float64(restorePeak)/1e6)
	row("stored, MB", "%.1f", megabytes(made.Bytes), megabytes(limit.stored))
	return nil
}

// work has a fresh daemon on the data of bulk do something that answers with a
// backup, and returns how many seconds that took and the daemon's peak memory.
func (b *bench) work(ctx context.Context, path string, backup *api.Backup) (took float64, peak int64, err error) {
	d, err := startDaemon(ctx, b.binary, filepath.Join(b.dir, "bulk"))
	if err != nil {
		return 0, 0, err
	}
	took, err = timed(func() error { return d.do(ctx, path, backup) })
	peak = d.memory("VmHWM")
	return took, peak, errors.Join(err, d.stop())
}

// do posts without a body and reads the answer into v.
func (d *daemon) do(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}
