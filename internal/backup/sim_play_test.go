package backup_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

// A play is a cloud with a grace of eight hours, and a device of which some calls
// take their time. Its manifests land nearly an hour after they were read, as late
// as they may.
type play struct {
	*sim
	slow *house

	mu    sync.Mutex
	began time.Time
	takes map[string][]fault.Outcome // by method and folder: what becomes of the next calls
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
	p.slow = p.device(fault.New(watched{p.store, p.sim, lands}, func(c fault.Call) fault.Outcome {
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

// createSlowly makes a backup while the first calls of some methods in some folders
// take their time, and while somebody else does things at their times.
func (p *play) createSlowly(takes map[string][]fault.Outcome, meanwhile map[time.Duration]func() error) {
	p.t.Helper()
	p.mu.Lock()
	p.began, p.takes = time.Now(), takes
	p.mu.Unlock()
	var wg sync.WaitGroup
	for at, do := range meanwhile {
		wg.Go(func() {
			time.Sleep(at)
			if err := do(); err != nil {
				p.t.Errorf("after %v: %v", at, err)
			}
		})
	}
	digest := p.slow.db.Stats().Digest
	b, err := p.slow.engine.Create(p.t.Context(), p.slow.engine.NewBackup(cairn.ScopeAll), ignore)
	p.sim.mu.Lock()
	p.digests[b.ID] = digest
	p.sim.mu.Unlock()
	if err != nil {
		p.t.Errorf("after %v: %v", time.Since(p.began), err)
	}
	wg.Wait()
}

func (p *play) prune() error {
	_, err := p.judge.engine.Prune(p.t.Context(), false, func(cairn.PruneProgress) {})
	return err
}

// plays are what could go wrong. Each was seen to lose an object, or to keep prune
// from its work, when a rule was broken.
var plays = map[string]func(*play){
	"an index is uploaded long before the checkpoint": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(map[string][]fault.Outcome{
			"put indexes":    {{After: 4*time.Hour - time.Minute}},
			"get cairn.json": {{}, {Delay: 4*time.Hour - 2*time.Minute}},
		}, map[time.Duration]func() error{8*time.Hour + 2*time.Minute: p.prune})
	},
	"a part is answered long after the checkpoint": func(p *play) {
		p.slow.fill(5, 300)
		p.createSlowly(map[string][]fault.Outcome{
			"put parts":      {{After: 4*time.Hour - time.Minute}, {Delay: 4*time.Hour - 10*time.Minute}},
			"get cairn.json": {{}, {Delay: 4*time.Hour - 12*time.Minute}},
		}, map[time.Duration]func() error{8*time.Hour + 2*time.Minute: p.prune})
	},
	"what there was to build on is gone before the checkpoint": func(p *play) {
		p.slow.fill(5, 300)
		base := p.slow.create()
		err := p.judge.engine.Delete(p.t.Context(), base.ID)
		time.Sleep(p.grace + time.Minute)
		if err := errors.Join(err, p.prune()); err != nil {
			p.t.Error(err)
		}
		p.slow.apply(doc("new", "", 10))
		p.createSlowly(map[string][]fault.Outcome{"put parts": {{After: 3 * time.Hour}}}, nil)
		if err := p.prune(); err != nil {
			p.t.Errorf("a checkpoint names what is gone: %v", err)
		}
	},
}

// TestPlays has a device sleep where it would do harm.
func TestPlays(t *testing.T) {
	for name, do := range plays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t)
				do(p)
				p.checkAll()
				p.checkEnd()
			})
		})
	}
}
