package database

import (
	"context"
	"database/sql"

	"cairn"
)

// scanQuery reads all documents in the order in which they came.
const scanQuery = "SELECT revision, collection, id, json, crc FROM documents ORDER BY revision"

// Scan shows one consistent moment of the database, whatever is written
// meanwhile: first its numbers, then each document and each deletion with a
// revision after the given one, in the order of revisions; after 0, which is
// all there is, no deletions. It ends with the first error of begin or row.
//
// While it runs the write-ahead log cannot shrink, so row should not wait for
// anything slow.
func (d *DB) Scan(ctx context.Context, after int64, begin func(cairn.Stats) error, row func(cairn.Document) error) error {
	g := d.use()
	defer d.release(g)
	var refused error
	err := g.scan(ctx, after, func(stats cairn.Stats) error {
		refused = begin(stats)
		return refused
	}, func(doc cairn.Document) error {
		refused = row(doc)
		return refused
	})
	if refused != nil {
		return refused
	}
	return failure(g.path, err)
}

func (g *generation) scan(ctx context.Context, after int64, begin func(cairn.Stats) error, row func(cairn.Document) error) error {
	tx, err := g.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stats, err := readStats(ctx, tx)
	if err != nil {
		return err
	}
	if err := begin(stats); err != nil {
		return err
	}
	query, args := scanQuery, []any(nil)
	if after > 0 {
		query, args = changesQuery, []any{after, ""}
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		doc, err := scanDocument(rows)
		if err != nil {
			return err
		}
		if err := row(doc); err != nil {
			return err
		}
	}
	return rows.Err()
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
