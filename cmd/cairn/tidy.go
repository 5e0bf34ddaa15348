package main

import (
	"context"

	"cairn"
)

// tidyUp does what follows an automatic backup: it deletes the backups of this
// device that the configured rules do not keep.
func (d *daemonProcess) tidyUp(ctx context.Context) error {
	rules := d.config.Retention.Keep
	if rules.IsEmpty() {
		return nil
	}
	result, err := d.engine.Forget(ctx, rules, cairn.ForgetOptions{})
	if removed, left := result.Removed(); removed+left > 0 {
		d.log.Info("backups that no rule keeps were deleted", "rules", rules.String(), "deleted", removed, "left", left)
	}
	return err
}
