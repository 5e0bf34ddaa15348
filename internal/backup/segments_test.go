package backup_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"cairn"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// TestSegments restores backups of several segments, made by hand from the
// changes of a database: whatever was updated, deleted and made again in
// between, the result is that database.
func TestSegments(t *testing.T) {
	random := newSample(t)
	for round := range 8 {
		source := newHouse(t, stores.New(t))
		h := newHouse(t, stores.New(t))
		h.apply(doc("d1", "replaced", 100))
		before := h.verify()
		var segments [][][]cairn.Document
		last := int64(0)
		for s := range 1 + round%4 {
			for range 3 + random.IntN(30) {
				d := doc(fmt.Sprintf("d%d", random.IntN(12)), fmt.Sprint(random.Uint64()), 200)
				if s+random.IntN(6) > 4 {
					d.JSON = nil
				}
				source.apply(d)
			}
			var rows []cairn.Document
			err := source.db.Moment(t.Context(), func(m cairn.Moment) error {
				return m.Scan(last, m.Stats.Revision, last > 0, func(d cairn.Document, _ cairn.Hash) error {
					d.JSON = bytes.Clone(d.JSON) // the scan's
					rows = append(rows, d)
					last = d.Revision
					return nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) > 0 {
				segments = append(segments, slices.Collect(slices.Chunk(rows, 1+random.IntN(9))))
			}
		}
		documents, stats := folded(segments)
		if want := source.db.Stats(); stats.Digest != want.Digest || stats.Documents != want.Documents || stats.Bytes != want.Bytes {
			t.Fatalf("the segments lead to %+v, and the database holds %+v", stats, want)
		}
		b := h.commit(stats, segments, nil)
		h.restore(b.ID)
		if digest := h.verify(); digest != stats.Digest {
			t.Errorf("round %d: %d segments restore to %s, want %s", round, len(segments), digest, stats.Digest)
		}
		if got := h.documents(); !maps.Equal(got, documents) || !maps.Equal(got, source.documents()) {
			t.Errorf("round %d: restored are %v, want %v", round, got, documents)
		}
		if got := h.db.Stats(); got.Revision != stats.Revision || got.Deletions != stats.Deletions {
			t.Errorf("round %d: the numbers are %+v, want %+v", round, got, stats)
		}
		h.apply(doc("next", "", 10))
		if got := h.db.Stats().Revision; got != stats.Revision+1 {
			t.Errorf("round %d: the next change has revision %d after %d", round, got, stats.Revision)
		}
		h.undo()
		if digest := h.verify(); digest != before {
			t.Errorf("round %d: undo leads to %s, want %s", round, digest, before)
		}
	}
}

// TestUntrueBackups has backups refused whose objects are whole, but not what
// the manifest says of them, or what no cairn writes.
func TestUntrueBackups(t *testing.T) {
	say := func(change func(*cloud.Manifest)) func(*cloud.Manifest) { return change }
	one := func(rows ...cairn.Document) [][][]cairn.Document { return [][][]cairn.Document{{rows}} }
	for _, test := range []struct {
		name     string
		segments [][][]cairn.Document
		change   func(*cloud.Manifest)
		part     bool // the error names a part; else the backup
	}{
		{"a document fewer", byHand(), say(func(m *cloud.Manifest) { m.Documents-- }), false},
		{"a document more", byHand(), say(func(m *cloud.Manifest) { m.Documents++ }), false},
		{"a deletion fewer", byHand(), say(func(m *cloud.Manifest) { m.Deletions-- }), false},
		{"a byte fewer", byHand(), say(func(m *cloud.Manifest) { m.JSONBytes-- }), false},
		{"another digest", byHand(), say(func(m *cloud.Manifest) { m.Digest = m.Digest.Add(m.Digest) }), false},
		{"an id twice in the first segment", one(at(1, doc("a", "", 10)), at(2, doc("a", "", 10))), nil, false},
		{"a deletion in the first segment", one(at(1, doc("a", "", 10)), at(2, deletion("b"))), nil, true},
		{"both a document and its deletion", one(at(1, doc("a", "", 10)), at(2, deletion("a"))), say(func(m *cloud.Manifest) {
			m.Documents, m.JSONBytes = 1, int64(len(doc("a", "", 10).JSON))
			m.Digest = cairn.DigestOf(at(1, doc("a", "", 10)))
		}), true},
		{"rows out of order", one(at(2, doc("a", "", 10)), at(1, doc("b", "", 10))), nil, true},
		{"a revision twice", one(at(1, doc("a", "", 10)), at(1, doc("b", "", 10)), at(3, doc("c", "", 10))), nil, true},
		{"a part of fewer rows", one(at(1, doc("a", "", 10)), at(2, doc("b", "", 10))), say(func(m *cloud.Manifest) {
			m.Segments[0].Part.Documents, m.Segments[0].Documents, m.Documents = 1, 1, 1
		}), true},
		{"a part of other revisions", one(at(1, doc("a", "", 10)), at(5, doc("b", "", 10))), say(func(m *cloud.Manifest) {
			m.Segments[0].Part.To, m.Segments[0].To, m.Revision = 4, 4, 4
		}), true},
		{"no JSON object", one(at(1, cairn.Document{Collection: "assets", ID: "a", JSON: []byte(`[]`)})), nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := stores.New(t)
			h := newHouse(t, store)
			h.apply(doc("live", "", 10))
			_, stats := folded(test.segments)
			b := h.commit(stats, test.segments, test.change)
			v := watch(h)
			object := b.ID
			if test.part {
				object = "parts/"
			}
			v.checkRefused(test.name, b.ID, object, cairn.CodeDamaged)
			v.checkFound(test.name, b.ID, object)
			v.checkUntouched(test.name + ", verified")
			h.restore(h.create().ID)
			if d := h.verify(); d != v.stats.Digest {
				t.Errorf("the live database became %s", d)
			}
		})
	}
}
