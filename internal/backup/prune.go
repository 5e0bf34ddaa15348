package backup

import (
	"context"

	"cairn"
	"cairn/internal/cloud"
)

// Prune removes from the cloud what no backup needs any more, and tells how far it
// is; report must not wait. A dry run removes nothing. It is safe beside everything
// else that this device and others do. When ctx ends, it stops, and goes on with the
// next one.
func (e *Engine) Prune(ctx context.Context, dry bool, report func(cairn.PruneProgress)) (cairn.Pruned, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return cairn.Pruned{}, err
	}
	pruned, err := ask(ctx, e, func() (cairn.Pruned, error) {
		return c.Prune(ctx, cloud.PruneOptions{DryRun: dry, Report: report})
	})
	return pruned, e.lost(c, err)
}

// Undelete brings a deleted backup back into the list. Its errors are
// cairn.CodeBackupNotFound, cairn.CodeTooLate and those of clouds.
func (e *Engine) Undelete(ctx context.Context, id string) (cairn.Backup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return cairn.Backup{}, err
	}
	b, err := ask(ctx, e, func() (cairn.Backup, error) { return c.Undelete(ctx, id) })
	if err == nil {
		e.mu.Lock()
		delete(e.gone, id)
		e.mu.Unlock()
	}
	return b, e.lost(c, err)
}

// Deleted returns the backups of either scope that Undelete can bring back, the last
// deleted first.
func (e *Engine) Deleted(ctx context.Context) ([]cairn.DeletedBackup, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return nil, err
	}
	list, err := ask(ctx, e, func() ([]cairn.DeletedBackup, error) { return c.Deleted(ctx) })
	return list, e.lost(c, err)
}
