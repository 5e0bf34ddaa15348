package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// A play is a cloud with the backup of a day ago, and what several devices do to it
// at their times. The grace is eight hours.
type play struct {
	*world
	first  *device
	c      *cloud.Cloud // of a device that is always awake
	backup cairn.Backup
	began  time.Time
	wg     sync.WaitGroup
	// written is what time the store gives to what is put; nil for that at which it
	// is there.
	written atomic.Pointer[time.Time]
}

const (
	playGrace = 8 * time.Hour
	day       = 24 * time.Hour
)

// newPlay returns one. It is called in a bubble.
func newPlay(t *testing.T) *play {
	p := &play{world: &world{t: t, grace: playGrace, named: map[string][]string{}}}
	p.store.Now = func() time.Time {
		if at := p.written.Load(); at != nil {
			return *at
		}
		return time.Now()
	}
	p.first = newDevice(t, p.truth())
	p.first.Grace, p.first.Now = playGrace, time.Now
	p.c = p.first.open(t)
	p.backup = p.create(p.c, cloud.Manifest{}, nil, p.c.Fresh())
	time.Sleep(day)
	p.began = time.Now()
	return p
}

// truth is the store, which notes when a backup lacks an object.
func (w *world) truth() bucket.Bucket { return &sleeper{world: w, awake: true} }

// device returns a device of which some calls take their time before they are
// carried out.
func (p *play) device(op fault.Op, prefix string, delay time.Duration) *cloud.Cloud {
	d := *p.first
	d.Bucket = fault.New(p.truth(), func(c fault.Call) fault.Outcome {
		if c.Op == op && strings.HasPrefix(c.Name, prefix) {
			return fault.Outcome{Delay: delay}
		}
		return fault.Outcome{}
	})
	return d.open(p.t)
}

// A landing bucket takes a manifest so long after it has read it.
type landing struct {
	bucket.Bucket
	after time.Duration
}

func (b landing) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	_, seekErr := content.Seek(0, io.SeekStart)
	data, err := io.ReadAll(content)
	if err := errors.Join(seekErr, err); err != nil {
		return err
	}
	if strings.HasPrefix(name, "backups/") {
		time.Sleep(b.after)
	}
	return b.Bucket.Put(ctx, name, bytes.NewReader(data))
}

// A dozing bucket is a folder of a computer that sleeps when a receipt is written and
// has no name yet. Its time is that of the writing.
type dozing struct {
	bucket.Bucket
	play  *play
	sleep time.Duration
}

func (b dozing) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if !strings.HasSuffix(name, ".gone") {
		return b.Bucket.Put(ctx, name, content)
	}
	began := time.Now()
	time.Sleep(b.sleep)
	if c, ok := content.(bucket.Perishable); ok && c.Err() != nil {
		return c.Err()
	}
	b.play.written.Store(&began)
	defer b.play.written.Store(nil)
	return b.Bucket.Put(ctx, name, content)
}

// at waits for a time.
func (p *play) at(d time.Duration) { time.Sleep(time.Until(p.began.Add(d))) }

// during does something while the others go on.
func (p *play) during(do func() error) { p.wg.Go(func() { p.judge(do()) }) }

// judge fails the test at an error that a sleep does not explain.
func (p *play) judge(err error) {
	switch cairn.CodeOf(err) {
	case "", cairn.CodeStale, cairn.CodeTooLate, cairn.CodeBackupNotFound:
	default:
		p.t.Error(err)
	}
}

// create makes a backup that takes over what a manifest has, which are the objects
// taken.
func (p *play) create(c *cloud.Cloud, m cloud.Manifest, taken []string, fresh cloud.Fresh) cairn.Backup {
	ctx := p.t.Context()
	m.Backup = p.world.backup(m.Revision + 2)
	var parts []segment.Part
	for i := range int64(2) {
		part, err := putPart(ctx, c, m.Revision-2+i)
		if err != nil {
			p.t.Fatal(err)
		}
		parts = append(parts, part)
	}
	s, err := putSegment(ctx, p.t, c, parts)
	if err != nil {
		p.t.Fatal(err)
	}
	m.Segments = append(m.Segments[:len(m.Segments):len(m.Segments)], s)
	p.world.mu.Lock()
	p.named[objectOf(m.ID)] = append(taken, s.Index.Name, parts[0].Name, parts[1].Name)
	p.world.mu.Unlock()
	b, err := c.Commit(ctx, m, fresh)
	p.judge(err)
	return b
}

// build is a creation on the backup, which sees it now, and commits after some time.
func (p *play) build(c *cloud.Cloud, after time.Duration) {
	fresh := c.Fresh()
	m, err := c.Manifest(p.t.Context(), p.backup.ID)
	if err != nil {
		p.t.Errorf("there is nothing to build on: %v", err)
		return
	}
	taken, err := objectsOf(p.t.Context(), c, m)
	if err != nil {
		p.t.Error(err)
	}
	p.wg.Go(func() {
		time.Sleep(after)
		p.create(c, m, taken, fresh)
	})
}

func (p *play) delete(c *cloud.Cloud) { p.judge(c.Delete(p.t.Context(), p.backup.ID)) }

func (p *play) undelete(c *cloud.Cloud) error {
	_, err := c.Undelete(p.t.Context(), p.backup.ID)
	return err
}

func (p *play) prune(c *cloud.Cloud) cairn.Pruned {
	r, err := c.Prune(p.t.Context(), cloud.PruneOptions{})
	p.judge(err)
	return r
}

// plays are what could go wrong. Each was seen to lose an object when a rule was
// broken.
var plays = map[string]func(*play){
	"who deletes sleeps before the removal": func(p *play) {
		sleeps := p.device(fault.Delete, "backups/", 30*time.Hour)
		p.during(func() error { p.delete(sleeps); return nil })
		p.at(30*time.Hour - time.Minute)
		p.build(p.c, time.Hour)
		p.at(30*time.Hour + 2*time.Minute)
		p.prune(p.c)
	},
	"who deletes writes no receipt": func(p *play) {
		p.build(p.c, 3*time.Hour)
		p.delete(p.receiptless())
		p.at(time.Hour)
		p.prune(p.c)
	},
	"a manifest lands late": func(p *play) {
		slow := *p.first
		slow.Bucket = landing{p.truth(), time.Hour - time.Minute}
		p.build(slow.open(p.t), 4*time.Hour-time.Minute)
		p.delete(p.c)
		for h := range 24 {
			p.at(time.Duration(h) * time.Hour / 2)
			p.prune(p.c)
		}
	},
	"a manifest is late": func(p *play) {
		slow := *p.first
		slow.Bucket = landing{p.truth(), time.Hour - time.Minute}
		p.build(slow.open(p.t), 7*time.Hour+30*time.Minute)
		p.delete(p.c)
		p.at(8*time.Hour + 10*time.Minute)
		p.prune(p.c)
	},
	"who deletes sleeps over the receipt": func(p *play) {
		sleeps := *p.first
		sleeps.Bucket = dozing{p.truth(), p, 20 * time.Hour}
		c := sleeps.open(p.t)
		p.during(func() error { p.delete(c); return nil })
		p.at(20*time.Hour - 5*time.Minute)
		slow := p.device(fault.Put, "trash/"+p.backup.ID, 20*time.Minute)
		p.during(func() error { return p.undelete(slow) })
		p.at(20*time.Hour + time.Minute)
		p.prune(p.c)
	},
	"prune sleeps between the lists": func(p *play) {
		sleeps := p.device(fault.List, "trash/", 20*time.Hour)
		p.build(p.c, 3*time.Hour)
		p.delete(p.c)
		p.at(time.Hour)
		p.during(func() error { p.prune(sleeps); return nil })
		p.at(9 * time.Hour)
		p.prune(p.c)
	},
	"a removal comes after the return":                        func(p *play) { p.lateRemoval(0) },
	"a removal comes after the return, with prune in between": func(p *play) { p.lateRemoval(10 * time.Minute) },
	"who deletes sleeps before the copy": func(p *play) {
		sleeps := p.device(fault.Put, "trash/"+p.backup.ID, 30*time.Hour)
		p.during(func() error { p.delete(sleeps); return nil })
		p.at(time.Hour)
		p.delete(p.c)
		p.pruneSlowly(10*time.Hour, 33*time.Hour)
		p.at(32 * time.Hour)
		p.judge(p.undelete(p.c))
	},
	"who brings back sleeps": func(p *play) {
		p.delete(p.c)
		sleeps := p.device(fault.Put, "trash/"+p.backup.ID, 17*time.Hour)
		p.at(3 * time.Hour)
		p.during(func() error { return p.undelete(sleeps) })
		p.pruneSlowly(9*time.Hour, 22*time.Hour)
	},
	"brought back too late": func(p *play) {
		p.delete(p.c)
		p.pruneSlowly(9*time.Hour, 11*time.Hour)
		p.at(10 * time.Hour)
		wantError(p.t, p.undelete(p.c), cairn.CodeTooLate, p.backup.ID)
	},
	"prune sleeps before it looks": func(p *play) {
		sleeps := p.device(fault.List, "backups/", 20*time.Hour)
		p.during(func() error { p.prune(sleeps); return nil })
		p.at(15 * time.Hour)
		p.build(p.c, time.Hour)
		p.at(17 * time.Hour)
		p.delete(p.c)
	},
	"parts are uploaded while prune looks": func(p *play) {
		sleeps := p.device(fault.List, "parts/", 20*time.Hour)
		p.during(func() error { p.prune(sleeps); return nil })
		p.at(11 * time.Hour)
		slow := p.device(fault.Put, "backups/", 3*time.Hour+30*time.Minute)
		p.during(func() error { p.create(slow, cloud.Manifest{}, nil, slow.Fresh()); return nil })
		p.at(18 * time.Hour)
		other := p.device(fault.Put, "backups/", 3*time.Hour+30*time.Minute)
		p.during(func() error { p.create(other, cloud.Manifest{}, nil, other.Fresh()); return nil })
	},
}

// receiptless returns a device whose receipts are not stored.
func (p *play) receiptless() *cloud.Cloud {
	d := *p.first
	d.Bucket = fault.New(p.truth(), func(c fault.Call) fault.Outcome {
		if c.Op == fault.Put && strings.HasSuffix(c.Name, ".gone") {
			return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
		}
		return fault.Outcome{}
	})
	return d.open(p.t)
}

// pruneSlowly begins to prune at one time, and removes nothing before another.
func (p *play) pruneSlowly(at, until time.Duration) {
	slow := p.device(fault.Delete, "", until-at)
	p.during(func() error { p.at(at); p.prune(slow); return nil })
}

// lateRemoval has a device delete the backup, asleep for thirty hours before the
// removal. Meanwhile another one deletes it too and brings it back, which takes so
// long; it is pruned then, and later.
func (p *play) lateRemoval(back time.Duration) {
	sleeps := p.device(fault.Delete, "backups/", 30*time.Hour)
	p.during(func() error { p.delete(sleeps); return nil })
	p.at(9 * time.Hour)
	p.delete(p.c)
	p.at(9*time.Hour + 30*time.Minute)
	p.prune(p.c)
	p.at(10 * time.Hour)
	slow := p.device(fault.Put, "backups/", back)
	p.during(func() error { return p.undelete(slow) })
	p.at(10*time.Hour + 5*time.Minute)
	p.prune(p.c)
	p.at(19 * time.Hour)
	p.prune(p.c)
	p.at(30*time.Hour - time.Minute)
	p.build(p.c, time.Hour)
	p.at(30*time.Hour + 2*time.Minute)
	p.prune(p.c)
}

// TestSleep has devices sleep where it would do harm.
func TestSleep(t *testing.T) {
	for name, do := range plays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t)
				do(p)
				p.wg.Wait()
				if p.loss != nil {
					t.Error(p.loss)
				}
			})
		})
	}
}
