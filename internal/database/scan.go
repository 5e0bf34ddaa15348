package database

import (
	"context"
	"database/sql"

	"cairn"
	"cairn/internal/sqlitefile"
)

// scanQuery reads the documents of a range of revisions, and scanChangesQuery all
// that changed last in it.
const (
	scanQuery = `
		SELECT revision, collection, id, crc, hash, json FROM documents WHERE revision > ?1 AND revision <= ?2
		ORDER BY revision`
	scanChangesQuery = `
		SELECT revision, collection, id, crc, hash, json FROM documents WHERE revision > ?1 AND revision <= ?2
		UNION ALL
		SELECT revision, collection, id, 0, NULL, NULL FROM deletions WHERE revision > ?1 AND revision <= ?2
		ORDER BY 1`
	// Text is counted by what the head of its row says, without reading it.
	countQuery = `
		SELECT count(*), coalesce(sum(octet_length(json)), 0),
			(SELECT count(*) FROM deletions WHERE revision > ?1 AND revision <= ?2)
		FROM documents WHERE revision > ?1 AND revision <= ?2`
)

// Moment lends look the database as it is now, whatever is written meanwhile, and
// returns what look does.
//
// Texts lie in SQLite's memory as long as a row is looked at.
func (d *DB) Moment(ctx context.Context, look func(cairn.Moment) error) error {
	g := d.use()
	defer d.release(g)
	var done error
	err := g.moment(func(r *sqlitefile.Reader, stats cairn.Stats) error {
		done = look(cairn.Moment{
			Stats: stats,
			Count: func(after, to int64) (cairn.Rows, error) {
				rows, err := count(r, after, to)
				return rows, failure(g.path, err)
			},
			Deletions: func(after int64) (int64, error) {
				n, err := number(r, "SELECT count(*) FROM deletions WHERE revision > ?1", after)
				return n, failure(g.path, err)
			},
			Scan: func(after, to int64, deletions bool, row func(cairn.Document, cairn.Hash) error) error {
				var refused error
				err := scan(ctx, r, after, to, deletions, func(doc cairn.Document, hash cairn.Hash) error {
					refused = row(doc, hash)
					return refused
				})
				if refused != nil {
					return refused
				}
				return failure(g.path, err)
			},
		})
		return nil
	})
	if done != nil {
		return done
	}
	return failure(g.path, err)
}

// moment lends a reader that sees the file as it is now, and what it counts.
func (g *generation) moment(look func(*sqlitefile.Reader, cairn.Stats) error) error {
	r, err := sqlitefile.NewReader(g.path)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Exec("BEGIN"); err != nil {
		return err
	}
	if err := r.Query(stateQuery); err != nil {
		return err
	}
	more, err := r.Next()
	if err == nil && !more {
		err = sql.ErrNoRows
	}
	if err != nil {
		return err
	}
	var values stateValues
	for i := range values {
		values[i] = r.Value(i)
	}
	stats, err := values.stats()
	if err != nil {
		return err
	}
	return look(r, stats)
}

// count counts what a reader sees of a range of revisions.
func count(r *sqlitefile.Reader, after, to int64) (rows cairn.Rows, err error) {
	if err := r.Query(countQuery, after, to); err != nil {
		return rows, err
	}
	if _, err := r.Next(); err != nil { // there is always one
		return rows, err
	}
	return cairn.Rows{Documents: r.Int64(0), Bytes: r.Int64(1), Deletions: r.Int64(2)}, nil
}

// number returns the number that a query gives.
func number(r *sqlitefile.Reader, query string, args ...int64) (int64, error) {
	if err := r.Query(query, args...); err != nil {
		return 0, err
	}
	if _, err := r.Next(); err != nil {
		return 0, err
	}
	return r.Int64(0), nil
}

// scan hands on what a reader sees of a range of revisions. A row without json is
// a deletion.
func scan(ctx context.Context, r *sqlitefile.Reader, after, to int64, deletions bool, row func(cairn.Document, cairn.Hash) error) error {
	query := scanQuery
	if deletions {
		query = scanChangesQuery
	}
	if err := r.Query(query, after, to); err != nil {
		return err
	}
	var doc cairn.Document
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err := r.Next(); !more {
			return err
		}
		doc.Revision, doc.ID, doc.JSON = r.Int64(0), string(r.Bytes(2)), r.Bytes(5)
		if name := r.Bytes(1); string(name) != doc.Collection {
			doc.Collection = string(name)
		}
		var hash cairn.Hash
		if !doc.Deleted() {
			if checksum(doc.Collection, doc.ID, bytesText(doc.JSON)) != r.Int64(3) {
				return errChecksum
			}
			copy(hash[:], r.Bytes(4)) // the digest tells of one that is not that of the text
		}
		if err := row(doc, hash); err != nil {
			return err
		}
	}
}

// CountChanges returns how many documents and deletions are newer than a
// revision. It reads those, and no others.
func (d *DB) CountChanges(ctx context.Context, after int64) (n int64, err error) {
	g := d.use()
	defer d.release(g)
	err = g.reader.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM documents WHERE revision > ?1) + (SELECT count(*) FROM deletions WHERE revision > ?1)`,
		after).Scan(&n)
	return n, failure(g.path, err)
}
