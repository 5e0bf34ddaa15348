package cloud

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"

	"cairn"
)

const (
	// removals is how many objects are removed at once.
	removals = 16
	// maxRefusals is how many removals may fail before prune gives up: one object
	// may be locked, but where so many cannot be removed none can.
	maxRefusals = 10
)

// A sweeper removes objects, several at once.
type sweeper struct {
	p     *pruning
	total int64

	mu       sync.Mutex
	done     int64
	refusals int
	first    error // why one could not be removed
}

// sweep removes what is dead, and then the copies whose grace is over: what they
// name needs no copy to be found dead. A copy goes before its receipt, so that a
// crash leaves a receipt alone, which the next prune removes.
func (p *pruning) sweep(ctx context.Context) error {
	dead := p.result().Dead
	s := &sweeper{p: p, total: dead.Objects + int64(len(p.expiredTrash()))}
	var err error
	for _, shelf := range []*shelf{&p.parts, &p.index} {
		if err == nil {
			err = s.clear(ctx, shelf)
		}
	}
	for _, names := range p.expiredTrash() {
		if err == nil {
			err = s.empty(ctx, names)
		}
	}
	if err == nil {
		err = s.first
	}
	return err
}

// clear removes the dead of a folder.
func (s *sweeper) clear(ctx context.Context, shelf *shelf) error {
	g, group := errgroup.WithContext(ctx)
	g.SetLimit(removals)
	for i := range shelf.stored {
		o := &shelf.stored[i]
		if !o.dead() {
			continue
		}
		if group.Err() != nil {
			break
		}
		name := linesNameOf(shelf.folder, o.key)
		g.Go(guarded(name, func() error {
			removed, err := s.remove(group, name)
			if removed {
				s.mu.Lock()
				s.p.deleted.Add(o.size)
				s.mu.Unlock()
			}
			return err
		}))
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// empty removes a copy, and then what belongs to it.
func (s *sweeper) empty(ctx context.Context, names []string) error {
	for _, name := range names {
		removed, err := s.remove(ctx, name)
		if err != nil {
			return err
		}
		if !removed {
			break
		}
		s.p.emptied++
	}
	return nil
}

// remove removes an object. The error is one after which there is no use in going
// on.
func (s *sweeper) remove(ctx context.Context, name string) (removed bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	c := s.p.c
	err = c.remove(ctx, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.done++
		s.p.report(cairn.PruneProgress{Step: cairn.PruneDeleting, Done: s.done, Total: s.total})
		return true, nil
	}
	err = c.failure(ctx, "deleting", name, err)
	if s.first == nil {
		s.first = err
	}
	if s.refusals++; s.refusals >= maxRefusals || ctx.Err() != nil {
		return false, s.first
	}
	return false, nil
}

// dead reports whether no backup needs an object any more, or ever will.
func (s stored) dead() bool { return s.old && !s.live }

// expiredTrash returns the objects of trash/ whose time is over, each with what
// belongs to it.
func (p *pruning) expiredTrash() (all [][]string) {
	for _, t := range p.trash.copies {
		if !t.receipt.IsZero() && p.c.over(t.receipt, p.now) {
			all = append(all, []string{t.object.Name, t.object.Name + receiptSuffix})
		}
	}
	for _, t := range p.trash.checkpoints {
		if p.c.over(t.object.Modified, p.now) {
			all = append(all, []string{t.object.Name})
		}
	}
	for _, o := range append(p.trash.receipts[:len(p.trash.receipts):len(p.trash.receipts)], p.trash.probes...) {
		if p.c.over(o.Modified, p.now) {
			all = append(all, []string{o.Name})
		}
	}
	return all
}

// result returns what is known: nothing before all that counts was read, since what
// is needed would pass for what is not.
func (p *pruning) result() cairn.Pruned {
	if !p.looked {
		return cairn.Pruned{DryRun: p.dry}
	}
	r := cairn.Pruned{
		DryRun: p.dry, Deleted: p.deleted, Backups: p.backups,
		Emptied: p.emptied, Foreign: p.foreign + p.trash.foreign,
	}
	for _, names := range p.expiredTrash() {
		r.Trash += int64(len(names))
	}
	for _, s := range []shelf{p.parts, p.index} {
		for _, o := range s.stored {
			switch {
			case o.live:
				r.Live.Add(o.size)
			case o.dead():
				r.Dead.Add(o.size)
			default:
				r.Young.Add(o.size)
			}
		}
	}
	return r
}

// guarded returns fn with its panics as errors, since a library may do that to a
// hostile object.
func guarded(name string, fn func() error) func() error {
	return func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("at %s: panic: %v\n%s", name, r, debug.Stack())
			}
		}()
		return fn()
	}
}
