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
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"

	"cairn"
	"cairn/internal/sqlitefile"
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
}

// A DB is an open database. Its methods can be called at the same time.
type DB struct {
	cfg  Config
	path string // of the live generation

	// turn holds a token while nobody writes. It guards writer and its
	// statements, and is a channel so that waiting can be cancelled.
	turn   chan struct{}
	writer *sql.Conn // the only one of pool
	stmts  statements

	pool   *sql.DB
	reader *sql.DB
	reads  reads

	mu      sync.Mutex // guards what follows; held for moments only
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
	path, err := recoverLive(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d := &DB{
		cfg:     cfg,
		path:    path,
		turn:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		lists:   map[*listing]struct{}{},
	}
	d.turn <- struct{}{}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(d.wrap(err), d.Close())
	}
	return d, nil
}

// open connects to the live generation.
func (d *DB) open(ctx context.Context) error {
	if err := probe(d.path); err != nil {
		return err
	}
	if _, err := inspect(ctx, d.path); err != nil {
		return err
	}
	var err error
	if d.pool, err = sqlitefile.Open(d.path, 1); err != nil {
		return err
	}
	if d.writer, err = d.pool.Conn(ctx); err != nil {
		return err
	}
	if d.stmts, err = prepare(ctx, d.writer); err != nil {
		return err
	}
	if err := d.claim(ctx); err != nil {
		return err
	}
	if d.stats, err = readStats(ctx, d.writer); err != nil {
		return err
	}
	if d.reader, err = sqlitefile.Open(d.path, maxReaders, "query_only(1)"); err != nil {
		return err
	}
	d.reads, err = prepareReads(ctx, d.reader)
	return err
}

// Close waits for the write under way and closes the files. No method may be
// called afterwards.
func (d *DB) Close() error {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	var errs []error
	if d.reader != nil {
		errs = append(errs, d.reader.Close())
	}
	errs = append(errs, d.stmts.close())
	if d.writer != nil {
		if err := d.writer.Close(); !errors.Is(err, sql.ErrConnDone) {
			errs = append(errs, err)
		}
	}
	if d.pool != nil {
		errs = append(errs, d.pool.Close())
	}
	return errors.Join(errs...)
}

// Path returns the file of the live generation, for messages and tests.
func (d *DB) Path() string { return d.path }

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
