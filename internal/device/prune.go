package device

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Pruned returns when SetPruned was called last for the cloud with this id; the
// zero time for never. Its errors are those of [Device.SetSignedIn].
func (d *Device) Pruned(ctx context.Context, cloud string) (time.Time, error) {
	return d.readTime(ctx, `SELECT at FROM pruned WHERE cloud = ?`, cloud)
}

// readTime returns the time that a query of one row returns; the zero time for no
// row.
func (d *Device) readTime(ctx context.Context, query string, args ...any) (time.Time, error) {
	var text string
	err := d.db.QueryRowContext(ctx, query, args...).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, d.readFailure(ctx, err)
	}
	t, err := parseTime(text)
	return t, d.readFailure(ctx, err)
}

// SetPruned stores when this installation has pruned a cloud by itself. It keeps
// the promises of [Device.SetSignedIn].
func (d *Device) SetPruned(ctx context.Context, cloud string, at time.Time) error {
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO pruned (cloud, at) VALUES (?, ?)
			ON CONFLICT (cloud) DO UPDATE SET at = excluded.at`, cloud, formatTime(at))
		return err
	})
}
