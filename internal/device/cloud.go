package device

import (
	"context"
	"database/sql"
	"errors"
)

// KnownCloud returns the id of the cloud that was last seen at a URL, or "" for
// a URL where none was. Its errors are those of [Device.SetSignedIn].
func (d *Device) KnownCloud(ctx context.Context, url string) (id string, err error) {
	err = d.db.QueryRowContext(ctx, `SELECT cloud FROM clouds WHERE url = ?`, url).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, d.readFailure(ctx, err)
}

// SetKnownCloud stores the id of the cloud at a URL. It keeps the promises of
// [Device.SetSignedIn].
func (d *Device) SetKnownCloud(ctx context.Context, url, id string) error {
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO clouds (url, cloud) VALUES (?, ?)
			ON CONFLICT (url) DO UPDATE SET cloud = excluded.cloud`, url, id)
		return err
	})
}

// CountBackup adds one to the backups that this installation has made in the
// cloud with this id. It keeps the promises of [Device.SetSignedIn].
func (d *Device) CountBackup(ctx context.Context, cloud string) error {
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO made (cloud, backups) VALUES (?, 1)
			ON CONFLICT (cloud) DO UPDATE SET backups = backups + 1`, cloud)
		return err
	})
}

// BackupsMade returns how many backups this installation has made in the cloud
// with this id: a copied folder begins at 0. Its errors are those of
// [Device.SetSignedIn].
func (d *Device) BackupsMade(ctx context.Context, cloud string) (n int64, err error) {
	err = d.db.QueryRowContext(ctx, `SELECT backups FROM made WHERE cloud = ?`, cloud).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, d.readFailure(ctx, err)
}
