package main

import (
	"context"
	"time"

	"cairn"
)

// tidyUp does what follows an automatic backup: it deletes the backups of this
// device that the configured rules do not keep, and prunes the cloud, while the
// user is signed in.
func (d *daemonProcess) tidyUp(ctx context.Context) error {
	if err := d.signedIn(); err != nil {
		return err
	}
	if err := d.retain(ctx); err != nil {
		return err
	}
	return d.prune(ctx)
}

// retain applies the rules of retention, if there are any.
func (d *daemonProcess) retain(ctx context.Context) error {
	rules := d.retention().Keep
	if rules.IsEmpty() {
		return nil
	}
	result, err := d.engine.Forget(ctx, rules, cairn.ForgetOptions{})
	if removed, left := result.Removed(); removed+left > 0 {
		d.log.Info("backups that no rule keeps were deleted", "rules", rules.String(), "deleted", removed, "left", left)
	}
	return err
}

// prune prunes the cloud, if that is configured and the last time is long enough
// ago.
func (d *daemonProcess) prune(ctx context.Context) error {
	cloud, ok := d.engine.Connected()
	rules := d.retention()
	if !rules.Prune || !ok {
		return nil
	}
	last, err := d.device.Pruned(ctx, cloud)
	if err != nil { // it is done once more than it need be
		d.log.Warn("when the cloud was pruned last is not known", "err", err)
	}
	now := time.Now()
	if !pruneDue(last, now, rules.PruneEvery) {
		return nil
	}
	result, err := d.engine.Prune(ctx, false, func(cairn.PruneProgress) {})
	if err != nil {
		return err
	}
	d.log.Info("the cloud was pruned", "deleted", result.Deleted.Objects, "bytes", result.Deleted.Bytes, "kept", result.Live.Objects+result.Young.Objects)
	if err := d.device.SetPruned(ctx, cloud, now); err != nil {
		d.log.Warn("when the cloud was pruned was not noted", "err", err)
	}
	return nil
}

// pruneDue reports whether a cloud is to be pruned that was last pruned at a time;
// one in the future is of a clock that was wrong.
func pruneDue(last, now time.Time, every time.Duration) bool {
	return last.After(now) || now.Sub(last) >= every
}
