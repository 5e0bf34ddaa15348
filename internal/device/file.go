package device

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"

	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

// applicationID marks the file as a device.db of cairn, in the header of the
// SQLite file: "crnd".
const applicationID = 0x63726e64

// schemaVersion is what this code reads and writes.
const schemaVersion = 1

// connections is how many may use the file at once: one that writes, and some
// that read beside it.
const connections = 4

// The table device holds one row:
//
//	one           always 1
//	installation  UUID, drawn anew when the folder was copied
//	user          UUID
//	machine       hex SHA-256 of "cairn machine\0" and the machine id, or ""
//	name          the machine's name when installation was drawn
//	signed_in     0 or 1
//	created       RFC 3339, UTC
//
// jobs holds the history of creations and restorations:
//
//	number   grows with each job
//	id       UUID
//	kind     creation or restoration
//	backup   id of the backup, "" as long as it is not known
//	data     JSON: the backup, as storedBackup has it
//	status   INITIALIZED, IN-PROGRESS, COMPLETED, FAILED or CANCELED
//	code     why it failed or was cancelled, else ""; so are message and hint
//	started  RFC 3339, UTC
//	ended    RFC 3339, UTC, or "" while it is not
//
// clouds holds the id of the cloud that was last seen at each place, and
// connections how to get to each; current, at most one row, which of them is
// used and whether it was disconnected; kits, when the user has said to have the
// recovery kit of a cloud; made, how many backups this installation has made in
// each cloud; manifests, what
// package cloud wants to remember of the manifests in a cloud, by object name;
// pruned, when this installation has last pruned a cloud by itself.
const schema = `
CREATE TABLE IF NOT EXISTS device (
	one          INTEGER PRIMARY KEY CHECK (one = 1),
	installation TEXT    NOT NULL,
	user         TEXT    NOT NULL,
	machine      TEXT    NOT NULL,
	name         TEXT    NOT NULL,
	signed_in    INTEGER NOT NULL CHECK (signed_in IN (0, 1)),
	created      TEXT    NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
	number  INTEGER PRIMARY KEY,
	id      TEXT    NOT NULL UNIQUE,
	kind    TEXT    NOT NULL,
	backup  TEXT    NOT NULL,
	data    TEXT    NOT NULL,
	status  TEXT    NOT NULL,
	code    TEXT    NOT NULL,
	message TEXT    NOT NULL,
	hint    TEXT    NOT NULL,
	started TEXT    NOT NULL,
	ended   TEXT    NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS clouds (
	url   TEXT NOT NULL PRIMARY KEY,
	cloud TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS made (
	cloud   TEXT    NOT NULL PRIMARY KEY,
	backups INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS manifests (
	cloud TEXT NOT NULL,
	name  TEXT NOT NULL,
	data  BLOB NOT NULL,
	PRIMARY KEY (cloud, name)
) STRICT;
CREATE TABLE IF NOT EXISTS pruned (
	cloud TEXT NOT NULL PRIMARY KEY,
	at    TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS connections (
	place TEXT NOT NULL PRIMARY KEY,
	url   TEXT NOT NULL,
	seen  TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS current (
	one          INTEGER PRIMARY KEY CHECK (one = 1),
	place        TEXT NOT NULL,
	disconnected TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS kits (
	cloud TEXT NOT NULL PRIMARY KEY,
	at    TEXT NOT NULL
) STRICT`

// openFile opens the database at the absolute path, making an empty one where
// there is none. A file that is not ours is left as it was.
func openFile(ctx context.Context, path string) (_ *sql.DB, err error) {
	if err := sqlitefile.Touch(path); err != nil {
		return nil, err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	db, err := sqlitefile.Open(path, connections)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	// Looked at before anything is written, since WAL mode is set in the file.
	if _, err := readHeader(ctx, db); err != nil {
		return nil, err
	}
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil {
		return nil, err
	}
	if mode != "wal" {
		return nil, errors.New("the file system does not support SQLite's WAL mode")
	}
	return db, nil
}

// querier is a database or a transaction of it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readHeader reads the header of a database, and reports whether the file is
// empty: new, or cut off before its first commit. It returns errForeign or
// errNewer for a file that is not for this code.
func readHeader(ctx context.Context, q querier) (empty bool, err error) {
	var application, version, tables int64
	err = q.QueryRowContext(ctx, `
		SELECT (SELECT application_id FROM pragma_application_id),
		       (SELECT user_version FROM pragma_user_version),
		       (SELECT count(*) FROM sqlite_schema)`).Scan(&application, &version, &tables)
	switch {
	case err != nil:
		return false, err
	case application == 0 && version == 0 && tables == 0:
		return true, nil
	case application != applicationID || version < schemaVersion:
		return false, errForeign
	case version > schemaVersion:
		return false, errNewer
	}
	return false, nil
}
