package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// seen is what was learned of a backup in one way, and the error that ended it.
type seen struct {
	what string
	got  map[string]string
	err  error
}

// look looks into a backup in each way. Of documents come texts, which begin with
// their revisions.
func (h *house) look(ctx context.Context, id string, name cairn.DocumentName) []seen {
	list := seen{"the list", map[string]string{}, nil}
	for d, err := range h.engine.Documents(ctx, id, cairn.DocumentFilter{}) {
		if list.err = err; err == nil {
			list.got[d.String()] = fmt.Sprintf("%d ", d.Revision)
		}
	}
	all := seen{"all documents", map[string]string{}, nil}
	for docs, err := range h.engine.PickAll(ctx, id) {
		all.err = err
		for _, d := range docs {
			all.got[d.Collection+"/"+d.ID] = fmt.Sprintf("%d %s", d.Revision, d.JSON)
		}
	}
	one := seen{"one document", map[string]string{}, nil}
	doc, err := h.engine.Document(ctx, id, name)
	if one.err = err; err == nil {
		one.got[name.String()] = fmt.Sprintf("%d %s", doc.Revision, doc.JSON)
	}
	return []seen{list, all, one}
}

// manyDeleted is byHand with deletions in a segment that has an index, and a
// document in each.
func manyDeleted() [][][]cairn.Document {
	return append(byHand(), [][]cairn.Document{
		{at(10, doc("e", "five", 300)), at(11, deletion("b"))}, {at(12, doc("f", "six", 300))}, {at(13, deletion("z"))},
	})
}

// TestBrowseDamage has damage found by all who read the object, and nothing told
// that is not true: a list begins when all that it says is known to be.
func TestBrowseDamage(t *testing.T) {
	chosen := newSample(t)
	store := stores.New(t)
	h := newHouse(t, store)
	documents, stats := folded(manyDeleted())
	b := h.commit(stats, manyDeleted(), nil)
	all, unread := objects(t, store), 0
	for _, name := range named(all, "") {
		if name == "cairn.json" {
			continue
		}
		found := map[string]int{}
		times := 0
		for _, d := range damages(chosen, []byte(all[name]), 2) {
			if d.data != nil && !chosen.has(50) {
				continue
			}
			times++
			if err := store.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if d.data != nil {
				put(t, store, name, string(d.data))
			}
			for _, s := range h.look(t.Context(), b.ID, cairn.DocumentName{Collection: "assets", ID: "d"}) {
				if s.err != nil {
					found[s.what]++
				}
				h.checkSeen(s, name, d, b.ID, documents)
			}
		}
		switch {
		case found["all documents"] == times && (found["the list"] == times || strings.HasPrefix(name, "parts/")):
		case len(found) == 0 && strings.HasPrefix(name, "parts/"):
			unread++ // all that is in it is in a later one anew
		default:
			t.Errorf("damage of %s is found %v times, want %d", name, found, times)
		}
		put(t, store, name, all[name])
	}
	if unread != 2 {
		t.Errorf("%d parts were not read, want 2", unread)
	}
	for _, s := range h.look(t.Context(), b.ID, cairn.DocumentName{Collection: "assets", ID: "d"}) {
		if s.err != nil {
			t.Errorf("undamaged, %s ends with %v", s.what, s.err)
		}
	}
	h.checkTidy(false)
}

// checkSeen compares what was told of a damaged backup with what it held.
func (h *house) checkSeen(s seen, name string, d damage, id string, documents map[string]string) {
	h.t.Helper()
	what := s.what + ", " + name + " is damaged: " + d.what
	if s.err == nil && s.what != "one document" && len(s.got) != len(documents) {
		h.t.Errorf("%s: %d documents, want %d or an error", what, len(s.got), len(documents))
	}
	for key, text := range s.got {
		if !strings.HasPrefix(documents[key], text) {
			h.t.Errorf("%s: %s is %s, want %s", what, key, text, documents[key])
		}
	}
	if s.err == nil {
		return
	}
	if s.what == "the list" && len(s.got) > 0 {
		h.t.Errorf("%s: it begins before all is known", what)
	}
	want, object := cairn.CodeDamaged, name
	if name == manifestOf(id) && d.data == nil {
		want, object = cairn.CodeBackupNotFound, id
	}
	if cairn.CodeOf(s.err) != want || !strings.Contains(s.err.Error(), object) {
		h.t.Errorf("%s: %v, want %q that names %s", what, s.err, want, object)
	}
}

// TestBrowseUntrue looks into backups whose objects are whole, but do not fit each
// other.
func TestBrowseUntrue(t *testing.T) {
	two := [][][]cairn.Document{{{at(1, doc("a", "", 10))}, {at(2, doc("b", "", 10))}}}
	for _, test := range []struct {
		name     string
		segments [][][]cairn.Document
		index    [][][]cairn.Document // what the index says instead, if it is not nil
		change   func(*cloud.Manifest)
		list     string // what the error of the list names; "" for none
		all, one string // those of the others
	}{
		{"a document fewer", two, nil, func(m *cloud.Manifest) { m.Documents-- }, "backups/", "", ""},
		{"a byte more", two, nil, func(m *cloud.Manifest) { m.JSONBytes++ }, "backups/", "", ""},
		{"another document in the index", two, [][][]cairn.Document{{{at(1, doc("d", "", 10))}, {at(2, doc("b", "", 10))}}}, nil, "", "", "parts/"},
		{"another revision in the index", two, [][][]cairn.Document{{{at(1, doc("b", "", 10))}, {at(2, doc("d", "", 10))}}}, nil, "", "", "parts/"},
		{"a deletion in the first segment", [][][]cairn.Document{{{at(1, doc("d", "", 10)), at(2, deletion("x"))}}}, nil, nil, "parts/", "parts/", "parts/"},
	} {
		h := newHouse(t, stores.New(t))
		_, stats := folded(test.segments)
		b := h.commit(stats, test.segments, func(m *cloud.Manifest) {
			if test.index != nil {
				m.Segments[0] = h.otherIndex(m.Segments[0], test.index[0])
			}
			if test.change != nil {
				test.change(m)
			}
		})
		want := map[string]string{"the list": test.list, "all documents": test.all, "one document": test.one}
		name := cairn.DocumentName{Collection: "assets", ID: "d"}
		if test.index == nil && test.one == "" {
			name.ID = "a"
		}
		for _, s := range h.look(t.Context(), b.ID, name) {
			object := want[s.what]
			if (cairn.CodeOf(s.err) == cairn.CodeDamaged) != (object != "") || s.err != nil && !strings.Contains(s.err.Error(), object) {
				t.Errorf("%s: %s ends with %v, want one that names %q", test.name, s.what, s.err, object)
			}
		}
	}
}

// otherIndex writes another index for a segment, with a catalog of other rows.
func (h *house) otherIndex(s segment.Segment, rows [][]cairn.Document) segment.Segment {
	h.t.Helper()
	c, err := h.engine.Connect(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	parts, err := c.Parts(h.t.Context(), s)
	if err != nil {
		h.t.Fatal(err)
	}
	catalog := segment.NewCatalog(h.t.TempDir(), 1<<20)
	defer catalog.Close()
	var batch segment.Batch
	for _, d := range slices.Concat(rows...) {
		batch.Add(segment.NewRow(d, cairn.ContentHash(d.JSON), nil))
	}
	if err := catalog.Add(&batch); err != nil {
		h.t.Fatal(err)
	}
	s.Stored -= s.Index.Size
	var index strings.Builder
	object, err := segment.WriteIndex(h.t.Context(), &index, c.Recipient(), s, parts, catalog)
	if err != nil {
		h.t.Fatal(err)
	}
	object.Name = c.IndexName()
	write(h.t, c, object.Name, []byte(index.String()))
	s.Index, s.Stored = &object, s.Stored+object.Size
	return s
}

// TestBrowseSpoiled has the disk of the spool give back other bytes than were
// fetched: it is the disk that is bad, and not the backup.
func TestBrowseSpoiled(t *testing.T) {
	flips := false
	store := &gated{Bucket: stores.New(t)}
	h := newHouse(t, store)
	store.before = func(_ context.Context, name string) {
		if !flips || !strings.HasPrefix(name, "parts/") {
			return
		}
		files, err := filepath.Glob(filepath.Join(h.dir, "spool", "index.*"))
		if err != nil || len(files) == 0 {
			t.Errorf("the files of indexes are %v, %v", files, err)
		}
		for _, file := range files {
			flip(t, file)
		}
		flips = false
	}
	segments := [][][]cairn.Document{{{at(1, doc("a", "", 10))}, {at(2, doc("z", "", 10))}}, manyDeleted()[2]}
	_, stats := folded(segments)
	b := h.commit(stats, segments, nil)
	flips = true
	list := h.look(t.Context(), b.ID, cairn.DocumentName{Collection: "assets", ID: "a"})[0]
	if flips || cairn.CodeOf(list.err) != cairn.CodeDamaged || !strings.Contains(list.err.Error(), "spool") || len(list.got) > 0 {
		t.Errorf("%v, %v, want that the spool is spoiled", list.got, list.err)
	}
	h.checkTidy(false)
	if list := h.listed(b.ID, cairn.DocumentFilter{}); len(list) != int(stats.Documents) {
		t.Errorf("listed are %v", list)
	}
}

// rowsOf returns segments of two parts each, of so many tiny documents in all.
func rowsOf(segments, documents int) (all [][][]cairn.Document) {
	revision := int64(0)
	for range segments {
		var parts [][]cairn.Document
		for range 2 {
			var rows []cairn.Document
			for range documents / segments / 2 {
				revision++
				rows = append(rows, at(revision, cairn.Document{Collection: "tags", ID: fmt.Sprintf("%040d", revision), JSON: []byte("{}")}))
			}
			parts = append(parts, rows)
		}
		all = append(all, parts)
	}
	return all
}

// TestBrowseMemory lists a backup of many documents: what is in memory does not
// grow with them. When there is no room for the rest, the list says so.
func TestBrowseMemory(t *testing.T) {
	h := newHouse(t, stores.New(t))
	segments := rowsOf(2, 40_000)
	_, stats := folded(segments)
	b := h.commit(stats, segments, nil)
	segments = nil
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools hold
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	most, steps := int64(0), 0
	h.step = func(name string, do func() error) error {
		if name == "spool.catalog" {
			steps++
			most = max(most, held()-before)
		}
		return do()
	}
	n := 0
	for _, err := range h.engine.Documents(t.Context(), b.ID, cairn.DocumentFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 20_000 {
			most = max(most, held()-before)
		}
	}
	if n != int(stats.Documents) || steps < 2 {
		t.Errorf("%d documents were listed and %d files written, want %d and 2 at least", n, steps, stats.Documents)
	}
	t.Logf("%d KiB in memory at most", most>>10)
	if most > 7<<20 { // all rows would take 10 MiB
		t.Errorf("%d KiB are in memory", most>>10)
	}
	h.checkTidy(false)
	for step, code := range map[string]cairn.Code{"spool.catalog": cairn.CodeDiskFull, "spool.browse": cairn.CodeDiskFull, "spool.remove": ""} {
		h.step = func(name string, do func() error) error {
			if name != step {
				return do()
			}
			if step == "spool.remove" {
				return errors.Join(do(), errMade)
			}
			return &fs.PathError{Op: "write", Path: name, Err: noRoom()}
		}
		var filter cairn.DocumentFilter
		if step != "spool.catalog" {
			filter.Limit = 1 // it is done soon, too
		}
		var err error
		for _, err = range h.engine.Documents(t.Context(), b.ID, filter) {
		}
		if cairn.CodeOf(err) != code {
			t.Errorf("a failure of %s is %v, want %q", step, err, code)
		}
		h.checkTidy(false)
	}
}

// TestBrowseLarge takes a document out of a backup that is larger than a part.
func TestBrowseLarge(t *testing.T) {
	h := newHouse(t, stores.New(t))
	big := doc("big", "text", segment.PartBytes*3/2)
	h.apply(doc("a", "", 10), big, doc("b", "", 10))
	b := h.create()
	got, err := h.engine.Document(t.Context(), b.ID, cairn.DocumentName{Collection: "assets", ID: "big"})
	if err != nil || string(got.JSON) != string(big.JSON) || got.Revision != 2 {
		t.Errorf("a document of %d bytes comes back with %d at revision %d, %v", len(big.JSON), len(got.JSON), got.Revision, err)
	}
	if list := slices.Sorted(maps.Keys(h.listed(b.ID, cairn.DocumentFilter{}))); !slices.Equal(list, []string{"assets/a", "assets/b", "assets/big"}) {
		t.Errorf("listed are %v", list)
	}
}

// TestBrowseUnknown looks into what is no backup, and has callers leave early and
// wait for their turn.
func TestBrowseUnknown(t *testing.T) {
	h := openHouse(t, t.TempDir(), stores.New(t), func(cfg *backup.Config) { cfg.Catalog = 1 })
	h.apply(doc("a", "", 10), doc("b", "", 10))
	b := h.create()
	for _, id := range []string{"0.1.0_20200101T000000.123456789Z", "x", ""} {
		for _, s := range h.look(t.Context(), id, cairn.DocumentName{Collection: "assets", ID: "a"}) {
			if cairn.CodeOf(s.err) != cairn.CodeBackupNotFound {
				t.Errorf("%s of %q ends with %v", s.what, id, s.err)
			}
		}
	}
	// Two look into backups and stop there; a third waits for one of them.
	for range h.engine.PickAll(t.Context(), b.ID) {
		for range h.engine.PickAll(t.Context(), b.ID) {
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			cancel(enough)
			for _, s := range h.look(ctx, b.ID, cairn.DocumentName{Collection: "assets", ID: "a"}) {
				if !errors.Is(s.err, enough) {
					t.Errorf("%s ends with %v", s.what, s.err)
				}
			}
			break
		}
		break
	}
	for range h.engine.Documents(t.Context(), b.ID, cairn.DocumentFilter{}) {
		h.checkNotInBackup(b.ID, cairn.DocumentName{Collection: "assets", ID: "c"}) // who lists is in nobody's way
		break
	}
	h.checkTidy(false)
}
