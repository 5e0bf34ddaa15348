package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cairn"
	"cairn/internal/bucket"
)

// AddPassphrase has a passphrase open the cloud, and returns its slot: a new one, or
// the one that is there already. Nothing else in the bucket changes.
//
// Its errors are those of the package, and cairn.CodeInvalid for a passphrase that
// [Passphrase.Check] refuses and for a cloud that has 16 slots. When the outcome is
// not known, AddPassphrase can be repeated.
func (c *Cloud) AddPassphrase(ctx context.Context, p Passphrase) (Slot, error) {
	if err := p.Check(); err != nil {
		return Slot{}, err
	}
	if err := c.Check(ctx); err != nil { // it may be another disk by now
		return Slot{}, err
	}
	return c.add(ctx, p)
}

// add adds a passphrase if there is room for it.
func (c *Cloud) add(ctx context.Context, p Passphrase) (Slot, error) {
	t, err := c.try(ctx, p, c.own, false)
	if err != nil {
		return Slot{}, err
	}
	if len(t.opened) > 0 {
		return t.opened[0], nil
	}
	if len(t.slots) >= maxSlots {
		return Slot{}, c.noRoom(len(t.slots))
	}
	return c.writeSlot(ctx, p)
}

// noRoom returns the error for a cloud that has too many slots for one more.
func (c *Cloud) noRoom(slots int) error {
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: fmt.Sprintf("The cloud %s has %d passphrases, and can have %d.", c.url, slots, maxSlots),
		Hint:    "Remove one first: cairn cloud passphrase list shows them, cairn cloud passphrase remove removes one.",
	}
}

// ChangePassphrase has a new passphrase open the cloud, and the old one no more. The
// cloud opens with one of them at every moment: the new slot is added, and then those
// that the old one opens are removed. The key stays as it is: whoever has seen it, or
// has the old passphrase and a copy of its slot, can read the backups.
//
// After an error both may open it; ChangePassphrase can then be repeated, also when
// the old one opens nothing any more, but the new one does. Its errors are those of
// [Cloud.AddPassphrase], so a cloud needs room for one more, and
// cairn.CodePassphraseWrong for an old one that opens nothing. When two devices
// change the same one at the same time, both new ones open the cloud.
func (c *Cloud) ChangePassphrase(ctx context.Context, old, new Passphrase) error {
	if err := new.Check(); err != nil {
		return err
	}
	if old.Reveal() == new.Reveal() {
		return &cairn.Error{Code: cairn.CodeInvalid, Message: "The new passphrase is the old one.", Hint: "Choose another one. Nothing was changed."}
	}
	if err := c.Check(ctx); err != nil {
		return err
	}
	t, err := c.try(ctx, old, c.own, true)
	if err != nil {
		return err
	}
	if wrong := t.failure(c); wrong != nil {
		changed, err := c.try(ctx, new, c.own, false)
		if err != nil {
			return err
		}
		if len(changed.opened) > 0 {
			return nil // an earlier run has done it
		}
		return wrong
	}
	if len(t.slots) > maxSlots {
		return c.noRoom(len(t.slots)) // not all were read, and the old one may open others
	}
	if _, err := c.add(ctx, new); err != nil {
		return err
	}
	if _, err := c.removeSlots(ctx, t.opened); err != nil {
		return noted(err, "The new passphrase opens the cloud, and the old one may still do so.", "Change it again, with the same two.")
	}
	return nil
}

// RemovePassphrase has a passphrase open the cloud no more, and returns the slots
// that it removed: also with an error, after which it can be repeated. It may be the
// last one: without the key, nobody opens the cloud then. One that opens nothing is
// cairn.CodePassphraseWrong, or CodeCloudLocked where there is no slot.
func (c *Cloud) RemovePassphrase(ctx context.Context, p Passphrase) (removed []Slot, err error) {
	if err := c.Check(ctx); err != nil {
		return nil, err
	}
	for {
		t, err := c.try(ctx, p, c.own, true)
		if err != nil {
			return removed, err
		}
		if len(t.opened) == 0 && len(removed) > 0 {
			return removed, nil
		}
		if err := t.failure(c); err != nil {
			return nil, err
		}
		gone, err := c.removeSlots(ctx, t.opened)
		removed = append(removed, gone...)
		if err != nil {
			return removed, noted(err, "The passphrase may still open the cloud.", "Remove it again.")
		}
		if len(t.slots) <= maxSlots {
			return removed, nil
		}
		// Others are among the newest now.
	}
}

// RemoveSlot removes a slot by its name, as Slots has it, whatever passphrase it is
// for. A name of no slot is cairn.CodeInvalid. It may be the last one, as with
// RemovePassphrase.
func (c *Cloud) RemoveSlot(ctx context.Context, name string) error {
	none := &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: fmt.Sprintf("The cloud %s has no slot %s.", c.url, cairn.Quote(name)),
		Hint:    "cairn cloud passphrase list shows the names of those that it has.",
	}
	if !isSlotName(name) { // it may be the passphrase
		none.Message = fmt.Sprintf("The cloud %s has no slot of that name.", c.url)
		return none
	}
	if err := c.Check(ctx); err != nil {
		return err
	}
	_, err := c.cfg.Bucket.Head(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return none
	}
	if err != nil {
		return c.failure(ctx, "looking for", name, err)
	}
	_, err = c.removeSlots(ctx, []Slot{{Name: name}})
	return err
}

// removeSlots removes slots until one cannot be, and returns those that are gone.
func (c *Cloud) removeSlots(ctx context.Context, slots []Slot) (removed []Slot, err error) {
	for _, slot := range slots {
		if err := c.remove(ctx, slot.Name); err != nil {
			return removed, c.failure(ctx, "deleting", slot.Name, err)
		}
		removed = append(removed, slot)
	}
	return removed, nil
}

// noted adds to an error what a person must know and do besides. One that is not of
// cairn, as that of ctx, stays as it is.
func noted(err error, message, hint string) error {
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		return err
	}
	more := *e
	more.Message += " " + message
	more.Hint = strings.TrimSpace(e.Hint + " " + hint)
	more.Err = err
	return &more
}
