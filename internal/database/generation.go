package database

import (
	"context"
	"database/sql"
	"errors"
	"os"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

// A generation is one open SQLite file of documents.
type generation struct {
	path string

	pool   *sql.DB
	writer *sql.Conn // the only one of pool; whoever has DB.turn uses it
	stmts  statements

	reader *sql.DB
	reads  reads

	// users counts those who read, and one more while the generation is live;
	// DB.mu guards it. The last one closes the files.
	users int
	// drop says that the file goes when it is closed. DB.mu guards it.
	drop bool
}

// openGeneration opens a file that is there, claims it for the installation and
// returns its numbers.
func openGeneration(ctx context.Context, path, installation string) (_ *generation, stats cairn.Stats, err error) {
	g := &generation{path: path, users: 1}
	defer func() {
		if err != nil {
			err = errors.Join(failure(path, err), g.close())
		}
	}()
	if err := probe(path); err != nil {
		return nil, stats, err
	}
	if _, err := inspect(ctx, path); err != nil {
		return nil, stats, err
	}
	if g.pool, err = sqlitefile.Open(path, 1); err != nil {
		return nil, stats, err
	}
	if g.writer, err = g.pool.Conn(ctx); err != nil {
		return nil, stats, err
	}
	if g.stmts, err = prepare(ctx, g.writer); err != nil {
		return nil, stats, err
	}
	if err := g.claim(ctx, installation); err != nil {
		return nil, stats, err
	}
	if stats, err = readStats(ctx, g.writer); err != nil {
		return nil, stats, err
	}
	if g.reader, err = sqlitefile.Open(path, maxReaders, "query_only(1)"); err != nil {
		return nil, stats, err
	}
	g.reads, err = prepareReads(ctx, g.reader)
	return g, stats, err
}

// close closes the files.
func (g *generation) close() error {
	var errs []error
	if g.reader != nil {
		errs = append(errs, g.reader.Close())
	}
	errs = append(errs, g.stmts.close())
	if g.writer != nil {
		if err := g.writer.Close(); !errors.Is(err, sql.ErrConnDone) {
			errs = append(errs, err)
		}
	}
	if g.pool != nil {
		errs = append(errs, g.pool.Close())
	}
	return errors.Join(errs...)
}

// use returns the live generation for reading. It stays open, whatever takes its
// place meanwhile, until it is given back by release.
func (d *DB) use() *generation {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live.users++
	return d.live
}

// release gives a generation back.
func (d *DB) release(g *generation) {
	d.mu.Lock()
	g.users--
	last, drop := g.users == 0, g.drop
	if last {
		delete(d.opened, g)
	}
	d.mu.Unlock()
	if !last {
		return
	}
	if err := g.close(); err != nil {
		d.cfg.Log.Warn("closing a former database failed", "file", g.path, "err", err)
	}
	if drop && !d.keepOpen(g.path) {
		d.remove(g.path)
	}
}

// keepOpen reports whether a file is still read. If so, it is removed when the
// last of its readers ends, who may have to open it once more until then.
func (d *DB) keepOpen(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := false
	for g := range d.opened {
		if g.path == path {
			g.drop, open = true, true
		}
	}
	return open
}

// remove removes a generation that nothing names any more. It gets the name of
// a temporary file at once, and nobody waits for the rest: a large file takes a
// while. What cannot be removed now is still named to be removed at the next
// start.
func (d *DB) remove(path string) {
	for _, suffix := range []string{"-wal", "-shm"} {
		d.removeFile(path + suffix)
	}
	temp := path + durable.TempSuffix
	if err := os.Rename(path, temp); err != nil {
		d.removeFile(path)
		return
	}
	d.removals.Go(func() { d.removeFile(temp) })
}

func (d *DB) removeFile(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.cfg.Log.Warn("a former database could not be removed; the next start tries again", "file", path, "err", err)
	}
}

// writable returns the generation for the one who has d.turn.
func (d *DB) writable() *generation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.live
}
