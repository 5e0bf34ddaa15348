package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cairn"
	"cairn/internal/durable"
)

// Replace builds a generation from what fill adds, and swaps it in when it is
// what r wants; the one that was live until then is kept, for [DB.Undo]. Until
// the swap, the live one is untouched and in use: a write is acknowledged
// before it, and in the kept one, or after it, and in the new one.
//
// fill gets a function that takes the rows of a segment, counted from 0, checks
// them and returns a function that inserts them. Rows may be prepared from
// several goroutines at once; they are inserted one after the other, in the
// order of revisions.
//
// After an error the live generation is the one it was. Errors besides those of
// fill: cairn.CodeDamaged when the rows are not what r wants, CodeDiskFull,
// CodeReadOnly; and what the rows are refused for.
func (d *DB) Replace(ctx context.Context, r cairn.Replacement, fill filler) (err error) {
	b, err := d.build(ctx, r, fill)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.discard())
		}
	}()
	if err := d.step("build.finish", func() error { return b.finish() }); err != nil {
		return err
	}
	if err := d.take(ctx); err != nil {
		return err
	}
	defer func() { d.turn <- struct{}{} }()
	return d.swapIn(ctx, b.path, r.Job)
}

// checkRoom refuses to begin what the disk has no room for.
func (d *DB) checkRoom(bytes int64) error {
	folder := filepath.Join(d.cfg.Dir, generationsFolder)
	free, err := durable.Free(folder)
	if err != nil {
		return cairn.FileError("looking at the disk of", folder, err)
	}
	// Measured: 100,000 documents of 481 MB take 674 MB; 1.6 leaves some room.
	if need := bytes/10*16 + 1<<20; free < need {
		return &cairn.Error{
			Code:    cairn.CodeDiskFull,
			Message: fmt.Sprintf("The disk of %s has %d MB free; restoring needs about %d MB, since the present database stays until the restored one is whole. Nothing was changed.", folder, free/1e6, need/1e6),
			Hint:    "Free some space on that disk, then try again.",
		}
	}
	return nil
}

// Undo swaps the live generation and the one that it replaced. Doing it again
// swaps them back. cairn.CodeNothingToUndo when there is none.
func (d *DB) Undo(ctx context.Context) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer func() { d.turn <- struct{}{} }()
	undo := d.current.Undo
	if undo == "" {
		return &cairn.Error{
			Code:    cairn.CodeNothingToUndo,
			Message: "There is nothing to undo: no restoration has replaced a database here.",
			Hint:    "cairn backup list shows the backups that can be restored.",
		}
	}
	return d.swap(ctx, current{Format: currentFormat, Live: undo, Undo: d.current.Live, Drop: d.leftovers()})
}

// Restored returns the id of the job that made the live generation; "" when none
// did, or when it was undone.
func (d *DB) Restored() string {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	return d.current.Job
}

// leftovers are the generations that are still to be removed, since that was
// not possible before.
func (d *DB) leftovers() []string {
	return slices.DeleteFunc(slices.Clone(d.current.Drop), func(name string) bool {
		_, err := os.Lstat(d.file(name))
		return errors.Is(err, os.ErrNotExist)
	})
}

// swapIn makes the generation in a temporary file the live one. The caller has
// the turn.
func (d *DB) swapIn(ctx context.Context, temp, job string) error {
	name := strings.TrimSuffix(filepath.Base(temp), durable.TempSuffix)
	// Named first as one to be removed: a crash behind the rename leaves a
	// whole file that was never live.
	intent := d.current
	intent.Drop = append(d.leftovers(), name)
	if err := d.step("swap.intent", func() error { return writeCurrent(d.currentPath(), intent) }); err != nil {
		return err // whether it stands or not: the live generation is the same
	}
	d.current = intent
	if err := d.step("swap.rename", func() error { return durable.Rename(temp, d.file(name)) }); err != nil {
		d.remove(d.file(name)) // where the rename was done and only its sync failed
		return cairn.FileError("renaming", temp, err)
	}
	next := current{Format: currentFormat, Live: name, Undo: d.current.Live, Job: job}
	next.Drop = slices.DeleteFunc(d.leftovers(), func(n string) bool { return n == name })
	if d.current.Undo != "" {
		next.Drop = append(next.Drop, d.current.Undo)
	}
	err := d.swap(ctx, next)
	if err != nil && d.failed == nil { // else CURRENT may name it
		d.remove(d.file(name))
	}
	return err
}

// swap makes next what CURRENT says and opens its live generation, or leaves
// everything as it is. The caller has the turn.
func (d *DB) swap(ctx context.Context, next current) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // from here on the outcome is definite
	var g *generation
	var stats cairn.Stats
	err := d.step("swap.open", func() (err error) {
		g, stats, err = openGeneration(ctx, d.file(next.Live), d.cfg.Installation)
		return err
	})
	if err == nil {
		err = d.step("swap.commit", func() error { return writeCurrent(d.currentPath(), next) })
		if err != nil {
			err = d.settleNew(err, next)
		}
	}
	if err != nil {
		if g != nil {
			err = errors.Join(err, g.close())
		}
		return err
	}
	former := d.writable()
	d.current = next
	d.publish(g, stats)
	for _, name := range next.Drop {
		d.drop(name)
	}
	d.release(former)
	return nil
}

// publish makes g the live generation for all who come from now on.
func (d *DB) publish(g *generation, stats cairn.Stats) {
	d.commit.Lock()
	defer d.commit.Unlock()
	d.mu.Lock()
	d.live = g
	d.opened[g] = struct{}{}
	d.mu.Unlock()
	d.committed(stats)
}

// drop removes a generation that nobody can come to any more, or has its last
// reader do so.
func (d *DB) drop(name string) {
	if path := d.file(name); !d.keepOpen(path) {
		_ = d.step("swap.drop", func() error { d.remove(path); return nil })
	}
}

func (d *DB) currentPath() string { return filepath.Join(d.cfg.Dir, CurrentFile) }

// settleNew finds out what a failed write of CURRENT has done. It returns nil
// if next stands, durably; else the error, and what stood before stands.
func (d *DB) settleNew(err error, next current) error {
	if c, e := readCurrent(d.currentPath()); e == nil && c != nil && c.equal(next) {
		if durable.SyncDir(d.cfg.Dir) == nil {
			return nil
		}
	}
	return errors.Join(d.settle(d.current), err) // that nothing can be written matters more
}

// settle makes sure, after a failed write, that CURRENT says what it said
// before. If that is impossible, then either could stand after a loss of power,
// and a write to one of them could be lost; so nothing is written any more.
func (d *DB) settle(before current) error {
	c, err := readCurrent(d.currentPath())
	if err == nil && c != nil && c.equal(before) {
		return nil // the write did not get as far as its rename
	}
	if err := d.step("swap.settle", func() error { return writeCurrent(d.currentPath(), before) }); err != nil {
		d.failed = &cairn.Error{
			Code:    cairn.CodeInternal,
			Message: fmt.Sprintf("The disk of %s failed while databases were exchanged, so nothing is written to the database until the daemon was started again.", d.cfg.Dir),
			Hint:    "Check the disk, then start cairn again: it goes on with the whole of one of the two.",
			Err:     err,
		}
		return d.failed
	}
	return nil
}
