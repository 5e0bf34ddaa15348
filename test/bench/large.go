package main

import (
	"context"
	"errors"
	"fmt"

	"cairn/api"
	"cairn/client"
	"cairn/internal/durable"
)

const (
	// largePeak is how much memory a daemon may take, in MiB.
	largePeak = 250
	// largeDisk is how much of the disk is used at most, for each byte of
	// documents: their database, the restored one and its log, and backups.
	largeDisk = 4
)

// largeAndBack makes and restores backups of a very large database, each with a
// daemon of its own, so that each peak of memory is of that alone. It fails when
// one is more than it may be.
func (b *bench) largeAndBack(ctx context.Context) error {
	bytes := int64(b.large) * 1e6
	free, err := durable.Free(b.dir)
	if err != nil {
		return err
	}
	if need := bytes * largeDisk; free < need {
		return fmt.Errorf("this takes up to %.0f MB of the disk of %s, which has %.0f; -tmp names another folder",
			megabytes(need), b.dir, megabytes(free))
	}
	s, err := b.startSite(ctx, "large", medianPiece, nil)
	if err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	var made api.Backup
	var before, after api.Status
	status := func(st *api.Status) (err error) {
		*st, err = client.New(s.url).Status(ctx)
		return err
	}
	fmt.Printf("\n%-46s %12s %12s %12s\n", "", "seconds", "MB/s", "peak, MiB")
	for _, work := range []struct {
		name string
		all  bool // it is about all documents
		do   func() error
	}{
		{"writing", true, func() (err error) {
			bytes, err = s.grow(ctx, func(_ int, have int64) bool { return have < bytes })
			return err
		}},
		{"full backup", true, func() error { return s.do(ctx, "/backups/create", &made) }},
		{"writing 1 % of it again", false, func() error {
			_, err := s.edit(ctx, len(s.ids)/share)
			return errors.Join(err, status(&before))
		}},
		{"backup of that", false, func() error { return s.do(ctx, "/backups/create", &made) }},
		{"restore", true, func() error {
			return errors.Join(s.do(ctx, "/backup/"+made.ID+"/restore", &made), status(&after))
		}},
	} {
		took, peak, err := b.alone(ctx, s, work.do)
		if err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
		rate := ""
		if work.all {
			rate = fmt.Sprintf("%.0f", megabytes(bytes)/took)
		}
		fmt.Printf("%-46s %12.2f %12s %12.0f\n", work.name, took, rate, peak)
		b.hold(goal{step: work.name, what: "MiB at the peak", got: peak, bound: largePeak, exact: true})
	}
	if after.Database.Digest != before.Database.Digest || after.Database.Documents != int64(len(s.ids)) {
		return fmt.Errorf("restored is %+v, not %+v", after.Database, before.Database)
	}
	fmt.Printf("%-46s %12d\n", "documents", len(s.ids))
	alone("  MB of JSON", "%.0f", megabytes(after.Database.Bytes))
	stored, err := folderBytes(s.cloud)
	alone("stored, MB", "%.0f", megabytes(stored))
	return err
}

// alone has a daemon of its own do something. It returns how many seconds that
// takes, and how many MiB of memory.
func (b *bench) alone(ctx context.Context, s *site, do func() error) (took, peak float64, err error) {
	if err := s.start(ctx, b.binary); err != nil {
		return 0, 0, err
	}
	took, err = timed(do)
	peak = float64(s.memory("VmHWM")) / (1 << 20)
	return took, peak, errors.Join(err, s.stop())
}
