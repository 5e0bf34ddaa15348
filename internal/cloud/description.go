package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"cairn"
	"cairn/internal/bucket"
)

// Format is the newest format of cairn.json and of manifests that is read, and
// the one that is written.
const Format = 1

// maxDescription is the largest cairn.json that is read, in bytes: 64 KiB.
const maxDescription = 64 << 10

// defaultGrace is how long a new cloud keeps an object that no manifest names.
const defaultGrace = 24 * time.Hour

// timeLayout is the form of times in JSON: RFC 3339, UTC, whole milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// A description is the line of cairn.json. Fields that are not known are
// ignored: whoever adds one that matters raises the format.
type description struct {
	Format       int64  `json:"format"`
	ID           string `json:"id"` // UUID of the cloud
	Created      string `json:"created"`
	GraceSeconds int64  `json:"grace_seconds"`
	// Recipient is for people, and tells a wrong key from damage. Nothing is
	// ever encrypted for it.
	Recipient string `json:"recipient"`

	line, mac []byte // as they were read
}

// opens reports whether identity is the key of the cloud and d is what it
// sealed.
func (d description) opens(identity *age.X25519Identity) bool {
	s, err := newSeal(identity, d.ID)
	return err == nil && s.fits(descriptionName, d.line, d.mac) && d.Recipient == identity.Recipient().String()
}

// mismatch says why d does not open with an identity that is known to be the
// cloud's.
func (d description) mismatch(identity *age.X25519Identity) string {
	if own := identity.Recipient().String(); d.Recipient != own {
		return fmt.Sprintf("it names the public key %s, and that of the cloud is %s", cairn.Quote(d.Recipient), own)
	}
	return errMAC.Error()
}

// findOrCreate returns the content of cairn.json, which it writes if the place
// is empty. Another device may do the same at the same time: raced reports that
// its cairn.json stands there now.
func (c *Cloud) findOrCreate(ctx context.Context) (data []byte, raced bool, err error) {
	const tries = 3 // each but the first because another device was faster
	for try := range tries {
		data, err := c.read(ctx, descriptionName, nil, maxDescription)
		if err == nil {
			return data, try > 0, nil
		}
		if !errors.Is(err, bucket.ErrNotFound) {
			return nil, false, c.failure(ctx, "reading", descriptionName, err)
		}
		data, err = c.create(ctx)
		if !errors.Is(err, bucket.ErrExists) {
			return data, false, err
		}
	}
	return nil, false, c.Damaged(descriptionName, "it comes and goes")
}

// create makes a cloud of an empty place. It returns bucket.ErrExists as it is
// when another device was faster, or as fast in a store without
// create-if-absent: there the last cairn.json stands. One that comes after it was
// read back is for Check to find.
//
// The key file is durable before cairn.json is written: a cloud whose key was
// lost would be of no use to anyone, while a key without a cloud does no harm.
func (c *Cloud) create(ctx context.Context) ([]byte, error) {
	if err := c.checkVacant(ctx, c.cfg.Known); err != nil {
		return nil, err
	}
	if c.cfg.Expected || !c.cfg.Passphrase.IsZero() {
		return nil, c.notFound()
	}
	if err := c.checkOutside(ctx); err != nil {
		return nil, err
	}
	id, err := uuid.NewRandomFromReader(c.cfg.Rand)
	if err != nil {
		return nil, fmt.Errorf("drawing the id of a cloud: %w", err)
	}
	identity := c.cfg.Identity
	if identity == nil {
		if identity, err = age.GenerateX25519Identity(); err != nil {
			return nil, fmt.Errorf("drawing the key of a cloud: %w", err)
		}
	}
	data, err := describe(id.String(), identity, c.cfg.Now(), c.cfg.Grace)
	if err != nil {
		return nil, err
	}
	if err := c.cfg.Keys.Save(id.String(), identity); err != nil {
		return nil, err
	}
	path := c.cfg.Keys.Where(id.String())
	err = bucket.Create(ctx, c.cfg.Bucket, descriptionName, bytes.NewReader(data))
	if err == nil {
		stands, err := c.read(ctx, descriptionName, nil, maxDescription)
		if err != nil {
			return nil, c.failure(ctx, "reading back", descriptionName, err)
		}
		if !bytes.Equal(stands, data) {
			// The key stays: who knows whether ours stands there once more.
			c.cfg.Log.Warn("another device made the cloud at the same moment; its one counts", "url", c.url, "lost", id.String(), "key", path)
			return nil, bucket.ErrExists
		}
		c.cfg.Log.Info("a new cloud was made", "url", c.url, "id", id.String(), "key", path)
		if c.cfg.Identity != nil {
			c.cfg.Log.Warn("a key was given, but there was no cloud; if there should be one, check the address", "url", c.url)
		}
		return data, nil
	}
	if !bucket.Transient(err) && !errors.Is(err, bucket.ErrUnknown) {
		// Surely not stored, neither now nor later, so nothing needs this key.
		if err := c.cfg.Keys.Remove(id.String()); err != nil {
			c.cfg.Log.Warn("a key that nothing needs is left", "key", path, "error", err)
		}
	}
	if errors.Is(err, bucket.ErrExists) {
		return nil, err
	}
	return nil, c.failure(ctx, "writing", descriptionName, err)
}

// notFound returns the error for an empty place where a cloud is expected.
func (c *Cloud) notFound() error {
	begin := " To begin a new cloud there: cairn cloud connect URL --create."
	if !c.cfg.Passphrase.IsZero() {
		begin += " It takes no passphrase; cairn cloud passphrase add adds one afterwards."
	}
	if c.cfg.Identity != nil {
		begin = " To begin a new cloud there, leave --key (CAIRN_KEY) out: it gets a key of its own. cairn cloud connect URL --create makes one, too."
	}
	return &cairn.Error{
		Code:    cairn.CodeCloudNotFound,
		Message: fmt.Sprintf("There is no cloud at %s: the object cairn.json is missing.", c.url),
		Hint:    Whereabouts(c.url) + begin,
	}
}

// describe returns the content of cairn.json for a new cloud.
func describe(id string, identity *age.X25519Identity, now time.Time, grace time.Duration) ([]byte, error) {
	line, err := encodeLine(description{
		Format:       Format,
		ID:           id,
		Created:      now.UTC().Format(timeLayout),
		GraceSeconds: int64(grace / time.Second),
		Recipient:    identity.Recipient().String(),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", descriptionName, err)
	}
	s, err := newSeal(identity, id)
	if err != nil {
		return nil, err
	}
	return s.close(descriptionName, line), nil
}

// checkVacant finds out what a place without cairn.json is. It returns nil if
// nothing is there and known, the id of the cloud that was there before, is
// empty; and bucket.ErrExists as it is if cairn.json has appeared meanwhile.
func (c *Cloud) checkVacant(ctx context.Context, known string) error {
	ours, foreign, err := c.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case ours != "":
		_, err := c.cfg.Bucket.Head(ctx, descriptionName)
		switch {
		case err == nil:
			return bucket.ErrExists
		case !errors.Is(err, bucket.ErrNotFound):
			return c.failure(ctx, "looking for", descriptionName, err)
		}
		e := c.Damaged(descriptionName, "it is missing, while "+ours+" is there")
		e.Hint = "Put cairn.json back from a copy of the bucket. Without it the backups can still be read with the key and public tools, as docs/recovery.md shows."
		return e
	case known != "":
		return &cairn.Error{
			Code:    cairn.CodeBucketMissing,
			Message: fmt.Sprintf("The cloud that was at %s is not there: the object cairn.json is missing.", c.url),
			Hint:    Whereabouts(c.url) + " Then try again. To begin a new cloud, choose another place.",
		}
	case foreign != "":
		return &cairn.Error{
			Code:    cairn.CodeNotCloud,
			Message: fmt.Sprintf("%s is not a cloud of cairn: it has no cairn.json, but it holds %s.", c.url, cairn.Quote(foreign)),
			Hint:    "Choose an empty folder or prefix. Nothing was written.",
		}
	}
	return nil
}

// checkOutside makes sure that the place is not inside of a cloud, whose objects
// the new ones would be among. Where this device may not look, nobody can tell.
func (c *Cloud) checkOutside(ctx context.Context) error {
	for _, outer := range c.cfg.Outer {
		o := &Cloud{cfg: Config{Bucket: outer.Bucket}, url: redact(outer.URL)}
		data, err := o.read(ctx, descriptionName, nil, maxDescription)
		if err != nil && bucket.Transient(err) {
			return o.failure(ctx, "reading", descriptionName, err)
		}
		if err == nil {
			_, err = o.parseDescription(data)
		}
		if err == nil || cairn.CodeOf(err) == cairn.CodeFormatTooNew {
			return &cairn.Error{
				Code:    cairn.CodeNotCloud,
				Message: fmt.Sprintf("%s is inside of the cloud %s.", c.url, o.url),
				Hint:    "Choose a folder or prefix beside it.",
			}
		}
	}
	return nil
}

// look returns the name of an object that cairn could have written, and of the
// first thing that it could not; "" for none. It looks at the first thousand
// objects, since a place that holds so many is not empty anyway. Where listings
// lag behind, one that was just emptied may count as occupied for some seconds.
func (c *Cloud) look(ctx context.Context) (ours, foreign string, err error) {
	const most = 1000
	seen := 0
	for object, err := range c.cfg.Bucket.List(ctx, "") {
		if err != nil {
			return "", "", c.failure(ctx, "looking for", descriptionName, err)
		}
		seen++
		switch {
		case object.Name == descriptionName:
			// It has come since it was read, which Put will tell, or the listing
			// lags behind and it is gone.
		case isOurs(object.Name):
			return object.Name, foreign, nil
		case foreign == "" && (seen == most || !isIncidental(object.Name)):
			foreign = object.Name
		}
		if seen == most {
			break
		}
	}
	if foreign == "" && c.cfg.Foreign != nil {
		foreign, err = c.cfg.Foreign(ctx)
		if err != nil {
			return "", "", c.failure(ctx, "looking for", descriptionName, err)
		}
	}
	return "", foreign, nil
}

// parseDescription reads the form of cairn.json. What it says is not
// authenticated yet, but its id can be the name of a file.
func (c *Cloud) parseDescription(data []byte) (description, error) {
	bad := func(why error) (description, error) {
		return description{}, c.Damaged(descriptionName, why.Error())
	}
	if len(data) > maxDescription {
		return bad(fmt.Errorf("it is longer than %d bytes", maxDescription))
	}
	first, _, _ := bytes.Cut(data, []byte("\n"))
	format, err := formatOf(first)
	if err != nil {
		return bad(err)
	}
	if format > Format {
		return description{}, c.tooNew(descriptionName)
	}
	line, mac, err := split(data)
	if err != nil {
		return bad(err)
	}
	d := description{line: line, mac: mac}
	if err := json.Unmarshal(line, &d); err != nil {
		return bad(errForm)
	}
	if format < 1 {
		return bad(errors.New("it names no format"))
	}
	if id, err := uuid.Parse(d.ID); err != nil || id.String() != d.ID {
		return bad(errors.New("its id is not a UUID"))
	}
	return d, nil
}
