// Package cloud knows what is in the bucket: cairn.json, which makes a place a
// cloud, the slots that passphrases open, the manifests, which make backups
// exist, and the parts and indexes that they name. docs/format.md describes every byte.
//
// Start with [Open], which makes a cloud of an empty place:
//
//	c, err := cloud.Open(ctx, cloud.Config{Bucket: b, URL: url, Keys: &keys.Store{Dir: dir}})
//	if err != nil {
//		return err // a *cairn.Error, CodeCloudLocked when the key is missing
//	}
//	fresh := c.Fresh()
//	name := c.PartName()
//	if err := c.Put(ctx, name, content); err != nil {
//		return err
//	}
//	backup, err := c.Commit(ctx, cloud.Manifest{Backup: b, Segments: segments}, fresh)
//
// Whoever holds the bucket can neither read nor forge nor swap what is in it:
// all but cairn.json and the slots is encrypted for the cloud's age key, cairn.json
// and each manifest carry a MAC of that key, and a manifest the SHA-256 of what it
// names.
//
// Errors are *cairn.Error that name the object and the cloud, or the context's:
//
//	CodeDamaged                     an object is not what was written, or is missing
//	CodeFormatTooNew                it was written by a newer cairn
//	CodeBucketMissing               the bucket or folder is not there
//	CodeCloudLost                   the store does not answer; any failure of unknown cause
//	CodeDenied                      the store does not allow this
//	CodeReadOnly, CodeDiskFull      nothing can be written
//
// and those of the table in failure.go, of stores on a network.
package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/keys"
)

// A Config says where the cloud is and what this device knows of it.
type Config struct {
	// Bucket is the place. Reading retries a body that was cut off; retrying
	// calls is the business of package bucket.
	Bucket bucket.Bucket
	// URL is the place in the user's words, for messages. A password in it is
	// not shown.
	URL string
	// Keys keeps the keys of clouds on this device.
	Keys *keys.Store
	// Identity is the key that the user supplied; nil means the stored one.
	Identity *age.X25519Identity
	// Passphrase opens a slot of the cloud where there is neither a supplied key
	// nor a stored one. Then there must be a cloud, as with Expected.
	Passphrase Passphrase
	// WorkFactor is the base-2 logarithm of the cost of scrypt in slots that are
	// made, from 1 to 20; 0 means 18, as age has it. Less is for tests.
	WorkFactor int
	// Scrypt is held while a passphrase is tried, or a slot encrypted: that takes up to
	// 1 GiB of memory, and clouds that are opened at the same time can share it. Nil
	// means one for this cloud.
	Scrypt sync.Locker
	// Known is the id of the cloud that this device saw at the URL before; ""
	// for none. A known cloud that is gone is an error, never a new cloud.
	Known string
	// Expected says that there must be a cloud: none is made.
	Expected bool
	// Foreign returns the first thing in the place that no object can be named
	// like, or ""; nil means that there can be none.
	Foreign func(context.Context) (string, error)
	// Outer are the places that this one is inside of. Where one of them is a
	// cloud, no other is made in it.
	Outer []Place
	// Cache remembers manifests; nil means none.
	Cache Cache
	// Grace is how long a cloud that is made keeps what no manifest names, in
	// whole seconds; 0 means a day. A cloud that is there has its own.
	Grace time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Monotonic is the time since some moment by a clock that nobody sets, and
	// that may stand still while the computer sleeps; nil means the runtime's.
	Monotonic func() time.Duration
	// Rand is read for ids and names, from several goroutines; it must not
	// fail. Nil means crypto/rand. Keys never come from it.
	Rand io.Reader
	// Log gets what no caller is told, such as failures of the cache; nil
	// means slog.Default.
	Log *slog.Logger
}

// A Place is where a cloud can be.
type Place struct {
	URL    string // in the user's words, for messages
	Bucket bucket.Bucket
}

// Format keeps the key out of whatever prints a Config.
func (c Config) Format(f fmt.State, _ rune) {
	key := "none"
	if c.Identity != nil {
		key = "**redacted**"
	}
	folder := ""
	if c.Keys != nil {
		folder = c.Keys.Dir
	}
	fmt.Fprintf(f, "cloud.Config{URL: %q, Keys: %q, Identity: %s, Known: %q}", redact(c.URL), folder, key, c.Known)
}

// A Cloud is an open cloud. Its methods can be called at the same time.
type Cloud struct {
	cfg      Config // with defaults filled in
	url      string // for messages
	id       string
	identity *age.X25519Identity
	seal     seal
	grace    time.Duration // of cairn.json

	mu    sync.Mutex
	there map[string]bool // what is known of manifests by name; guarded by mu; see note
}

// Open opens the cloud in cfg.Bucket, or makes one if nothing is there: then
// the key file is durable before cairn.json is written.
//
// Its errors are those of the package, those of cairn.FileError for the key file,
// and
//
//	CodeCloudLocked      the key is not here, nor does a slot have it
//	CodeKeyWrong         the supplied key is another one
//	CodePassphraseWrong  the passphrase opens no slot
//	CodeCloudNotFound    there is no cloud, and one is expected
//	CodeNotCloud         the place holds something else
//
// Nothing in the bucket is ever changed but by the one write of cairn.json.
func Open(ctx context.Context, cfg Config) (*Cloud, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Monotonic == nil {
		began := time.Now()
		cfg.Monotonic = func() time.Duration { return time.Since(began) }
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Scrypt == nil {
		cfg.Scrypt = new(sync.Mutex)
	}
	if cfg.WorkFactor == 0 {
		cfg.WorkFactor = defaultWorkFactor
	}
	c := &Cloud{cfg: cfg, url: redact(cfg.URL), there: map[string]bool{}}
	data, raced, err := c.findOrCreate(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.unlock(ctx, data); err != nil {
		if e, ok := errors.AsType[*cairn.Error](err); ok && raced && (e.Code == cairn.CodeCloudLocked || e.Code == cairn.CodeKeyWrong) {
			e.Message += " Another device made it at the same moment as this one made its own."
		}
		return nil, err
	}
	if cfg.Known != "" && cfg.Known != c.id {
		cfg.Log.Warn("another cloud is there than before", "url", c.url, "id", c.id, "before", cfg.Known)
	}
	return c, nil
}

// Format keeps the key out of whatever prints a Cloud.
func (c *Cloud) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "cloud %s at %s", c.id, c.url) }

// ID returns the UUID of the cloud.
func (c *Cloud) ID() string { return c.id }

// Grace returns how long what no manifest names is kept, as cairn.json has it for
// all devices: a whole number of seconds, from one second to ten years.
func (c *Cloud) Grace() time.Duration { return c.grace }

// Identity returns the key of the cloud. It must reach no log and no error.
func (c *Cloud) Identity() *age.X25519Identity { return c.identity }

// Recipient returns what objects are encrypted for: always that of the key,
// never what the bucket says.
func (c *Cloud) Recipient() *age.X25519Recipient { return c.identity.Recipient() }

// Check reads and authenticates cairn.json again.
func (c *Cloud) Check(ctx context.Context) error {
	data, err := c.read(ctx, descriptionName, nil, maxDescription)
	if errors.Is(err, bucket.ErrNotFound) {
		err = c.checkVacant(ctx, c.id)
		if errors.Is(err, bucket.ErrExists) {
			return c.Damaged(descriptionName, "it comes and goes")
		}
		return err
	}
	if err != nil {
		return c.failure(ctx, "reading", descriptionName, err)
	}
	d, err := c.parseDescription(data)
	if err != nil {
		return err
	}
	own := d.Recipient == c.identity.Recipient().String()
	switch opens := d.opens(c.identity); {
	case opens && d.ID == c.id:
		return nil
	case d.ID != c.id && (opens || !own):
		return c.replaced(d)
	}
	return c.Damaged(descriptionName, d.mismatch(c.identity))
}

// redact returns a URL without the password in it.
func redact(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}
