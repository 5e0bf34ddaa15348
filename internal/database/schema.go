package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

const (
	// applicationID marks a SQLite file as one of ours: "carn" in ASCII.
	applicationID = 0x6361726e
	// schemaVersion stands in user_version. A file with a newer one is
	// refused, never migrated in place.
	schemaVersion = 1
	// pageSize is that of a generation, in bytes: filling and scanning
	// documents of some kilobytes is fastest at 16 KiB.
	pageSize = 16 << 10
	// maxReaders bounds the read connections, and by that their caches.
	maxReaders = 8
)

// tables is the layout of a generation. The row id is the revision, so what
// changed since a revision is the tail of a table; crc is that of [checksum],
// hash is cairn.ContentHash, which a backup then need not compute. They stand
// before the text, which may fill many pages.
// refs is derived: it leads from the ids that Config.References gives to
// documents. state has one row. bases and journal stand here so that they roll
// back together with the documents.
const tables = `
CREATE TABLE documents(
	revision INTEGER PRIMARY KEY,
	collection TEXT NOT NULL,
	id TEXT NOT NULL,
	crc INTEGER NOT NULL,
	hash BLOB NOT NULL,
	json TEXT NOT NULL
);
CREATE TABLE deletions(
	revision INTEGER PRIMARY KEY,
	collection TEXT NOT NULL,
	id TEXT NOT NULL
);
CREATE TABLE refs(
	ref TEXT NOT NULL,
	collection TEXT NOT NULL,
	id TEXT NOT NULL
);
CREATE TABLE state(
	one INTEGER PRIMARY KEY CHECK(one = 1),
	line TEXT NOT NULL,
	installation TEXT NOT NULL,
	revision INTEGER NOT NULL,
	documents INTEGER NOT NULL,
	deletions INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	digest BLOB NOT NULL
);
CREATE TABLE bases(
	cloud TEXT NOT NULL,
	backup TEXT NOT NULL,
	created TEXT NOT NULL,
	revision INTEGER NOT NULL,
	segments TEXT NOT NULL,
	PRIMARY KEY(cloud, backup)
);
CREATE TABLE journal(
	part TEXT PRIMARY KEY,
	cloud TEXT NOT NULL,
	backup TEXT NOT NULL,
	entry TEXT NOT NULL
);`

// indexes are made of rows that are there: sorting them once is faster than
// keeping them sorted while a generation is filled.
const indexes = `
CREATE UNIQUE INDEX documents_by_id ON documents(collection, id);
CREATE UNIQUE INDEX deletions_by_id ON deletions(collection, id);
CREATE UNIQUE INDEX refs_by_ref ON refs(ref, collection, id);`

// insertState makes the one row of state.
const insertState = `
INSERT INTO state(one, line, installation, revision, documents, deletions, bytes, digest)
VALUES(1, ?, ?, ?, ?, ?, ?, ?)`

// create makes a new generation in the folder and returns its file name. The
// file appears under that name when it is whole and on the disk, as SQLite leaves
// each commit.
func create(ctx context.Context, folder string) (string, error) {
	name := uuid.NewString() + ".db"
	temp := filepath.Join(folder, name+durable.TempSuffix)
	if err := sqlitefile.Touch(temp); err != nil {
		return "", cairn.FileError("creating", temp, err)
	}
	if err := fill(ctx, temp); err != nil {
		return "", failure(temp, err)
	}
	if err := durable.Rename(temp, filepath.Join(folder, name)); err != nil {
		return "", cairn.FileError("renaming", temp, err)
	}
	return name, nil
}

// fill lays out an empty file.
func fill(ctx context.Context, path string) error {
	db, err := sqlitefile.Open(path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := layOut(ctx, db, "BEGIN IMMEDIATE", tables, indexes); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, insertState, uuid.NewString(), "", 0, 0, 0, 0, cairn.Digest{}.Bytes()); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	if err := useLog(ctx, db); err != nil {
		return err
	}
	return db.Close() // checkpoints, and removes the WAL
}

// useLog has the file use a write-ahead log from now on. SQLite answers with
// another mode, and no error, where it cannot: without a log, readers would
// block writers.
func useLog(ctx context.Context, q querier) error {
	var mode string
	if err := q.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the database uses %q instead of a write-ahead log", mode)
	}
	return nil
}

// executor is a pool or a connection.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// layOut sets the page size of an empty file, runs the statements and marks the
// file as ours. The page size counts only before the first write, which
// switching to WAL is; so it is no pragma of the connection, where the driver
// would sort it behind.
func layOut(ctx context.Context, db executor, statements ...string) error {
	all := append([]string{fmt.Sprintf("PRAGMA page_size=%d", pageSize)}, statements...)
	all = append(all,
		fmt.Sprintf("PRAGMA application_id=%d", applicationID),
		fmt.Sprintf("PRAGMA user_version=%d", schemaVersion))
	for _, statement := range all {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// inspect returns the numbers of a file that is a generation this build can
// use, and refuses any other. It leaves the file as it is.
func inspect(ctx context.Context, path string) (stats cairn.Stats, err error) {
	db, err := sqlitefile.OpenReadOnly(path)
	if err != nil {
		return stats, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkSchema(ctx, db, path); err != nil {
		return stats, err
	}
	for _, query := range []string{
		"SELECT revision, collection, id, crc, hash, json FROM documents LIMIT 0",
		"SELECT revision, collection, id FROM deletions LIMIT 0",
		"SELECT ref, collection, id FROM refs LIMIT 0",
		"SELECT cloud, backup, created, revision, segments FROM bases LIMIT 0",
		"SELECT part, cloud, backup, entry FROM journal LIMIT 0",
	} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return stats, err
		}
	}
	return readStats(ctx, db)
}

// checkSchema refuses a file that is not a generation this build can use.
func checkSchema(ctx context.Context, db *sql.DB, path string) error {
	var id, version, size int64
	for pragma, dst := range map[string]*int64{"application_id": &id, "user_version": &version, "page_size": &size} {
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(dst); err != nil {
			return err
		}
	}
	switch {
	case id != applicationID:
		return sqlitefile.Damaged(path, "it is not a database of cairn")
	case version > schemaVersion:
		return sqlitefile.TooNew(path, version, schemaVersion)
	case version < 1 || size != pageSize:
		return sqlitefile.Damaged(path, fmt.Sprintf("it has schema %d and pages of %d bytes", version, size))
	}
	return nil
}

// claim notes in the generation which installation it belongs to. One that
// belonged to another gets a new line id, in the same step, so that a crash
// cannot separate the two.
func (g *generation) claim(ctx context.Context, installation string) error {
	if installation == "" {
		return nil
	}
	_, err := g.writer.ExecContext(ctx,
		"UPDATE state SET line = iif(installation = '', line, ?1), installation = ?2 WHERE installation <> ?2",
		uuid.NewString(), installation)
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

const stateQuery = "SELECT line, revision, documents, deletions, bytes, digest FROM state"

func readStats(ctx context.Context, q querier) (cairn.Stats, error) {
	return scanStats(q.QueryRowContext(ctx, stateQuery))
}

func scanStats(row *sql.Row) (cairn.Stats, error) {
	var values stateValues
	if err := row.Scan(&values[0], &values[1], &values[2], &values[3], &values[4], &values[5]); err != nil {
		return cairn.Stats{}, err
	}
	return values.stats()
}

// stateValues are the columns of stateQuery, of the types that the file has,
// which may be damaged.
type stateValues [6]any

func (values stateValues) stats() (s cairn.Stats, err error) {
	line, ok := values[0].(string)
	digest, isBlob := values[5].([]byte)
	ok = ok && isBlob
	for i, number := range []*int64{&s.Revision, &s.Documents, &s.Deletions, &s.Bytes} {
		var isNumber bool
		*number, isNumber = values[i+1].(int64)
		ok = ok && isNumber && *number >= 0
	}
	s.Line = line
	if s.Digest, err = cairn.ParseDigest(digest); err != nil || !ok {
		return s, errState
	}
	return s, nil
}
