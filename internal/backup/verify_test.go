package backup_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// everything is the subset of all parts.
var everything = cairn.Subset{Percent: 100}

// untold hears nothing of the progress.
func untold(cairn.Progress) {}

// A street is a cloud of several backups, some of which share objects.
type street struct {
	*house
	// backups are those of the cloud, newest first: one made by the engine, one of
	// chosen assets, one that takes parts over into another index, one that shares
	// what the oldest has, and that.
	backups []cairn.Backup
	objects map[string]string
	users   map[string][]string // ids of the backups that need an object, newest first
}

// newStreet builds the backups in a store, through what is in front of it.
func newStreet(t testing.TB, store, front bucket.Bucket) *street {
	t.Helper()
	h := newHouse(t, front)
	h.store = store
	_, stats := folded(byHand())
	oldest := h.commit(stats, byHand(), nil)
	later := append(byHand(), [][]cairn.Document{{at(12, doc("e", "five", 300))}, {at(13, deletion("d")), at(14, doc("f", "six", 300))}})
	shared := h.extend(oldest, later)
	chosen := [][][]cairn.Document{{{at(1, doc("x", "chosen", 300))}, {at(2, doc("y", "chosen", 300))}}}
	_, stats = folded(chosen)
	assets := h.commit(stats, chosen, func(m *cloud.Manifest) { m.Scope = cairn.ScopeAssets })
	h.apply(doc("own", "of the database", 3000))
	s := &street{house: h, backups: []cairn.Backup{h.create(), assets, h.takeOver(oldest), shared, oldest}, objects: objects(t, store), users: map[string][]string{}}
	slices.SortFunc(s.backups, func(a, b cairn.Backup) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
	})
	for _, b := range s.backups {
		c, m := h.manifest(b.ID)
		s.use(b.ID, manifestOf(b.ID), "cairn.json")
		for _, segment := range m.Segments {
			if segment.Index != nil {
				s.use(b.ID, segment.Index.Name)
			}
			parts, err := c.Parts(t.Context(), segment)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parts {
				s.use(b.ID, p.Name)
			}
		}
	}
	if n := len(s.users[named(s.objects, "indexes/")[0]]); len(s.users) != len(s.objects) || n == 0 {
		t.Fatalf("%d objects are used, and there are %d", len(s.users), len(s.objects))
	}
	return s
}

// use notes that a backup needs objects.
func (s *street) use(id string, names ...string) {
	for _, name := range names {
		s.users[name] = append(s.users[name], id)
	}
}

// extend makes a backup of the segments that another one has, and of the last of
// those given.
func (h *house) extend(old cairn.Backup, segments [][][]cairn.Document) cairn.Backup {
	h.t.Helper()
	c, m := h.manifest(old.ID)
	_, stats := folded(segments)
	more := h.segment(c, m.Revision, segments[len(segments)-1])
	b, err := c.Commit(h.t.Context(), cloud.Manifest{Backup: newBackup(stats), Segments: append(m.Segments, more)}, c.Fresh())
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// check checks the cloud, which must be possible.
func (h *house) check(subset cairn.Subset) cairn.Verification {
	h.t.Helper()
	v, err := h.engine.CheckCloud(h.t.Context(), subset, untold)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// verified verifies a backup, which must be possible.
func (h *house) verified(id string, readData bool) cairn.Verification {
	h.t.Helper()
	v, err := h.engine.Verify(h.t.Context(), id, readData, untold)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// checkClean has nothing found.
func checkClean(t testing.TB, what string, v cairn.Verification) {
	t.Helper()
	if len(v.Damaged) > 0 || len(v.Unchecked) > 0 || len(v.Affected) > 0 || v.MoreDamaged > 0 || v.MoreUnchecked > 0 {
		t.Errorf("%s: found are %s", what, summary(v))
	}
}

// summary says what was found, for messages and comparisons.
func summary(v cairn.Verification) string {
	var b strings.Builder
	for _, f := range v.Damaged {
		fmt.Fprintf(&b, "damaged %s needed by %v; ", f.Object, f.Backups)
	}
	for _, f := range v.Unchecked {
		fmt.Fprintf(&b, "unchecked %s needed by %v; ", f.Object, f.Backups)
	}
	for _, a := range v.Affected {
		fmt.Fprintf(&b, "affected %s (%d); ", a.ID, a.Objects)
	}
	return b.String()
}

// want returns the summary of one damaged object of some backups.
func want(name string, ids []string) string {
	text := fmt.Sprintf("damaged %s needed by %v; ", name, ids)
	for _, id := range ids {
		text += fmt.Sprintf("affected %s (1); ", id)
	}
	return text
}

// TestIntactCloud has nothing found, each object counted once, and each part read
// once.
func TestIntactCloud(t *testing.T) {
	reads := newTally()
	store := stores.New(t)
	s := newStreet(t, store, reads.over(store))
	var stored int64
	for name, data := range s.objects {
		if name != "cairn.json" {
			stored += int64(len(data))
		}
	}
	put(t, s.store, "parts/aa/"+strings.Repeat("a", 32)+".jsonl.zst.age", "of no backup")
	put(t, s.store, "parts/notes.txt", "foreign")
	reads.clear()
	for _, subset := range []cairn.Subset{{}, everything} {
		v := s.check(subset)
		checkClean(t, "all", v)
		if v.Backups != 5 || v.Objects != int64(len(s.objects)-1) || v.Bytes != stored {
			t.Errorf("it counts %+v, want %d objects of %d bytes", v, len(s.objects)-1, stored)
		}
		if v.Unreferenced != 1 || v.UnreferencedBytes != int64(len("of no backup")) || v.Foreign != 1 {
			t.Errorf("it counts %d objects of %d bytes that no backup needs, and %d foreign ones", v.Unreferenced, v.UnreferencedBytes, v.Foreign)
		}
		parts, want := reads.of("parts/"), int64(0)
		if subset == everything {
			want = int64(len(named(s.objects, "parts/")))
		}
		if int64(parts) != want || v.Read != want || reads.most() > 2 { // cairn.json is
			t.Errorf("it says that it has read %d parts, and has read %d, want %d; one object %d times", v.Read, parts, want, reads.most())
		}
		reads.clear()
	}
	for _, b := range s.backups {
		for _, readData := range []bool{false, true} {
			v := s.verified(b.ID, readData)
			checkClean(t, b.ID, v)
			if v.Backups != 1 || v.Bytes != b.Bytes || (v.Read > 0) != readData || (v.Read > 0) != (reads.of("parts/") > 0) {
				t.Errorf("of %d bytes it counts %+v, and %d were read", b.Bytes, v, reads.of("parts/"))
			}
			reads.clear()
		}
	}
	s.checkTidy(false)
	if _, err := s.engine.Verify(t.Context(), "0.1.0_20260101T000000.000000001Z", false, untold); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		t.Errorf("verifying a backup that is not there returned %v", err)
	}
}

// An injury is one damage of one object.
type injury struct {
	*street
	name string
	damage
}

// seen reports whether the damage shows without reading parts.
func (d injury) seen() bool {
	return !strings.HasPrefix(d.name, "parts/") || d.data == nil || len(d.data) != len(d.objects[d.name])
}

// check has the damage found by a check of all, and the right backups named.
func (d injury) check() {
	d.t.Helper()
	for _, subset := range []cairn.Subset{{}, everything} {
		v, err := d.engine.CheckCloud(d.t.Context(), subset, untold)
		found := want(d.name, d.users[d.name])
		switch {
		case d.name == "cairn.json" && cairn.CodeOf(err) == cairn.CodeFormatTooNew:
			continue // the format is read first
		case err != nil:
			d.t.Errorf("%s, %s: %v", d.name, d.what, err)
			continue
		case strings.HasPrefix(d.name, "backups/") && d.data == nil, subset != everything && !d.seen():
			found = "" // there is no such backup, or it takes reading
		}
		if got := summary(v); got != found {
			d.t.Errorf("%s, %s: reading %v, found are %q, want %q", d.name, d.what, subset, got, found)
		}
	}
}

// verify has it found in the backups that need the object, and in no others.
func (d injury) verify() {
	d.t.Helper()
	for _, b := range d.backups {
		for _, readData := range []bool{false, true} {
			v, err := d.engine.Verify(d.t.Context(), b.ID, readData, untold)
			found := ""
			if slices.Contains(d.users[d.name], b.ID) && (readData || d.seen()) {
				found = want(d.name, []string{b.ID})
			}
			switch {
			case d.name == "cairn.json" && cairn.CodeOf(err) == cairn.CodeFormatTooNew:
			case d.name == manifestOf(b.ID) && d.data == nil:
				if cairn.CodeOf(err) != cairn.CodeBackupNotFound {
					d.t.Errorf("%s, %s: verifying it returned %v", d.name, d.what, err)
				}
			case err != nil:
				d.t.Errorf("%s, %s: %v", d.name, d.what, err)
			case summary(v) != found:
				d.t.Errorf("%s, %s: in %s are found %q, want %q", d.name, d.what, b.ID, summary(v), found)
			}
		}
	}
}

// TestDamageIsFound damages each object of a cloud in every way.
func TestDamageIsFound(t *testing.T) {
	chosen := newSample(t)
	store := stores.New(t)
	s := newStreet(t, store, store)
	for _, name := range named(s.objects, "") {
		data := s.objects[name]
		all := damages(chosen, []byte(data), 4)
		folder, _, _ := strings.Cut(name, "/")
		for _, other := range named(s.objects, folder+"/") {
			if other != name && chosen.has(50) {
				all = append(all, damage{"it holds what " + other + " does", []byte(s.objects[other])})
			}
		}
		for _, d := range all {
			if !chosen.has(50) {
				continue
			}
			if err := store.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if d.data != nil {
				put(t, store, name, string(d.data))
			}
			s.engine = s.newEngine() // which has seen nothing
			if name == "cairn.json" {
				s.engine = s.house.engine
				put(t, store, name, data)
				if err := s.engine.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := store.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				if d.data != nil {
					put(t, store, name, string(d.data))
				}
			}
			hurt := injury{s, name, d}
			hurt.check()
			if chosen.has(10) {
				hurt.verify()
			}
		}
		put(t, store, name, data)
	}
	checkClean(t, "in the end", s.check(everything))
	s.checkTidy(false)
}

// TestFlippedBits flips bits of a cloud at random: reading finds every one.
func TestFlippedBits(t *testing.T) {
	chosen := newSample(t)
	store := new(memory.Bucket)
	s := newStreet(t, store, store)
	names := named(s.objects, "")
	for range 400 {
		name := names[chosen.IntN(len(names))]
		data := []byte(s.objects[name])
		at, bit := chosen.IntN(len(data)), byte(1)<<chosen.IntN(8)
		if !chosen.has(10) {
			continue
		}
		flipped := bytes.Clone(data)
		flipped[at] ^= bit
		put(t, store, name, string(flipped))
		injury{s, name, damage{fmt.Sprintf("bit %d of byte %d is flipped", bit, at), flipped}}.check()
		put(t, store, name, string(data))
	}
}

// TestManyFindings has more damage than is named one by one, and more backups.
func TestManyFindings(t *testing.T) {
	const parts, backups = cairn.MaxFindings + 3, cairn.MaxFindingBackups + 2
	store := new(memory.Bucket) // the store does not matter
	h := newHouse(t, store)
	var rows [][]cairn.Document
	for i := range parts {
		rows = append(rows, []cairn.Document{at(int64(i)+1, doc(fmt.Sprint("d", i), "", 10))})
	}
	all := [][][]cairn.Document{rows}
	_, stats := folded(all)
	first := h.commit(stats, all, nil)
	c, m := h.manifest(first.ID)
	for i := range backups - 1 {
		b := newBackup(stats)
		b.ID, b.Timestamp = cairn.NewBackupID(b.Version, b.Created, uint32(100_000+i))
		if _, err := c.Commit(t.Context(), cloud.Manifest{Backup: b, Segments: m.Segments}, c.Fresh()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range named(objects(t, store), "parts/") {
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	v := h.check(cairn.Subset{})
	if len(v.Damaged) != cairn.MaxFindings || v.MoreDamaged != 3 || len(v.Affected) != backups || v.Affected[0].Objects != parts {
		t.Fatalf("named are %d and %d more, of %d backups, with %d objects each", len(v.Damaged), v.MoreDamaged, len(v.Affected), v.Affected[0].Objects)
	}
	if f := v.Damaged[0]; len(f.Backups) != cairn.MaxFindingBackups || f.MoreBackups != 2 {
		t.Errorf("of the first, %d backups are named and %d more", len(f.Backups), f.MoreBackups)
	}
}

// checkFound verifies a backup with data, which must find one object, or some in a
// folder, and no other backup.
func (h *house) checkFound(what, id, object string) {
	h.t.Helper()
	v := h.verified(id, true)
	if len(v.Damaged) != 1 || !strings.Contains(v.Damaged[0].Object, object) || len(v.Affected) != 1 || v.Affected[0].ID != id {
		h.t.Errorf("%s: found are %s, want %s of %s", what, summary(v), object, id)
	}
}

// TestUntrueCatalog has the catalog of an index say other things than its parts hold.
func TestUntrueCatalog(t *testing.T) {
	store := stores.New(t)
	h := newHouse(t, store)
	_, stats := folded(byHand())
	var index string
	b := h.commit(stats, byHand(), func(m *cloud.Manifest) {
		s := &m.Segments[0]
		index = h.forge(s)
	})
	checkClean(t, "unread", h.check(cairn.Subset{}))
	found := want(index, []string{b.ID})
	for what, v := range map[string]cairn.Verification{"check": h.check(everything), "verify": h.verified(b.ID, true)} {
		if got := summary(v); got != found {
			t.Errorf("%s: found are %q, want %q", what, got, found)
		}
	}
}

// takeOver makes a backup of one segment, whose parts are those of the first segment
// of another backup and one more.
func (h *house) takeOver(old cairn.Backup) cairn.Backup {
	h.t.Helper()
	c, m := h.manifest(old.ID)
	last := []cairn.Document{at(20, doc("merged", "later", 300))}
	more := h.segment(c, m.Segments[0].To, [][]cairn.Document{last})
	merged := h.index(m.Segments[0], func(parts []segment.Part, rows []segment.Row) ([]segment.Part, []segment.Row) {
		return append(parts, *more.Part), append(rows, segment.NewRow(last[0], cairn.ContentHash(last[0].JSON), nil))
	})
	_, stats := folded([][][]cairn.Document{byHand()[0], {last}})
	b, err := c.Commit(h.t.Context(), cloud.Manifest{Backup: newBackup(stats), Segments: []segment.Segment{merged}}, c.Fresh())
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// forge gives a segment an index whose catalog has a wrong size, and returns its
// name.
func (h *house) forge(s *segment.Segment) string {
	h.t.Helper()
	*s = h.index(*s, func(parts []segment.Part, rows []segment.Row) ([]segment.Part, []segment.Row) {
		rows[0].Bytes++
		return parts, rows
	})
	return s.Index.Name
}

// index writes an index of what change makes of the parts and rows of a segment.
func (h *house) index(s segment.Segment, change func([]segment.Part, []segment.Row) ([]segment.Part, []segment.Row)) segment.Segment {
	h.t.Helper()
	c, err := h.engine.Connect(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	parts, err := c.Parts(h.t.Context(), s)
	if err != nil {
		h.t.Fatal(err)
	}
	var rows []segment.Row
	for row, err := range segment.Rows(strings.NewReader(objects(h.t, h.store)[s.Index.Name]), c.Identity(), s) {
		if err != nil {
			h.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	parts, rows = change(parts, rows)
	catalog := segment.NewCatalog(h.t.TempDir(), 1<<20)
	defer catalog.Close()
	var batch segment.Batch
	for _, row := range rows {
		batch.Add(row)
	}
	if err := catalog.Add(&batch); err != nil {
		h.t.Fatal(err)
	}
	whole, err := segment.Join(parts)
	if err != nil {
		h.t.Fatal(err)
	}
	var text strings.Builder
	object, err := segment.WriteIndex(h.t.Context(), &text, c.Recipient(), whole, parts, catalog)
	if err != nil {
		h.t.Fatal(err)
	}
	object.Name = c.IndexName()
	write(h.t, c, object.Name, []byte(text.String()))
	whole.Stored += object.Size
	whole.Index = &object
	return whole
}

// TestSubsets reads the part of the parts that it is told to.
func TestSubsets(t *testing.T) {
	reads := newTally()
	store := stores.New(t)
	s := newStreet(t, store, reads.over(store))
	parts := named(s.objects, "parts/")
	all := map[string]int{}
	for turn := range 3 {
		reads.clear()
		s.check(cairn.Subset{Turn: turn + 1, Turns: 3})
		for name, n := range reads.gets {
			all[name] += n
		}
	}
	maps.DeleteFunc(all, func(name string, n int) bool { return !strings.HasPrefix(name, "parts/") || n != 1 })
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, parts) {
		t.Errorf("three turns read %v once, want %v", got, parts)
	}
	drawn := map[string]bool{}
	for range 20 {
		reads.clear()
		s.check(cairn.Subset{Percent: 30})
		if n := reads.of("parts/"); n != (len(parts)*3+9)/10 {
			t.Errorf("30 %% of %d parts are %d", len(parts), n)
		}
		for name := range reads.gets {
			drawn[name] = true
		}
	}
	if n := len(slices.DeleteFunc(slices.Collect(maps.Keys(drawn)), func(name string) bool { return !strings.HasPrefix(name, "parts/") })); n != len(parts) {
		t.Errorf("20 draws have read %d of %d parts", n, len(parts))
	}
}
