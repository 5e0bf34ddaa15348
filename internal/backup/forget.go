package backup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/internal/cloud"
)

// Forget deletes the backups that a policy does not keep, of one device or of each
// by itself; see cloud.Keep. Deleted backups can be brought back for a while.
//
// When the error is not nil, the result tells what was deleted before: going on is
// doing it once more. An empty policy is cairn.CodeInvalid, as is a device that has
// no backups.
func (e *Engine) Forget(ctx context.Context, policy cairn.Retention, o cairn.ForgetOptions) (cairn.Forgotten, error) {
	result := cairn.Forgotten{Policy: policy, DryRun: o.DryRun}
	if err := checkPolicy(policy, o); err != nil {
		return result, err
	}
	c, err := e.Connect(ctx)
	if err != nil {
		return result, err
	}
	l, err := e.list(ctx, c)
	if err != nil {
		return result, e.lost(c, err)
	}
	chosen, err := e.ofDevice(l.dated, o)
	if err != nil {
		return result, err
	}
	for _, d := range cloud.Keep(policy, l.dated, e.cfg.Now(), time.Local) {
		if chosen(d.Backup) {
			result.Decisions = append(result.Decisions, d)
		}
	}
	if o.DryRun {
		return result, nil
	}
	return result, e.forget(ctx, result.Decisions)
}

// checkPolicy refuses what would do nothing, or cannot be meant.
func checkPolicy(policy cairn.Retention, o cairn.ForgetOptions) error {
	switch err := policy.Validate(); {
	case err != nil:
		return &cairn.Error{Code: cairn.CodeInvalid, Message: "A rule cannot be used: " + err.Error() + ".", Hint: "Nothing was deleted."}
	case policy.IsEmpty():
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "No rule says which backups to keep, so all stay.",
			Hint:    "Give one, such as --keep-daily 7, or set rules in the configuration, under [retention].",
		}
	case o.AllDevices && o.Device != "":
		return &cairn.Error{Code: cairn.CodeInvalid, Message: "One device and all of them cannot both be meant.", Hint: "Name a device, or take all. Nothing was deleted."}
	}
	return nil
}

// ofDevice returns which backups the options mean.
func (e *Engine) ofDevice(backups []cairn.DatedBackup, o cairn.ForgetOptions) (func(cairn.Backup) bool, error) {
	switch {
	case o.AllDevices:
		return func(cairn.Backup) bool { return true }, nil
	case o.Device == "":
		own := e.cfg.Device.Installation()
		return func(b cairn.Backup) bool { return b.Installation == own }, nil
	}
	chosen := func(b cairn.Backup) bool { return b.Installation == o.Device || b.DeviceName == o.Device }
	var names []string
	for _, b := range backups {
		if chosen(b.Backup) {
			return chosen, nil
		}
		names = append(names, cairn.Quote(b.DeviceName))
	}
	slices.Sort(names)
	hint := "There are no backups."
	if names = slices.Compact(names); len(names) > 0 {
		hint = "There are backups of " + strings.Join(names, ", ") + "."
	}
	return nil, &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "There is no backup of a device " + cairn.Quote(o.Device) + ".",
		Hint:    hint,
	}
}

// forget deletes what is not to be kept, several at once, the oldest first. After a
// failure nothing more is begun, and what has begun ends.
func (e *Engine) forget(ctx context.Context, decisions []cairn.Decision) error {
	var g errgroup.Group
	var failed atomic.Bool
	g.SetLimit(e.transfers())
	for i := range slices.Backward(decisions) {
		d := &decisions[i]
		if d.Keep {
			continue
		}
		g.Go(func() error {
			if failed.Load() {
				return nil
			}
			err := e.Delete(ctx, d.ID)
			d.Removed = err == nil || cairn.CodeOf(err) == cairn.CodeBackupNotFound
			if d.Removed {
				return nil
			}
			failed.Store(true)
			return fmt.Errorf("deleting %s: %w", d.ID, err)
		})
	}
	return g.Wait()
}
