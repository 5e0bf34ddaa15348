package database

import (
	"context"
	"database/sql"

	"cairn"
	"cairn/internal/sqlitefile"
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
// The text of a document is row's until it returns, and not to be changed: it
// lies in SQLite's memory. The hash is the one that was noted when the document
// was written. The digest in the numbers is of these hashes, so who adds them up
// sees one that is not; that of a deletion is zero.
//
// While it runs the write-ahead log cannot shrink, so row should not wait for
// anything slow.
func (d *DB) Scan(ctx context.Context, after int64, begin func(cairn.Stats) error, row func(cairn.Document, cairn.Hash) error) error {
	g := d.use()
	defer d.release(g)
	var refused error
	err := g.moment(func(r *sqlitefile.Reader, stats cairn.Stats) error {
		if refused = begin(stats); refused != nil {
			return refused
		}
		return scan(ctx, r, after, func(doc cairn.Document, hash cairn.Hash) error {
			refused = row(doc, hash)
			return refused
		})
	})
	if refused != nil {
		return refused
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

// scan hands on what a reader sees after a revision. A row without json is a
// deletion.
func scan(ctx context.Context, r *sqlitefile.Reader, after int64, row func(cairn.Document, cairn.Hash) error) error {
	query, args := scanQuery, []int64(nil)
	if after > 0 {
		query, args = scanChangesQuery, []int64{after}
	}
	if err := r.Query(query, args...); err != nil {
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
