package device

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"cairn"
)

// KnownCloud returns the id of the cloud that was last seen at a place, or "" for
// one where none was. Its errors are those of [Device.SetSignedIn].
func (d *Device) KnownCloud(ctx context.Context, place string) (id string, err error) {
	err = d.db.QueryRowContext(ctx, `SELECT cloud FROM clouds WHERE url = ?`, place).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, d.readFailure(ctx, err)
}

// seenEvery is how far apart it is stored that a cloud was seen once more: what only
// looks at a data folder leaves it as it is.
const seenEvery = 24 * time.Hour

// SetKnownCloud stores that the cloud with this id was seen at a place, and what
// URL leads there. It keeps the promises of [Device.SetSignedIn].
func (d *Device) SetKnownCloud(ctx context.Context, place, url, id string) error {
	var seen string
	err := d.db.QueryRowContext(ctx, `
		SELECT n.seen FROM clouds AS c JOIN connections AS n ON n.place = c.url
		WHERE c.url = ? AND c.cloud = ? AND n.url = ?`, place, id, url).Scan(&seen)
	if at, parseErr := parseTime(seen); err == nil && parseErr == nil && time.Since(at).Abs() < seenEvery {
		return nil
	}
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO clouds (url, cloud) VALUES (?, ?)
			ON CONFLICT (url) DO UPDATE SET cloud = excluded.cloud`, place, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO connections (place, url, seen) VALUES (?, ?, ?)
			ON CONFLICT (place) DO UPDATE SET url = excluded.url, seen = excluded.seen`, place, url, formatTime(time.Now()))
		return err
	})
}

// KnownClouds returns all of them, by place. Its errors are those of
// [Device.SetSignedIn].
func (d *Device) KnownClouds(ctx context.Context) ([]cairn.KnownCloud, error) {
	known, err := d.readKnownClouds(ctx)
	return known, d.readFailure(ctx, err)
}

func (d *Device) readKnownClouds(ctx context.Context) ([]cairn.KnownCloud, error) {
	rows, err := d.db.QueryContext(ctx, `
		SELECT c.url, coalesce(n.url, ''), c.cloud, coalesce(m.backups, 0), coalesce(n.seen, ''), coalesce(k.at, '')
		FROM clouds AS c
		LEFT JOIN connections AS n ON n.place = c.url
		LEFT JOIN made AS m ON m.cloud = c.cloud
		LEFT JOIN kits AS k ON k.cloud = c.cloud
		ORDER BY c.url`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var known []cairn.KnownCloud
	for rows.Next() {
		var k cairn.KnownCloud
		var seen, kit string
		if err := rows.Scan(&k.Place, &k.URL, &k.ID, &k.Made, &seen, &kit); err != nil {
			return nil, err
		}
		if k.Seen, err = parseTime(seen); err == nil {
			k.Kit, err = parseTime(kit)
		}
		if err != nil {
			return nil, err
		}
		known = append(known, k)
	}
	return known, rows.Err()
}

// AcknowledgeKit stores that the user has the recovery kit of the cloud with this
// id, since now. It keeps the promises of [Device.SetSignedIn].
func (d *Device) AcknowledgeKit(ctx context.Context, cloud string) error {
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO kits (cloud, at) VALUES (?, ?)
			ON CONFLICT (cloud) DO UPDATE SET at = excluded.at`, cloud, formatTime(time.Now()))
		return err
	})
}

// KitAcknowledged returns when that was, or zero if never. Its errors are those of
// [Device.SetSignedIn].
func (d *Device) KitAcknowledged(ctx context.Context, cloud string) (time.Time, error) {
	return d.readTime(ctx, `SELECT at FROM kits WHERE cloud = ?`, cloud)
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
