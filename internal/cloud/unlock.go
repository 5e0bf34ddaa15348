package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/keys"
)

// maxGrace is the longest grace time that makes sense: ten years.
const maxGrace = 10 * 365 * 24 * time.Hour

// unlock finds the key of the cloud, authenticates cairn.json with it, and
// keeps what it says. A key that the user supplied is stored once it is known
// to be right.
func (c *Cloud) unlock(ctx context.Context, data []byte) error {
	d, err := c.parseDescription(data)
	if err != nil {
		return err
	}
	stored, err := c.cfg.Keys.Load(d.ID)
	// What is supplied opens the cloud while the keychain, which has the key, cannot.
	kept := errors.Is(err, keys.ErrKeychain) && (c.cfg.Identity != nil || !c.cfg.Passphrase.IsZero())
	if err != nil && !kept {
		return err
	}
	identity, err := c.choose(ctx, d, stored)
	if err != nil {
		return err
	}
	_, err = time.Parse(timeLayout, d.Created)
	if err != nil || d.GraceSeconds <= 0 || d.GraceSeconds > int64(maxGrace/time.Second) {
		return c.Damaged(descriptionName, "its times are not ones that cairn writes")
	}
	if stored == nil && !kept {
		if err := c.save(d.ID, identity); err != nil {
			return err
		}
	}
	c.id, c.identity, c.grace = d.ID, identity, time.Duration(d.GraceSeconds)*time.Second
	c.seal, err = newSeal(identity, d.ID)
	return err
}

// save stores the key of a cloud, unless somebody who opened it at the same time has
// done so.
func (c *Cloud) save(id string, identity *age.X25519Identity) error {
	err := c.cfg.Keys.Save(id, identity)
	if errors.Is(err, fs.ErrExist) {
		if stored, loadErr := c.cfg.Keys.Load(id); loadErr == nil && stored != nil && stored.String() == identity.String() {
			return nil
		}
	}
	return err
}

// choose returns the key that opens d: the supplied one, the stored one, that of
// the cloud which was there before, or one that the passphrase opens.
//
// The stored key is the cloud's: only a key that opened this id is ever stored.
// So where it does not open d, cairn.json is wrong. A supplied key can be
// wrong itself, unless d names it.
func (c *Cloud) choose(ctx context.Context, d description, stored *age.X25519Identity) (*age.X25519Identity, error) {
	given, path := c.cfg.Identity, c.cfg.Keys.Where(d.ID)
	switch {
	case given == nil && stored == nil:
		return c.chooseKnown(ctx, d)
	case given == nil || stored != nil && given.String() == stored.String():
		if !d.opens(stored) {
			e := c.Damaged(descriptionName, d.mismatch(stored))
			e.Hint = "Put cairn.json back from a copy of the bucket. If you put the key of this device there yourself, look whether it is the right one: " + path + "."
			return nil, e
		}
		return stored, nil
	case d.opens(given) && stored == nil:
		return given, nil
	case d.opens(given):
		return nil, locked(
			fmt.Sprintf("This device has another key than the one of the cloud %s: %s.", c.url, path),
			"Move that one away, and give the key with --key FILE (CAIRN_KEY) again. Nothing was overwritten.")
	case d.Recipient == given.Recipient().String():
		return nil, c.Damaged(descriptionName, d.mismatch(given))
	}
	message := fmt.Sprintf("The key that was supplied is not the one of the cloud %s: its cairn.json names the public key %s, and the one supplied is %s.",
		c.url, cairn.Quote(d.Recipient), given.Recipient())
	if stored != nil && d.opens(stored) {
		return nil, keyWrong(message, "Leave --key (CAIRN_KEY) out: this device has the right key. Nothing was overwritten.")
	}
	return nil, keyWrong(message,
		"Give the right key with --key FILE (CAIRN_KEY). If it is the right one, cairn.json is damaged: put it back from a copy of the bucket.")
}

// chooseKnown does the work of choose where there is neither a supplied key
// nor one stored for this id. Where d names the key of the cloud that was there
// before, either that key has two clouds or the id was damaged.
func (c *Cloud) chooseKnown(ctx context.Context, d description) (*age.X25519Identity, error) {
	message := fmt.Sprintf("The cloud %s is locked: its key is not on this device. Its cairn.json has the id %s and names the public key %s.",
		c.url, d.ID, cairn.Quote(d.Recipient))
	if c.cfg.Known != "" && c.cfg.Known != d.ID {
		before, err := c.cfg.Keys.Load(c.cfg.Known)
		switch {
		case err != nil:
			return nil, err
		case before != nil && d.opens(before):
			return before, nil
		case before != nil && d.Recipient == before.Recipient().String():
			return nil, c.Damaged(descriptionName, d.mismatch(before))
		}
		message += fmt.Sprintf(" The cloud that was there before had the id %s.", c.cfg.Known)
	}
	if !c.cfg.Passphrase.IsZero() {
		return c.openSlots(ctx, d)
	}
	return nil, locked(message, c.hintLocked(ctx))
}

// hintLocked returns what can be done about a key that is not here.
func (c *Cloud) hintLocked(ctx context.Context) string {
	const give = "Give its key with --key FILE (CAIRN_KEY). On a device that has it, cairn cloud key prints it."
	slots, err := c.Slots(ctx)
	switch {
	case err != nil || len(slots) == 0:
		return give // there may be none, which is no reason for another error
	case len(slots) == 1:
		return "It has a passphrase, which cairn cloud unlock and cloud connect take. Or give" + strings.TrimPrefix(give, "Give")
	}
	return fmt.Sprintf("It has %d passphrases, of which cairn cloud unlock and cloud connect take one. Or give%s", len(slots), strings.TrimPrefix(give, "Give"))
}

// locked returns an error of cairn.CodeCloudLocked.
func locked(message, hint string) error {
	return &cairn.Error{Code: cairn.CodeCloudLocked, Message: message, Hint: hint}
}

// keyWrong returns an error of cairn.CodeKeyWrong.
func keyWrong(message, hint string) error {
	return &cairn.Error{Code: cairn.CodeKeyWrong, Message: message, Hint: hint}
}

// replaced returns the error for a place that turned into another cloud.
func (c *Cloud) replaced(d description) error {
	return &cairn.Error{
		Code:    cairn.CodeBucketMissing,
		Message: fmt.Sprintf("The cloud %s is not the one that was opened: the id in its cairn.json was %s and is %s now.", c.url, c.id, d.ID),
		Hint:    Whereabouts(c.url) + " If two devices made a cloud there at the same moment, the one that is there now counts. To go on with it, start cairn again, with its key (--key FILE) unless this device has it.",
	}
}
