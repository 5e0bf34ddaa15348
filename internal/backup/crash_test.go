package backup_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
)

// A moment is what is on the disks at one moment, as a crash would leave it.
type moment struct {
	what    string
	dir     string
	objects map[string]string
	cache   map[string][]byte
}

// A camera copies the data folder and the bucket before and after each step.
type camera struct {
	t     *testing.T
	h     *house
	store bucket.Bucket

	mu      sync.Mutex
	moments []moment
}

func (c *camera) shoot(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moments = append(c.moments, moment{what, copyOf(c.t, c.h.dir), objects(c.t, c.store), c.h.device.cached()})
}

// step does a local step between two pictures.
func (c *camera) step(name string, do func() error) error {
	c.shoot("before " + name)
	err := do()
	c.shoot("after " + name)
	return err
}

// call takes a picture before a call.
func (c *camera) call(call fault.Call) fault.Outcome {
	if c.h != nil {
		c.shoot(fmt.Sprintf("before %s %s", call.Op, call.Name))
	}
	return fault.Outcome{}
}

// TestCrashes ends each operation before and after each of its steps, as when
// the power of the process were taken away, and starts anew: there is exactly
// the original or exactly the other database, and all backups that are listed
// are whole.
func TestCrashes(t *testing.T) {
	chosen := newSample(t)
	for _, shape := range []shape{small(), large()} {
		s := newScene(t, shape)
		for _, op := range []operation{create, restore, remove, undoing} {
			t.Run(shape.name+"/"+string(op), func(t *testing.T) {
				cam := &camera{t: t}
				h, store := s.enter(t, func(b bucket.Bucket) bucket.Bucket { return fault.New(b, cam.call) })
				cam.store, h.step = store, cam.step
				cam.h = h
				made, err := op.run(t.Context(), h, s)
				if err != nil {
					t.Fatal(err)
				}
				cam.shoot("at the end")
				cam.h = nil
				h.step = nil
				h.close()
				committed := false
				for i, m := range cam.moments {
					percent := 100.0
					if shape.name == "index" {
						percent = 25
					}
					if !chosen.has(percent) && i < len(cam.moments)-1 {
						continue
					}
					t.Run(m.what, func(t *testing.T) {
						crashed := openHouse(t, m.dir, bucketOf(t, m.objects), nil)
						crashed.device.cache = m.cache
						got := outcome{made: made}
						switch _, listed := m.objects[manifestOf(made.ID)]; op {
						case create:
							got.done = listed
						case restore, undoing:
							got.done = crashed.db.Stats().Digest != s.live.Digest
						case remove:
							_, listed := m.objects[manifestOf(s.backup.ID)]
							got.done = !listed
						}
						if m.what == "after swap.commit" && !got.done || m.what == "before swap.commit" && got.done {
							t.Errorf("%s: the other database is live: %t", m.what, got.done)
						}
						if committed && !got.done {
							t.Error("what was done is undone")
						}
						committed = got.done
						s.check(crashed, op, got, true)
						if !got.done {
							again, err := op.run(t.Context(), crashed, s)
							if err != nil {
								t.Fatal(err)
							}
							s.check(crashed, op, outcome{done: true, made: again}, true)
						}
						if shape.name == "part" {
							s.checkRestores(crashed)
						}
					})
				}
				if !committed {
					t.Error("it was never done")
				}
			})
		}
	}
}

// TestCancelAtRandom cancels operations at random moments: the original database
// is live or the operation is done, nothing is left behind, and the next one
// works.
func TestCancelAtRandom(t *testing.T) {
	chosen := newSample(t)
	s := newScene(t, large())
	cause := errors.New("nobody wants it any more")
	for _, op := range []operation{create, restore} {
		h, _ := s.enter(t, func(b bucket.Bucket) bucket.Bucket { return b })
		begin := time.Now()
		if _, err := op.run(t.Context(), h, s); err != nil {
			t.Fatal(err)
		}
		whole := time.Since(begin)
		ended := 0
		rounds := 0
		for range 60 {
			if !chosen.has(10) {
				continue
			}
			rounds++
			h, store := s.enter(t, func(b bucket.Bucket) bucket.Bucket { return b })
			h.close()
			h = openHouse(t, h.dir, store, nil) // on all processors
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(chosen.Int64N(int64(whole))), cause)
			b, err := op.run(ctx, h, s)
			cancel()
			if err != nil {
				ended++
				if !errors.Is(err, cause) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: cancelled, it returned %v", op, err)
				}
			}
			s.check(h, op, outcome{done: err == nil, made: b}, err != nil)
			if err != nil {
				b, err := op.run(t.Context(), h, s)
				if err != nil {
					t.Fatalf("%s again: %v", op, err)
				}
				s.check(h, op, outcome{done: true, made: b}, false)
			}
			h.close()
		}
		t.Logf("%s: %d of %d were cut off", op, ended, rounds)
	}
}
