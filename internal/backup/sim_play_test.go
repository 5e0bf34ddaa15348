package backup_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

// A play is a cloud with a grace of eight hours, and a device of which some calls
// take their time. Its manifests land nearly an hour after they were read, as late
// as they may.
type play struct {
	*sim
	slow *house

	wg    sync.WaitGroup
	mu    sync.Mutex
	takes script // by method and folder
}

// newPlay returns one. It is called in a bubble.
func newPlay(t *testing.T) *play {
	p := &play{sim: newSim(t, 0, new(memory.Bucket), 8*time.Hour, &deeds{of: map[string]int{}})}
	lands := func(name string) time.Duration {
		if strings.HasPrefix(name, "backups/") {
			return p.grace/8 - time.Minute
		}
		return 0
	}
	p.slow = p.device(2, fault.New(watched{p.store, p.sim, lands}, func(c fault.Call) fault.Outcome {
		p.mu.Lock()
		defer p.mu.Unlock()
		folder, _, _ := strings.Cut(c.Name, "/")
		key := string(c.Op) + " " + folder
		if len(p.takes[key]) == 0 {
			return fault.Outcome{}
		}
		o := p.takes[key][0]
		p.takes[key] = p.takes[key][1:]
		return o
	}))
	if err := p.slow.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// A script says what becomes of the next calls of some methods in some folders.
type script map[string][]fault.Outcome

// createSlowly makes a backup while calls take their time, and while the other device
// prunes after so long; 0 means that it does not.
func (p *play) createSlowly(prune time.Duration, takes script) {
	p.t.Helper()
	var wg sync.WaitGroup
	if prune > 0 {
		wg.Go(func() {
			time.Sleep(prune)
			p.prune()
		})
	}
	digest := p.slow.db.Stats().Digest
	b, err := p.create(takes)
	p.sim.mu.Lock()
	p.digests[b.ID] = digest
	p.sim.mu.Unlock()
	if err != nil {
		p.t.Error(err)
	}
	wg.Wait()
}

func (p *play) create(takes script) (cairn.Backup, error) {
	p.mu.Lock()
	p.takes = takes
	p.mu.Unlock()
	return p.slow.engine.Create(p.t.Context(), p.slow.engine.NewBackup(cairn.ScopeAll), ignore)
}

// widen has the slow device send parts side by side: it has memory for two of them.
func (p *play) widen() {
	edit := p.slow.edit
	p.slow.edit = func(cfg *backup.Config) {
		edit(cfg)
		cfg.Memory = 3000
	}
	p.slow.restart()
	if err := p.slow.engine.Ready(p.t.Context()); err != nil {
		p.t.Error(err)
	}
}

// cutOff begins a backup of five parts, which are uploaded, and lets time pass.
func (p *play) cutOff(passed time.Duration) {
	p.t.Helper()
	p.slow.fill(5, 300)
	if _, err := p.create(script{"put indexes": {{Delay: time.Second, Effect: fault.Fail, Err: bucket.ErrRefused}}}); cairn.CodeOf(err) != cairn.CodeDenied {
		p.t.Errorf("a creation whose index is refused: %v", err)
	}
	if err := p.slow.engine.Ready(p.t.Context()); err != nil { // it connects anew
		p.t.Error(err)
	}
	time.Sleep(passed)
}

// deleteBase makes a backup of five parts that the other device deletes, lets time
// pass, and has a change to be backed up.
func (p *play) deleteBase(passed time.Duration) {
	p.t.Helper()
	p.slow.fill(5, 300)
	base, err := p.create(nil)
	if err = errors.Join(err, p.judge.engine.Delete(p.t.Context(), base.ID)); err != nil {
		p.t.Error(err)
	}
	time.Sleep(passed)
	p.slow.apply(doc("new", "", 10))
}

func (p *play) prune() {
	p.t.Helper()
	if _, err := p.judge.engine.Prune(p.t.Context(), false, func(cairn.PruneProgress) {}); err != nil {
		p.t.Errorf("prune: %v", err)
	}
}

// Times of plays: half the grace but a few minutes, and a little over the grace.
const (
	nearlyHalf = 4*time.Hour - 10*time.Minute
	over       = 8*time.Hour + 2*time.Minute
)

// plays are what could go wrong. Each was seen to lose an object, or to keep prune
// from its work, when a rule was broken.
var plays = map[string]func(*play){
	"a manifest is late": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(over, script{"get cairn.json": {{}, {Delay: over - 5*time.Minute}}})
	},
	"a checkpoint is late": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(over, script{"put parts": {{}, {Delay: over + time.Minute}}})
	},
	"a checkpoint is answered late": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(nearlyHalf+over, script{
			"put parts":      {{}, {Delay: nearlyHalf}},
			"put trash":      {{After: nearlyHalf}},
			"get cairn.json": {{}, {Delay: nearlyHalf}},
		})
	},
	"an index is uploaded long before the checkpoint": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(over, script{
			"put indexes":    {{After: nearlyHalf + 5*time.Minute}},
			"get cairn.json": {{}, {Delay: nearlyHalf + 5*time.Minute}},
		})
	},
	"a part is answered long after the checkpoint": func(p *play) {
		p.widen()
		p.slow.fill(5, 300)
		p.createSlowly(over, script{
			"put parts":      {{After: nearlyHalf + 8*time.Minute}, {Delay: nearlyHalf}},
			"get cairn.json": {{}, {Delay: nearlyHalf - time.Minute}},
		})
	},
	"parts are uploaded long before the checkpoint": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(over, script{
			"put parts":      {{}, {Delay: nearlyHalf}},
			"get cairn.json": {{}, {Delay: nearlyHalf - 6*time.Minute}},
		})
	},
	"what there was to build on was deleted": func(p *play) {
		p.deleteBase(8*time.Hour - 10*time.Minute)
		p.createSlowly(12*time.Minute, nil)
	},
	"what there was to build on is gone before the checkpoint": func(p *play) {
		p.deleteBase(over)
		p.prune()
		p.createSlowly(0, script{"put parts": {{After: nearlyHalf}}})
		p.prune()
	},
	"what an interrupted creation left is old": func(p *play) {
		p.cutOff(over)
		sleeps := p.device(2, fault.New(watched{p.store, p.sim, now}, func(c fault.Call) fault.Outcome {
			if c.Op == fault.Delete && strings.HasPrefix(c.Name, "parts/") {
				return fault.Outcome{Delay: time.Hour}
			}
			return fault.Outcome{}
		}))
		p.during(func() error {
			_, err := sleeps.engine.Prune(p.t.Context(), false, func(cairn.PruneProgress) {})
			return err
		})
		time.Sleep(10 * time.Minute)
		p.createSlowly(0, nil)
	},
	"what an interrupted creation left gets old": func(p *play) {
		p.cutOff(nearlyHalf)
		p.createSlowly(over-nearlyHalf, script{"get cairn.json": {{}, {Delay: nearlyHalf}}})
	},
	"what an interrupted creation left is looked at slowly": func(p *play) {
		p.cutOff(nearlyHalf)
		p.createSlowly(over, script{
			"head parts":     {{After: nearlyHalf}},
			"get cairn.json": {{}, {Delay: nearlyHalf + 5*time.Minute}},
		})
	},
	"what an interrupted creation left is checkpointed again": func(p *play) {
		p.cutOff(nearlyHalf)
		p.slow.apply(doc("new", "", 500), doc("newer", "", 500))
		p.createSlowly(over, script{
			"put parts":      {{Delay: nearlyHalf}},
			"get cairn.json": {{}, {Delay: nearlyHalf - 6*time.Minute}},
		})
	},
}

// now is a landing that takes no time.
func now(string) time.Duration { return 0 }

// during does something while the others go on.
func (p *play) during(do func() error) {
	p.wg.Go(func() {
		if err := do(); err != nil {
			p.t.Error(err)
		}
	})
}

// TestPlays has a device sleep where it would do harm.
func TestPlays(t *testing.T) {
	for name, do := range plays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t)
				do(p)
				p.wg.Wait()
				p.checkAll()
				p.checkEnd()
			})
		})
	}
}
