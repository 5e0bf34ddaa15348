package connection

import (
	"context"
	"path"
	"slices"
	"strings"

	"cairn"
	"cairn/internal/cloud"
)

// Passphrases returns the passphrases of the cloud that is used, oldest first.
func (c *Connections) Passphrases(ctx context.Context) ([]cairn.Slot, error) {
	return withCloud(ctx, c, func(o *cloud.Cloud) ([]cairn.Slot, error) {
		slots, err := o.Slots(ctx)
		slices.Reverse(slots)
		return slotsOf(slots), err
	})
}

// AddPassphrase has the cloud that is used open with one more passphrase. The error
// of one that cannot be used is cairn.CodeInvalid.
func (c *Connections) AddPassphrase(ctx context.Context, p cairn.Secret) (cairn.Slot, error) {
	return withCloud(ctx, c, func(o *cloud.Cloud) (cairn.Slot, error) {
		slot, err := o.AddPassphrase(ctx, cloud.NewPassphrase(p.Reveal()))
		return slotOf(slot), err
	})
}

// ChangePassphrase has it open with now in the place of before. At any moment, and
// after an error, one of them opens it.
func (c *Connections) ChangePassphrase(ctx context.Context, before, now cairn.Secret) error {
	_, err := withCloud(ctx, c, func(o *cloud.Cloud) (struct{}, error) {
		return struct{}{}, o.ChangePassphrase(ctx, cloud.NewPassphrase(before.Reveal()), cloud.NewPassphrase(now.Reveal()))
	})
	return err
}

// RemovePassphrase has it not open with a passphrase any more, and returns what was
// removed.
func (c *Connections) RemovePassphrase(ctx context.Context, p cairn.Secret) ([]cairn.Slot, error) {
	return removeFrom(ctx, c, func(o *cloud.Cloud) ([]cairn.Slot, error) {
		slots, err := o.RemovePassphrase(ctx, cloud.NewPassphrase(p.Reveal()))
		return slotsOf(slots), err
	})
}

// RemoveSlot is RemovePassphrase for one whose name is known.
func (c *Connections) RemoveSlot(ctx context.Context, name string) error {
	_, err := removeFrom(ctx, c, func(o *cloud.Cloud) (struct{}, error) {
		return struct{}{}, o.RemoveSlot(ctx, cloud.SlotObject(name))
	})
	return err
}

// removeFrom is withCloud for what may remove the last passphrase: never while Lock
// forgets the key because there is one, nor after that.
func removeFrom[T any](ctx context.Context, c *Connections, do func(*cloud.Cloud) (T, error)) (T, error) {
	return within(ctx, func() (v T, err error) {
		select {
		case <-c.removing:
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
		defer func() { c.removing <- struct{}{} }()
		opened, err := c.engine.Connect(ctx)
		if err != nil {
			return v, err
		}
		return do(opened)
	})
}

// withCloud returns what do does with the cloud that is used, or the cause of ctx as
// soon as that ends.
func withCloud[T any](ctx context.Context, c *Connections, do func(*cloud.Cloud) (T, error)) (T, error) {
	opened, err := c.engine.Connect(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return within(ctx, func() (T, error) { return do(opened) })
}

// slotOf returns a slot as it is shown: by the random part of its name.
func slotOf(s cloud.Slot) cairn.Slot {
	return cairn.Slot{Name: strings.TrimSuffix(path.Base(s.Name), path.Ext(s.Name)), Created: s.Created}
}

func slotsOf(slots []cloud.Slot) []cairn.Slot {
	all := make([]cairn.Slot, len(slots))
	for i, s := range slots {
		all[i] = slotOf(s)
	}
	return all
}
