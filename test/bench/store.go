package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/test/s3server"
	"cairn/test/toxic"
)

// roundTrip is how much longer than on this machine each answer of a store takes.
const roundTrip = 200 * time.Millisecond

// stores measures backups of what bulk left in an S3 store, which answers at once
// or late.
func (b *bench) stores(ctx context.Context) error {
	return hosted(ctx, b.dir, func(h *host) error {
		server := s3server.Start(h)
		line := toxic.New(h, strings.TrimPrefix(server.URL, "http://"))
		cloud := fmt.Sprintf("CAIRN_CLOUD=s3://%s/bench?endpoint=http://%s", server.Bucket(h), line.Addr)
		d, err := startDaemon(ctx, b.binary, filepath.Join(b.dir, "bulk"), append(server.Env(), cloud)...)
		if err != nil {
			return err
		}
		var made api.Backup
		var creation, restoration [2][]float64 // at once, late
		for range b.rounds {
			for i, toxics := range [][]toxic.Toxic{nil, {toxic.Latency{Delay: roundTrip}}} {
				line.Set(toxics...)
				if err := d.forget(ctx, made.ID); err != nil {
					return errors.Join(err, d.stop())
				}
				took, err := timed(func() error { return d.do(ctx, "/backups/create", &made) })
				creation[i] = append(creation[i], took)
				if err == nil {
					took, err = timed(func() error { return d.do(ctx, "/backup/"+made.ID+"/restore", &made) })
					restoration[i] = append(restoration[i], took)
				}
				if err != nil {
					return errors.Join(err, d.stop())
				}
			}
		}
		peak := d.memory("VmHWM")
		mb := megabytes(b.docs.bytes())
		fmt.Printf("\n%-46s %12s %12s %8s\n", "", fmt.Sprint("S3, ", roundTrip), "S3 at once", "times")
		for _, work := range []struct {
			name string
			took [2][]float64
		}{{"POST /backups/create, MB/s", creation}, {"POST /backup/{backup}/restore, MB/s", restoration}} {
			var times []float64
			for i, late := range work.took[1] {
				times = append(times, late/work.took[0][i])
			}
			ratio(work.name, "%.0f", mb/middle(work.took[1]), mb/middle(work.took[0]), middle(times))
		}
		alone("  peak memory, MB", "%.0f", float64(peak)/1e6)
		return d.stop()
	})
}

// A host has what is made for tests run outside of one.
type host struct {
	testing.TB // what is missing here is not called

	ctx     context.Context
	dir     string
	cleanup []func()
	err     error
}

// hosted runs fn, and ends what it has begun.
func hosted(ctx context.Context, dir string, fn func(*host) error) (err error) {
	h := &host{ctx: ctx, dir: dir}
	defer func() {
		if r := recover(); r != nil && r != any(h) {
			panic(r)
		}
		for i := len(h.cleanup) - 1; i >= 0; i-- {
			h.cleanup[i]()
		}
		err = errors.Join(err, h.err)
	}()
	return fn(h)
}

func (h *host) Helper()                   {}
func (h *host) Context() context.Context  { return h.ctx }
func (h *host) Cleanup(fn func())         { h.cleanup = append(h.cleanup, fn) }
func (h *host) Failed() bool              { return h.err != nil }
func (h *host) Logf(string, ...any)       {}
func (h *host) Error(args ...any)         { h.err = errors.Join(h.err, errors.New(fmt.Sprint(args...))) }
func (h *host) Errorf(f string, a ...any) { h.Error(fmt.Sprintf(f, a...)) }
func (h *host) Fatal(args ...any)         { h.Error(args...); panic(h) }
func (h *host) Fatalf(f string, a ...any) { h.Fatal(fmt.Sprintf(f, a...)) }
func (h *host) TempDir() string {
	dir, err := os.MkdirTemp(h.dir, "store-")
	if err != nil {
		h.Fatal(err)
	}
	return dir
}
