package backup_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/test/stores"
)

// TestRoundTrip creates, changes and restores databases of several sizes.
func TestRoundTrip(t *testing.T) {
	for _, test := range []struct{ documents, size int }{{0, 0}, {1, 100}, {30, 5000}, {800, 2000}} {
		t.Run(fmt.Sprint(test.documents), func(t *testing.T) {
			h := newHouse(t, stores.New(t))
			h.fill(test.documents, test.size)
			want := h.db.Stats()
			b := h.create()
			if b.Documents != int64(test.documents) || b.Digest != want.Digest || b.JSONBytes != want.Bytes || b.Bytes == 0 {
				t.Errorf("the backup %+v is not of %+v", b, want)
			}
			h.apply(cairn.Document{Collection: "tags", ID: "new", JSON: []byte(`{"id":"new"}`)}, deletion("d000000"))
			changed := h.verify()
			h.restore(b.ID)
			if got := h.verify(); got != want.Digest {
				t.Errorf("restored digest %s, want %s", got, want.Digest)
			}
			if got := h.db.Stats(); got.Line == want.Line || got.Revision != want.Revision {
				t.Errorf("after the restoration the numbers are %+v; before the backup they were %+v", got, want)
			}
			h.undo()
			if got := h.verify(); got != changed {
				t.Errorf("undo leads to %s, want %s", got, changed)
			}
			h.restart()
			if got := h.verify(); got != changed {
				t.Errorf("after a restart the digest is %s, want %s", got, changed)
			}
			if list := h.list(); len(list) != 1 || list[0] != b {
				t.Errorf("the list is %+v; want the one backup %+v", list, b)
			}
			h.checkTidy(true)
		})
	}
}

// TestDeletedDatabase backs up a database without documents that had some.
func TestDeletedDatabase(t *testing.T) {
	h := newHouse(t, stores.New(t))
	h.apply(doc("a", "", 10), doc("b", "", 10))
	h.apply(deletion("a"), deletion("b"))
	b := h.create()
	if b.Revision != 4 || b.Documents != 0 || b.Digest != (cairn.Digest{}) {
		t.Errorf("the backup is %+v", b)
	}
	h.apply(doc("c", "", 10))
	h.restore(b.ID)
	if d := h.verify(); d != (cairn.Digest{}) || h.db.Stats().Revision != 4 {
		t.Errorf("restored is %s of revision %d", d, h.db.Stats().Revision)
	}
	h.apply(doc("a", "again", 10))
	if r := h.db.Stats().Revision; r != 5 {
		t.Errorf("the next revision is %d, want 5", r)
	}
}

// TestManifest settles what became of the write that makes a backup exist.
func TestManifest(t *testing.T) {
	manifests := func(op fault.Op, times int, effect fault.Effect) func(fault.Call) fault.Outcome {
		return func(c fault.Call) fault.Outcome {
			if c.Op != op || !strings.HasPrefix(c.Name, "backups/") || times == 0 {
				return fault.Outcome{}
			}
			times--
			return fault.Outcome{Effect: effect}
		}
	}
	for _, test := range []struct {
		name   string
		decide func(fault.Call) fault.Outcome
		done   bool
	}{
		{"the answer is lost once", manifests(fault.Put, 1, fault.Lost), true},
		{"the answer is always lost", manifests(fault.Put, -1, fault.Lost), true},
		{"it fails once", manifests(fault.Put, 1, fault.Fail), true},
		{"it fails three times", manifests(fault.Put, 3, fault.Fail), true},
		{"it always fails", manifests(fault.Put, -1, fault.Fail), false},
	} {
		for _, retry := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, retry=%t", test.name, retry), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := stores.New(t)
					var b bucket.Bucket = fault.New(store, test.decide)
					if retry {
						b = bucket.Retry(b, bucket.Policy{})
					}
					h := newHouse(t, b)
					h.apply(doc("a", "", 10))
					made, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
					if done := err == nil; done != test.done || !done && cairn.CodeOf(err) != cairn.CodeCloudLost {
						t.Errorf("done: %t, %v", done, err)
					}
					list := h.list()
					if err == nil && (len(list) != 1 || list[0] != made) || err != nil && len(list) != 0 {
						t.Errorf("listed are %v after %v, %v", list, made, err)
					}
					if n := len(named(objects(t, store), "backups/")); n != len(list) {
						t.Errorf("%d manifests are there", n)
					}
				})
			})
		}
	}
}

// TestTakenID has a creation take another id when another device has the first.
func TestTakenID(t *testing.T) {
	store := stores.New(t)
	now := time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC)
	draws := []uint32{7, 7, 7, 8}
	h := openHouse(t, t.TempDir(), store, func(cfg *backup.Config) {
		cfg.Now = func() time.Time { return now }
		cfg.Random = func() uint32 {
			if len(draws) == 0 {
				return 7
			}
			draw := draws[0]
			draws = draws[1:]
			return draw
		}
	})
	h.apply(doc("a", "", 10))
	first := h.create()
	h.apply(doc("b", "", 10))
	var ids []string
	second, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), func(b cairn.Backup, _ cairn.Progress) { ids = append(ids, b.ID) })
	if err != nil {
		t.Fatal(err)
	}
	if ids = slices.Compact(ids); second.ID == first.ID || !slices.Equal(ids, []string{first.ID, second.ID}) {
		t.Errorf("the ids reported are %v; the backups are %s and %s", ids, first.ID, second.ID)
	}
	before := objects(t, store)
	third, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore) // draws 7 for ever
	if cairn.CodeOf(err) != cairn.CodeInternal || !strings.Contains(fmt.Sprint(err), "were taken") {
		t.Errorf("with all ids taken: %v, %v", third, err)
	}
	after := objects(t, store)
	for _, folder := range []string{"backups/", "cairn.json"} {
		for _, name := range named(after, folder) {
			if after[name] != before[name] {
				t.Errorf("%s was written", name)
			}
		}
	}
	if list := h.list(); len(list) != 2 {
		t.Errorf("listed are %v", list)
	}
	for _, b := range []cairn.Backup{first, second} {
		h.restore(b.ID)
		if d := h.verify(); d != b.Digest {
			t.Errorf("%s restores to %s, want %s", b.ID, d, b.Digest)
		}
	}
}

// chosen yields assets, and then an error if there is one.
func chosen(err error, docs ...cairn.Document) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
		if err != nil {
			yield(cairn.Document{}, err)
		}
	}
}

// TestCancelWhenCommitting ends the context of a creation while its manifest is
// being written: the backup exists, and is noted as one to build on.
func TestCancelWhenCommitting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := openHouse(t, t.TempDir(), &gated{Bucket: stores.New(t), before: func(_ context.Context, name string) {
		if strings.HasPrefix(name, "backups/") {
			cancel()
		}
	}}, nil)
	h.apply(doc("a", "text", 100))
	b, err := h.engine.Create(ctx, h.engine.NewBackup(cairn.ScopeAll), ignore)
	if err != nil || ctx.Err() == nil {
		t.Fatalf("it returned %v; the context ended: %v", err, ctx.Err())
	}
	if last, _, ok, err := h.engine.Last(t.Context()); err != nil || !ok || last.Backup != b.ID {
		t.Errorf("the newest backup that is known is %+v, %v, want %s", last, err, b.ID)
	}
}

// TestCreateFrom makes backups of chosen assets, which are kept apart.
func TestCreateFrom(t *testing.T) {
	store := stores.New(t)
	h := newHouse(t, store)
	h.apply(doc("a", "live", 10))
	docs := []cairn.Document{at(700, doc("x", "", 10)), doc("big", "in a part of its own", 8<<20), at(3, doc("y", "", 10))}
	var last cairn.Progress
	b, err := h.engine.CreateFrom(t.Context(), h.engine.NewBackup(cairn.ScopeAssets), chosen(nil, docs...), func(_ cairn.Backup, p cairn.Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	_, want := folded([][][]cairn.Document{{{at(1, docs[0]), at(2, docs[1]), at(3, docs[2])}}})
	if b.Scope != cairn.ScopeAssets || b.Revision != 3 || b.Documents != 3 || b.Digest != want.Digest || b.JSONBytes != want.Bytes {
		t.Errorf("the backup is %+v, want %+v", b, want)
	}
	if last.Done != want.Bytes || last.Total != want.Bytes {
		t.Errorf("the last progress is %+v, want all of %d", last, want.Bytes)
	}
	if list := h.list(); len(list) != 0 {
		t.Errorf("listed are %v", list)
	}
	if got, err := h.engine.Backup(t.Context(), b.ID); err != nil || got != b {
		t.Errorf("Backup returns %v, %v", got, err)
	}
	if _, _, ok, err := h.engine.Last(t.Context()); ok || err != nil {
		t.Errorf("it is one to build on: %t, %v", ok, err)
	}
	v := watch(h)
	v.checkRefused("a backup of assets", b.ID, b.ID, cairn.CodeBackupIsPartial)

	none, err := h.engine.CreateFrom(t.Context(), h.engine.NewBackup(cairn.ScopeAssets), chosen(nil), ignore)
	if err != nil || none.Documents != 0 || none.Revision != 0 {
		t.Errorf("of no assets: %v, %v", none, err)
	}
	manifests := named(objects(t, store), "backups/")
	broken := errors.New("the iterator is broken")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	for name, test := range map[string]struct {
		ctx  context.Context
		docs iter.Seq2[cairn.Document, error]
		want func(error) bool
	}{
		"an error of the iterator": {t.Context(), chosen(broken, docs[0]), func(err error) bool { return errors.Is(err, broken) }},
		"an id that none can have": {t.Context(), chosen(nil, docs[0], cairn.Document{Collection: "assets", ID: "a/b", JSON: []byte(`{}`)}),
			func(err error) bool { return cairn.CodeOf(err) == cairn.CodeInvalid }},
		"an end of the context": {ended, chosen(nil, docs...), func(err error) bool { return errors.Is(err, broken) || errors.Is(err, context.Canceled) }},
	} {
		if b, err := h.engine.CreateFrom(test.ctx, h.engine.NewBackup(cairn.ScopeAssets), test.docs, ignore); !test.want(err) {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
	if got := named(objects(t, store), "backups/"); !slices.Equal(got, manifests) {
		t.Errorf("the manifests are %v, want %v", got, manifests)
	}
	v.checkUntouched("at the end")
	if err := h.engine.Delete(t.Context(), b.ID); err != nil {
		t.Error(err)
	}
}

// TestSpoolFails has the folder for parts and indexes go: the creation says so,
// and nothing is listed.
func TestSpoolFails(t *testing.T) {
	for _, what := range []string{"part", "index"} {
		store := stores.New(t)
		h := openHouse(t, t.TempDir(), store, sequential)
		h.apply(doc("a", "", 10), doc("big", "in a part of its own", 8<<20), doc("b", "", 10))
		spool := filepath.Join(h.dir, "spool")
		before := map[string]string{"part": "spool.part", "index": "spool.index"}[what]
		h.step = func(name string, do func() error) error {
			if name == before {
				if err := os.RemoveAll(spool); err != nil {
					t.Error(err)
				}
			}
			return do()
		}
		b, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
		if err == nil || !strings.Contains(err.Error(), spool) {
			t.Errorf("%s: got %v, %v", what, b, err)
		}
		if list := h.list(); len(list) != 0 {
			t.Errorf("%s: listed are %v", what, list)
		}
		h.step = nil
		h.restart()
		h.checkTidy(true)
		h.restore(h.create().ID)
		h.verify()
	}
}

// TestProgress has progress of every kind only grow, up to everything.
func TestProgress(t *testing.T) {
	h := newHouse(t, stores.New(t))
	h.apply(large().documents...)
	_, stats := folded(byHand())
	hand := h.commit(stats, byHand(), nil)
	check := func(what string, run func(backup.Report) (cairn.Backup, error)) {
		t.Helper()
		var last cairn.Progress
		b, err := run(func(_ cairn.Backup, p cairn.Progress) {
			if p.Done < last.Done || p.Done > p.Total {
				t.Errorf("%s: %+v after %+v", what, p, last)
			}
			last = p
		})
		if err != nil || last.Done != b.JSONBytes || last.Total != b.JSONBytes {
			t.Errorf("%s: ended at %+v of %d bytes, %v", what, last, b.JSONBytes, err)
		}
	}
	check("creation", func(r backup.Report) (cairn.Backup, error) {
		return h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), r)
	})
	check("restoration", func(r backup.Report) (cairn.Backup, error) {
		return h.engine.Restore(t.Context(), "job", h.list()[1].ID, r)
	})
	check("restoration of segments", func(r backup.Report) (cairn.Backup, error) {
		return h.engine.Restore(t.Context(), "job", hand.ID, r)
	})
}

// TestLast tells what was backed up last, and what changed since.
func TestLast(t *testing.T) {
	store := stores.New(t)
	h := newHouse(t, store)
	check := func(what string, id string, changes int64) {
		t.Helper()
		last, n, ok, err := h.engine.Last(t.Context())
		if err != nil || ok != (id != "") || last.Backup != id || n != changes {
			t.Errorf("%s: %s with %d changes, %t, %v; want %s with %d", what, last.Backup, n, ok, err, id, changes)
		}
	}
	check("at first", "", 0)
	h.apply(doc("a", "", 10), doc("b", "", 10))
	first := h.create()
	check("created", first.ID, 0)
	h.apply(doc("a", "changed", 10), deletion("b"), doc("c", "", 10))
	check("changed", first.ID, 3)
	second := h.create()
	check("created again", second.ID, 0)
	h.restore(first.ID)
	check("restored", first.ID, 0)
	h.undo()
	check("undone", second.ID, 0)

	// A deletion whose answers are lost has happened all the same.
	lose := fault.New(store, func(c fault.Call) fault.Outcome {
		if c.Op == fault.Delete {
			return fault.Outcome{Effect: fault.Lost}
		}
		if c.Op == fault.Head {
			return fault.Outcome{Effect: fault.Fail}
		}
		return fault.Outcome{}
	})
	h.bucket = lose
	h.engine = h.newEngine()
	if err := h.engine.Delete(t.Context(), second.ID); !errors.Is(err, bucket.ErrUnknown) {
		t.Errorf("Delete returned %v", err)
	}
	if err := h.engine.Delete(t.Context(), second.ID); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		t.Errorf("Delete returned %v", err)
	}
	check("deleted", first.ID, 3)

	// Undoing brings a database back that still knows what was deleted meanwhile.
	h.bucket = store
	h.engine = h.newEngine()
	third := h.create()
	h.restore(third.ID)
	if err := h.engine.Delete(t.Context(), third.ID); err != nil {
		t.Fatal(err)
	}
	h.undo()
	check("deleted and undone", first.ID, 3)
}

// TestLastOfTwo tells of no backup that another device deleted, once that was
// seen.
func TestLastOfTwo(t *testing.T) {
	h := newHouse(t, stores.New(t))
	h.apply(doc("a", "", 10))
	first := h.create()
	h.apply(doc("b", "", 10))
	second := h.create()
	other := h.neighbour()
	if err := other.engine.Delete(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	check := func(what, id string, backups int64) {
		t.Helper()
		st := h.engine.Cloud(t.Context())
		last, _, ok, err := h.engine.Last(t.Context())
		if st.Backups != backups || err != nil || ok != (id != "") || last.Backup != id {
			t.Errorf("%s: %d backups, the last %q %t, %v; want %d and %q", what, st.Backups, last.Backup, ok, err, backups, id)
		}
	}
	check("one was deleted", first.ID, 1)
	// What cannot be read now may be put back.
	manifest := objects(t, h.bucket)[manifestOf(first.ID)]
	put(t, h.bucket, manifestOf(first.ID), "damaged")
	check("the other was damaged", "", 0)
	put(t, h.bucket, manifestOf(first.ID), manifest)
	check("it was put back", first.ID, 1)
	third := h.create()
	check("a new one was made", third.ID, 2)
}

// TestConnecting has those who only ask what is known not wait for a store that
// does not answer.
func TestConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &gated{Bucket: stores.New(t), before: func(ctx context.Context, _ string) { <-ctx.Done() }})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() {
			_, err := h.engine.List(ctx)
			ended <- err
		}()
		synctest.Wait()
		if id, ok := h.engine.Connected(); ok {
			t.Errorf("connected to %s", id)
		}
		if _, _, ok, err := h.engine.Last(t.Context()); ok || err != nil {
			t.Errorf("Last: %t, %v", ok, err)
		}
		begin := time.Now()
		st := h.engine.Cloud(t.Context())
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("the status took %s", took)
		}
		if st.State != cairn.CloudUnavailable || st.Problem == nil || st.Problem.Code != cairn.CodeCloudLost {
			t.Errorf("the status is %+v", st)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("List returned %v", err)
		}
	})
}

// TestObjects pins what a creation and a deletion leave in the bucket.
func TestObjects(t *testing.T) {
	store := stores.New(t)
	h := newHouse(t, store)
	h.apply(doc("a", "", 10), doc("big", "in a part of its own", 8<<20), doc("b", "", 10))
	kinds := func() map[string]int {
		n := map[string]int{}
		for name := range objects(t, store) {
			folder, _, _ := strings.Cut(name, "/")
			n[folder]++
		}
		return n
	}
	b := h.create()
	want := map[string]int{"cairn.json": 1, "parts": 3, "indexes": 1, "backups": 1}
	if got := kinds(); !maps.Equal(got, want) {
		t.Errorf("after a creation: %v, want %v", got, want)
	}
	var size int64
	for name, data := range objects(t, store) {
		if name != "cairn.json" {
			size += int64(len(data))
		}
	}
	if b.Bytes != size {
		t.Errorf("the backup says %d bytes, and its objects have %d", b.Bytes, size)
	}
	manifest := objects(t, store)[manifestOf(b.ID)]
	if err := h.engine.Delete(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	delete(want, "backups")
	want["trash"] = 2 // with its receipt
	after := objects(t, store)
	if got := kinds(); !maps.Equal(got, want) || after[named(after, "trash/")[0]] != manifest {
		t.Errorf("after a deletion: %v, want %v", got, want)
	}
	if _, err := h.engine.Restore(t.Context(), "job", b.ID, ignore); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		t.Errorf("restoring it: %v", err)
	}
}
