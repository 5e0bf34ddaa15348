package backup_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket/fault"
	"cairn/internal/database"
	"cairn/test/stores"
)

// A scanned database calls row when a scan has its numbers and before each document
// of it, and done at its end.
type scanned struct {
	*database.DB
	row  func()
	done func()
}

func (s scanned) Moment(ctx context.Context, look func(cairn.Moment) error) error {
	err := s.DB.Moment(ctx, func(m cairn.Moment) error {
		s.row()
		scan := m.Scan
		m.Scan = func(after, to int64, deletions bool, row func(cairn.Document, cairn.Hash) error) error {
			return scan(after, to, deletions, func(d cairn.Document, hash cairn.Hash) error {
				s.row()
				return row(d, hash)
			})
		}
		return look(m)
	})
	s.done()
	return err
}

// watchScans returns an edit that has row and done called.
func watchScans(row, done func()) func(*backup.Config) {
	return func(cfg *backup.Config) {
		cfg.Database = scanned{cfg.Database.(*database.DB), row, done}
	}
}

// counter returns a document that holds a number.
func counter(id string, n int) cairn.Document {
	return cairn.Document{Collection: "counters", ID: id, JSON: fmt.Appendf(nil, `{"id":"%s","n":%d}`, id, n)}
}

// A writer writes two counters at once, again and again.
type writer struct {
	written atomic.Int64
	stop    chan struct{}
	gone    chan struct{} // closed when it has ended
}

// startWriter starts one, which ends when the test ends at the latest.
func startWriter(t *testing.T, h *house) *writer {
	w := &writer{stop: make(chan struct{}), gone: make(chan struct{})}
	go func() {
		defer close(w.gone)
		for n := 1; ; n++ {
			select {
			case <-w.stop:
				return
			default:
			}
			if _, err := h.db.Apply(context.Background(), []cairn.Document{counter("one", n), counter(fmt.Sprintf("n%06d", n), n), counter("two", n)}); err != nil {
				t.Errorf("writing: %v", err)
				return
			}
			w.written.Store(int64(n))
		}
	}()
	t.Cleanup(w.end)
	return w
}

// end stops the writer and waits for it.
func (w *writer) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.gone
}

// await waits until n more writes were acknowledged, which takes as long as the
// disk takes. It gives up when the writer has ended.
func (w *writer) await(h *house, n int64) {
	for from := w.written.Load(); w.written.Load() < from+n; {
		changed := h.db.Changed()
		if w.written.Load() >= from+n {
			return
		}
		select {
		case <-changed:
		case <-w.gone:
			return
		}
	}
}

// counters returns the two counters, and how many numbers are there: all from 1
// to the last one, or the test fails.
func counters(t *testing.T, h *house) (one, two string, numbers int) {
	t.Helper()
	all := h.documents()
	for key := range all {
		if strings.HasPrefix(key, "counters/n") {
			numbers++
		}
	}
	value := func(id string) string {
		_, json, _ := strings.Cut(all["counters/"+id], `"n":`)
		return strings.TrimSuffix(json, "}")
	}
	return value("one"), value("two"), numbers
}

// TestWritersDuringCreate has writers go on while a scan is held open: none of
// them waits, and the backup is one moment of the database.
func TestWritersDuringCreate(t *testing.T) {
	h := newHouse(t, stores.New(t))
	h.fill(20, 2000)
	w := startWriter(t, h)
	var during int64
	waits := 0
	h.edit = watchScans(func() {
		if waits++; waits <= 2 { // behind the numbers, and behind the first document
			from := w.written.Load()
			w.await(h, 5)
			during += w.written.Load() - from
		}
	}, func() {})
	h.engine = h.newEngine()
	for range 4 {
		w.await(h, 1)
		during, waits = 0, 0
		b := h.create()
		w.await(h, 1)
		if during < 10 {
			t.Errorf("%d writes while the scan was open", during)
		}
		other := h.neighbour()
		other.restore(b.ID)
		if d := other.verify(); d != b.Digest {
			t.Errorf("restored is %s, want %s", d, b.Digest)
		}
		one, two, numbers := counters(t, other)
		if one != two || one != fmt.Sprint(numbers) {
			t.Errorf("the backup is not one moment: %s, %s and %d numbers", one, two, numbers)
		}
	}
	w.end()
	h.verify()
}

// TestWritersDuringRestore has every write that was acknowledged while a
// restoration ran in the database that it replaced, or in the new one.
func TestWritersDuringRestore(t *testing.T) {
	store := stores.New(t)
	var w *writer
	var h *house
	through := fault.New(store, func(c fault.Call) fault.Outcome {
		if c.Op == fault.Get && strings.HasPrefix(c.Name, "parts/") {
			w.await(h, 3)
		}
		return fault.Outcome{}
	})
	h = newHouse(t, through)
	h.fill(20, 2000)
	b := h.create()
	w = startWriter(t, h)
	w.await(h, 3)
	acknowledged := w.written.Load()
	h.restore(b.ID)
	before := w.written.Load()
	w.await(h, 5)
	w.end()
	all := int(w.written.Load())
	if before-acknowledged < 3 {
		t.Errorf("%d writes while the restoration ran", before-acknowledged)
	}
	_, _, after := counters(t, h)
	h.verify()
	live := h.documents()
	h.undo()
	h.verify()
	_, _, former := counters(t, h)
	undone := h.documents()
	if former+after != all || after < 5 {
		t.Errorf("of %d acknowledged writes %d are in the former database and %d in the new one", all, former, after)
	}
	for n := 1; n <= all; n++ {
		key := fmt.Sprintf("counters/n%06d", n)
		if where := undone; n > former {
			where = live
			if _, ok := where[key]; !ok {
				t.Errorf("the write %d is not in the new database", n)
			}
		} else if _, ok := where[key]; !ok {
			t.Errorf("the write %d is not in the former database", n)
		}
	}
	h.restart()
	if _, _, n := counters(t, h); n != former {
		t.Errorf("after a restart %d writes, want %d", n, former)
	}
}

// TestReadersAcrossRestores has readers that began before two restorations see
// the database with which they began, whose file goes behind the last of them.
func TestReadersAcrossRestores(t *testing.T) {
	h := newHouse(t, stores.New(t))
	h.fill(12, 100_000) // several pages of a list
	b := h.create()
	h.apply(doc("d000003", "newer than the backup", 100_000), deletion("d000005"))
	var want []string
	for d, err := range h.db.List(t.Context(), "assets") {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint(d.Revision, d.ID))
	}
	oldest := h.current().Live
	readers := []iter.Seq2[cairn.Document, error]{
		h.db.List(t.Context(), "assets"), h.db.List(t.Context(), "assets"), h.db.Changes(t.Context(), "", 1),
	}
	var next []func() (cairn.Document, error, bool)
	for _, r := range readers {
		n, stop := iter.Pull2(r)
		defer stop()
		next = append(next, n)
	}
	got := make([][]string, len(readers))
	read := func(i int) bool {
		d, err, ok := next[i]()
		if err != nil {
			t.Fatalf("a reader on its way: %v", err)
		}
		if ok && !d.Deleted() {
			got[i] = append(got[i], fmt.Sprint(d.Revision, d.ID))
		}
		return ok
	}
	for i := range readers {
		read(i)
	}
	for round := range 2 {
		h.restore(b.ID)
		h.apply(doc("d000001", fmt.Sprint("after restoration ", round), 10))
		for i := range readers {
			read(i)
		}
	}
	if files := h.files(); !slices.Contains(files, "generations/"+oldest) {
		t.Errorf("the oldest generation went while it was read: %v", files)
	}
	for i := range readers {
		for read(i) {
		}
	}
	for i := range got[:2] {
		if !slices.Equal(got[i], want) {
			t.Errorf("reader %d saw %v, want %v", i, got[i], want)
		}
	}
	if len(got[2]) != len(want)-1 && !slices.Equal(got[2], want) { // it began behind the first
		t.Errorf("the reader of changes saw %v, want %v", got[2], want)
	}
	h.checkTidy(true)
	live := h.db.Stats().Digest
	h.undo()
	undone := h.verify()
	h.undo()
	if d := h.verify(); d != live || undone == live {
		t.Errorf("undoing the undo leads to %s, want %s", d, live)
	}
	h.restart()
	h.checkTidy(true)
}
