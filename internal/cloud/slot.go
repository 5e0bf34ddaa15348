package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/keys"
)

const (
	// maxSlots is how many slots a cloud has, and how many are read: the newest.
	maxSlots = 16
	// maxSlot is the largest slot that is read, in bytes: 64 KiB. One has some 500.
	maxSlot = 64 << 10
	// defaultWorkFactor and maxWorkFactor are logarithms to base 2 of the cost of
	// scrypt: what age writes by default, and the most that is accepted. The time
	// and the memory of one try are proportional to the cost: 256 MiB for 18, 1 GiB
	// for 20. Source: RFC 7914, section 2, with r = 8.
	defaultWorkFactor = 18
	maxWorkFactor     = 20
)

// A Slot is an object that holds the key of the cloud, wrapped by one passphrase:
//
//	keys/<32 hexadecimal digits>.age
//
// is what age -p makes of a key file, as keys.Text has it with the id of the cloud.
// So age -d opens it, and its content is one for age -d -i.
type Slot struct {
	Name    string    // of the object
	Created time.Time // by the clock of the bucket; zero where that is not known
}

// Slots returns the slots of the cloud, the newest first, those that nothing can
// open included. Whatever has another name than one is left out.
func (c *Cloud) Slots(ctx context.Context) ([]Slot, error) {
	var slots []Slot
	for object, err := range c.cfg.Bucket.List(ctx, slotFolder) {
		if err != nil {
			return nil, c.failure(ctx, "listing", slotFolder, err)
		}
		if isSlotName(object.Name) {
			slots = append(slots, Slot{object.Name, object.Modified})
		}
	}
	slices.SortFunc(slots, func(a, b Slot) int {
		if byTime := b.Created.Compare(a.Created); byTime != 0 {
			return byTime
		}
		return strings.Compare(a.Name, b.Name)
	})
	return slots, nil
}

// What a slot can be that does not open.
var (
	errPassphrase = errors.New("it is for another passphrase")
	errSlotGone   = errors.New("it has been removed")
	errNotSlot    = errors.New("it is not what age makes with a passphrase")
	errSlotForm   = errors.New("its content is not a key file")
)

// openSlot returns the key in a slot. Errors are those above, for what is in it, and
// otherwise those of the package.
func (c *Cloud) openSlot(ctx context.Context, name string, p Passphrase) (*age.X25519Identity, error) {
	data, err := c.read(ctx, name, nil, maxSlot)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, errSlotGone
	}
	if err != nil {
		return nil, c.failure(ctx, "reading", name, err)
	}
	c.cfg.Scrypt.Lock()
	defer c.cfg.Scrypt.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err) // before the work
	}
	return parseSlot(data, p)
}

// slotStart begins every slot: the version line of age, and a recipient that is a
// passphrase. Source: age-encryption.org/v1, C2SP.
const slotStart = "age-encryption.org/v1\n-> scrypt "

// parseSlot decrypts a slot and returns the key in it.
func parseSlot(data []byte, p Passphrase) (*age.X25519Identity, error) {
	if len(data) > maxSlot || !bytes.HasPrefix(data, []byte(slotStart)) {
		return nil, errNotSlot
	}
	opener, err := age.NewScryptIdentity(p.Reveal())
	if err != nil {
		return nil, errPassphrase // it is empty
	}
	opener.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(bytes.NewReader(data), opener)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return nil, errPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSlot, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSlotForm, err)
	}
	identity, err := keys.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSlotForm, err)
	}
	return identity, nil
}

// A trial is what came of trying a passphrase on the slots.
type trial struct {
	slots   []Slot   // all of them, the newest first
	opened  []Slot   // that hold the key which fits
	foreign []string // names of those that open and hold another key
	damaged []string // that open, and hold no key
	broken  []string // that no passphrase opens
	key     *age.X25519Identity
}

// try tries a passphrase on the newest slots, one after the other, since each takes
// the memory of its work. It ends at the first that holds a key that fits, unless
// all are wanted.
func (c *Cloud) try(ctx context.Context, p Passphrase, fits func(*age.X25519Identity) bool, all bool) (trial, error) {
	slots, err := c.Slots(ctx)
	if err != nil {
		return trial{}, err
	}
	t := trial{slots: slots}
	for _, slot := range slots[:min(len(slots), maxSlots)] {
		identity, err := c.openSlot(ctx, slot.Name, p)
		switch {
		case errors.Is(err, errPassphrase), errors.Is(err, errSlotGone):
		case errors.Is(err, errNotSlot):
			t.broken = append(t.broken, slot.Name)
			c.cfg.Log.Warn("a slot cannot be read and is skipped", "cloud", c.url, "object", slot.Name, "why", err)
		case errors.Is(err, errSlotForm):
			t.damaged = append(t.damaged, slot.Name)
			c.cfg.Log.Warn("a slot opens, and holds no key", "cloud", c.url, "object", slot.Name, "why", err)
		case err != nil:
			return trial{}, err
		case !fits(identity):
			t.foreign = append(t.foreign, slot.Name)
			c.cfg.Log.Warn("a slot holds the key of another cloud", "cloud", c.url, "object", slot.Name)
		default:
			t.key = identity
			if t.opened = append(t.opened, slot); !all {
				return t, nil
			}
		}
	}
	if more := len(slots) - maxSlots; more > 0 {
		c.cfg.Log.Warn("a cloud has more slots than are read", "cloud", c.url, "read", maxSlots, "left", more)
	}
	return t, nil
}

// failure returns why a passphrase opened nothing; nil if it did.
func (t trial) failure(c *Cloud) error {
	switch read := min(len(t.slots), maxSlots); {
	case len(t.opened) > 0:
		return nil
	case len(t.foreign) > 0:
		e := c.Damaged(descriptionName, "it is that of another cloud than the slot "+t.foreign[0]+", which the passphrase opens")
		e.Hint = "Put back from a copy of the bucket what does not belong there: cairn.json, or that slot."
		return e
	case len(t.damaged) > 0:
		e := c.Damaged(t.damaged[0], "the passphrase opens it, but it holds no key")
		e.Hint = "Put it back from a copy of the bucket, or give the key with --key FILE (CAIRN_KEY)."
		return e
	case read == 0:
		return locked(fmt.Sprintf("The cloud %s has no passphrase.", c.url), "Give its key with --key FILE (CAIRN_KEY). On a device that has it, cairn cloud key prints it.")
	case len(t.broken) == read:
		e := c.Damaged(t.broken[0], "no passphrase opens it, nor is there a slot that one does")
		e.Hint = "Put the slots back from a copy of the bucket, or give the key with --key FILE (CAIRN_KEY)."
		return e
	}
	e := &cairn.Error{
		Code:    cairn.CodePassphraseWrong,
		Message: fmt.Sprintf("The passphrase is none of those of the cloud %s.", c.url),
		Hint:    "Type it again, and mind capitals and the layout of the keyboard. Or give the key with --key FILE (CAIRN_KEY).",
	}
	if n := len(t.broken); n > 0 {
		e.Message += fmt.Sprintf(" What should be a slot cannot be read, %s", t.broken[0])
		if n > 1 {
			e.Message += fmt.Sprintf(" and %d more", n-1)
		}
		e.Message += "."
	}
	if more := len(t.slots) - maxSlots; more > 0 {
		e.Message += fmt.Sprintf(" Only the newest %d of %d slots were read.", maxSlots, len(t.slots))
	}
	return e
}

// openSlots returns the key that the supplied passphrase opens, and that opens d.
func (c *Cloud) openSlots(ctx context.Context, d description) (*age.X25519Identity, error) {
	t, err := c.try(ctx, c.cfg.Passphrase, d.opens, false)
	if err != nil {
		return nil, err
	}
	return t.key, t.failure(c)
}

// own reports whether a key is that of the cloud.
func (c *Cloud) own(identity *age.X25519Identity) bool {
	return identity.String() == c.identity.String()
}

// writeSlot adds a slot. It is there when this returns nil, and after other errors
// than bucket.ErrUnknown it is not.
func (c *Cloud) writeSlot(ctx context.Context, p Passphrase) (Slot, error) {
	data, err := c.wrap(p)
	if err != nil {
		return Slot{}, fmt.Errorf("encrypting a slot: %w", err)
	}
	name := slotFolder + c.randomDigits() + slotSuffix
	if err := bucket.Create(ctx, c.cfg.Bucket, name, bytes.NewReader(data)); err != nil {
		return Slot{}, c.failure(ctx, "writing", name, err)
	}
	object, err := c.cfg.Bucket.Head(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return Slot{}, c.failure(ctx, "looking for", name, err)
	}
	if err != nil { // it opens the cloud all the same
		c.cfg.Log.Warn("when a slot was made is not known", "cloud", c.url, "object", name, "err", err)
	}
	return Slot{name, object.Modified}, nil
}

// wrap returns the content of a slot of a passphrase.
func (c *Cloud) wrap(p Passphrase) ([]byte, error) {
	c.cfg.Scrypt.Lock()
	defer c.cfg.Scrypt.Unlock()
	wrapper, err := age.NewScryptRecipient(p.Reveal())
	if err != nil {
		return nil, err
	}
	wrapper.SetWorkFactor(c.cfg.WorkFactor)
	var data bytes.Buffer
	w, err := age.Encrypt(&data, wrapper)
	if err == nil {
		_, err = w.Write(keys.Text(c.id, c.identity, c.cfg.Now()))
	}
	if err == nil {
		err = w.Close()
	}
	return data.Bytes(), err
}
