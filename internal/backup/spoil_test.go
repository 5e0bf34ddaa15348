package backup_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/test/stores"
)

// TestSpoiledBase has an object of the base be missing or damaged. Once that was
// found, the next backup writes anew what it held, though nothing has changed, and is
// sound.
func TestSpoiledBase(t *testing.T) {
	find := map[string]func(h *house, id string) error{
		"verified": func(h *house, id string) error {
			_, err := h.engine.Verify(h.t.Context(), id, true, untold)
			return err
		},
		"the cloud was checked": func(h *house, _ string) error {
			_, err := h.engine.CheckCloud(h.t.Context(), cairn.Subset{Percent: 100}, untold)
			return err
		},
		"the objects were looked for": func(h *house, _ string) error {
			bad, err := h.engine.CheckBase(h.t.Context())
			if len(bad) != 1 {
				h.t.Errorf("bad are %v", bad)
			}
			return err
		},
	}
	if raced {
		delete(find, "verified")
		delete(find, "the cloud was checked")
	}
	for how, found := range find {
		for i, what := range []string{"the first part", "a part amid", "the last part", "the index", "a part by itself"} {
			t.Run(what+", "+how, func(t *testing.T) {
				store := stores.New(t)
				h := openHouse(t, quickDir(t), store, func(cfg *backup.Config) { cfg.PartBytes = 4 << 10 })
				random := rand.New(rand.NewPCG(1, 2))
				for n := range 100 {
					h.apply(noise(random, fmt.Sprint("d", n), 200))
				}
				h.create()
				h.apply(noise(random, "d5", 200), deletion("d6"))
				b := h.create()
				c, m := h.manifest(b.ID)
				parts, err := c.Parts(t.Context(), m.Segments[0])
				if err != nil {
					t.Fatal(err)
				}
				name := []string{parts[0].Name, parts[2].Name, parts[len(parts)-1].Name, m.Segments[0].Index.Name, m.Segments[1].Part.Name}[i]
				if err := store.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				if err := found(h, b.ID); err != nil {
					t.Fatal(err)
				}
				before := stored(t, store, "parts/")
				healed := h.create()
				if v := h.verified(healed.ID, true); len(v.Damaged) > 0 {
					t.Errorf("the next backup has the damaged objects %+v", v.Damaged)
				}
				if sent := stored(t, store, "parts/") - before; sent > 3*4<<10 {
					t.Errorf("%d bytes were sent for one part", sent)
				}
				h.restore(healed.ID)
				if d := h.verify(); d != b.Digest {
					t.Errorf("it restores to %s, want %s", d, b.Digest)
				}
			})
		}
	}
}

// TestCheckBase lists the objects of the cloud once a day, and remembers what it
// found.
func TestCheckBase(t *testing.T) {
	store := stores.New(t)
	m := newMeter(store)
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	h := openHouse(t, t.TempDir(), m, func(cfg *backup.Config) { cfg.Now = func() time.Time { return now } })
	check := func(what string, lists bool, want ...string) {
		t.Helper()
		m.take()
		bad, err := h.engine.CheckBase(t.Context())
		if err != nil || !slices.Equal(bad, want) {
			t.Errorf("%s: bad are %v, %v, want %v", what, bad, err, want)
		}
		if listed := slices.Contains(m.take(), "list parts"); listed != lists {
			t.Errorf("%s: the cloud was listed: %t", what, listed)
		}
	}
	check("without a backup", false)
	h.apply(doc("a", "text", 100))
	b := h.create()
	check("a backup", true)
	_, manifest := h.manifest(b.ID)
	name := manifest.Segments[0].Part.Name
	if err := store.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	now = now.Add(23 * time.Hour)
	check("soon", false)
	now = now.Add(time.Hour)
	check("a day later", true, name)
	check("then", false, name)
	h.create()
	check("healed", false)
}

// TestSpoiledUnnoted has a part be found damaged while no base can be marked that the
// next creation builds on, and not be taken over by that either.
func TestSpoiledUnnoted(t *testing.T) {
	for _, what := range []string{"an undone restoration", "a creation goes on", "the base was not noted"} {
		t.Run(what, func(t *testing.T) {
			store := stores.New(t)
			var during func()
			through := &rereading{Bucket: store, before: func(name string, _ int) {
				if fn := during; fn != nil && strings.HasPrefix(name, "parts/") {
					during = nil
					fn()
				}
			}}
			h := openHouse(t, quickDir(t), through, func(cfg *backup.Config) { cfg.PartBytes = 4 << 10 })
			random := rand.New(rand.NewPCG(1, 2))
			for n := range 100 {
				h.apply(noise(random, fmt.Sprint("d", n), 200))
			}
			if what == "the base was not noted" {
				h.step = func(name string, do func() error) error {
					if name == "base.add" {
						return noRoom()
					}
					return do()
				}
			}
			b := h.create()
			h.step = nil
			c, m := h.manifest(b.ID)
			parts, err := c.Parts(t.Context(), m.Segments[0])
			if err != nil {
				t.Fatal(err)
			}
			if what == "an undone restoration" {
				h.restore(b.ID)
			}
			bad := parts[2]
			other := strings.NewReader(strings.Repeat("x", int(bad.Size)))
			if err := errors.Join(store.Delete(t.Context(), bad.Name), store.Put(t.Context(), bad.Name, other)); err != nil {
				t.Fatal(err)
			}
			find := func() {
				if v := h.verified(b.ID, true); len(v.Damaged) != 1 {
					t.Errorf("the damaged objects are %+v", v.Damaged)
				}
			}
			switch what {
			case "an undone restoration":
				find()
				h.undo()
			case "a creation goes on":
				h.apply(noise(random, "more", 200))
				during = find
				h.create()
			default:
				find()
			}
			if v := h.verified(h.create().ID, true); len(v.Damaged) > 0 {
				t.Errorf("the next backup has the damaged objects %+v", v.Damaged)
			}
		})
	}
}
