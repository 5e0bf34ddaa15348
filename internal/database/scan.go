package database

import (
	"context"
	"database/sql"

	"cairn"
)

// scanQuery reads all documents in the order in which they came, and
// scanChangesQuery what changed since a revision.
const (
	scanQuery        = "SELECT revision, collection, id, crc, hash, json FROM documents ORDER BY revision"
	scanChangesQuery = `
		SELECT revision, collection, id, crc, hash, json FROM documents WHERE revision > ?1
		UNION ALL
		SELECT revision, collection, id, 0, NULL, NULL FROM deletions WHERE revision > ?1
		ORDER BY 1`
)

// Scan shows one consistent moment of the database, whatever is written
// meanwhile: first its numbers, then each document and each deletion with a
// revision after the given one, in the order of revisions; after 0, which is
// all there is, no deletions. It ends with the first error of begin or row.
//
// The hash of a document is the one that was noted when it was written. The
// digest in the numbers is of these hashes, so who adds them up sees one that is
// not; that of a deletion is zero.
//
// While it runs the write-ahead log cannot shrink, so row should not wait for
// anything slow.
func (d *DB) Scan(ctx context.Context, after int64, begin func(cairn.Stats) error, row func(cairn.Document, cairn.Hash) error) error {
	g := d.use()
	defer d.release(g)
	var refused error
	err := g.scan(ctx, after, func(stats cairn.Stats) error {
		refused = begin(stats)
		return refused
	}, func(doc cairn.Document, hash cairn.Hash) error {
		refused = row(doc, hash)
		return refused
	})
	if refused != nil {
		return refused
	}
	return failure(g.path, err)
}

func (g *generation) scan(ctx context.Context, after int64, begin func(cairn.Stats) error, row func(cairn.Document, cairn.Hash) error) error {
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
		query, args = scanChangesQuery, []any{after}
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return scanRows(rows, row)
}

// scanRows hands on rows of revision, collection, id, crc, hash and json; a row
// without json is a deletion.
func scanRows(rows *sql.Rows, row func(cairn.Document, cairn.Hash) error) error {
	var doc cairn.Document
	var crc int64
	var noted sql.RawBytes
	var text sql.NullString
	for rows.Next() {
		if err := rows.Scan(&doc.Revision, &doc.Collection, &doc.ID, &crc, &noted, &text); err != nil {
			return err
		}
		var hash cairn.Hash
		doc.JSON = nil
		if text.Valid {
			copy(hash[:], noted) // the digest tells of one that is not that of the text
			if err := setText(&doc, text.String, crc); err != nil {
				return err
			}
		}
		if err := row(doc, hash); err != nil {
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
