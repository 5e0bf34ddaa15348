package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"modernc.org/sqlite" // also the driver "sqlite"
)

// rawDB is SQLite alone, as the daemon sets it up: the same driver, page size,
// durability and table of documents. What the daemon keeps besides (refs,
// counts, digest, HTTP, JSON) is what the ratios show.
type rawDB struct {
	db       *sql.DB
	revision atomic.Int64
}

const insert = "INSERT INTO documents(revision, collection, id, json) VALUES(?, 'assets', ?, ?)"

func openRaw(path string) (*rawDB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_pragma=journal_size_limit(67108864)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &rawDB{db: db}, nil
}

func createRaw(ctx context.Context, path string) (*rawDB, error) {
	raw, err := openRaw(path)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{
		"PRAGMA page_size=16384",
		"PRAGMA journal_mode=WAL",
		"CREATE TABLE documents(revision INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL, UNIQUE(collection, id))",
	} {
		if _, err := raw.db.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(err, raw.close())
		}
	}
	return raw, nil
}

func (r *rawDB) close() error { return r.db.Close() }

// writeOne inserts a row in a transaction of its own.
func (r *rawDB) writeOne(ctx context.Context, doc document) error {
	_, err := r.db.ExecContext(ctx, insert, r.revision.Add(1), doc.id, string(doc.json))
	return err
}

// batch is how many rows a transaction of fill has, as in the daemon.
const batch = 1000

// fill inserts all rows.
func (r *rawDB) fill(ctx context.Context, docs documents) error {
	for len(docs) > 0 {
		n := min(len(docs), batch)
		if err := r.insert(ctx, docs[:n]); err != nil {
			return err
		}
		docs = docs[n:]
	}
	return nil
}

func (r *rawDB) insert(ctx context.Context, docs documents) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmt, err := tx.PrepareContext(ctx, insert)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if _, err := stmt.ExecContext(ctx, r.revision.Add(1), doc.id, string(doc.json)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// copyTo copies the database, page by page, to a new file.
func (r *rawDB) copyTo(ctx context.Context, path string) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		backup, err := driver.(interface {
			NewBackup(path string) (*sqlite.Backup, error)
		}).NewBackup(path)
		if err != nil {
			return err
		}
		_, err = backup.Step(-1)
		return errors.Join(err, backup.Finish())
	})
}

// scan reads all rows in the order of revisions.
func (r *rawDB) scan(ctx context.Context, want int64) error {
	var got int64
	err := r.each(ctx, func(_ int64, _, _, text string) error {
		got += int64(len(text))
		return nil
	})
	if err == nil && got != want {
		err = fmt.Errorf("the scan read %d bytes, not %d", got, want)
	}
	return err
}

// each reads all rows in the order of revisions.
func (r *rawDB) each(ctx context.Context, fn func(revision int64, collection, id, text string) error) error {
	rows, err := r.db.QueryContext(ctx, "SELECT revision, collection, id, json FROM documents ORDER BY revision")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var revision int64
		var collection, id, text string
		if err := rows.Scan(&revision, &collection, &id, &text); err != nil {
			return err
		}
		if err := fn(revision, collection, id, text); err != nil {
			return err
		}
	}
	return rows.Err()
}
