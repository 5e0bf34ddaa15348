package database

import "context"

// Queries are those that run again and again over many rows.
var Queries = map[string]string{
	"list":    listQuery,
	"changes": changesQuery,
	"ids":     idsQuery,
	"find":    findQuery,
}

// UseLog has a connection write ahead.
var UseLog = useLog

// PageBytes is about how much text a list reads at a time.
const PageBytes = pageBytes

// Pragma returns a setting of the connection that writes, or of one that reads.
func (d *DB) Pragma(ctx context.Context, writer bool, name string) (value string, err error) {
	var db querier = d.live.reader
	if writer {
		db = d.live.writer
	}
	err = db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}
