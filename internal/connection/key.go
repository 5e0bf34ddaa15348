package connection

import (
	"context"
	"errors"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/kit"
)

// id returns the id of the cloud that is used, as far as it is known.
func (c *Connections) id(ctx context.Context, p Place) (string, error) {
	id, err := c.cfg.Device.KnownCloud(ctx, p.key)
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", &cairn.Error{
			Code:    cairn.CodeNoCloud,
			Message: "The cloud " + p.url + " has never been opened here, so there is no key of it.",
			Hint:    "cairn cloud status says why it cannot be opened.",
		}
	}
	return id, nil
}

// Lock forgets the key of the cloud that is used: from then on it is locked on this
// device, until it is connected with its key or a passphrase. What is under way
// comes to its end. Doing it again is no error.
//
// It is refused (cairn.CodeKeyNeeded) unless the cloud has a passphrase or the user
// has said to have the recovery kit: else nobody might be able to open the backups
// any more. When another one is connected meanwhile, neither is locked:
// cairn.CodeChanged.
func (c *Connections) Lock(ctx context.Context) error {
	place := c.Place()
	id, err := c.id(ctx, place)
	if err != nil {
		return err
	}
	switch at, err := c.cfg.Keys.Place(id); {
	case err != nil:
		return err
	case at == cairn.KeyNowhere:
		return nil
	}
	select {
	case <-c.removing:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { c.removing <- struct{}{} }()
	if err := c.checkConfigured(id); err != nil {
		return err
	}
	if err := c.checkOtherWay(ctx, id); err != nil {
		return err
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.Place().key != place.key {
		return errSwitched
	}
	err = c.cfg.Keys.Remove(id)
	// Also after an error: who knows whether it is gone.
	c.setNow(newConnection(place))
	c.engine.Switch(nil)
	if err == nil {
		c.cfg.Log.Info("the key of the cloud was forgotten", "cloud", place.url, "id", id)
	}
	return err
}

// checkConfigured refuses if the configuration gives the key of the cloud with this
// id, so that forgetting it here would change nothing.
func (c *Connections) checkConfigured(id string) error {
	if c.cfg.Identity == nil {
		return nil
	}
	if !c.configured.given {
		stored, err := c.cfg.Keys.Load(id)
		if err != nil || stored == nil || stored.String() != c.cfg.Identity.String() {
			return err
		}
	}
	return invalid("The configuration of the daemon gives the key of the cloud, with --key, CAIRN_KEY or in the file.",
		"Take it out of there, start the daemon again, then lock the cloud.")
}

// errSwitched says that what was asked of one cloud would be done to another one.
var errSwitched = &cairn.Error{
	Code:    cairn.CodeChanged,
	Message: "Another cloud is used by now.",
	Hint:    "See which with cairn cloud status. Nothing was changed.",
}

// checkOtherWay refuses unless the cloud with this id can be opened without the key
// that is kept here.
func (c *Connections) checkOtherWay(ctx context.Context, id string) error {
	at, err := c.cfg.Device.KitAcknowledged(ctx, id)
	if err != nil || !at.IsZero() {
		return err
	}
	slots, err := withCloud(ctx, c, func(o *cloud.Cloud) ([]cloud.Slot, error) {
		if o.ID() != id {
			return nil, errSwitched
		}
		return o.Slots(ctx)
	})
	if errors.Is(err, errSwitched) {
		return err
	}
	if err != nil {
		return told(err, "So it is not known whether the cloud has a passphrase, and its key stays.")
	}
	if len(slots) > 0 {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeKeyNeeded,
		Message: "The key on this device may be the only one: the cloud has no passphrase, and no recovery kit is acknowledged.",
		Hint:    "Print one with cairn cloud recovery-kit and acknowledge it, or add a passphrase with cairn cloud passphrase add. Nothing was changed.",
	}
}

// told returns an error with another sentence in its message.
func told(err error, sentence string) error {
	more := cairn.Error{Code: cairn.CodeInternal, Message: "The daemon failed at this.", Hint: "Its log says why.", Err: err}
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		more = *e
	}
	more.Message += " " + sentence
	return &more
}

// MoveKey has the key of the cloud that is used kept somewhere else. It was read back
// from there before it is removed where it was.
func (c *Connections) MoveKey(ctx context.Context, to cairn.KeyPlace) error {
	if to != cairn.KeyInFile && to != cairn.KeyInKeychain {
		return invalid("A key cannot be kept there.", "It is kept in a file or in the keychain.")
	}
	id, err := c.id(ctx, c.Place())
	if err != nil {
		return err
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	return c.cfg.Keys.Move(id, to)
}

// AcknowledgeKit stores that the user has the recovery kit of the cloud that is
// used, which shows the code.
func (c *Connections) AcknowledgeKit(ctx context.Context, code string) error {
	id, err := c.id(ctx, c.Place())
	if err != nil {
		return err
	}
	identity, err := c.cfg.Keys.Load(id)
	if err != nil {
		return err
	}
	if identity == nil {
		return &cairn.Error{
			Code:    cairn.CodeCloudLocked,
			Message: "The key of the cloud is not on this device, so no recovery kit can be compared with it.",
			Hint:    "Unlock it first with cairn cloud unlock.",
		}
	}
	if !(kit.Kit{Cloud: id, Key: cairn.NewSecret(identity.String())}).Acknowledges(code) {
		// What was given may be the key, which stands in the kit too.
		return invalid("This code is not that of the recovery kit of this cloud.",
			"It stands at the end of the kit. A kit of another cloud has another one.")
	}
	return c.cfg.Device.AcknowledgeKit(ctx, id)
}
