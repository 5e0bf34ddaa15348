package cloud

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/internal/bucket"
)

// ErrTaken says that the cloud has another backup of the same id.
var ErrTaken = errors.New("the cloud has another backup of this id")

// fetches is how many manifests are read at once.
const fetches = 8

// Commit writes a manifest. When it returns nil the backup exists, and returned
// is what every listing will say of it. It is encoded once and its PUT does not
// end with ctx; an answer that gets lost is settled by reading it back.
//
// It is written as long as what it names is fresh: cairn.CodeStale says that it no
// longer was. ErrTaken asks for a new id. After any other error the backup does not exist,
// unless bucket.ErrUnknown is in the tree: then it may, now or later.
func (c *Cloud) Commit(ctx context.Context, m Manifest, fresh Fresh) (cairn.Backup, error) {
	if err := ctx.Err(); err != nil {
		return cairn.Backup{}, err
	}
	ctx = context.WithoutCancel(ctx)
	object, read, err := c.encode(m)
	if err != nil {
		return cairn.Backup{}, err
	}
	name := backupFolder + m.ID + backupSuffix
	err = bucket.Create(ctx, c.cfg.Bucket, name, fresh.Reader(bytes.NewReader(object)))
	if errors.Is(err, bucket.ErrExists) {
		return cairn.Backup{}, fmt.Errorf("%s: %w", name, ErrTaken)
	}
	if err != nil {
		return cairn.Backup{}, c.failure(ctx, "writing", name, err)
	}
	c.note(name, true)
	c.store(ctx, name, entryOf(read, int64(len(object))))
	return read.Backup, nil
}

// A listed is one object of backups/ and what became of reading it.
type listed struct {
	object  bucket.Object
	id      string // "" when the name is not that of a manifest
	absent  bool   // from the listing; then object has no more than its name
	entry   entry
	fetched bool           // the entry is not from the cache
	problem *cairn.Error   // nil for a backup
	lost    *cairn.Error   // why it could not be read; see isolate
	gone    bool           // deleted since it was listed, or before
	found   func(Manifest) // gets what was read, if not nil
}

// Backups returns all backups of both scopes, newest first, and the objects
// that should be backups and cannot be used. It costs one listing and the
// manifests that are not in the cache.
//
// Listings may lag some seconds behind. So a backup that is not listed, but was
// committed or read here, or is in the cache or one of ids, is looked for by
// itself, and one that was deleted here is read again if it is listed. Mostly
// there is none.
//
// An error means that the list is not known: one of the store's is never taken
// for a backup that is not there.
func (c *Cloud) Backups(ctx context.Context, ids ...string) (list []cairn.Backup, unreadable []cairn.UnreadableBackup, err error) {
	dated, unreadable, err := c.DatedBackups(ctx, ids...)
	for _, d := range dated {
		list = append(list, d.Backup)
	}
	return list, unreadable, err
}

// DatedBackups is Backups, with the times at which the bucket has them written.
func (c *Cloud) DatedBackups(ctx context.Context, ids ...string) (list []cairn.DatedBackup, unreadable []cairn.UnreadableBackup, err error) {
	// The cache is read first: what another call adds to it after the listing
	// must not look like something that is gone.
	cached := c.recall(ctx)
	all, err := c.list(ctx, cached)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		// Nothing is there, or the place is no longer this cloud.
		if err := c.Check(ctx); err != nil {
			return nil, nil, err
		}
	}
	all = append(all, absent(all, cached, ids)...)
	err = c.fetch(ctx, all)
	if err == nil {
		err = c.isolate(ctx, all)
	}
	c.learn(context.WithoutCancel(ctx), all)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range all {
		switch {
		case l.gone:
		case l.problem != nil:
			unreadable = append(unreadable, cairn.UnreadableBackup{Name: l.object.Name, Problem: l.problem})
		default:
			list = append(list, cairn.DatedBackup{Backup: l.entry.backup, Modified: l.object.Modified})
		}
	}
	slices.SortFunc(list, func(a, b cairn.DatedBackup) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
	})
	return list, unreadable, nil
}

// list lists backups/, with what the cache knows.
func (c *Cloud) list(ctx context.Context, cached map[string]entry) ([]listed, error) {
	var all []listed
	for object, err := range c.cfg.Bucket.List(ctx, backupFolder) {
		if err != nil {
			return nil, c.failure(ctx, "listing", backupFolder, err)
		}
		l := listed{object: object}
		if id, ok := backupOf(object.Name); ok {
			l.id = id
			if e, ok := cached[object.Name]; ok && e.size == object.Size {
				l.entry = e
			}
		} else {
			l.problem = c.Damaged(object.Name, "its name is not that of a backup")
		}
		all = append(all, l)
	}
	return all, nil
}

// absent returns what is known and not listed.
func absent(all []listed, cached map[string]entry, ids []string) []listed {
	known := maps.Clone(cached)
	for _, id := range ids {
		if name, ok := backupName(id); ok {
			known[name] = cached[name]
		}
	}
	for _, l := range all {
		delete(known, l.object.Name)
	}
	var more []listed
	for _, name := range slices.Sorted(maps.Keys(known)) {
		id, ok := backupOf(name)
		more = append(more, listed{object: bucket.Object{Name: name}, id: id, absent: true, entry: known[name], gone: !ok})
	}
	return more
}

// learn keeps what was found out, also when not all could be: it need not be asked
// again.
func (c *Cloud) learn(ctx context.Context, all []listed) {
	var gone []string
	for _, l := range all {
		switch {
		case l.fetched:
			c.store(ctx, l.object.Name, l.entry)
		case l.gone:
			c.note(l.object.Name, false)
			gone = append(gone, l.object.Name)
		}
	}
	c.forget(ctx, gone...)
}

// fetch reads the manifests that the cache does not know, and looks for those that
// are not listed, several at once. What was read before an error stays.
func (c *Cloud) fetch(ctx context.Context, all []listed) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	for i := range all {
		l := &all[i]
		if l.problem != nil || l.gone || l.entry.size != 0 && !l.absent {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err // of the first that failed, or of the caller
			}
			return c.fetchOne(ctx, l)
		})
	}
	return g.Wait()
}

// fetchOne reads one manifest. An object that cannot be used is no error here,
// but for a panic: what a library does to a hostile one ends the list, not the
// daemon.
func (c *Cloud) fetchOne(ctx context.Context, l *listed) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading %s: panic: %v\n%s", l.object.Name, r, debug.Stack())
		}
	}()
	if l.absent {
		if err := c.find(ctx, l); err != nil || l.gone || l.entry.size != 0 {
			return err
		}
	}
	if l.object.Size > maxManifest {
		l.problem = c.Damaged(l.object.Name, fmt.Sprintf("it is longer than %d bytes", maxManifest))
		return nil
	}
	m, err := c.manifest(ctx, l.id)
	switch cairn.CodeOf(err) {
	case "":
		l.fetched = true
		l.entry = entryOf(m, l.object.Size)
		if l.found != nil {
			l.found(m)
		}
		return nil
	case cairn.CodeBackupNotFound:
		l.gone = true
		return nil
	case cairn.CodeDamaged, cairn.CodeFormatTooNew:
		l.problem, _ = errors.AsType[*cairn.Error](err)
		return nil
	case cairn.CodeDenied, cairn.CodeRejected, cairn.CodeCloudBusy, cairn.CodeCloudLost:
		if ctx.Err() == nil {
			l.lost, _ = errors.AsType[*cairn.Error](err)
			return nil
		}
	}
	return err
}

// find looks for a manifest that is not listed.
func (c *Cloud) find(ctx context.Context, l *listed) error {
	object, err := c.cfg.Bucket.Head(ctx, l.object.Name)
	if errors.Is(err, bucket.ErrNotFound) {
		l.gone = true
		return nil
	}
	if err != nil {
		return c.failure(ctx, "looking for", l.object.Name, err)
	}
	l.object = object
	if l.entry.size != object.Size {
		l.entry = entry{}
	}
	return nil
}

// isolate has the manifests that could not be read as problems of their own, if
// others could, and the store answers still: then it is they, and not the store.
func (c *Cloud) isolate(ctx context.Context, all []listed) error {
	var lost *cairn.Error
	read := false
	for i := range all {
		l := &all[i]
		read = read || l.fetched || l.entry.size != 0
		if l.lost != nil {
			lost, l.problem = l.lost, l.lost
		}
	}
	if lost == nil {
		return nil
	}
	if !read {
		return lost
	}
	switch err := c.Check(ctx); {
	case err == nil:
		return nil
	case ctx.Err() != nil, cairn.CodeOf(err) == cairn.CodeBucketMissing:
		return err
	}
	return lost
}
