package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cairn"
	"cairn/internal/sqlitefile"
)

// statements are prepared once on the connection that writes. Transactions are
// begun and ended by statements too: for each query in a sql.Tx the package
// starts a goroutine, which costs more than most of these queries.
type statements struct {
	all []*sql.Stmt

	begin, commit, rollback, state *sql.Stmt

	find, insert, remove, buried, bury, unbury, addRef, dropRef, save *sql.Stmt
}

func prepare(ctx context.Context, conn *sql.Conn) (statements, error) {
	var s statements
	for _, p := range []struct {
		dst   **sql.Stmt
		query string
	}{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.state, stateQuery},
		{&s.find, "SELECT revision, json, crc FROM documents WHERE collection = ? AND id = ?"},
		{&s.insert, "INSERT INTO documents(revision, collection, id, crc, hash, json) VALUES(?, ?, ?, ?, ?, ?)"},
		{&s.remove, "DELETE FROM documents WHERE revision = ?"},
		{&s.buried, "SELECT revision FROM deletions WHERE collection = ? AND id = ?"},
		{&s.bury, "INSERT INTO deletions(revision, collection, id) VALUES(?, ?, ?)"},
		{&s.unbury, "DELETE FROM deletions WHERE collection = ? AND id = ?"},
		{&s.addRef, "INSERT OR IGNORE INTO refs(ref, collection, id) VALUES(?, ?, ?)"},
		{&s.dropRef, "DELETE FROM refs WHERE ref = ? AND collection = ? AND id = ?"},
		{&s.save, "UPDATE state SET revision = ?, documents = ?, deletions = ?, bytes = ?, digest = ?"},
	} {
		stmt, err := conn.PrepareContext(ctx, p.query)
		if err != nil {
			return s, err
		}
		*p.dst = stmt
		s.all = append(s.all, stmt)
	}
	return s, nil
}

// close lets go of the statements, without which SQLite keeps the file open.
func (s *statements) close() error {
	var errs []error
	for _, stmt := range s.all {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// Apply writes documents in one transaction, in order; one without JSON is a
// deletion. When it returns without an error, all of it is on the disk; with
// one, nothing of it is. Cancelling ctx ends the wait for other writers, never
// a write that began. The disk failing twice while it syncs is the exception: the
// error says then that the documents may be there after a crash.
//
// It returns a result for each document. Errors: cairn.CodeInvalid and
// CodeTooLarge for a document that does not validate; CodeDiskFull,
// CodeReadOnly, CodeDamaged.
func (d *DB) Apply(ctx context.Context, docs []cairn.Document) ([]cairn.Result, error) {
	for _, doc := range docs {
		if err := check(doc); err != nil {
			return nil, err
		}
	}
	var results []cairn.Result
	err := d.write(ctx, func(w *write) error {
		for _, doc := range docs {
			r, err := w.apply(doc)
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// check refuses a document that must not be written.
func check(doc cairn.Document) error {
	if err := doc.Validate(); err != nil || doc.Deleted() {
		return err
	}
	if n := len(doc.JSON); n < len("{}") || doc.JSON[0] != '{' || doc.JSON[n-1] != '}' {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("The document %s is no JSON object.", cairn.Quote(doc.ID)),
			Hint:    `A document is an object, as in {"id":"..."}.`,
		}
	}
	return nil
}

// Update reads one document and writes what edit makes of it, with no write in
// between. An error of edit is returned as it is, and nothing is written; a
// text of nil is an error, not a deletion. A document that is not there is
// cairn.CodeGone.
func (d *DB) Update(ctx context.Context, collection, id string, edit func(json []byte) ([]byte, error)) (cairn.Document, error) {
	var doc cairn.Document
	var refused error
	err := d.write(ctx, func(w *write) error {
		old, err := w.find(collection, id)
		if err != nil {
			return err
		}
		if old.Deleted() {
			return gone(collection, id)
		}
		text, err := edit(old.JSON)
		doc = cairn.Document{Collection: collection, ID: id, JSON: text}
		switch {
		case err != nil:
			refused = err
		case text == nil:
			refused = errors.New("an edit made no document")
		default:
			refused = check(doc)
		}
		if refused != nil {
			return refused
		}
		r, err := w.apply(doc)
		doc.Revision = r.Revision
		return err
	})
	if refused != nil {
		return cairn.Document{}, refused
	}
	if err != nil {
		return cairn.Document{}, err
	}
	return doc, nil
}

// write is one write transaction of a generation.
type write struct {
	ctx        context.Context
	stmts      *statements
	references func(collection string, json []byte) []string
	stats      cairn.Stats
	moved      []moved
}

// moved tells that a document left the revision it had.
type moved struct {
	collection, id string
	from           int64
}

// take waits for the turn to write, which the caller gives back.
func (d *DB) take(ctx context.Context) error {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := context.Cause(ctx)
	if err == nil {
		err = d.failed
	}
	if err != nil {
		d.turn <- struct{}{}
	}
	return err
}

// write runs fn in a write transaction.
func (d *DB) write(ctx context.Context, fn func(*write) error) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer func() { d.turn <- struct{}{} }()
	ctx = context.WithoutCancel(ctx) // from here on the outcome is definite
	g := d.writable()
	return failure(g.path, d.writeTo(ctx, g, fn))
}

// writeTo is write for the one whose turn it is.
func (d *DB) writeTo(ctx context.Context, g *generation, fn func(*write) error) error {
	if _, err := g.stmts.begin.ExecContext(ctx); err != nil {
		return err
	}
	open := true
	defer func() {
		if open { // also for a panic in fn
			g.rollback()
		}
	}()
	before, err := scanStats(g.stmts.state.QueryRowContext(ctx))
	if err != nil {
		return err
	}
	w := &write{ctx: ctx, stmts: &g.stmts, references: d.cfg.References, stats: before}
	if err := fn(w); err != nil {
		return err
	}
	if w.stats == before {
		return nil // nothing to write, nothing to wait for
	}
	if err := w.save(); err != nil {
		return err
	}
	d.commit.Lock()
	defer d.commit.Unlock()
	d.warn(g, w.moved)
	open = false
	if _, err := g.stmts.commit.ExecContext(ctx); err != nil {
		return d.reconcile(g, err)
	}
	d.committed(w.stats)
	return nil
}

// rollback ends the transaction, unless SQLite has done so by itself because
// of an error.
func (g *generation) rollback() {
	_, _ = g.stmts.rollback.ExecContext(context.Background()) // fails where there is none
}

// reconcile follows a commit that failed: it ends the transaction, which need
// not be over, and reads the numbers again from the file, which knows what it
// holds. It returns what the one who wrote should know.
func (d *DB) reconcile(g *generation, failed error) error {
	g.rollback()
	ctx := context.Background()
	if sqlitefile.IsUnsynced(failed) {
		// The next commit overwrites in the log what a crash could bring back.
		// SQLite does not write a page whose content is to stay as it is.
		_, err := g.writer.ExecContext(ctx, "BEGIN IMMEDIATE; UPDATE state SET revision = revision + 1; UPDATE state SET revision = revision - 1; COMMIT")
		g.rollback()
		if err == nil {
			told := sqlitefile.NotWritten(g.path)
			told.Err = failed
			failed = told
		}
	}
	if stats, err := scanStats(g.stmts.state.QueryRowContext(ctx)); err == nil {
		d.committed(stats)
	}
	return failed
}

// committed publishes the numbers of a commit and wakes who waits for one.
func (d *DB) committed(stats cairn.Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats = stats
	close(d.changed)
	d.changed = make(chan struct{})
}

func (w *write) save() error {
	s := w.stats
	_, err := w.stmts.save.
		ExecContext(w.ctx, s.Revision, s.Documents, s.Deletions, s.Bytes, s.Digest.Bytes())
	return err
}

// find returns the document as the transaction sees it; a deleted one when
// there is none.
func (w *write) find(collection, id string) (cairn.Document, error) {
	doc := cairn.Document{Collection: collection, ID: id}
	var text string
	var crc int64
	err := w.stmts.find.QueryRowContext(w.ctx, collection, id).Scan(&doc.Revision, &text, &crc)
	if errors.Is(err, sql.ErrNoRows) {
		return doc, nil
	}
	if err == nil {
		err = setText(&doc, text, crc)
	}
	return doc, err
}

// apply writes one document.
func (w *write) apply(doc cairn.Document) (cairn.Result, error) {
	old, err := w.find(doc.Collection, doc.ID)
	if err != nil {
		return cairn.Result{}, err
	}
	switch {
	case doc.Deleted() && old.Deleted():
		return w.missing(doc)
	case !doc.Deleted() && !old.Deleted() && string(old.JSON) == string(doc.JSON):
		return cairn.Result{Outcome: cairn.Unchanged, Revision: old.Revision}, nil
	}
	w.stats.Revision++
	doc.Revision = w.stats.Revision
	if !old.Deleted() {
		if err := w.remove(old); err != nil {
			return cairn.Result{}, err
		}
	}
	if err := w.refs(old, doc); err != nil {
		return cairn.Result{}, err
	}
	if doc.Deleted() {
		err = w.exec(w.stmts.bury, doc.Revision, doc.Collection, doc.ID)
		w.stats.Deletions++
		return cairn.Result{Outcome: cairn.Removed, Revision: doc.Revision}, err
	}
	return w.put(old, doc)
}

// missing tells since which revision a document is deleted, if it ever was
// there.
func (w *write) missing(doc cairn.Document) (cairn.Result, error) {
	r := cairn.Result{Outcome: cairn.Missing}
	err := w.stmts.buried.QueryRowContext(w.ctx, doc.Collection, doc.ID).Scan(&r.Revision)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return r, err
}

// remove removes the row of a document.
func (w *write) remove(old cairn.Document) error {
	w.moved = append(w.moved, moved{old.Collection, old.ID, old.Revision})
	w.stats.Documents--
	w.stats.Bytes -= int64(len(old.JSON))
	w.stats.Digest = w.stats.Digest.Sub(cairn.DigestOf(old))
	return w.exec(w.stmts.remove, old.Revision)
}

// put appends the row of a document in the place of old.
func (w *write) put(old, doc cairn.Document) (cairn.Result, error) {
	outcome := cairn.Changed
	if old.Deleted() {
		outcome = cairn.Added
		if err := w.unbury(doc); err != nil {
			return cairn.Result{}, err
		}
	}
	w.stats.Documents++
	w.stats.Bytes += int64(len(doc.JSON))
	hash := cairn.ContentHash(doc.JSON)
	w.stats.Digest = w.stats.Digest.Add(cairn.DigestWith(doc, hash))
	text := bytesText(doc.JSON)
	err := w.exec(w.stmts.insert, doc.Revision, doc.Collection, doc.ID, checksum(doc.Collection, doc.ID, text), hash[:], text)
	return cairn.Result{Outcome: outcome, Revision: doc.Revision}, err
}

// unbury drops the deletion of a document that is there again.
func (w *write) unbury(doc cairn.Document) error {
	if w.stats.Deletions == 0 {
		return nil
	}
	r, err := w.stmts.unbury.ExecContext(w.ctx, doc.Collection, doc.ID)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	w.stats.Deletions -= n
	return err
}

// refs brings the derived table from old to doc, either of which may be
// deleted.
func (w *write) refs(old, doc cairn.Document) error {
	was, is := w.refsOf(old), w.refsOf(doc)
	for ref := range was {
		if !is[ref] {
			if err := w.exec(w.stmts.dropRef, ref, doc.Collection, doc.ID); err != nil {
				return err
			}
		}
	}
	for ref := range is {
		if !was[ref] {
			if err := w.exec(w.stmts.addRef, ref, doc.Collection, doc.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *write) refsOf(doc cairn.Document) map[string]bool {
	if doc.Deleted() {
		return nil
	}
	set := map[string]bool{}
	for _, ref := range w.references(doc.Collection, doc.JSON) {
		set[ref] = true
	}
	return set
}

func (w *write) exec(stmt *sql.Stmt, args ...any) error {
	_, err := stmt.ExecContext(w.ctx, args...)
	return err
}
