package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// A limit is what the parts of a backup can do together, and nothing besides:
// no digests, no catalog, no index, no manifest, no HTTP. The scan, zstd and
// age and the files, on all cores; and the way back, up to rows in a table with
// a unique index. What cairn does more than that is what the ratios show.
type limit struct {
	dir      string // of files
	identity *age.X25519Identity
	decoder  *zstd.Decoder
	files    []string
	stored   int64 // bytes of them
}

// limitPart is the plain text of one file, as in a backup.
const limitPart = 8 << 20

func newLimit(dir string) (*limit, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0)) // one for each core
	if err != nil {
		return nil, err
	}
	return &limit{dir: dir, identity: identity, decoder: decoder}, os.MkdirAll(dir, 0o700)
}

// create scans the documents of a raw database into new files, which stay, as
// each backup is stored beside those before it.
func (l *limit) create(ctx context.Context, raw *rawDB) error {
	folder, err := os.MkdirTemp(l.dir, "")
	if err != nil {
		return err
	}
	l.files, l.stored = nil, 0
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	free, full := make(chan []byte, workers+1), make(chan []byte)
	sizes := make(chan int64, 1)
	sizes <- 0
	for range cap(free) {
		free <- nil
	}
	for range workers {
		group.Go(func() error {
			encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
			if err != nil {
				return err
			}
			for plain := range full {
				var object bytes.Buffer
				w, err := age.Encrypt(&object, l.identity.Recipient())
				if err != nil {
					return err
				}
				_, err = w.Write(encoder.EncodeAll(plain, nil))
				if err := errors.Join(err, w.Close()); err != nil {
					return err
				}
				total := <-sizes
				name := filepath.Join(folder, fmt.Sprintf("%06d", len(l.files)))
				l.files = append(l.files, name)
				sizes <- total + int64(object.Len())
				if err := writeSynced(name, object.Bytes()); err != nil {
					return err
				}
				free <- plain[:0]
			}
			return encoder.Close()
		})
	}
	group.Go(func() error {
		defer close(full)
		part := <-free
		err := raw.each(ctx, func(revision int64, collection, id, text string) error {
			part = append(part, `{"collection":"`...)
			part = append(part, collection...)
			part = append(part, `","id":"`...)
			part = append(part, id...)
			part = append(part, `","revision":`...)
			part = strconv.AppendInt(part, revision, 10)
			part = append(part, `,"document":`...)
			part = append(part, text...)
			part = append(part, "}\n"...)
			if len(part) < limitPart {
				return nil
			}
			select {
			case full <- part:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case part = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			return nil
		})
		if err != nil || len(part) == 0 {
			return err
		}
		select {
		case full <- part:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	err = group.Wait()
	l.stored = <-sizes
	return err
}

// writeSynced writes a file to the disk.
func writeSynced(name string, data []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// restore reads the files into a new database.
func (l *limit) restore(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"PRAGMA page_size=16384",
		"PRAGMA journal_mode=OFF",
		"CREATE TABLE documents(revision INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := l.insert(ctx, db); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE UNIQUE INDEX documents_by_id ON documents(collection, id)"); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// insert decodes the files on all cores, and inserts their rows in order.
func (l *limit) insert(ctx context.Context, db *sql.DB) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan [][]byte, runtime.GOMAXPROCS(0)+1) // in order
	slots := make(chan struct{}, runtime.GOMAXPROCS(0)+1)
	group.Go(func() error {
		defer close(queue)
		for _, name := range l.files {
			decoded := make(chan [][]byte, 1)
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			queue <- decoded
			group.Go(func() error {
				rows, err := l.decode(name)
				if err == nil {
					decoded <- rows
				}
				return err
			})
		}
		return nil
	})
	group.Go(func() error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		const row = "(?, ?, ?, ?)"
		one, err := tx.Prepare(insertRows + row)
		if err != nil {
			return err
		}
		many, err := tx.Prepare(insertRows + row + strings.Repeat(", "+row, rowsAtOnce-1))
		if err != nil {
			return err
		}
		for decoded := range queue {
			select {
			case rows := <-decoded:
				if err := insertLines(one, many, rows); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			<-slots
		}
		return tx.Commit()
	})
	return group.Wait()
}

// decode returns the lines of a file.
func (l *limit) decode(name string) ([][]byte, error) {
	object, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(object), l.identity)
	if err != nil {
		return nil, err
	}
	compressed, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	plain, err := l.decoder.DecodeAll(compressed, nil)
	if err != nil {
		return nil, err
	}
	return bytes.Split(bytes.TrimSuffix(plain, []byte("\n")), []byte("\n")), nil
}

// insertRows begins the statements of a limit, which have one row or several.
const (
	insertRows = "INSERT INTO documents(revision, collection, id, json) VALUES"
	rowsAtOnce = 12
)

// insertLines frames lines by position, and inserts them.
func insertLines(one, many *sql.Stmt, lines [][]byte) error {
	var args []any
	for i, line := range lines {
		rest := line[len(`{"collection":"`):]
		collection, rest, _ := bytes.Cut(rest, []byte(`","id":"`))
		id, rest, _ := bytes.Cut(rest, []byte(`","revision":`))
		number, rest, _ := bytes.Cut(rest, []byte(`,"document":`))
		revision, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return err
		}
		args = append(args, revision, string(collection), string(id), string(rest[:len(rest)-1]))
		stmt := many
		switch {
		case len(lines)-i <= len(lines)%rowsAtOnce:
			stmt = one
		case len(args) < 4*rowsAtOnce:
			continue
		}
		if _, err := stmt.Exec(args...); err != nil {
			return err
		}
		args = args[:0]
	}
	return nil
}
