package backup

import (
	"context"
	"slices"
	"time"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// spoil notes parts and indexes that were found damaged or missing with the bases
// that use them. So the next creation writes what they hold anew, as far as the
// database still has it, and takes none of them over.
//
// They are also remembered as long as the engine lives, for what has no such note: a
// base that a creation adds which has begun before, those of the database that Undo
// brings back, and the journal of a backup that could not be noted.
func (e *Engine) spoil(ctx context.Context, c *cloud.Cloud, names []string) {
	if len(names) == 0 {
		return
	}
	e.mu.Lock()
	for _, name := range names {
		e.bad[name] = true
	}
	e.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	bases, err := e.cfg.Database.Bases(ctx, c.ID())
	for _, b := range bases {
		held, parseErr := parse(b)
		if parseErr != nil {
			continue // it is not built on
		}
		before := len(held.Bad)
		for _, name := range names {
			if held.names(name) && !slices.Contains(held.Bad, name) {
				held.Bad = append(held.Bad, name)
			}
		}
		if len(held.Bad) == before {
			continue
		}
		text, markErr := held.text()
		if markErr == nil {
			markErr = e.cfg.Database.MarkBase(ctx, b.Cloud, b.Backup, text)
		}
		if markErr != nil {
			err = markErr
		}
		e.cfg.Log.Warn("objects of a backup are damaged or missing; the next one writes anew what they hold", "backup", b.Backup, "objects", held.Bad)
	}
	if err != nil {
		e.cfg.Log.Warn("damaged objects could not be noted here", "err", err)
	}
}

// distrust forgets all bases if a backup is one of them: all its objects are sound, but
// its documents do not add up to what it says. Each backup that is built on one inherits
// that, if the database says the same. So the next one is a full one, of which all is
// read and compared.
func (e *Engine) distrust(ctx context.Context, c *cloud.Cloud, id string) {
	ctx = context.WithoutCancel(ctx)
	bases, err := e.cfg.Database.Bases(ctx, c.ID())
	if !slices.ContainsFunc(bases, func(b cairn.Base) bool { return b.Backup == id }) {
		bases = nil
	}
	for _, b := range bases {
		if dropErr := e.cfg.Database.DropBase(ctx, c.ID(), b.Backup); dropErr != nil {
			err = dropErr
		}
	}
	if err != nil {
		e.cfg.Log.Warn("a backup that does not hold what it says may still be built on", "backup", id, "err", err)
	}
}

// spoiled returns contents with all that is known to be bad of them.
func (e *Engine) spoiled(held contents) contents {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name := range e.bad {
		if held.names(name) && !slices.Contains(held.Bad, name) {
			held.Bad = append(held.Bad, name)
		}
	}
	return held
}

// sound returns the parts that are not known to be bad.
func (e *Engine) sound(parts []cloud.Sent) (sound []cloud.Sent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range parts {
		if !e.bad[p.Name] {
			sound = append(sound, p)
		}
	}
	return sound
}

// names reports whether an object is one of the contents.
func (c contents) names(name string) bool {
	for i, s := range c.Segments {
		if s.Index != nil && s.Index.Name == name || slices.ContainsFunc(c.Parts[i], func(p segment.Part) bool { return p.Name == name }) {
			return true
		}
	}
	return false
}

// baseTime is how often automatic backups have the objects of their base looked for.
const baseTime = 24 * time.Hour

// CheckBase looks whether all objects are there that the next backup would build on,
// and returns the names of those that are not, which that backup then writes anew.
// It lists the parts and indexes of the cloud, but only once a day; else it returns
// what it found before.
func (e *Engine) CheckBase(ctx context.Context) (bad []string, err error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return nil, err
	}
	id, held, err := e.newest(ctx, c)
	if err != nil || id == "" {
		return nil, err
	}
	e.mu.Lock()
	due := e.baseCloud != c.ID() || e.cfg.Now().Sub(e.baseChecked).Abs() >= baseTime
	e.mu.Unlock()
	if !due {
		return held.Bad, nil
	}
	bad, err = ask(ctx, e, func() ([]string, error) { return missing(ctx, c, held) })
	if err != nil {
		return nil, e.lost(c, err)
	}
	e.mu.Lock()
	e.baseChecked, e.baseCloud = e.cfg.Now(), c.ID()
	e.mu.Unlock()
	e.spoil(ctx, c, bad)
	return append(held.Bad, bad...), nil
}

// missing returns the names of the objects that the cloud does not have as they
// should be.
func missing(ctx context.Context, c *cloud.Cloud, held contents) (bad []string, err error) {
	if err := c.Check(ctx); err != nil { // no creation that has a base looks at cairn.json
		return nil, err
	}
	stock, err := c.Stock(ctx)
	if err != nil {
		return nil, err
	}
	look := func(o segment.Object) error {
		if size, listed := stock.Take(o.Name); listed && size == o.Size {
			return nil
		}
		err := c.Present(ctx, o) // the listing may lag
		if cairn.CodeOf(err) == cairn.CodeDamaged {
			bad = append(bad, o.Name)
			return nil
		}
		return err
	}
	for i, s := range held.Segments {
		if s.Index != nil {
			if err := look(*s.Index); err != nil {
				return nil, err
			}
		}
		for _, p := range held.Parts[i] {
			if err := look(p.Object); err != nil {
				return nil, err
			}
		}
	}
	return bad, nil
}
