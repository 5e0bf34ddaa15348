package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

// A builder fills a generation beside the live one. Its file has no log and is
// not synced before it is whole, so a crash leaves a temporary file that means
// nothing.
type builder struct {
	d    *DB
	r    cairn.Replacement
	path string // of the temporary file
	pool *sql.DB
	conn *sql.Conn
	ctx  context.Context
	w    write // its stats count what was added

	stmts     statements
	documents *bulk
	refs      *bulk
	flusher   *flusher

	segment int   // that rows are added of
	newest  int64 // revision of them all
	indexed bool  // the indexes are there
}

// A batch is a run of rows with all that can be computed of each by itself.
type batch struct {
	segment int
	rows    []batchRow
	newest  int64        // revision
	digest  cairn.Digest // of the documents
	bytes   int64
}

type batchRow struct {
	cairn.Document
	crc  int64
	hash cairn.Hash
	refs []string
}

// newBuilder makes the file.
func newBuilder(ctx context.Context, d *DB, r cairn.Replacement) (_ *builder, err error) {
	name := uuid.NewString() + ".db" + durable.TempSuffix
	b := &builder{d: d, r: r, path: d.file(name), ctx: ctx}
	// Statements of a context that can end cost a goroutine each; insert asks
	// for each batch instead.
	ctx = context.WithoutCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(failure(b.path, err), b.discard())
		}
	}()
	if err := sqlitefile.Touch(b.path); err != nil {
		return nil, cairn.FileError("creating", b.path, err)
	}
	if b.flusher, err = newFlusher(b.path); err != nil {
		return nil, cairn.FileError("opening", b.path, err)
	}
	if b.pool, err = sqlitefile.Open(b.path, 1, "locking_mode(EXCLUSIVE)", "cache_size(-6144)"); err != nil {
		return nil, err
	}
	if b.conn, err = b.pool.Conn(ctx); err != nil {
		return nil, err
	}
	if err := layOut(ctx, b.conn, "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "BEGIN", tables); err != nil {
		return nil, err
	}
	if b.stmts, err = prepare(ctx, b.conn); err != nil {
		return nil, err
	}
	if b.documents, err = newBulk(ctx, b.conn, "documents(revision, collection, id, crc, hash, json)"); err != nil {
		return nil, err
	}
	if b.refs, err = newBulk(ctx, b.conn, "refs(ref, collection, id)"); err != nil {
		return nil, err
	}
	b.w = write{ctx: ctx, stmts: &b.stmts, references: d.cfg.References}
	return b, nil
}

// prepare checks rows and computes what needs no other row. It can be called
// from several goroutines; the insert that it returns adds the rows, and is to
// be called in their order, one at a time.
func (b *builder) prepare(segment int, docs []cairn.Document) (insert func() error, err error) {
	batch := batch{segment: segment, rows: make([]batchRow, len(docs))}
	for i, doc := range docs {
		if err := check(doc); err != nil {
			return nil, err
		}
		row := batchRow{Document: doc}
		batch.newest = max(batch.newest, doc.Revision)
		if !doc.Deleted() {
			row.crc = checksum(doc.Collection, doc.ID, bytesText(doc.JSON))
			row.refs = b.d.cfg.References(doc.Collection, doc.JSON)
			slices.Sort(row.refs)
			row.refs = slices.Compact(row.refs)
			row.hash = cairn.ContentHash(doc.JSON)
			batch.digest = batch.digest.Add(cairn.DigestWith(doc, row.hash))
			batch.bytes += int64(len(doc.JSON))
		}
		batch.rows[i] = row
	}
	return func() error { return b.failure(b.insert(batch)) }, nil
}

// failure is the failure of adding rows: such as exclude each other are the
// backup's fault, not that of the file.
func (b *builder) failure(err error) error {
	if !isConstraint(err) {
		return failure(b.path, err)
	}
	e := b.unlike("the same document or the same revision twice")
	e.Err = errors.Join(cairn.ErrUnlike, err)
	return e
}

// unlike says what the backup holds that it should not.
func (b *builder) unlike(what string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeDamaged,
		Message: fmt.Sprintf("The backup %s does not hold what it says: %s. Nothing was changed.", b.r.Base.Backup, what),
		Hint:    "Restore another backup; cairn backup list shows them.",
		Err:     cairn.ErrUnlike,
	}
}

// insert adds the rows of a batch.
func (b *builder) insert(batch batch) error {
	if err := context.Cause(b.ctx); err != nil {
		return err
	}
	b.newest = max(b.newest, batch.newest)
	if batch.segment != b.segment {
		b.segment = batch.segment
		if err := b.index(); err != nil {
			return err
		}
	}
	if b.indexed {
		return b.merge(batch)
	}
	for i := range batch.rows {
		row := &batch.rows[i]
		if row.Deleted() {
			b.w.stats.Deletions++
			if err := b.w.exec(b.stmts.bury, row.Revision, row.Collection, row.ID); err != nil {
				return err
			}
			continue
		}
		if err := b.documents.add(row.Revision, row.Collection, row.ID, row.crc, row.hash[:], bytesText(row.JSON)); err != nil {
			return err
		}
		b.w.stats.Documents++
		for _, ref := range row.refs {
			if err := b.refs.add(ref, row.Collection, row.ID); err != nil {
				return err
			}
		}
	}
	// Behind this, the memory of the rows belongs to others.
	if err := errors.Join(b.documents.flush(), b.refs.flush()); err != nil {
		return err
	}
	b.w.stats.Bytes += batch.bytes
	b.w.stats.Digest = b.w.stats.Digest.Add(batch.digest)
	b.flusher.wrote(batch.bytes)
	return nil
}

// merge adds rows of a later segment: the newest of a document counts.
func (b *builder) merge(batch batch) error {
	for _, row := range batch.rows {
		old, err := b.w.find(row.Collection, row.ID)
		if err != nil {
			return err
		}
		if !old.Deleted() {
			if err := b.w.remove(old); err != nil {
				return err
			}
		}
		if err := b.w.refs(old, row.Document); err != nil {
			return err
		}
		if row.Deleted() {
			if err := b.w.unbury(row.Document); err != nil {
				return err
			}
			b.w.stats.Deletions++
			err = b.w.exec(b.stmts.bury, row.Revision, row.Collection, row.ID)
		} else {
			_, err = b.w.put(old, row.Document)
		}
		if err != nil {
			return err
		}
		b.w.moved = nil // nobody reads here yet
	}
	return nil
}

// index makes the indexes, unless they are there.
func (b *builder) index() error {
	if b.indexed {
		return nil
	}
	b.indexed = true
	_, err := b.conn.ExecContext(b.ctx, indexes) // which takes a while, and can be cut off
	if ended := context.Cause(b.ctx); err != nil && ended != nil {
		return ended
	}
	return err
}

// finish compares what was added with what it should be, and makes the file
// whole and durable under its name in the folder of generations, less
// durable.TempSuffix, which it keeps.
func (b *builder) finish() error {
	if err := b.compare(); err != nil {
		return err
	}
	return failure(b.path, b.seal())
}

// compare compares what was added with what it should be.
func (b *builder) compare() error {
	if err := b.index(); err != nil {
		return b.failure(err)
	}
	got, want := b.w.stats, b.r.Want
	got.Line, got.Revision = want.Line, want.Revision
	if b.newest > want.Revision { // the next write would take its number again
		return b.unlike(fmt.Sprintf("a change of revision %d, though its newest is %d", b.newest, want.Revision))
	}
	if got != want {
		return b.unlike(fmt.Sprintf("%d documents of %d bytes with digest %s and %d deletions, instead of %d of %d with %s and %d",
			got.Documents, got.Bytes, got.Digest, got.Deletions, want.Documents, want.Bytes, want.Digest, want.Deletions))
	}
	return nil
}

// seal writes what stands beside the documents, and has all of it on the disk.
func (b *builder) seal() error {
	ctx, s := b.w.ctx, b.r.Want
	if _, err := b.conn.ExecContext(ctx, insertState,
		uuid.NewString(), b.d.cfg.Installation, s.Revision, s.Documents, s.Deletions, s.Bytes, s.Digest.Bytes()); err != nil {
		return err
	}
	if base := b.r.Base; base.Backup != "" {
		if _, err := b.conn.ExecContext(ctx,
			"INSERT INTO bases(cloud, backup, created, revision, segments) VALUES(?, ?, ?, ?, ?)",
			base.Cloud, base.Backup, base.Created.UTC().Format(time.RFC3339Nano), base.Revision, string(base.Segments)); err != nil {
			return err
		}
	}
	for _, statement := range []string{"COMMIT", "PRAGMA locking_mode=NORMAL"} {
		if _, err := b.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := useLog(ctx, b.conn); err != nil {
		return err
	}
	if err := b.closeDatabase(); err != nil {
		return err
	}
	if err := b.flusher.finish(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(b.path))
}

// closeDatabase closes what SQLite has open.
func (b *builder) closeDatabase() error {
	errs := []error{b.stmts.close(), b.documents.close(), b.refs.close()}
	b.stmts, b.documents, b.refs = statements{}, nil, nil
	if b.conn != nil {
		if err := b.conn.Close(); !errors.Is(err, sql.ErrConnDone) {
			errs = append(errs, err)
		}
	}
	if b.pool != nil {
		errs = append(errs, b.pool.Close())
	}
	return errors.Join(errs...)
}

// discard closes and removes the file. The next start would do so too.
func (b *builder) discard() error {
	err := errors.Join(b.closeDatabase(), b.flusher.close())
	for _, suffix := range []string{"-wal", "-shm", "-journal", ""} {
		if e := os.Remove(b.path + suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, cairn.FileError("removing", b.path+suffix, e))
		}
	}
	return err
}
