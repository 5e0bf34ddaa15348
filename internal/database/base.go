package database

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cairn"
)

// maxBases bounds the bases that are kept for each cloud: the older ones serve
// when newer ones are gone from it.
const maxBases = 8

// AddBase notes that the line can build on a backup, and forgets the journal of
// its creation. When the live database is of another line by now, it does
// nothing.
func (d *DB) AddBase(ctx context.Context, line string, b cairn.Base) error {
	return d.note(ctx, line, "base.add", func(ctx context.Context, g *generation) error {
		if err := g.putBase(ctx, b); err != nil {
			return err
		}
		_, err := g.writer.ExecContext(ctx, "DELETE FROM journal WHERE cloud = ?", b.Cloud)
		return err
	})
}

// newestFirst is the order of bases. A time has as many digits as it needs: with
// its Z, a shorter one would come behind all that it is the beginning of.
const newestFirst = "ORDER BY revision DESC, rtrim(created, 'Z') DESC, backup DESC"

// putBase adds a base, and drops the oldest of many.
func (g *generation) putBase(ctx context.Context, b cairn.Base) error {
	if _, err := g.writer.ExecContext(ctx,
		"INSERT OR REPLACE INTO bases(cloud, backup, created, revision, segments) VALUES(?, ?, ?, ?, ?)",
		b.Cloud, b.Backup, b.Created.UTC().Format(time.RFC3339Nano), b.Revision, string(b.Segments)); err != nil {
		return err
	}
	_, err := g.writer.ExecContext(ctx, `
		DELETE FROM bases WHERE cloud = ?1 AND backup NOT IN (
			SELECT backup FROM bases WHERE cloud = ?1 `+newestFirst+` LIMIT ?2)`,
		b.Cloud, maxBases)
	return err
}

// MarkBase notes anew what a base consists of; nothing when there is no such base.
func (d *DB) MarkBase(ctx context.Context, cloud, backup string, segments []byte) error {
	return d.note(ctx, "", "base.mark", func(ctx context.Context, g *generation) error {
		_, err := g.writer.ExecContext(ctx, "UPDATE bases SET segments = ? WHERE cloud = ? AND backup = ?", string(segments), cloud, backup)
		return err
	})
}

// DropBase forgets a base, because its backup was deleted.
func (d *DB) DropBase(ctx context.Context, cloud, backup string) error {
	return d.note(ctx, "", "base.drop", func(ctx context.Context, g *generation) error {
		_, err := g.writer.ExecContext(ctx, "DELETE FROM bases WHERE cloud = ? AND backup = ?", cloud, backup)
		return err
	})
}

// Bases returns the bases in a cloud, the one of the newest revision first. An
// empty cloud means all clouds.
func (d *DB) Bases(ctx context.Context, cloud string) (bases []cairn.Base, err error) {
	g := d.use()
	defer d.release(g)
	rows, err := g.reader.QueryContext(ctx, `
		SELECT cloud, backup, created, revision, segments FROM bases WHERE ?1 = '' OR cloud = ?1 `+newestFirst, cloud)
	if err != nil {
		return nil, failure(g.path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var b cairn.Base
		var created string
		if err := rows.Scan(&b.Cloud, &b.Backup, &created, &b.Revision, &b.Segments); err != nil {
			return nil, failure(g.path, err)
		}
		if b.Created, err = time.Parse(time.RFC3339Nano, created); err != nil {
			return nil, failure(g.path, fmt.Errorf("%w: a base of the time %q", errState, created))
		}
		bases = append(bases, b)
	}
	return bases, failure(g.path, rows.Err())
}

// Journal returns the entries of the parts that creations have uploaded to a cloud
// without making a backup of them, in the order of the names of the parts.
func (d *DB) Journal(ctx context.Context, cloud string) (entries [][]byte, err error) {
	g := d.use()
	defer d.release(g)
	rows, err := g.reader.QueryContext(ctx, "SELECT entry FROM journal WHERE cloud = ? ORDER BY part", cloud)
	if err != nil {
		return nil, failure(g.path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var entry []byte
		if err := rows.Scan(&entry); err != nil {
			return nil, failure(g.path, err)
		}
		entries = append(entries, entry)
	}
	return entries, failure(g.path, rows.Err())
}

// BeginJournal forgets what earlier creations have uploaded to a cloud, but for
// the parts that this one goes on from.
func (d *DB) BeginJournal(ctx context.Context, line, cloud string, keep []string) error {
	kept, err := json.Marshal(append([]string{}, keep...))
	if err != nil {
		return err
	}
	return d.note(ctx, line, "journal.begin", func(ctx context.Context, g *generation) error {
		_, err := g.writer.ExecContext(ctx,
			"DELETE FROM journal WHERE cloud = ? AND part NOT IN (SELECT value FROM json_each(?))", cloud, string(kept))
		return err
	})
}

// AddJournal notes a part that a creation has uploaded. entry is JSON.
func (d *DB) AddJournal(ctx context.Context, line, cloud, backup, part string, entry []byte) error {
	return d.note(ctx, line, "journal.add", func(ctx context.Context, g *generation) error {
		_, err := g.writer.ExecContext(ctx,
			"INSERT OR REPLACE INTO journal(part, cloud, backup, entry) VALUES(?, ?, ?, ?)", part, cloud, backup, string(entry))
		return err
	})
}

// UseJournal notes with parts in the journal that a checkpoint has named them: in
// their entries, as using.
func (d *DB) UseJournal(ctx context.Context, line, cloud string, parts []string, using string) error {
	names, err := json.Marshal(append([]string{}, parts...))
	if err != nil {
		return err
	}
	return d.note(ctx, line, "journal.use", func(ctx context.Context, g *generation) error {
		_, err := g.writer.ExecContext(ctx, `
			UPDATE journal SET entry = json_set(entry, '$.using', ?) WHERE cloud = ? AND part IN (SELECT value FROM json_each(?))`,
			using, cloud, string(names))
		return err
	})
}

// note runs fn in a write transaction that leaves the documents alone. With a
// line that the live generation is not of, it does nothing.
func (d *DB) note(ctx context.Context, line, step string, fn func(context.Context, *generation) error) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer func() { d.turn <- struct{}{} }()
	if line != "" && d.Stats().Line != line {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	g := d.writable()
	return d.step(step, func() error { return failure(g.path, g.transact(ctx, fn)) })
}

// transact runs fn in a transaction.
func (g *generation) transact(ctx context.Context, fn func(context.Context, *generation) error) error {
	if _, err := g.stmts.begin.ExecContext(ctx); err != nil {
		return err
	}
	err := fn(ctx, g)
	if err == nil {
		_, err = g.stmts.commit.ExecContext(ctx)
	}
	if err != nil {
		g.rollback()
	}
	return err
}

// step does one step that changes what is on the disk.
func (d *DB) step(name string, do func() error) error {
	if d.cfg.Step == nil {
		return do()
	}
	return d.cfg.Step(name, do)
}
