package database_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// What reads when a generation is swapped in yields what the former one held, and
// nothing of the new one.
func TestReadersAcrossReplace(t *testing.T) {
	db := open(t, t.TempDir())
	want := []string{}
	for i, id := range someNames(8) {
		apply(t, db, long(id, i))
		want = append(want, fmt.Sprintf("%d %s", i+1, id))
	}
	describe := func(d cairn.Document) string { return fmt.Sprintf("%d %s", d.Revision, d.ID) }
	var got [4][]string
	nextDocument, stopList := iter.Pull2(db.List(t.Context(), "assets"))
	defer stopList()
	nextChange, stopChanges := iter.Pull2(db.Changes(t.Context(), "", 0))
	defer stopChanges()
	nextID, stopIDs := iter.Pull2(db.IDs(t.Context(), "assets"))
	defer stopIDs()
	rest := func(n int) {
		for range n {
			if d, err, ok := nextDocument(); ok && err == nil {
				got[0] = append(got[0], describe(d))
			}
			if d, err, ok := nextChange(); ok && err == nil {
				got[1] = append(got[1], describe(d))
			}
			if id, err, ok := nextID(); ok && err == nil {
				got[2] = append(got[2], id)
			}
		}
	}
	rest(3)
	replaced := []cairn.Document{at(1, put("a05", `{"restored":true}`)), at(90, long("new", 1))}
	err := scan(t.Context(), db, 0, func(cairn.Stats) error {
		replace(t, db, "job", replaced)
		apply(t, db, put("a06", `{"later":true}`), remove("new"))
		return nil
	}, func(d cairn.Document, _ cairn.Hash) error { got[3] = append(got[3], describe(d)); return nil })
	if err != nil {
		t.Errorf("Scan: %v", err)
	}
	rest(20)
	for i, name := range []string{"List", "Changes", "IDs", "Scan"} {
		want := want
		if name == "IDs" {
			want = someNames(8)
		}
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(map[string]string{"a05": `{"restored":true}`, "a06": `{"later":true}`}, texts(t, db, "assets")); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

// Each write that was acknowledged while a restoration ran is in the undo
// generation or in the restored one: those of one writer in the one up to some
// point, and in the other from there on.
func TestWritersDuringReplace(t *testing.T) {
	db := open(t, t.TempDir())
	const writers, enough = 3, 8
	var mu sync.Mutex
	acknowledged := make([][]string, writers)
	count := func() (least int) {
		mu.Lock()
		defer mu.Unlock()
		least = len(acknowledged[0])
		for _, ids := range acknowledged {
			least = min(least, len(ids))
		}
		return least
	}
	await := func(n int) {
		for count() < n {
			runtime.Gosched()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("w%d-%05d", w, i)
				if _, err := db.Apply(t.Context(), []cairn.Document{put(id, `{}`)}); err != nil {
					t.Errorf("Apply during a restoration: %v", err)
					return
				}
				mu.Lock()
				acknowledged[w] = append(acknowledged[w], id)
				mu.Unlock()
			}
		})
	}
	await(enough)
	err := db.Replace(t.Context(), replacement("job", backedUp()...), func(prepare prepareFunc) error {
		await(2 * enough) // nobody is blocked
		return feed(backedUp()...)(prepare)
	})
	if err != nil {
		t.Errorf("Replace: %v", err)
	}
	await(count() + enough)
	cancel()
	wg.Wait()
	verify(t, db)
	after := texts(t, db, "assets")
	if err := db.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	verify(t, db)
	before := texts(t, db, "assets")
	for w, ids := range acknowledged {
		swap := len(ids)
		for i, id := range ids {
			_, inOld := before[id]
			_, inNew := after[id]
			if inNew {
				swap = min(swap, i)
			}
			if inOld == inNew || inOld && i > swap {
				t.Fatalf("%s of writer %d is in the former database %t, in the new one %t, after %d", id, w, inOld, inNew, swap)
			}
		}
		if swap < 2*enough || swap > len(ids)-enough/2 {
			t.Errorf("of %d writes of writer %d, %d came before the swap", len(ids), w, swap)
		}
	}
	ours := func(m map[string]string) int {
		return len(slices.DeleteFunc(slices.Collect(maps.Keys(m)), func(id string) bool { return !strings.HasPrefix(id, "w") }))
	}
	if got, want := ours(before)+ours(after), len(slices.Concat(acknowledged...)); got != want {
		t.Errorf("%d writes are there, want the %d that were acknowledged", got, want)
	}
}

// The swap waits for the write under way, which then is in the undo generation,
// and can be cancelled while it waits.
func TestSwapWaitsForWriter(t *testing.T) {
	cause := errors.New("the reason")
	for name, swap := range map[string]func(ctx context.Context, db *database.DB) error{
		"Replace": func(ctx context.Context, db *database.DB) error {
			return db.Replace(ctx, replacement("job", backedUp()...), feed(backedUp()...))
		},
		"Undo": func(ctx context.Context, db *database.DB) error { return db.Undo(ctx) },
	} {
		for _, cancelled := range []bool{false, true} {
			db := open(t, t.TempDir())
			replace(t, db, "first", []cairn.Document{at(1, put("x", `{}`))})
			apply(t, db, put("old", `{}`))
			path := db.Path()
			release := hold(t, t.Context(), db, "old", `{"written":"under way"}`)
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- swap(ctx, db) }()
			for range 1000 {
				runtime.Gosched()
			}
			select {
			case err := <-done:
				t.Fatalf("%s did not wait: %v", name, err)
			default:
			}
			if cancelled {
				cancel(cause)
				if err := receive(t, done); !errors.Is(err, cause) || db.Path() != path {
					t.Errorf("%s, cancelled: %v, want %v", name, err, cause)
				}
			}
			if err := release(); err != nil {
				t.Errorf("%s: the write under way: %v", name, err)
			}
			if !cancelled {
				if err := receive(t, done); err != nil || db.Path() == path {
					t.Errorf("%s: %v, want another database", name, err)
				}
				if err := db.Undo(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if doc, err := db.Get(t.Context(), "assets", "old"); err != nil || string(doc.JSON) != `{"written":"under way"}` || db.Path() != path {
				t.Errorf("%s, cancelled %t: the write under way left %+v, %v", name, cancelled, doc, err)
			}
			cancel(nil)
			shut(t, db)
		}
	}
}

func receive(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(soon):
		t.Fatal("it still waits")
		return nil
	}
}

// A swap wakes who waits for changes, once, with the numbers of the new one; a
// note beside the documents wakes nobody.
func TestSwapWakes(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("old", `{}`))
	old := db.Stats()
	restored := modelOf(backedUp()...)
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"a base", func() error {
			return db.AddBase(t.Context(), old.Line, cairn.Base{Cloud: "c", Backup: "b", Segments: []byte(`[]`)})
		}, false},
		{"a journal", func() error {
			return errors.Join(db.BeginJournal(t.Context(), old.Line, "c", nil), db.AddJournal(t.Context(), old.Line, "c", "b", "p", []byte(`{}`)))
		}, false},
		{"a restoration", func() error {
			return db.Replace(t.Context(), replacement("job", backedUp()...), feed(backedUp()...))
		}, true},
		{"undoing", func() error { return db.Undo(t.Context()) }, true},
	} {
		changed := db.Changed()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := isClosed(changed); got != step.want || isClosed(db.Changed()) {
			t.Errorf("%s: woken %t, want %t", step.name, got, step.want)
		}
		want := old
		if step.name == "a restoration" {
			want = restored.stats(db.Stats().Line)
		}
		if got := db.Stats(); got != want {
			t.Errorf("%s: %+v, want %+v", step.name, got, want)
		}
	}
}

// Restorations may come at the same time as others, as undoing, and as readers
// and writers of all kinds; what is there in the end is whole.
func TestSwapsConcurrently(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("old", `{}`))
	ctx, cancel := context.WithCancel(t.Context())
	var swappers, others sync.WaitGroup
	for i := range 2 {
		swappers.Go(func() {
			for j := range 4 {
				job := fmt.Sprint(i, j)
				if err := db.Replace(t.Context(), replacement(job, backedUp()...), feed(backedUp()...)); err != nil {
					t.Errorf("Replace: %v", err)
				}
				if err := db.Undo(t.Context()); err != nil {
					t.Errorf("Undo: %v", err)
				}
			}
		})
	}
	others.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := db.Apply(t.Context(), []cairn.Document{put("w", fmt.Sprintf(`{"v":%d}`, i))}); err != nil {
				t.Errorf("Apply: %v", err)
			}
		}
	})
	for range 2 {
		others.Go(func() {
			for ctx.Err() == nil {
				checkMoment(t, db)
			}
		})
	}
	swappers.Wait()
	cancel()
	others.Wait()
	verify(t, db)
	if files := generations(t, dir); len(files) != 2 {
		t.Errorf("the generations are %v, want two", files)
	}
	shut(t, db)
	see(t, "in the end", dir)
}

// checkMoment reads in all ways, once.
func checkMoment(t *testing.T, db *database.DB) {
	var want, got cairn.Stats
	err := scan(t.Context(), db, 0, func(s cairn.Stats) error { want = s; return nil }, func(d cairn.Document, _ cairn.Hash) error {
		got.Documents++
		got.Bytes += int64(len(d.JSON))
		got.Digest = got.Digest.Add(cairn.DigestOf(d))
		return nil
	})
	got.Line, got.Revision, got.Deletions = want.Line, want.Revision, want.Deletions
	if err != nil || got != want {
		t.Errorf("Scan: %+v, %v, want %+v", got, err, want)
	}
	for _, err := range db.List(t.Context(), "assets") {
		if err != nil {
			t.Errorf("List: %v", err)
		}
	}
	if _, err := db.Get(t.Context(), "assets", "nowhere"); cairn.CodeOf(err) != cairn.CodeGone {
		t.Errorf("Get: %v", err)
	}
}
