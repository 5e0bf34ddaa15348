package backup

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/durable"
	"cairn/internal/segment"
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
// never wait for it. b is what [Engine.NewBackup] returned for cairn.ScopeAll;
// the backup gets another id if that one is taken, which report then hears.
//
// Errors: cairn.CodeDamaged when what was read is not what the database counts,
// CodeDiskFull, and those of a cloud. When the manifest's outcome cannot be
// learned, cairn.CodeCloudLost says so.
func (e *Engine) Create(ctx context.Context, b cairn.Backup, report Report) (cairn.Backup, error) {
	return e.create(ctx, b, report, func(ctx context.Context, u *upload) error {
		return e.cfg.Database.Scan(ctx, 0, u.begin, u.row)
	})
}

// CreateFrom makes a backup of chosen documents, whose revisions count from 1.
// An error of documents ends it. b is what [Engine.NewBackup] returned for
// cairn.ScopeAssets.
func (e *Engine) CreateFrom(ctx context.Context, b cairn.Backup, documents iter.Seq2[cairn.Document, error], report Report) (cairn.Backup, error) {
	return e.create(ctx, b, report, func(ctx context.Context, u *upload) error {
		var total cairn.Stats
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
		return u.begin(total)
	})
}

// create makes a backup of what read gives to the upload.
func (e *Engine) create(ctx context.Context, b cairn.Backup, report Report, read func(context.Context, *upload) error) (cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return b, err
	}
	report(b, cairn.Progress{})
	u := newUpload(e, c, b, report)
	defer u.close()
	err = u.run(ctx, read)
	if err == nil {
		err = c.Check(ctx)
	}
	if err != nil {
		return b, e.lost(err)
	}
	b, err = e.commit(ctx, c, u, report)
	return b, e.lost(err)
}

// commit writes the manifest, from which on the backup exists, and notes it as
// one to build on.
func (e *Engine) commit(ctx context.Context, c *cloud.Cloud, u *upload, report Report) (cairn.Backup, error) {
	if err := context.Cause(ctx); err != nil {
		return u.backup, err
	}
	ctx = context.WithoutCancel(ctx) // from here on the outcome is definite
	b := u.backup
	for range maxNames {
		done, err := c.Commit(ctx, cloud.Manifest{Backup: b, Segments: u.contents.Segments})
		if errors.Is(err, cloud.ErrTaken) {
			e.rename(&b)
			report(b, cairn.Progress{Done: b.JSONBytes, Total: b.JSONBytes})
			continue
		}
		if err != nil {
			return b, err
		}
		e.note(ctx, c, done, u.contents)
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
		from, baseErr := base(c, b, held)
		if baseErr == nil {
			baseErr = e.cfg.Database.AddBase(ctx, b.Line, from)
		}
		err = errors.Join(err, baseErr)
	}
	if err != nil {
		e.cfg.Log.Warn("a backup was made, but not all of that could be noted here", "backup", b.ID, "err", err)
	}
}

// index writes the index of a segment of several parts.
func (u *upload) index(ctx context.Context, s *segment.Segment, parts []segment.Part) (err error) {
	if !u.outbox.ready() {
		return context.Cause(ctx)
	}
	var f *os.File
	defer func() {
		if f != nil {
			err = errors.Join(err, f.Close())
			u.outbox.forget(f.Name())
		}
	}()
	var object segment.Object
	if err := u.e.cfg.Step("spool.index", func() (err error) {
		if f, err = os.CreateTemp(u.e.cfg.Spool, "index.*"+durable.TempSuffix); err != nil {
			return err
		}
		object, err = segment.WriteIndex(ctx, f, u.c.Recipient(), *s, parts, u.catalog)
		return err
	}); err != nil {
		return spoolError(u.e.cfg.Spool, err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, object.Size)); err != nil {
		return spoolError(u.e.cfg.Spool, err)
	}
	if segment.Sum(hash.Sum(nil)) != object.SHA256 {
		return spoiled(f.Name())
	}
	object.Name = u.c.IndexName()
	sent := newHashed(io.NewSectionReader(f, 0, object.Size))
	if err := u.c.Put(ctx, object.Name, sent); err != nil {
		return err
	}
	if sent.sum != object.SHA256 { // the disk was read once more
		return spoiled(f.Name())
	}
	s.Index = &object
	s.Stored += object.Size
	return nil
}

// beginJournal forgets what creations before this one have uploaded.
func (u *upload) beginJournal(ctx context.Context) {
	if u.backup.Scope != cairn.ScopeAll {
		return
	}
	if err := u.e.cfg.Database.BeginJournal(ctx, u.e.cfg.Database.Stats().Line, u.c.ID()); err != nil && ctx.Err() == nil {
		u.e.cfg.Log.Warn("the journal of uploads cannot be written", "err", err)
	}
}

// journal notes a part that was uploaded. The backup does not depend on it.
func (u *upload) journal(ctx context.Context, p segment.Part) {
	if u.backup.Scope != cairn.ScopeAll {
		return
	}
	entry, err := json.Marshal(p)
	if err == nil {
		err = u.e.cfg.Database.AddJournal(ctx, u.line(), u.c.ID(), u.backup.ID, p.Name, entry)
	}
	if err != nil && ctx.Err() == nil {
		u.e.cfg.Log.Warn("an uploaded part could not be noted here", "part", p.Name, "err", err)
	}
}
