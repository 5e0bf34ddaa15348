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
	"cairn/client"
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
	var creation, restoration duel
	err = b.duel(ctx, &creation, func(d *daemon) error {
		return creation.round(
			func() error { return d.do(ctx, "/backups/create", &made) },
			func() error { return limit.create(ctx, raw) },
			func() error { return d.forget(ctx, made.ID) }) // the next one builds on nothing
	})
	if err != nil {
		return err
	}
	err = b.duel(ctx, &restoration, func(d *daemon) error {
		path := filepath.Join(b.dir, "limit.db")
		return restoration.round(
			func() error { return d.do(ctx, "/backup/"+made.ID+"/restore", &made) },
			func() error { return limit.restore(ctx, path) },
			func() error { return os.Remove(path) })
	})
	if err != nil {
		return err
	}
	mb := megabytes(b.docs.bytes())
	fmt.Printf("\n%-46s %12s %12s %8s\n", "", "cairn", "its parts", "ratio")
	creation.print("POST /backups/create, MB/s", mb)
	restoration.print("POST /backup/{backup}/restore, MB/s", mb)
	row("stored, MB", "%.1f", megabytes(made.Bytes), megabytes(limit.stored))
	return nil
}

// A duel measures ours beside theirs, in turn. The ratio that counts is the
// middle one of the rounds: what slows the machine down for a while slows both.
type duel struct {
	ours, theirs, ratios []float64 // seconds, and theirs divided by ours
	peak                 int64     // of ours, bytes of memory
}

// duel fights all rounds with one daemon on the data of bulk, as the parts are
// in one process.
func (b *bench) duel(ctx context.Context, duel *duel, round func(*daemon) error) error {
	d, err := startDaemon(ctx, b.binary, filepath.Join(b.dir, "bulk"))
	if err != nil {
		return err
	}
	for range b.rounds {
		if err := round(d); err != nil {
			return errors.Join(err, d.stop())
		}
	}
	duel.peak = d.memory("VmHWM")
	return d.stop()
}

// round measures one side, then the other. clear removes what theirs has left:
// as ours removes the database before the last. So each finds as much memory
// that was just given back, which on a virtual machine is ten times as fast as
// memory that its host has to find.
func (d *duel) round(ours, theirs, clear func() error) error {
	limit, err := timed(theirs)
	if err := errors.Join(err, clear()); err != nil {
		return err
	}
	took, err := timed(ours)
	d.theirs, d.ours, d.ratios = append(d.theirs, limit), append(d.ours, took), append(d.ratios, limit/took)
	return err
}

// print prints the figures of a duel about so many MB.
func (d *duel) print(name string, mb float64) {
	ratio(name, "%.0f", mb/middle(d.ours), mb/middle(d.theirs), middle(d.ratios))
	alone("  peak memory, MB", "%.0f", float64(d.peak)/1e6)
}

// forget deletes a backup, if there is one yet, so that no other builds on it.
func (d *daemon) forget(ctx context.Context, backup string) error {
	if backup == "" {
		return nil
	}
	return client.New(d.url).DeleteBackup(ctx, backup)
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
