package cloud

import (
	"fmt"
	"io"
	"time"

	"cairn"
)

// A Fresh is an instant, and how long what was found out then may be acted upon.
// Whoever has seen a manifest in backups/, or stored an object, may name what it
// holds for half the grace from then on: prune lets it live for all of it.
//
//	fresh := c.Fresh()
//	m, err := c.Manifest(ctx, base)
//	...
//	err = bucket.Create(ctx, b, name, fresh.Reader(content))
//
// It must be taken before the request whose answer it is about. Time is the larger
// of what the wall clock and the monotonic one say: the latter stands still while
// a laptop sleeps, and the former can be set back.
type Fresh struct {
	cloud *Cloud
	limit time.Duration
	wall  time.Time
	mono  time.Duration
}

// Fresh takes an instant that is good for half the grace.
func (c *Cloud) Fresh() Fresh { return c.freshFor(c.grace / 2) }

func (c *Cloud) freshFor(limit time.Duration) Fresh {
	return Fresh{cloud: c, limit: limit, wall: c.wall(), mono: c.cfg.Monotonic()}
}

// wall is the time by the wall clock alone.
func (c *Cloud) wall() time.Time { return c.cfg.Now().Round(0) }

// Age returns how long ago the instant was.
func (f Fresh) Age() time.Duration {
	return max(f.cloud.wall().Sub(f.wall), f.cloud.cfg.Monotonic()-f.mono, 0)
}

// Left returns for how long it is still good; zero or less when it is not.
func (f Fresh) Left() time.Duration { return f.limit - f.Age() }

// Err returns nil, or cairn.CodeStale when the time is over: then all must be
// found out again.
func (f Fresh) Err() error {
	age := f.Age()
	if age < f.limit {
		return nil
	}
	return &cairn.Error{
		Code: cairn.CodeStale,
		Message: fmt.Sprintf("What was found in the cloud %s is known since %s, and must be used within %s: what it names may be removed by now.",
			f.cloud.url, age.Round(time.Second), f.limit),
		Hint: "Did this computer sleep meanwhile? Try again.",
	}
}

// Reader returns content that is only stored as long as Err is nil, which is looked
// at for each request, and whenever it is read for one. So what is stored late is
// late by the time that one request takes, whatever is tried again.
func (f Fresh) Reader(content io.ReadSeeker) io.ReadSeeker { return &perishable{content, f} }

// perishable is a bucket.Perishable.
type perishable struct {
	io.ReadSeeker
	fresh Fresh
}

func (p *perishable) Err() error            { return p.fresh.Err() }
func (p *perishable) Unwrap() io.ReadSeeker { return p.ReadSeeker }

func (p *perishable) Read(b []byte) (int, error) {
	if err := p.fresh.Err(); err != nil {
		return 0, err
	}
	return p.ReadSeeker.Read(b)
}
