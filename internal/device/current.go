package device

import (
	"context"
	"database/sql"
	"errors"

	"cairn"
)

// CurrentCloud returns which cloud is used. It never waits for the disk.
func (d *Device) CurrentCloud() cairn.CurrentCloud { return *d.current.Load() }

// SetCurrentCloud stores which cloud is used. It keeps the promises of
// [Device.SetSignedIn].
func (d *Device) SetCurrentCloud(ctx context.Context, current cairn.CurrentCloud) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO current (one, place, disconnected) VALUES (1, ?, ?)
			ON CONFLICT (one) DO UPDATE SET place = excluded.place, disconnected = excluded.disconnected`,
			current.Place, current.Disconnected)
		return err
	}); err != nil {
		return err
	}
	d.current.Store(&current)
	return nil
}

// readCurrent reads which cloud is used: the default one, if nothing is stored.
func readCurrent(ctx context.Context, q querier) (c cairn.CurrentCloud, err error) {
	err = q.QueryRowContext(ctx, `SELECT place, disconnected FROM current`).Scan(&c.Place, &c.Disconnected)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c, err
}
