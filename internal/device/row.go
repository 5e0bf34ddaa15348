package device

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// A row is what the file holds, less the time that it was made.
type row struct {
	installation string
	user         string
	machine      string
	name         string
	signedIn     bool
}

// settle returns the row of the device, in one transaction with what has to be
// written for that: a row where there is none, a new installation id where the
// folder comes from another machine than now, and tables that are missing.
func settle(ctx context.Context, db *sql.DB, now machine) (r row, copied bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return row{}, false, err
	}
	defer tx.Rollback()
	empty, err := readHeader(ctx, tx)
	if err == nil && empty {
		err = create(ctx, tx, now)
	}
	if err != nil {
		return row{}, false, err
	}
	if r, err = readRow(ctx, tx); err != nil {
		return row{}, false, err
	}
	// Writes nothing where all tables are there.
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return row{}, false, err
	}
	if now.hash != "" && r.machine != now.hash {
		// A folder that never knew its machine is not taken for a copy.
		copied = r.machine != ""
		if err := r.move(ctx, tx, now, copied); err != nil {
			return row{}, false, err
		}
	}
	return r, copied, tx.Commit()
}

// create gives an empty file its schema and its row.
func create(ctx context.Context, tx *sql.Tx, now machine) error {
	installation, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	user, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
		fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion),
		schema,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO device (one, installation, user, machine, name, signed_in, created) VALUES (1, ?, ?, ?, ?, 1, ?)`,
		installation.String(), user.String(), now.hash, now.name, time.Now().UTC().Format(time.RFC3339Nano))
	return err
}

// readRow reads the row, and returns errForeign for one that cairn did not
// write.
func readRow(ctx context.Context, q querier) (row, error) {
	var r row
	err := q.QueryRowContext(ctx, `SELECT installation, user, machine, name, signed_in FROM device`).
		Scan(&r.installation, &r.user, &r.machine, &r.name, &r.signedIn)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, errForeign
	}
	if err != nil {
		return row{}, err
	}
	if uuid.Validate(r.installation) != nil || uuid.Validate(r.user) != nil || r.name == "" {
		return row{}, errForeign
	}
	return r, nil
}

// move stores the machine that the device is on now; when copied, with a new
// installation id, the machine's name, and no backups made.
func (r *row) move(ctx context.Context, tx *sql.Tx, now machine, copied bool) error {
	r.machine = now.hash
	if copied {
		installation, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		r.installation, r.name = installation.String(), now.name
		if _, err := tx.ExecContext(ctx, `DELETE FROM made`); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE device SET machine = ?, installation = ?, name = ?`, r.machine, r.installation, r.name)
	return err
}

func storeSignedIn(ctx context.Context, tx *sql.Tx, signedIn bool) error {
	_, err := tx.ExecContext(ctx, `UPDATE device SET signed_in = ?`, signedIn)
	return err
}
