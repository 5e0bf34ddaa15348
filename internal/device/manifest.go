package device

import (
	"context"
	"database/sql"
)

// Cached returns what was stored of the manifests of the cloud with this id, by
// name; never nil without an error. The caller owns it. Its errors are those of
// [Device.SetSignedIn].
func (d *Device) Cached(ctx context.Context, cloud string) (map[string][]byte, error) {
	manifests, err := d.readManifests(ctx, cloud)
	return manifests, d.readFailure(ctx, err)
}

func (d *Device) readManifests(ctx context.Context, cloud string) (map[string][]byte, error) {
	rows, err := d.db.QueryContext(ctx, `SELECT name, data FROM manifests WHERE cloud = ?`, cloud)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	manifests := make(map[string][]byte)
	for rows.Next() {
		var name string
		var data []byte
		if err := rows.Scan(&name, &data); err != nil {
			return nil, err
		}
		manifests[name] = data
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return manifests, nil
}

// Store stores data under a name, in the place of what was there. It keeps the
// promises of [Device.SetSignedIn].
func (d *Device) Store(ctx context.Context, cloud, name string, data []byte) error {
	if data == nil {
		data = []byte{} // nil would be NULL
	}
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO manifests (cloud, name, data) VALUES (?, ?, ?)
			ON CONFLICT (cloud, name) DO UPDATE SET data = excluded.data`, cloud, name, data)
		return err
	})
}

// Forget drops what was stored under the names, in one change; a name that is
// not there is no error. It keeps the promises of [Device.SetSignedIn].
func (d *Device) Forget(ctx context.Context, cloud string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		drop, err := tx.PrepareContext(ctx, `DELETE FROM manifests WHERE cloud = ? AND name = ?`)
		if err != nil {
			return err
		}
		defer drop.Close()
		for _, name := range names {
			if _, err := drop.ExecContext(ctx, cloud, name); err != nil {
				return err
			}
		}
		return nil
	})
}
