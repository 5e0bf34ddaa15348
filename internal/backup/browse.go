package backup

import (
	"context"
	"iter"

	"cairn"
	"cairn/internal/segment"
)

// Backups returns the backups of both scopes in the cloud, newest first.
func (e *Engine) Backups(ctx context.Context) ([]cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return nil, err
	}
	l, err := e.list(ctx, c)
	var all []cairn.Backup
	for _, b := range l.dated {
		all = append(all, b.Backup)
	}
	return all, e.lost(c, err)
}

// Documents yields what a backup of either scope says of its documents, in order of
// collection and id: those that the filter chooses. An error ends it.
//
// All is read, checked and sorted before the first is yielded; meanwhile two
// others may look into backups, and further ones wait. So a caller can take them
// as slowly as it likes: what is not read yet is in memory up to 2 MiB, and in
// files.
//
// Errors: cairn.CodeBackupNotFound, CodeFormatTooNew, CodeDamaged, CodeDiskFull,
// and those of a cloud.
func (e *Engine) Documents(ctx context.Context, id string, filter cairn.DocumentFilter) iter.Seq2[cairn.BackupDocument, error] {
	return func(yield func(cairn.BackupDocument, error) bool) {
		found := e.catalog(foundBytes)
		defer e.discard(found.Close)
		err := e.browse(ctx, id, func(b *browser) error {
			return guarded(func() error { return b.choose(ctx, filter, found) })()
		})
		if err != nil {
			yield(cairn.BackupDocument{}, err)
			return
		}
		for row, err := range found.Sorted() {
			if !yield(described(row), spoolError(e.cfg.Spool, err)) || err != nil {
				return
			}
		}
	}
}

// described returns a row as callers read it.
func described(r segment.Row) cairn.BackupDocument {
	return cairn.BackupDocument{
		DocumentName: nameOf(r),
		Revision:     r.Revision,
		Bytes:        r.Bytes,
		Name:         r.Name,
		Language:     r.Language,
		Created:      r.Created,
	}
}

// choose adds the rows that a filter chooses to a catalog.
func (b *browser) choose(ctx context.Context, filter cairn.DocumentFilter, to *segment.Catalog) error {
	var batch segment.Batch
	var full error // that the catalog could not take a row
	chosen := int64(0)
	err := b.newest(ctx, func(r segment.Row) bool {
		if !filter.Matches(described(r)) {
			return true
		}
		batch.Add(r)
		if chosen++; chosen%batchRows == 0 {
			full = to.Add(&batch)
		}
		return full == nil && chosen != filter.Limit
	})
	if err == nil {
		err = full
	}
	if err == nil {
		err = to.Add(&batch)
	}
	return spoolError(b.e.cfg.Spool, err)
}

// Document returns a document as it is in a backup of either scope; its revision is
// the one that it has there. Errors are those of [Engine.Documents], and
// cairn.CodeNotInBackup.
func (e *Engine) Document(ctx context.Context, id string, name cairn.DocumentName) (doc cairn.Document, err error) {
	for docs, err := range e.Pick(ctx, id, []cairn.DocumentName{name}) {
		if err != nil {
			return cairn.Document{}, err
		}
		doc = docs[0]
		doc.JSON = append(make([]byte, 0, len(doc.JSON)), doc.JSON...) // or it would hold all of its part
	}
	return doc, nil
}

// pickRows is how many documents Pick yields at once.
const pickRows = 1000

// Pick yields the documents of those names as they are in a backup of either scope,
// up to 1,000 of one part at a time, in order of revision; each comes once. They
// are good until the next are asked for. When one of the names is not in the
// backup, cairn.CodeNotInBackup comes before any document. Other errors are those
// of [Engine.Documents]; an error ends it.
//
// While the caller looks at documents, nobody else can look into backups but one.
func (e *Engine) Pick(ctx context.Context, id string, names []cairn.DocumentName) iter.Seq2[[]cairn.Document, error] {
	return e.picked(ctx, id, func(b *browser) (choice, error) { return b.locate(ctx, names) })
}

// PickAll is [Engine.Pick] for all documents of the backup. One of a database
// that has had more than 2^29 changes, and of more than one segment, is
// cairn.CodeTooLarge.
func (e *Engine) PickAll(ctx context.Context, id string) iter.Seq2[[]cairn.Document, error] {
	return e.picked(ctx, id, func(b *browser) (choice, error) { return b.all(ctx) })
}

// picked yields what choose chooses.
func (e *Engine) picked(ctx context.Context, id string, choose func(*browser) (choice, error)) iter.Seq2[[]cairn.Document, error] {
	return func(yield func([]cairn.Document, error) bool) {
		stopped := false
		err := e.browse(ctx, id, func(b *browser) error {
			var wanted choice
			err := guarded(func() (err error) {
				wanted, err = choose(b)
				return err
			})()
			if err != nil {
				return err
			}
			stopped, err = b.pick(ctx, wanted, yield)
			return err
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}
