// Package device keeps device.db: what one installation of cairn knows about
// itself, apart from the documents. It is one SQLite file in the data folder,
// with an installation id, a user id, the device's name and whether its user
// is signed in; what became of creations and restorations; and what was seen
// of the clouds it backs up to.
//
// Start with [Open], while holding the lock of the data folder:
//
//	dev, err := device.Open(ctx, device.Config{Dir: dir})
//	if err != nil {
//		return err // a *cairn.Error
//	}
//	defer dev.Close()
//	if dev.Copied() {
//		// another machine's folder: what is written from now on is a new line
//	}
//
// The id of the machine is stored as a hash, and only to notice that the
// folder was copied: two devices with one installation id would take each
// other's backups for their own.
package device

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"cairn"
)

// FileName is the name of the file in the data folder.
const FileName = "device.db"

// noName is the name of a device whose host has none.
const noName = "unknown"

// Config says where the file is and what machine this is.
type Config struct {
	// Dir is the data folder. It must exist.
	Dir string
	// MachineID returns an id that another machine does not have, or "" where
	// there is none. Nil means that of the operating system.
	MachineID func() string
	// Hostname returns the name of the machine. Nil means [os.Hostname].
	Hostname func() (string, error)
}

// A Device is an open device.db. Its methods may be called at the same time.
type Device struct {
	path   string
	db     *sql.DB
	row    row // as Open left it; signedIn is the one below
	copied bool

	writing  sync.Mutex                         // held for a change of the file and of what mirrors it; readers do not wait for it
	signedIn atomic.Bool                        // mirrors the file
	current  atomic.Pointer[cairn.CurrentCloud] // mirrors the file
}

// Open opens the file in cfg.Dir, making it where it is missing or was cut off
// by a crash before it held anything. The file has mode 0600 whatever the
// umask. A fresh device is signed in.
//
// Its errors are of cairn.CodeSchemaTooNew for a file of a newer cairn and
// cairn.CodeDamaged for one that is not what cairn wrote, whose content is
// then as it was, and those of [Device.SetSignedIn].
func Open(ctx context.Context, cfg Config) (*Device, error) {
	if cfg.MachineID == nil {
		cfg.MachineID = machineID
	}
	if cfg.Hostname == nil {
		cfg.Hostname = os.Hostname
	}
	path, err := filepath.Abs(filepath.Join(cfg.Dir, FileName))
	if err != nil {
		return nil, failure("finding", cfg.Dir, err)
	}
	db, err := openFile(ctx, path)
	if err != nil {
		return nil, failure("opening", path, err)
	}
	d := &Device{path: path, db: db}
	now := machine{hash: hashMachine(cfg.MachineID()), name: hostName(cfg.Hostname)}
	var current cairn.CurrentCloud
	d.row, d.copied, err = settle(ctx, db, now)
	if err == nil {
		current, err = readCurrent(ctx, db)
	}
	if err != nil {
		db.Close()
		return nil, failure("opening", path, err)
	}
	d.signedIn.Store(d.row.signedIn)
	d.current.Store(&current)
	return d, nil
}

// Close closes the file. Nothing else of d may be called during or after it.
func (d *Device) Close() error { return d.db.Close() }

// Installation returns the UUID of this installation: one data folder on one
// machine.
func (d *Device) Installation() string { return d.row.installation }

// User returns the UUID of the local user. A copied folder keeps it.
func (d *Device) User() string { return d.row.user }

// Name returns the name of the machine at the time that the installation id
// was drawn: valid UTF-8 and never empty.
func (d *Device) Name() string { return d.row.name }

// Copied reports whether this Open found the folder to come from another
// machine, and therefore drew a new installation id. The next Open, on the
// same machine, reports false.
func (d *Device) Copied() bool { return d.copied }

// SignedIn reports whether the user is signed in. It never waits for the disk.
func (d *Device) SignedIn() bool { return d.signedIn.Load() }

// SetSignedIn stores whether the user is signed in. When it returns nil, that
// survives power loss; after an error nothing has changed, unless it says that
// the disk failed to keep the change, which a crash may then bring back. Once it
// has begun it does not stop for ctx.
//
// Its errors are of cairn.CodeDiskFull, CodeReadOnly, CodeNoPermission,
// CodeInUse, CodeDamaged and CodeInternal.
func (d *Device) SetSignedIn(ctx context.Context, signedIn bool) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return storeSignedIn(ctx, tx, signedIn)
	}); err != nil {
		return err
	}
	d.signedIn.Store(signedIn)
	return nil
}

// write is change for what nothing mirrors.
func (d *Device) write(ctx context.Context, apply func(context.Context, *sql.Tx) error) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	return d.change(ctx, apply)
}

// change makes one durable change of the file. d.writing must be held. It keeps
// the promises of [Device.SetSignedIn].
func (d *Device) change(ctx context.Context, apply func(context.Context, *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := transact(context.WithoutCancel(ctx), d.db, apply); err != nil {
		return failure("writing", d.path, err)
	}
	return nil
}

// transact commits what apply does, all or nothing.
func transact(ctx context.Context, db *sql.DB, apply func(context.Context, *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := apply(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// readFailure returns what a caller should know of the error of a read, which
// may be nil: the error of ctx, or one of the codes of [Device.SetSignedIn].
func (d *Device) readFailure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failure("reading", d.path, err)
}

// hostName returns a name that can be stored and shown, whatever the host says.
func hostName(hostname func() (string, error)) string {
	name, err := hostname()
	if err != nil {
		return noName
	}
	name = strings.TrimSpace(strings.ToValidUTF8(name, "\uFFFD"))
	if name == "" {
		return noName
	}
	return name
}
