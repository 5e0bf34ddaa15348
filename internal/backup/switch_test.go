package backup_test

import (
	"log/slog"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/test/stores"
)

// A leaver is a house that goes on to another cloud while the one that it began with
// is listed.
type leaver struct {
	*house
	next   *cloud.Cloud
	leaves string // what is listed then; "" for never
	fails  error  // what becomes of the listing; nil for none
	listed int    // how often the parts of the other cloud were listed
}

func newLeaver(t *testing.T) *leaver {
	t.Helper()
	l := &leaver{}
	l.house = newHouse(t, fault.New(stores.New(t), func(c fault.Call) (o fault.Outcome) {
		if c.Op != fault.List || l.leaves == "" || !strings.HasPrefix(c.Name, l.leaves) {
			return o
		}
		l.leaves = ""
		l.engine.Switch(l.next)
		if l.fails != nil {
			o.Effect, o.Err = fault.Fail, l.fails
		}
		return o
	}))
	var err error
	l.next, err = cloud.Open(t.Context(), cloud.Config{
		Bucket: fault.New(stores.New(t), func(c fault.Call) fault.Outcome {
			if c.Op == fault.List && strings.HasPrefix(c.Name, "parts/") {
				l.listed++
			}
			return fault.Outcome{}
		}),
		Keys: &keys.Store{Dir: t.TempDir()}, Cache: l.device, Log: slog.New(slog.DiscardHandler), WorkFactor: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLostAfterSwitch has the store of a cloud turn out to be gone when another cloud
// is used by then: that one stays connected.
func TestLostAfterSwitch(t *testing.T) {
	l := newLeaver(t)
	l.leaves, l.fails = "backups/", bucket.ErrMissing
	if _, err := l.engine.List(t.Context()); cairn.CodeOf(err) != cairn.CodeBucketMissing {
		t.Errorf("listing: %v", err)
	}
	if id, ok := l.engine.Connected(); id != l.next.ID() {
		t.Errorf("it is connected to %q (%t), want %s", id, ok, l.next.ID())
	}
}

// TestCheckBaseAfterSwitch has the objects of a base looked for while another cloud
// is connected: those of the base there are looked for all the same.
func TestCheckBaseAfterSwitch(t *testing.T) {
	l := newLeaver(t)
	l.apply(doc("a", "text", 100))
	l.engine.Switch(l.next)
	l.create()
	l.engine.Switch(nil)
	l.create()
	l.leaves = "parts/"
	for range 2 {
		if bad, err := l.engine.CheckBase(t.Context()); err != nil || len(bad) > 0 {
			t.Errorf("bad are %v, %v", bad, err)
		}
	}
	if l.leaves != "" || l.listed == 0 {
		t.Errorf("it went on to the other cloud: %t; the parts there were listed %d times", l.leaves == "", l.listed)
	}
}
