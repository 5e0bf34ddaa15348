// Package database keeps documents in SQLite: one file, a generation, at a
// time, in the folder generations below the data folder; the file CURRENT names
// the one that is live.
//
//	db, err := database.Open(ctx, database.Config{Dir: dir})
//	defer db.Close()
//	results, err := db.Apply(ctx, []cairn.Document{doc})
//
// A write that was acknowledged survives a loss of power. There is one writer
// at a time; readers use short transactions of their own and wait for nobody.
package database

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"cairn"
	"cairn/internal/durable"
)

// Config says where a database is and what it has to know of its documents.
type Config struct {
	// Dir is the data folder. It must exist.
	Dir string
	// References returns the ids by which [DB.Find] finds a document besides
	// its own; nil means none. It must depend on its arguments alone.
	References func(collection string, json []byte) []string
	// Installation is the id of the installation that opens the database. One
	// that another installation wrote is a copy, and begins a new line: what
	// either copy does from now on is no longer the history of the other.
	// Empty means whichever wrote it.
	Installation string
	// Log gets what start-up recovery did; nil means slog.Default.
	Log *slog.Logger
	// Step, for tests, does each step that changes what is on the disk when
	// generations are made and swapped; nil means that the step is simply done.
	Step func(name string, do func() error) error
}

// A DB is an open database. Its methods can be called at the same time.
type DB struct {
	cfg Config

	// turn holds a token while nobody writes. It guards the writer of the live
	// generation, current and failed, and is a channel so that waiting can be
	// cancelled.
	turn    chan struct{}
	current current // what CURRENT says
	failed  error   // why nothing may be written any more; see settle

	removals sync.WaitGroup // of files

	mu      sync.Mutex // guards what follows; held for moments only
	live    *generation
	opened  map[*generation]struct{} // live, and those that are still read
	stats   cairn.Stats
	changed chan struct{} // closed at the next commit

	// commit guards lists. A commit holds it from the moment when lists are
	// warned until its numbers are public, so that a list begins before or
	// after a commit, never in the middle of one.
	commit sync.Mutex
	lists  map[*listing]struct{}
}

// Open recovers what a crash left and opens the live generation; an empty data
// folder gets a new one. It returns cairn.CodeDamaged, CodeSchemaTooNew,
// CodeDiskFull, CodeReadOnly or CodeNoPermission. It does not guard against a
// second process: whoever opens the data folder holds its lock.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.References == nil {
		cfg.References = func(string, []byte) []string { return nil }
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, cairn.FileError("finding", cfg.Dir, err)
	}
	cfg.Dir = dir
	d := &DB{
		cfg:     cfg,
		turn:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		lists:   map[*listing]struct{}{},
	}
	d.turn <- struct{}{}
	if d.current, err = recoverCurrent(ctx, cfg); err != nil {
		return nil, err
	}
	d.live, d.stats, err = openGeneration(ctx, d.file(d.current.Live), cfg.Installation)
	if err != nil {
		return nil, err
	}
	d.opened = map[*generation]struct{}{d.live: {}}
	if err := d.tempFiles(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// tempFiles has SQLite sort in the data folder, which was made for documents,
// and not where other users' files are.
func (d *DB) tempFiles(ctx context.Context) error {
	folder := filepath.Join(d.cfg.Dir, spoolFolder)
	if err := durable.Writable(folder); err != nil {
		return cairn.FileError("writing to", folder, err)
	}
	_, err := d.live.writer.ExecContext(ctx, "PRAGMA temp_store_directory = '"+strings.ReplaceAll(folder, "'", "''")+"'")
	return failure(folder, err)
}

// file returns the path of a generation.
func (d *DB) file(name string) string { return filepath.Join(d.cfg.Dir, generationsFolder, name) }

// Close waits for the write under way and closes the files. No method may be
// called afterwards.
func (d *DB) Close() error {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	d.removals.Wait()
	return d.live.close()
}

// Path returns the file of the live generation, for messages and tests.
func (d *DB) Path() string { return d.writable().path }

// Stats returns the numbers as of the newest commit.
func (d *DB) Stats() cairn.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Changed returns a channel that is closed at the next commit. Take it before
// reading the state that the next commit would change.
func (d *DB) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}
