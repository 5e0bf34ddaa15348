package backup_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// titled has the engine find names, languages and times in the documents of tests.
func titled(cfg *backup.Config) {
	cfg.Browse = func(collection string, json []byte) (name, language, created string) {
		return fmt.Sprintf("%s of %d bytes", collection, len(json)), "go", "2026"
	}
}

// listed returns what a backup says of its documents, as text by name, and has them
// come in order.
func (h *house) listed(id string, filter cairn.DocumentFilter) map[string]string {
	h.t.Helper()
	all := map[string]string{}
	last := ""
	for d, err := range h.engine.Documents(h.t.Context(), id, filter) {
		if err != nil {
			h.t.Fatal(err)
		}
		key := d.Collection + "\x00" + d.ID
		if key <= last {
			h.t.Errorf("%s comes after %q", d.DocumentName, last)
		}
		last = key
		all[d.String()] = fmt.Sprintf("%d %d %s", d.Revision, d.Bytes, d.Name)
	}
	return all
}

// picked returns documents of a backup as house.documents has them, and has each
// come once.
func (h *house) picked(id string, names []cairn.DocumentName) map[string]string {
	h.t.Helper()
	documents := h.engine.PickAll(h.t.Context(), id)
	if names != nil {
		documents = h.engine.Pick(h.t.Context(), id, names)
	}
	all := map[string]string{}
	last := int64(0)
	for docs, err := range documents {
		if err != nil {
			h.t.Fatal(err)
		}
		for _, d := range docs {
			if d.Revision <= last {
				h.t.Errorf("revision %d comes after %d", d.Revision, last)
			}
			last = d.Revision
			all[d.Collection+"/"+d.ID] = fmt.Sprintf("%d %s", d.Revision, d.JSON)
		}
	}
	return all
}

// checkNotInBackup has a backup not hold some documents.
func (h *house) checkNotInBackup(id string, names ...cairn.DocumentName) {
	h.t.Helper()
	for _, name := range names {
		_, err := h.engine.Document(h.t.Context(), id, name)
		if cairn.CodeOf(err) != cairn.CodeNotInBackup || !strings.Contains(err.Error(), name.String()) {
			h.t.Errorf("%s: %v, want that it is not in the backup", name, err)
		}
	}
}

// checkBrowsed compares all that can be seen of a backup with what it should hold:
// documents as folded returns them.
func (h *house) checkBrowsed(random sample, id string, documents map[string]string) {
	h.t.Helper()
	want := map[string]string{}
	var names []cairn.DocumentName
	for _, key := range slices.Sorted(maps.Keys(documents)) {
		collection, docID, _ := strings.Cut(key, "/")
		revision, json, _ := strings.Cut(documents[key], " ")
		want[key] = fmt.Sprintf("%s %d ", revision, len(json))
		names = append(names, cairn.DocumentName{Collection: collection, ID: docID})
	}
	list := h.listed(id, cairn.DocumentFilter{})
	for key, text := range list {
		if !strings.HasPrefix(text, want[key]) || want[key] == "" {
			h.t.Errorf("%s is listed as %q, want %q", key, text, want[key])
		}
	}
	if len(list) != len(want) {
		h.t.Errorf("%d documents are listed, want %d", len(list), len(want))
	}
	if got := h.picked(id, nil); !maps.Equal(got, documents) {
		h.t.Errorf("all documents are %v, want %v", got, documents)
	}
	if len(names) == 0 {
		return
	}
	few := map[string]string{}
	var asked []cairn.DocumentName
	for range 1 + random.IntN(2*len(names)) {
		name := names[random.IntN(len(names))]
		asked, few[name.String()] = append(asked, name), documents[name.String()]
	}
	if got := h.picked(id, asked); !maps.Equal(got, few) {
		h.t.Errorf("picked are %v, want %v", got, few)
	}
	name := names[random.IntN(len(names))]
	doc, err := h.engine.Document(h.t.Context(), id, name)
	if got := fmt.Sprintf("%d %s", doc.Revision, doc.JSON); err != nil || got != documents[name.String()] {
		h.t.Errorf("%s is %s, %v, want %s", name, got, err, documents[name.String()])
	}
}

// history returns random changes of a few documents as segments of parts of rows,
// as backups hold them: of each document the newest change of a segment, and
// deletions in all but the first.
func (s sample) history(segments int) [][][]cairn.Document {
	var all [][][]cairn.Document
	revision := int64(0)
	known := map[string]bool{}
	for i := range segments {
		newest := map[string]cairn.Document{}
		for range 1 + s.IntN(40) {
			d := doc(fmt.Sprintf("d%d", s.IntN(25)), fmt.Sprint(s.Uint64()), 50+s.IntN(300))
			d.Collection = []string{"assets", "tags", "a"}[s.IntN(3)]
			key := d.Collection + d.ID
			if i > 0 && s.IntN(3) == 0 {
				if !known[key] {
					continue
				}
				d.JSON = nil
			}
			revision++
			known[key] = true
			newest[key] = at(revision, d)
		}
		if i == 0 { // what would be deleted in it is not there
			maps.DeleteFunc(newest, func(_ string, d cairn.Document) bool { return d.Deleted() })
		}
		rows := slices.SortedFunc(maps.Values(newest), func(a, b cairn.Document) int { return int(a.Revision - b.Revision) })
		if len(rows) > 0 {
			all = append(all, slices.Collect(slices.Chunk(rows, 1+s.IntN(20))))
		}
	}
	return all
}

// TestBrowse looks into backups of several segments, of one part and of many: what
// is there is what the newest of all changes say.
func TestBrowse(t *testing.T) {
	random := newSample(t)
	h := openHouse(t, t.TempDir(), stores.New(t), titled)
	for round := range 30 {
		if !random.has(60) {
			continue
		}
		segments := random.history(1 + round%6)
		documents, stats := folded(segments)
		b := h.commit(stats, segments, nil)
		h.checkBrowsed(random, b.ID, documents)
		var gone []cairn.DocumentName
		for _, parts := range segments {
			for _, d := range slices.Concat(parts...) {
				if name := (cairn.DocumentName{Collection: d.Collection, ID: d.ID}); documents[name.String()] == "" && random.IntN(3) == 0 {
					gone = append(gone, name)
				}
			}
		}
		h.checkNotInBackup(b.ID, append(gone, cairn.DocumentName{Collection: "zebras", ID: "z"}, cairn.DocumentName{Collection: "a", ID: "A"})...)
		if t.Failed() {
			t.Fatalf("round %d of %d segments", round, len(segments))
		}
	}
	h.checkTidy(false)
}

// TestBrowseFilter chooses documents of a backup.
func TestBrowseFilter(t *testing.T) {
	h := openHouse(t, t.TempDir(), stores.New(t), func(cfg *backup.Config) {
		cfg.Browse = func(collection string, json []byte) (name, language, created string) {
			return "Name " + string(json[7:9]), "", ""
		}
	})
	var docs []cairn.Document
	for i := range 12 {
		d := doc(fmt.Sprintf("%02d", i), "", 10)
		d.Collection = []string{"assets", "tags"}[i%2]
		docs = append(docs, d)
	}
	h.apply(docs...)
	b := h.create()
	for _, test := range []struct {
		filter cairn.DocumentFilter
		want   string
	}{
		{cairn.DocumentFilter{Limit: 3}, "assets/00 assets/02 assets/04"},
		{cairn.DocumentFilter{Collection: "tags", Limit: 2}, "tags/01 tags/03"},
		{cairn.DocumentFilter{Collection: "tags"}, "tags/01 tags/03 tags/05 tags/07 tags/09 tags/11"},
		{cairn.DocumentFilter{Name: "name 1"}, "assets/10 tags/11"},
		{cairn.DocumentFilter{Name: "E 03"}, "tags/03"},
		{cairn.DocumentFilter{Name: "E 03", Collection: "assets"}, ""},
		{cairn.DocumentFilter{Collection: "others"}, ""},
	} {
		got := strings.Join(slices.Sorted(maps.Keys(h.listed(b.ID, test.filter))), " ")
		if got != test.want {
			t.Errorf("%+v chooses %q, want %q", test.filter, got, test.want)
		}
	}
}

// TestBrowseAssets looks into a backup of chosen assets, and lists it.
func TestBrowseAssets(t *testing.T) {
	random := newSample(t)
	h := openHouse(t, t.TempDir(), stores.New(t), titled)
	h.apply(doc("live", "", 10))
	whole := h.create()
	want := map[string]string{}
	n := int64(0)
	assets, err := h.engine.CreateFrom(t.Context(), h.engine.NewBackup(cairn.ScopeAssets), func(yield func(cairn.Document, error) bool) {
		for i := range 20 {
			d := doc(fmt.Sprintf("x%d", i*7%20), fmt.Sprint(random.Uint64()), segment.PartBytes/8)
			n++
			want[d.Collection+"/"+d.ID] = fmt.Sprintf("%d %s", n, d.JSON)
			if !yield(d, nil) {
				return
			}
		}
	}, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if _, m := h.manifest(assets.ID); m.Segments[0].Parts < 2 {
		t.Errorf("the backup has %d parts", m.Segments[0].Parts)
	}
	h.checkBrowsed(random, assets.ID, want)
	h.checkNotInBackup(assets.ID, cairn.DocumentName{Collection: "assets", ID: "live"})
	all, err := h.engine.Backups(t.Context())
	if err != nil || len(all) != 2 || all[0] != assets || all[1] != whole {
		t.Errorf("the backups of both scopes are %+v, %v", all, err)
	}
	if list := h.list(); len(list) != 1 || list[0] != whole {
		t.Errorf("those of whole databases are %+v", list)
	}
	if st := h.engine.Cloud(t.Context()); st.Backups != 1 {
		t.Errorf("the cloud counts %d backups", st.Backups)
	}
	empty := h.neighbour().create()
	h.checkBrowsed(random, empty.ID, nil)
	h.checkTidy(false)
}
