package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"cairn"
	"cairn/internal/cloud"
)

// maxNames bounds how many ids are tried for one backup. That one is taken
// needs two devices that begin in the same millisecond and draw the same number.
const maxNames = 8

// NewBackup returns a backup that does not exist yet, with an id of its own and
// what else is known of it before it is made.
func (e *Engine) NewBackup(scope cairn.Scope) cairn.Backup {
	b := cairn.Backup{
		Version:      e.cfg.Version,
		DeviceName:   e.cfg.Device.Name(),
		Platform:     e.cfg.Platform,
		Installation: e.cfg.Device.Installation(),
		Scope:        scope,
	}
	e.rename(&b)
	return b
}

// rename gives a backup another id.
func (e *Engine) rename(b *cairn.Backup) {
	b.Created = e.cfg.Now().UTC().Truncate(time.Millisecond)
	b.ID, b.Timestamp = cairn.NewBackupID(b.Version, b.Created, e.cfg.Random())
}

// Create makes a backup of the whole database as it is at one moment. Writers
// never wait for it. It costs about what changed since the newest backup that the
// database knows of and the cloud still has. b is what [Engine.NewBackup] returned
// for cairn.ScopeAll; the backup gets another id if that one is taken, which report
// then hears.
//
// Errors: cairn.CodeDamaged when what was read is not what the database counts,
// CodeDiskFull, and those of a cloud. When the manifest's outcome cannot be
// learned, cairn.CodeCloudLost says so.
func (e *Engine) Create(ctx context.Context, b cairn.Backup, report Report) (cairn.Backup, error) {
	return e.create(ctx, b, report, func(ctx context.Context, u *upload) (read, error) {
		from, err := u.start(ctx)
		return func() error { return u.scan(ctx, from) }, err
	})
}

// CreateFrom makes a backup of chosen documents, whose revisions count from 1.
// An error of documents ends it. b is what [Engine.NewBackup] returned for
// cairn.ScopeAssets.
func (e *Engine) CreateFrom(ctx context.Context, b cairn.Backup, documents iter.Seq2[cairn.Document, error], report Report) (cairn.Backup, error) {
	return e.create(ctx, b, report, func(ctx context.Context, u *upload) (read, error) {
		return func() error { return u.choose(ctx, documents) }, nil
	})
}

// choose reads the documents that were chosen, as those of a new database.
func (u *upload) choose(ctx context.Context, documents iter.Seq2[cairn.Document, error]) error {
	var total cairn.Stats
	u.write(span{written: true}, 1)
	for doc, err := range documents {
		if err == nil {
			err = doc.Validate()
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		total.Revision++
		total.Documents++
		total.Bytes += int64(len(doc.JSON))
		doc.Revision = total.Revision
		hash := cairn.ContentHash(doc.JSON)
		total.Digest = total.Digest.Add(cairn.DigestWith(doc, hash))
		if err := u.row(doc, hash); err != nil {
			return err
		}
	}
	u.writing.to = total.Revision
	u.begin(total, total.Bytes)
	return u.end()
}

// read reads what an upload sends.
type read func() error

// tries is how often a creation begins anew because what it found in the bucket was
// too long ago.
const tries = 3

// create makes a backup of what is read. Once the computer has slept for long,
// nothing that was found before counts any more: then it begins anew.
func (e *Engine) create(ctx context.Context, b cairn.Backup, report Report, prepare func(context.Context, *upload) (read, error)) (cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return b, err
	}
	report(b, cairn.Progress{})
	for try := 1; ; {
		done, err := e.attempt(ctx, c, b, report, prepare)
		switch {
		case errors.Is(err, errGone): // then there is an older one, or none
		case cairn.CodeOf(err) == cairn.CodeStale && try < tries && b.Scope == cairn.ScopeAll: // chosen documents may come only once
			try++
		default:
			return done, e.lost(c, err)
		}
		e.cfg.Log.Info("a creation begins anew", "backup", b.ID, "err", err)
	}
}

// attempt makes a backup, unless that takes too long, or what it builds on is gone.
func (e *Engine) attempt(ctx context.Context, c *cloud.Cloud, b cairn.Backup, report Report, prepare func(context.Context, *upload) (read, error)) (cairn.Backup, error) {
	u := newUpload(e, c, b, c.Fresh(), report)
	defer u.close()
	read, err := prepare(ctx, u)
	if err == nil {
		err = u.run(ctx, read)
	}
	if err == nil {
		err = u.refresh(ctx, c.Grace()/4)
	}
	if err == nil {
		err = u.confirm(ctx)
	}
	if err != nil {
		return b, err
	}
	return e.commit(ctx, c, u, report)
}

// commit writes the manifest, from which on the backup exists, and notes it as
// one to build on.
func (e *Engine) commit(ctx context.Context, c *cloud.Cloud, u *upload, report Report) (cairn.Backup, error) {
	if err := context.Cause(ctx); err != nil {
		return u.backup, err
	}
	ctx = context.WithoutCancel(ctx) // from here on the outcome is definite
	b, held := u.backup, u.contents()
	for range maxNames {
		done, err := c.Commit(ctx, cloud.Manifest{Backup: b, Segments: held.Segments}, u.fresh)
		if errors.Is(err, cloud.ErrTaken) {
			e.rename(&b)
			report(b, cairn.Progress{Done: u.total, Total: u.total})
			continue
		}
		if err != nil {
			return b, err
		}
		e.note(ctx, c, done, held)
		return done, nil
	}
	return b, &cairn.Error{
		Code:    cairn.CodeInternal,
		Message: fmt.Sprintf("The ids of %d backups in a row were taken, so this one has none.", maxNames),
		Hint:    "Check the clock of this computer, then try again.",
	}
}

// note remembers a backup that exists. It exists all the same if that fails.
func (e *Engine) note(ctx context.Context, c *cloud.Cloud, b cairn.Backup, held contents) {
	err := e.cfg.Device.CountBackup(ctx, c.ID())
	if b.Scope == cairn.ScopeAll {
		from, baseErr := base(c, b, e.spoiled(held))
		if baseErr == nil {
			baseErr = e.cfg.Database.AddBase(ctx, b.Line, from)
		}
		err = errors.Join(err, baseErr)
	}
	if err != nil {
		e.cfg.Log.Warn("a backup was made, but not all of that could be noted here", "backup", b.ID, "err", err)
	}
}
