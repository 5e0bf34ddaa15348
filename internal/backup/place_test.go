package backup_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/test/stores"
)

// A mount is a place where one bucket is, and can be replaced by another.
type mount struct{ at atomic.Pointer[bucket.Bucket] }

func (m *mount) set(b bucket.Bucket) { m.at.Store(&b) }
func (m *mount) get() bucket.Bucket  { return *m.at.Load() }

func (m *mount) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	return m.get().Put(ctx, name, content)
}
func (m *mount) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return m.get().Get(ctx, name)
}
func (m *mount) Head(ctx context.Context, name string) (bucket.Object, error) {
	return m.get().Head(ctx, name)
}
func (m *mount) Delete(ctx context.Context, name string) error { return m.get().Delete(ctx, name) }
func (m *mount) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return m.get().List(ctx, prefix)
}

// A place is what can be where the cloud was.
type place struct {
	name string
	make func(t *testing.T, h *house, own map[string]string) map[string]string // the objects in it
	code cairn.Code
	says string
	amid cairn.Code // when the creation has written there, which makes it look otherwise
	// holdsBase says that the backups of the cloud are there.
	holdsBase bool
}

// places are what can be where the cloud was.
func places() []place {
	return []place{
		{"another cloud", func(t *testing.T, _ *house, _ map[string]string) map[string]string {
			store := stores.New(t)
			newHouse(t, store).create()
			return objects(t, store)
		}, cairn.CodeBucketMissing, "is not the one that was opened", cairn.CodeBucketMissing, false},
		{"another cloud of the same key", func(t *testing.T, h *house, _ map[string]string) map[string]string {
			c, err := h.engine.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			store := stores.New(t)
			if _, err := cloud.Open(t.Context(), cloud.Config{Bucket: store, Keys: &keys.Store{Dir: t.TempDir()}, Identity: c.Identity(), Log: slog.New(slog.DiscardHandler)}); err != nil {
				t.Fatal(err)
			}
			return objects(t, store)
		}, cairn.CodeBucketMissing, "is not the one that was opened", cairn.CodeBucketMissing, false},
		{"nothing", func(*testing.T, *house, map[string]string) map[string]string {
			return nil
		}, cairn.CodeBucketMissing, "is missing", cairn.CodeDamaged, false},
		{"all but cairn.json", func(_ *testing.T, _ *house, own map[string]string) map[string]string {
			delete(own, "cairn.json")
			return own
		}, cairn.CodeDamaged, "cairn.json", cairn.CodeDamaged, true},
	}
}

// TestReplacedPlace has the place of the cloud turn into another one before a
// creation and at each stage of it, as when another disk is mounted there: no
// backup is made, neither here nor there, and the error says why.
func TestReplacedPlace(t *testing.T) {
	for _, p := range places() {
		for _, stage := range []string{"before", "scan", "parts/", "indexes/"} {
			t.Run(p.name+", "+stage, func(t *testing.T) { p.replace(t, stage, -1) })
			if p.holdsBase || raced && stage != "parts/" {
				continue // it is good enough to build on, or takes long
			}
			t.Run(p.name+", "+stage+", with a base", func(t *testing.T) { p.replace(t, stage, 2) })
			if stage != "indexes/" {
				t.Run(p.name+", "+stage+", with a little change", func(t *testing.T) { p.replace(t, stage, 1) })
			}
		}
	}
}

// replace has the place turn into this one at a stage of a creation, which sends so
// many parts beside those of a backup to build on, or has none, with -1.
func (p place) replace(t *testing.T, stage string, parts int) {
	store, other, at := stores.New(t), stores.New(t), new(mount)
	at.set(store)
	now := "" // the stage at which the place changes
	change := func(stage string) {
		if now != "" && strings.HasPrefix(stage, now) {
			at.set(other)
		}
	}
	h := openHouse(t, t.TempDir(), &gated{Bucket: at, before: func(_ context.Context, name string) { change(name) }}, func(cfg *backup.Config) {
		quickParts(cfg)
		watchScans(func() { change("scan") }, func() {})(cfg)
	})
	h.apply(doc("a", "text", quickPart/2+1), doc("b", "text", quickPart/2+1))
	h.create()
	for i := range 7 {
		h.apply(doc(fmt.Sprint("more", i), "text", 10)) // so that what there is stays
	}
	for i := range parts {
		h.apply(doc(fmt.Sprint("large", i), "text", quickPart/2+1))
	}
	if parts < 0 {
		h.unbase()
	}
	for name, data := range p.make(t, h, objects(t, store)) {
		put(t, other, name, data)
	}
	own, there := objects(t, store), objects(t, other)
	codes := []cairn.Code{p.amid}
	switch now = stage; stage {
	case "before":
		at.set(other)
		codes[0] = p.code
	case "scan":
		codes = append(codes, p.code) // the place is looked at meanwhile
	}
	if parts == 1 {
		codes = append(codes, p.code) // what was written there is gone again
	}
	b, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
	if !slices.Contains(codes, cairn.CodeOf(err)) || !strings.Contains(fmt.Sprint(err), p.says) {
		t.Errorf("it made %q, with the error %v, want one of %q", b.ID, err, codes)
	}
	if at.get() != other {
		t.Fatal("the place did not change")
	}
	if now := named(objects(t, other), "backups/"); !slices.Equal(now, named(there, "backups/")) {
		t.Errorf("in the other place are the backups %q, and were %q", now, named(there, "backups/"))
	}
	if now := named(objects(t, store), "backups/"); !slices.Equal(now, named(own, "backups/")) {
		t.Errorf("in the cloud are the backups %q, and were %q", now, named(own, "backups/"))
	}
	if (stage == "before" || parts == 1) && len(objects(t, other)) != len(there) {
		t.Error("something was left in the other place")
	}
	now = ""
	at.set(store)
	b = h.create()
	if list := h.list(); len(list) != 2 {
		t.Errorf("with the cloud in its place again, the backups are %v", list)
	}
	if last, _, ok, err := h.engine.Last(t.Context()); err != nil || !ok || last.Backup != b.ID {
		t.Errorf("the newest backup that is known is %q, want %q, %v", last.Backup, b.ID, err)
	}
}

// TestReplacedPlaceAmidRestoration has the place turn into another one while a
// restoration reads: the error says so, and does not call the cloud damaged. The
// database stays as it is.
func TestReplacedPlaceAmidRestoration(t *testing.T) {
	for _, p := range places() {
		for _, stage := range []string{"backups/", "indexes/", "parts/"} {
			t.Run(p.name+", "+stage, func(t *testing.T) {
				store, other, at := stores.New(t), stores.New(t), new(mount)
				at.set(store)
				now := ""
				h := openHouse(t, t.TempDir(), &gated{Bucket: at, before: func(_ context.Context, name string) {
					if now != "" && strings.HasPrefix(name, now) {
						at.set(other)
					}
				}}, quickParts)
				h.apply(doc("a", "text", quickPart/2+1), doc("b", "text", quickPart/2+1))
				b := h.create()
				for name, data := range p.make(t, h, objects(t, store)) {
					put(t, other, name, data)
				}
				h.apply(doc("c", "text", 100))
				before := h.verify()
				now = stage
				_, err := h.engine.Restore(t.Context(), "job", b.ID, ignore)
				if p.name == "all but cairn.json" { // all that is read is there
					if err != nil {
						t.Error(err)
					}
					return
				}
				if cairn.CodeOf(err) != cairn.CodeBucketMissing || !strings.Contains(fmt.Sprint(err), p.says) {
					t.Errorf("it returned %v, want %q", err, p.says)
				}
				if after := h.verify(); after != before {
					t.Errorf("the database is %v, and was %v", after, before)
				}
			})
		}
	}
}
