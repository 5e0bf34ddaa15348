// Package backup is the engine: it makes backups of a database in a cloud and
// restores them.
//
//	engine := backup.New(backup.Config{Database: db, Connect: connect, ...})
//	b, err := engine.Create(ctx, engine.NewBackup(cairn.ScopeAll), report)
//	b, err = engine.Restore(ctx, job, b.ID, report)
//
// A backup is read from one moment of the database, written as parts, then as
// an index of them, and exists when its manifest does. A restoration reads and
// checks all of that, builds a database beside the live one, and has it swapped
// in when it is what the manifest says. Both stream: their memory is bounded by
// Config.Memory, whatever the size.
package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// Database is the local database as the engine needs it. Package database
// describes its methods of the same names.
type Database interface {
	Stats() cairn.Stats
	Path() string
	Moment(ctx context.Context, look func(cairn.Moment) error) error
	CountChanges(ctx context.Context, after int64) (int64, error)
	Replace(ctx context.Context, r cairn.Replacement, fill func(prepare func(segment int, docs []cairn.Document) (insert func() error, err error)) error) error
	Rehearse(ctx context.Context, r cairn.Replacement, fill func(prepare func(segment int, docs []cairn.Document) (insert func() error, err error)) error) error
	Undo(ctx context.Context) error
	Restored() string
	AddBase(ctx context.Context, line string, b cairn.Base) error
	MarkBase(ctx context.Context, cloud, backup string, segments []byte) error
	DropBase(ctx context.Context, cloud, backup string) error
	Bases(ctx context.Context, cloud string) ([]cairn.Base, error)
	Journal(ctx context.Context, cloud string) (entries [][]byte, err error)
	BeginJournal(ctx context.Context, line, cloud string, keep []string) error
	AddJournal(ctx context.Context, line, cloud, backup, part string, entry []byte) error
	UseJournal(ctx context.Context, line, cloud string, parts []string, using string) error
}

// Device is the installation as the engine needs it. Package device describes
// its methods of the same names.
type Device interface {
	Installation() string
	Name() string
	CountBackup(ctx context.Context, cloud string) error
	BackupsMade(ctx context.Context, cloud string) (int64, error)
}

// Report hears how far a job is: of which backup, and how much is done. It must
// not wait.
type Report = func(cairn.Backup, cairn.Progress)

// Config is what an Engine works with. The first five are required.
type Config struct {
	Database Database
	Device   Device
	// Connect opens the cloud. It is called until it succeeds, and again when
	// the bucket was not there or did not let us in, or after [Engine.Switch]: it
	// reads anew what may have changed, such as credentials.
	Connect func(ctx context.Context) (*cloud.Cloud, error)
	// Place describes where the cloud is that Connect opens. It must not wait; nil
	// means nothing to tell.
	Place func() Place
	// Changed hears that the cloud was opened, or lost, or that another one is
	// used. It must not wait; nil means nobody.
	Changed func()
	// Spool is the folder for parts that wait for their upload.
	Spool string

	// Version and Platform stand in backups: the version of cairn, and a
	// PlatformEnum.
	Version, Platform string
	// Browse returns what a person looks for a document by; nil means nothing.
	Browse func(collection string, json []byte) (name, language, created string)
	// Workers is how many parts are encoded or decoded at once; 0 means one
	// for each processor, but at most 4: one reader keeps no more busy, and
	// each takes some 20 MiB. Transfers is how many objects are sent or fetched at
	// once, where Place does not tell; 0 means 4. Memory bounds the bytes of parts in flight; 0 means 48
	// MiB.
	Workers, Transfers int
	Memory             int64
	// PartBytes is the plain text at which a part ends; 0 means segment.PartBytes,
	// which it cannot exceed. Tests make many parts of few documents.
	PartBytes int
	// Catalog bounds the bytes of catalog rows that are sorted in memory; 0
	// means 24 MiB.
	Catalog int
	// Now tells the time; nil means time.Now. Random draws the digits of a
	// backup's id; nil means the runtime's.
	Now    func() time.Time
	Random func() uint32
	// Log gets what a person should know besides; nil means slog.Default.
	Log *slog.Logger
	// Step, for tests, does each step that changes what is in Spool; nil means
	// that the step is simply done. Steps of workers come at the same time.
	Step func(name string, do func() error) error
}

// An Engine makes and restores backups. Its methods can be called at the same
// time.
type Engine struct {
	cfg Config

	connection atomic.Pointer[connection]
	asking     chan struct{} // holds a token for each question under way; see ask
	checking   chan struct{} // holds a token while something is verified
	browsing   chan struct{} // holds a token for each browser

	mu   sync.Mutex
	gone map[string]bool // ids of bases that the cloud does not have any more
	bad  map[string]bool // names of objects that were found damaged or missing
	// baseChecked is when the objects of the newest base were looked for last, and
	// baseCloud the id of the cloud that this was in.
	baseChecked time.Time
	baseCloud   string
}

// New returns an engine. It touches nothing yet.
func New(cfg Config) *Engine {
	if cfg.Browse == nil {
		cfg.Browse = func(string, []byte) (name, language, created string) { return "", "", "" }
	}
	if cfg.Workers == 0 {
		cfg.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	if cfg.Transfers == 0 {
		cfg.Transfers = 4
	}
	if cfg.Memory == 0 {
		cfg.Memory = 48 << 20
	}
	if cfg.PartBytes == 0 {
		cfg.PartBytes = segment.PartBytes
	}
	if cfg.Catalog == 0 {
		cfg.Catalog = 24 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Uint32
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Place == nil {
		cfg.Place = func() Place { return Place{} }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.Step == nil {
		cfg.Step = func(_ string, do func() error) error { return do() }
	}
	e := &Engine{
		cfg:      cfg,
		asking:   make(chan struct{}, questions),
		checking: make(chan struct{}, 1),
		browsing: make(chan struct{}, browsers),
		gone:     map[string]bool{},
		bad:      map[string]bool{},
	}
	e.connection.Store(newConnection(nil))
	return e
}

// questions is how many questions may wait for the bucket at a time. Each may
// hold a thread of the system for as long as the bucket does not answer.
const questions = 32

// ask returns what fn does, which asks the bucket, or the cause of ctx as soon as
// that ends: a folder on a server that is gone may keep a system call waiting for
// ever, whatever ctx says. Then fn goes on by itself.
func ask[T any](ctx context.Context, e *Engine, fn func() (T, error)) (T, error) {
	return askFor(ctx, e, 0, fn)
}

// deafTime is how long what a job asks may take to hear that the job ends.
const deafTime = 2 * time.Second

// askDuring is ask for a job, of which nothing shall go on when it has ended: only
// what does not hear of ctx within two seconds is left to itself.
func askDuring[T any](ctx context.Context, e *Engine, fn func() (T, error)) (T, error) {
	return askFor(ctx, e, deafTime, fn)
}

// askFor is ask that waits for so long for fn when ctx has ended.
func askFor[T any](ctx context.Context, e *Engine, patience time.Duration, fn func() (T, error)) (T, error) {
	var none T
	select {
	case e.asking <- struct{}{}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		defer func() { <-e.asking }()
		var a answer
		a.err = guarded(func() (err error) {
			a.value, err = fn()
			return err
		})()
		answers <- a
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	}
	if patience > 0 {
		select {
		case a := <-answers:
			return a.value, a.err
		case <-time.After(patience):
		}
	}
	return none, context.Cause(ctx)
}

// List returns the backups of whole databases in the cloud, newest first. As all
// that asks the cloud and is no job, it ends when ctx does.
func (e *Engine) List(ctx context.Context) ([]cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return nil, err
	}
	l, err := e.list(ctx, c)
	return l.backups, e.lost(c, err)
}

// A listing is what is in the cloud.
type listing struct {
	backups    []cairn.Backup // of whole databases
	unreadable []cairn.UnreadableBackup
	dated      []cairn.DatedBackup // of both scopes
}

// list lists the cloud, and notes which bases it does not have any more: another
// device may have deleted them.
func (e *Engine) list(ctx context.Context, c *cloud.Cloud) (listing, error) {
	return ask(ctx, e, func() (listing, error) { return e.look(ctx, c) })
}

func (e *Engine) look(ctx context.Context, c *cloud.Cloud) (listing, error) {
	// Before the listing: a backup that is made meanwhile is not gone.
	bases, err := e.cfg.Database.Bases(ctx, c.ID())
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Warn("the backups that the database knows of cannot be read", "err", err)
	}
	dated, unreadable, err := c.DatedBackups(ctx, e.expected(bases)...)
	if err != nil {
		return listing{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range bases {
		e.gone[b.Backup] = true
	}
	var list []cairn.Backup
	for _, b := range dated {
		delete(e.gone, b.ID)
		if b.Scope == cairn.ScopeAll {
			list = append(list, b.Backup)
		}
	}
	return listing{list, unreadable, dated}, nil
}

// expected returns the ids of bases that have not been found gone: the listing may
// lag behind one of them that was just made.
func (e *Engine) expected(bases []cairn.Base) (ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range bases {
		if !e.gone[b.Backup] {
			ids = append(ids, b.Backup)
		}
	}
	return ids
}

// Backup returns one backup of either scope. It returns
// cairn.CodeBackupNotFound when there is none of that id.
func (e *Engine) Backup(ctx context.Context, id string) (cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return cairn.Backup{}, err
	}
	m, err := ask(ctx, e, func() (cloud.Manifest, error) { return c.Manifest(ctx, id) })
	return m.Backup, e.lost(c, err)
}

// Delete takes a backup out of the list. What it consists of stays in the
// bucket. When ctx ends before the bucket has answered, it may be deleted or not.
func (e *Engine) Delete(ctx context.Context, id string) error {
	c, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	_, err = ask(ctx, e, func() (struct{}, error) { return struct{}{}, e.delete(ctx, c, id) })
	return err
}

func (e *Engine) delete(ctx context.Context, c *cloud.Cloud, id string) error {
	err := c.Delete(ctx, id)
	if err != nil && cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		return e.lost(c, err)
	}
	e.mu.Lock()
	e.gone[id] = true // for the database that Undo brings back, too
	e.mu.Unlock()
	// Also when it was gone before: perhaps the answer of a first try was lost.
	if err := e.cfg.Database.DropBase(context.WithoutCancel(ctx), c.ID(), id); err != nil {
		e.cfg.Log.Warn("the deleted backup is still noted as one to build on", "backup", id, "err", err)
	}
	return err
}

// Undo swaps the live database and the one that it replaced.
func (e *Engine) Undo(ctx context.Context) error { return e.cfg.Database.Undo(ctx) }

// Restored returns the id of the job that made the live database, or "".
func (e *Engine) Restored() string { return e.cfg.Database.Restored() }

// Last returns the newest backup that the live database has in the cloud, and
// how many documents and deletions are newer; ok is false when there is none.
// It does not look into the bucket: what was deleted elsewhere counts until the
// next List or Cloud.
func (e *Engine) Last(ctx context.Context) (last cairn.Base, changes int64, ok bool, err error) {
	cloud, _ := e.Connected() // without one, that of any cloud
	bases, err := e.cfg.Database.Bases(ctx, cloud)
	e.mu.Lock()
	i := slices.IndexFunc(bases, func(b cairn.Base) bool { return !e.gone[b.Backup] })
	e.mu.Unlock()
	if err != nil || i < 0 {
		return last, 0, false, err
	}
	changes, err = e.cfg.Database.CountChanges(ctx, bases[i].Revision)
	return bases[i], changes, err == nil, err
}

// problem returns what a person may know of an error.
func problem(err error) *cairn.Error {
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		return e
	}
	return &cairn.Error{Code: cairn.CodeInternal, Message: "Asking the cloud failed.", Hint: "The log of the daemon says why.", Err: err}
}

// guarded returns fn with its panics as errors: what a library does to a hostile
// object ends the job, not the daemon.
func guarded(fn func() error) func() error {
	return func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		return fn()
	}
}
