package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"unsafe"

	"cairn"
	"cairn/internal/sqlitefile"
)

// pageBytes is about how much text one short read transaction takes.
const pageBytes = 256 << 10

// reads are the statements that readers use, prepared for each connection when
// it first needs them.
type reads struct{ state, get, find, list, changes, ids *sql.Stmt }

func prepareReads(ctx context.Context, db *sql.DB) (r reads, err error) {
	for query, dst := range map[string]**sql.Stmt{
		"SELECT revision FROM state": &r.state,
		getQuery:                     &r.get,
		findQuery:                    &r.find,
		listQuery:                    &r.list,
		changesQuery:                 &r.changes,
		idsQuery:                     &r.ids,
	} {
		if *dst, err = db.PrepareContext(ctx, query); err != nil {
			return r, err
		}
	}
	return r, nil
}

const getQuery = "SELECT revision, json, crc FROM documents WHERE collection = ? AND id = ?"

// Get returns the document, or an error of cairn.CodeGone when there is none.
func (d *DB) Get(ctx context.Context, collection, id string) (cairn.Document, error) {
	g := d.use()
	defer d.release(g)
	return g.get(ctx, collection, id)
}

func (g *generation) get(ctx context.Context, collection, id string) (cairn.Document, error) {
	doc := cairn.Document{Collection: collection, ID: id}
	var text string
	var crc int64
	err := g.reads.get.QueryRowContext(ctx, collection, id).Scan(&doc.Revision, &text, &crc)
	if errors.Is(err, sql.ErrNoRows) {
		return doc, gone(collection, id)
	}
	if err == nil {
		err = setText(&doc, text, crc)
	}
	return doc, failure(g.path, err)
}

// Find returns the document of the collection that has the reference; of
// several, the one with the lowest id. Without one it is cairn.CodeGone.
func (d *DB) Find(ctx context.Context, collection, ref string) (cairn.Document, error) {
	g := d.use()
	defer d.release(g)
	doc := cairn.Document{Collection: collection}
	var text string
	var crc int64
	err := g.reads.find.QueryRowContext(ctx, ref, collection).Scan(&doc.Revision, &doc.ID, &text, &crc)
	if errors.Is(err, sql.ErrNoRows) {
		return cairn.Document{}, gone(collection, ref)
	}
	if err == nil {
		err = setText(&doc, text, crc)
	}
	return doc, failure(g.path, err)
}

const findQuery = `
	SELECT documents.revision, documents.id, documents.json, documents.crc
	FROM refs CROSS JOIN documents ON documents.collection = refs.collection AND documents.id = refs.id
	WHERE refs.ref = ? AND refs.collection = ? ORDER BY refs.id LIMIT 1`

func gone(collection, id string) error {
	return &cairn.Error{
		Code:    cairn.CodeGone,
		Message: fmt.Sprintf("There is no document %s in %s.", cairn.Quote(id), collection),
		Hint:    "It was deleted, or never existed. cairn assets list shows the snippets that are there.",
	}
}

// Changes yields what changed after a revision: each document and each
// deletion with a greater one, in the order of revisions. An empty collection
// means all. A document that changes meanwhile comes again with its new
// revision, so the last of an id counts, and none is missed. It ends when
// there is nothing newer.
func (d *DB) Changes(ctx context.Context, collection string, after int64) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		g := d.use()
		defer d.release(g)
		for {
			page, upTo, err := g.changes(ctx, collection, after)
			if err != nil {
				yield(cairn.Document{}, failure(g.path, err))
				return
			}
			for _, doc := range page {
				if !yield(doc, nil) {
					return
				}
			}
			if upTo == after {
				return
			}
			after = upTo
		}
	}
}

// changes returns one page of changes after a revision, and the revision up to
// which there are no others: after itself when there is none at all. The page
// may be newer than that revision was at first, never older.
func (g *generation) changes(ctx context.Context, collection string, after int64) (page []cairn.Document, upTo int64, err error) {
	if err := g.reads.state.QueryRowContext(ctx).Scan(&upTo); err != nil {
		return nil, 0, err
	}
	if upTo <= after {
		return nil, after, nil
	}
	rows, err := g.reads.changes.QueryContext(ctx, after, collection)
	if err != nil {
		return nil, 0, err
	}
	page, full, err := readPage(rows)
	if n := len(page); n > 0 && (full || page[n-1].Revision > upTo) {
		upTo = page[n-1].Revision
	}
	return page, upTo, err
}

const changesQuery = `
	SELECT revision, collection, id, json, crc FROM documents WHERE revision > ?1 AND (?2 = '' OR collection = ?2)
	UNION ALL
	SELECT revision, collection, id, NULL, 0 FROM deletions WHERE revision > ?1 AND (?2 = '' OR collection = ?2)
	ORDER BY 1`

// readPage takes rows until they hold pageBytes, and closes them; full tells
// that it left some.
func readPage(rows *sql.Rows) (page []cairn.Document, full bool, err error) {
	defer rows.Close()
	size := 0
	for size < pageBytes {
		if !rows.Next() {
			return page, false, rows.Err()
		}
		doc, err := scanDocument(rows)
		if err != nil {
			return nil, false, err
		}
		page = append(page, doc)
		size += len(doc.JSON) + len(doc.ID) + 64
	}
	return page, true, nil
}

// scanDocument reads a row of revision, collection, id, json and crc; a row
// without json is a deletion.
func scanDocument(rows *sql.Rows) (doc cairn.Document, err error) {
	var text sql.NullString
	var crc int64
	if err := rows.Scan(&doc.Revision, &doc.Collection, &doc.ID, &text, &crc); err != nil {
		return doc, err
	}
	if text.Valid {
		err = setText(&doc, text.String, crc)
	}
	return doc, err
}

// IDs yields the ids of a collection's documents in their order. A document
// that is there throughout comes exactly once.
func (d *DB) IDs(ctx context.Context, collection string) iter.Seq2[string, error] {
	const pageRows = 1000
	return func(yield func(string, error) bool) {
		g := d.use()
		defer d.release(g)
		last := ""
		for {
			page, err := g.ids(ctx, collection, last, pageRows)
			if err != nil {
				yield("", failure(g.path, err))
				return
			}
			for _, id := range page {
				if !yield(id, nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			last = page[len(page)-1]
		}
	}
}

const idsQuery = "SELECT id FROM documents WHERE collection = ? AND id > ? ORDER BY id LIMIT ?"

func (g *generation) ids(ctx context.Context, collection, after string, most int) ([]string, error) {
	rows, err := g.reads.ids.QueryContext(ctx, collection, after, most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		page = append(page, id)
	}
	return page, rows.Err()
}

// Verify reads every document and compares counts, bytes and digest with what
// the writes kept up to date, and has SQLite check its own structures. A
// difference is cairn.CodeDamaged.
func (d *DB) Verify(ctx context.Context) error {
	g := d.use()
	defer d.release(g)
	return failure(g.path, g.verify(ctx))
}

func (g *generation) verify(ctx context.Context) error {
	err := g.moment(func(r *sqlitefile.Reader, want cairn.Stats) error {
		got, newest, err := recount(ctx, r)
		if err != nil {
			return err
		}
		got.Line, got.Revision = want.Line, want.Revision
		if got != want || newest > want.Revision {
			return sqlitefile.Damaged(g.path, fmt.Sprintf(
				"it holds %d documents of %d bytes with digest %s and %d deletions up to revision %d, but counted %d of %d with %s and %d up to %d",
				got.Documents, got.Bytes, got.Digest, got.Deletions, newest,
				want.Documents, want.Bytes, want.Digest, want.Deletions, want.Revision))
		}
		return nil
	})
	if err != nil {
		return err
	}
	var found string
	if err := g.reader.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return sqlitefile.Damaged(g.path, found)
	}
	return nil
}

// recount reads all rows, and returns what the state row should say of them and
// the newest revision among them.
func recount(ctx context.Context, r *sqlitefile.Reader) (stats cairn.Stats, newest int64, err error) {
	if err := r.Query("SELECT count(*), coalesce(max(revision), 0) FROM deletions"); err != nil {
		return stats, newest, err
	}
	if _, err := r.Next(); err != nil {
		return stats, newest, err
	}
	stats.Deletions, newest = r.Int64(0), r.Int64(1)
	err = scan(ctx, r, 0, math.MaxInt64, false, func(doc cairn.Document, hash cairn.Hash) error {
		if cairn.ContentHash(doc.JSON) != hash {
			return errChecksum
		}
		stats.Documents++
		stats.Bytes += int64(len(doc.JSON))
		stats.Digest = stats.Digest.Add(cairn.DigestWith(doc, hash))
		newest = max(newest, doc.Revision)
		return nil
	})
	return stats, newest, err
}

// setText gives a document the text that the driver made for us alone, if that is
// what was written.
func setText(doc *cairn.Document, text string, crc int64) error {
	if checksum(doc.Collection, doc.ID, text) != crc {
		return errChecksum
	}
	doc.JSON = textBytes(text)
	return nil
}

// textBytes returns the bytes of a string that the driver made for us alone,
// without copying what may be 32 MiB.
func textBytes(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// bytesText is the way back, for what keeps nothing of it behind its call: a
// checksum, or a statement whose arguments the driver copies.
func bytesText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
