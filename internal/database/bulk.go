package database

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// A bulk inserts many rows into one table. A statement for several rows at once
// saves most of what a statement costs besides SQLite's own work.
type bulk struct {
	ctx          context.Context
	many, single *sql.Stmt
	columns      int
	args         []any // of rows that wait
}

// bulkArgs is about how many values a statement of a bulk has.
const bulkArgs = 48

// newBulk prepares inserts into the columns of a table, as in "refs(ref, id)".
func newBulk(ctx context.Context, conn *sql.Conn, table string) (*bulk, error) {
	b := &bulk{ctx: ctx, columns: strings.Count(table, ",") + 1}
	row := "(?" + strings.Repeat(", ?", b.columns-1) + ")"
	insert := "INSERT INTO " + table + " VALUES" + row
	var err error
	if b.single, err = conn.PrepareContext(ctx, insert); err != nil {
		return b, err
	}
	b.many, err = conn.PrepareContext(ctx, insert+strings.Repeat(", "+row, b.rows()-1))
	return b, err
}

// rows is how many rows a statement inserts.
func (b *bulk) rows() int { return bulkArgs / b.columns }

// add adds a row. What the values refer to must stay until flush.
func (b *bulk) add(values ...any) error {
	b.args = append(b.args, values...)
	if len(b.args) < b.rows()*b.columns {
		return nil
	}
	_, err := b.many.ExecContext(b.ctx, b.args...)
	b.clear()
	return err
}

// flush inserts the rows that wait.
func (b *bulk) flush() error {
	defer b.clear()
	for args := b.args; len(args) > 0; args = args[b.columns:] {
		if _, err := b.single.ExecContext(b.ctx, args[:b.columns]...); err != nil {
			return err
		}
	}
	return nil
}

// clear lets go of the values.
func (b *bulk) clear() {
	clear(b.args)
	b.args = b.args[:0]
}

// close lets go of the statements.
func (b *bulk) close() error {
	if b == nil {
		return nil
	}
	var err error
	for _, stmt := range []*sql.Stmt{b.many, b.single} {
		if stmt != nil {
			err = errors.Join(err, stmt.Close())
		}
	}
	return err
}
