package cloud_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// clocks are those of a computer that sleeps, and whose clock is set.
type clocks struct {
	wall time.Time
	mono time.Duration
}

// pass lets time pass while the computer is awake, sleep while it is not.
func (c *clocks) pass(d time.Duration)  { c.wall, c.mono = c.wall.Add(d), c.mono+d }
func (c *clocks) sleep(d time.Duration) { c.wall = c.wall.Add(d) }

// on has a device use the clocks.
func (c *clocks) on(d *device) {
	c.wall = start()
	d.Now = func() time.Time { return c.wall }
	d.Monotonic = func() time.Duration { return c.mono }
}

// TestFresh lets time pass by one clock and by the other.
func TestFresh(t *testing.T) {
	const half = 30 * time.Minute
	for name, test := range map[string]struct {
		elapse func(*clocks)
		age    time.Duration
	}{
		"nothing":               {func(*clocks) {}, 0},
		"awake":                 {func(c *clocks) { c.pass(half - 1) }, half - 1},
		"awake for too long":    {func(c *clocks) { c.pass(half) }, half},
		"asleep":                {func(c *clocks) { c.sleep(half - 1) }, half - 1},
		"asleep for too long":   {func(c *clocks) { c.sleep(half) }, half},
		"both":                  {func(c *clocks) { c.pass(half / 2); c.sleep(half / 2) }, half},
		"the clock is set back": {func(c *clocks) { c.pass(half); c.sleep(-time.Hour) }, half},
		"set back alone":        {func(c *clocks) { c.sleep(-time.Hour) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, stores.New(t))
			d.Grace = 2 * half
			var now clocks
			now.on(d)
			c := d.open(t)
			if c.Grace() != 2*half {
				t.Fatalf("the grace is %v", c.Grace())
			}
			fresh := c.Fresh()
			r := fresh.Reader(strings.NewReader("content"))
			test.elapse(&now)
			if fresh.Age() != test.age || fresh.Left() != half-test.age {
				t.Errorf("its age is %v, with %v left, want %v and %v", fresh.Age(), fresh.Left(), test.age, half-test.age)
			}
			text, err := io.ReadAll(r)
			if test.age < half {
				if err != nil || string(text) != "content" || fresh.Err() != nil {
					t.Errorf("read %q, %v, and Err is %v", text, err, fresh.Err())
				}
				return
			}
			wantError(t, err, cairn.CodeStale, "30m")
			wantError(t, fresh.Err(), cairn.CodeStale, "cloud")
		})
	}
}

// TestFreshGrace opens a cloud that has another grace than the device would give
// it: that of cairn.json counts.
func TestFreshGrace(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	d.Grace = 90 * time.Second
	d.open(t)
	d.Grace = 0
	if got := d.open(t).Grace(); got != 90*time.Second {
		t.Errorf("the grace is %v", got)
	}
	if got := newDevice(t, stores.New(t)).open(t).Grace(); got != 24*time.Hour {
		t.Errorf("the grace of a new cloud is %v", got)
	}
}

// TestYoung has a checkpoint be removed, since the computer slept, before somebody
// looks at when it was written.
func TestYoung(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	m := manifest(c, 1)
	parts := []cloud.Sent{{Part: *m.Segments[0].Part}}
	name, err := c.Checkpoint(t.Context(), m.Backup, nil, []segment.Part{parts[0].Part}, c.Fresh())
	if err != nil {
		t.Fatal(err)
	}
	if young, err := c.Young(t.Context(), name, parts); err != nil || len(young) > 0 {
		t.Errorf("of a part that is not there: %v, %v", young, err)
	}
	if err := b.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	_, err = c.Young(t.Context(), name, parts)
	wantError(t, err, cairn.CodeStale, name)
}

// TestFreshCreate has the computer sleep during a Put: nothing is stored from then
// on, what is stored already is success, and what may be is not known.
func TestFreshCreate(t *testing.T) {
	for name, test := range map[string]struct {
		puts    []fault.Effect // it sleeps during the last of them
		stored  bool
		unknown bool
	}{
		"before the first":         {[]fault.Effect{}, false, false},
		"answered":                 {[]fault.Effect{fault.Pass}, true, false},
		"the answer is lost":       {[]fault.Effect{fault.Lost}, true, false},
		"not carried out":          {[]fault.Effect{fault.Fail}, false, true},
		"not carried out again":    {[]fault.Effect{fault.Fail, fault.Fail}, false, true},
		"the second one's is lost": {[]fault.Effect{fault.Fail, fault.Lost}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			inner := stores.New(t)
			d := newDevice(t, inner)
			var now clocks
			now.on(d)
			c := d.open(t)
			puts := 0
			faulty := fault.New(inner, func(call fault.Call) fault.Outcome {
				if call.Op != fault.Put {
					return fault.Outcome{}
				}
				if puts++; puts > len(test.puts) {
					t.Errorf("Put %d is made after the computer slept", puts)
					return fault.Outcome{}
				}
				return fault.Outcome{Effect: test.puts[puts-1]}
			})
			b := bucket.Retry(afterPut{faulty, func() {
				if puts == len(test.puts) {
					now.sleep(12 * time.Hour)
				}
			}}, bucket.Policy{First: 1})
			fresh := c.Fresh()
			if len(test.puts) == 0 {
				now.sleep(12 * time.Hour)
			}
			err := bucket.Create(t.Context(), b, "a", fresh.Reader(strings.NewReader("content")))
			if _, headErr := inner.Head(t.Context(), "a"); (headErr == nil) != test.stored {
				t.Errorf("the object is stored: %t, want %t", headErr == nil, test.stored)
			}
			if test.stored {
				if err != nil {
					t.Errorf("Create: %v", err)
				}
				return
			}
			if cairn.CodeOf(err) != cairn.CodeStale || errors.Is(err, bucket.ErrUnknown) != test.unknown {
				t.Errorf("Create: %v, want one that the outcome is unknown: %t", err, test.unknown)
			}
		})
	}
}

// An afterPut bucket does something after each Put.
type afterPut struct {
	bucket.Bucket
	do func()
}

func (b afterPut) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	defer b.do()
	return b.Bucket.Put(ctx, name, content)
}
