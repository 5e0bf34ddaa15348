package backup_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// A meter counts the calls of a bucket, by method and folder, and the bytes that are
// put.
type meter struct {
	bucket.Bucket
	mu    sync.Mutex
	calls []string
}

func newMeter(b bucket.Bucket) *meter {
	m := new(meter)
	m.Bucket = fault.New(b, func(c fault.Call) fault.Outcome {
		folder, _, _ := strings.Cut(c.Name, "/")
		m.mu.Lock()
		defer m.mu.Unlock()
		m.calls = append(m.calls, fmt.Sprint(c.Op, " ", folder))
		return fault.Outcome{}
	})
	return m
}

// take returns the calls so far, in order, and forgets them.
func (m *meter) take() (calls []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls, m.calls = m.calls, nil
	return calls
}

// stored returns the bytes of the objects in a folder.
func stored(t testing.TB, b bucket.Bucket, folder string) (bytes int64) {
	t.Helper()
	for object, err := range b.List(t.Context(), folder) {
		if err != nil {
			t.Fatal(err)
		}
		bytes += object.Size
	}
	return bytes
}

// noise returns a document of about so many bytes that can hardly be compressed.
func noise(random *rand.Rand, id string, bytes int) cairn.Document {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	text := make([]byte, bytes)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return cairn.Document{Collection: "assets", ID: id, JSON: fmt.Appendf(nil, `{"id":"%s","text":"%s"}`, id, text)}
}

// TestCostOfChange has a backup of some changes cost what these take: one part, a
// look at the backup that it builds on, and the manifest.
func TestCostOfChange(t *testing.T) {
	store := stores.New(t)
	m := newMeter(store)
	h := newHouse(t, m)
	random := rand.New(rand.NewPCG(1, 2))
	var docs []cairn.Document
	for i := range 3000 {
		docs = append(docs, doc(fmt.Sprint("d", i), fmt.Sprint(random.Uint64()), 300))
	}
	h.apply(docs...)
	h.create()
	for _, test := range []struct {
		changes int
		want    []string
	}{
		{100, []string{"put parts", "head backups", "put backups"}},
		{0, []string{"head backups", "put backups"}},
		{1, []string{"put parts", "head backups", "put backups"}},
	} {
		var lines []byte
		for i := range test.changes {
			d := doc(fmt.Sprint("d", i*7), fmt.Sprint("changed ", random.Uint64()), 300)
			lines = append(lines, d.JSON...)
			h.apply(d)
		}
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			t.Fatal(err)
		}
		most := int64(len(encoder.EncodeAll(lines, nil)))*13/10 + 4<<10
		before := stored(t, store, "")
		m.take()
		b := h.create()
		if calls := m.take(); !slices.Equal(calls, test.want) {
			t.Errorf("a backup of %d changes made the calls %v, want %v", test.changes, calls, test.want)
		}
		if bytes := stored(t, store, "") - before; bytes > most {
			t.Errorf("a backup of %d changes stored %d bytes, want at most %d", test.changes, bytes, most)
		}
		if b.Digest != h.verify() || b.Documents != 3000 {
			t.Errorf("the backup is %+v", b)
		}
	}
	if b := h.list()[0]; b.Bytes < stored(t, store, "parts/") {
		t.Errorf("the last backup says that it takes %d bytes, and its parts alone are %d", b.Bytes, stored(t, store, "parts/"))
	}
	h.restore(h.list()[0].ID)
	h.verify()
	h.apply(doc("d1", "after the restoration", 300))
	m.take()
	h.create()
	if calls := m.take(); !slices.Equal(calls, []string{"put parts", "head backups", "put backups"}) {
		t.Errorf("after a restoration a backup made the calls %v", calls)
	}
}

// TestGoneBases has the newest base deleted, by this device or another: the next
// backup builds on an older one, and without any, on nothing.
func TestGoneBases(t *testing.T) {
	m := newMeter(stores.New(t))
	h := newHouse(t, m)
	for i := range 20 {
		h.apply(doc(fmt.Sprint("d", i), "text", 100))
	}
	first := h.create()
	h.apply(doc("d1", "second", 100))
	second := h.create()
	h.apply(doc("d2", "third", 100))
	other := h.neighbour()
	check := func(what string, segments int, want ...string) cairn.Backup {
		t.Helper()
		m.take()
		b := h.create()
		if calls := m.take(); !slices.Equal(calls, want) {
			t.Errorf("%s: the calls were %v, want %v", what, calls, want)
		}
		if _, manifest := h.manifest(b.ID); len(manifest.Segments) != segments {
			t.Errorf("%s: the backup has %d segments, want %d", what, len(manifest.Segments), segments)
		}
		return b
	}
	if err := other.engine.Delete(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	third := check("the newest was deleted elsewhere", 2,
		"put parts", "head backups", "get cairn.json", "put parts", "head backups", "put backups")
	for _, id := range []string{first.ID, third.ID} {
		if err := h.engine.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	b := check("all were deleted", 1, "get cairn.json", "put parts", "get cairn.json", "put backups")
	h.restore(b.ID)
	h.verify()
}

// TestDaily backs up every day what 1 % of changes a day make of a database.
func TestDaily(t *testing.T) {
	const documents = 2000
	days := 365
	if raced || !stores.InMemory() {
		days = 60
	}
	store := stores.New(t)
	h := openHouse(t, quickDir(t), store, func(cfg *backup.Config) { cfg.PartBytes = 64 << 10 })
	random := rand.New(rand.NewPCG(1, 2))
	var docs []cairn.Document
	for i := range documents {
		docs = append(docs, noise(random, fmt.Sprint("d", i), 200))
	}
	h.apply(docs...)
	full := h.create()
	share := float64(full.Bytes) / float64(full.JSONBytes)
	before := stored(t, store, "")
	var changed int64
	most := 0
	for range days {
		docs = docs[:0]
		for range documents / 100 {
			d := noise(random, fmt.Sprint("d", random.IntN(documents)), 200)
			changed += int64(len(d.JSON))
			docs = append(docs, d)
		}
		h.apply(docs...)
		_, m := h.manifest(h.create().ID)
		most = max(most, len(m.Segments))
	}
	// A manifest has a size of its own, of which these small databases would be full.
	written := stored(t, store, "") - before - stored(t, store, "backups/")
	factor := float64(written) / (share * float64(changed))
	t.Logf("%d bytes were written for %d changed, which is %.2f times, in %d segments at most", written, changed, factor, most)
	if factor > 4 || most > 40 {
		t.Errorf("%.2f times what changed was written, in %d segments; want at most 4 and 40", factor, most)
	}
	for _, b := range []cairn.Backup{h.list()[0], h.list()[days/2]} {
		h.restore(b.ID)
		if d := h.verify(); d != b.Digest {
			t.Errorf("%s restores to %s, want %s", b.ID, d, b.Digest)
		}
	}
}

// TestNotesBesideImages has small documents change which lie among large ones: these
// are seldom written again for that.
func TestNotesBesideImages(t *testing.T) {
	store := stores.New(t)
	h := openHouse(t, quickDir(t), store, func(cfg *backup.Config) { cfg.PartBytes = 128 << 10 })
	random := rand.New(rand.NewPCG(1, 2))
	const notes, backups = 20, 100
	for n := range notes {
		h.apply(noise(random, fmt.Sprint("image", n), 50<<10), noise(random, fmt.Sprint("note", n), 50))
	}
	h.create()
	before := stored(t, store, "parts/")
	for n := range backups {
		h.apply(noise(random, fmt.Sprint("note", n%notes), 50))
		h.create()
	}
	each := (stored(t, store, "parts/") - before) / backups
	t.Logf("%d bytes were written for a change", each)
	if each > 4<<10 {
		t.Errorf("%d bytes were written for a change, want at most 4096", each)
	}
	b := h.list()[0]
	h.restore(b.ID)
	if d := h.verify(); d != b.Digest {
		t.Errorf("it restores to %s, want %s", d, b.Digest)
	}
}

// TestAppendOnly has data that is only added to be written once, but for parts that
// are gathered into larger ones.
func TestAppendOnly(t *testing.T) {
	const partBytes = 16 << 10
	store := stores.New(t)
	h := openHouse(t, quickDir(t), store, func(cfg *backup.Config) { cfg.PartBytes = partBytes })
	random := rand.New(rand.NewPCG(1, 2))
	n, backups := 0, 150
	if raced || !stores.InMemory() {
		backups = 50
	}
	parts := map[string]segment.Part{}
	for range backups {
		for range 1 + random.IntN(1<<random.IntN(7)) {
			h.apply(noise(random, fmt.Sprint("d", n), 300))
			n++
		}
		c, m := h.manifest(h.create().ID)
		for _, s := range m.Segments {
			list, err := c.Parts(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				if q, ok := parts[p.Name]; ok {
					p.From, p.To = q.From, q.To // it can reach as far as nothing comes
				}
				parts[p.Name] = p
			}
		}
	}
	large := []segment.Part{}
	var all int64
	for _, p := range parts {
		all += p.Plain
		if p.Size >= partBytes/8 {
			large = append(large, p)
		}
	}
	slices.SortFunc(large, func(a, b segment.Part) int { return int(a.From - b.From) })
	for i := range large[1:] {
		if large[i].To > large[i+1].From {
			t.Errorf("the revisions (%d, %d] and (%d, %d] were both written into a part that is not small",
				large[i].From, large[i].To, large[i+1].From, large[i+1].To)
		}
	}
	live := h.db.Stats()
	t.Logf("%d bytes of lines were written for %d of documents, in %d parts of which %d are not small", all, live.Bytes, len(parts), len(large))
	if all > 2*live.Bytes {
		t.Errorf("%d bytes of lines were written for %d of documents", all, live.Bytes)
	}
	b := h.create()
	h.restore(b.ID)
	if h.verify() != b.Digest {
		t.Error("the last one restores to something else")
	}
}

// TestAppendOnlyCompressed is TestAppendOnly with documents that are compressed so well
// that full parts are few bytes: to gather these would write them again as they are.
func TestAppendOnlyCompressed(t *testing.T) {
	const partBytes = 16 << 10
	h := openHouse(t, quickDir(t), stores.New(t), func(cfg *backup.Config) { cfg.PartBytes = partBytes })
	parts := map[string]segment.Part{}
	for n := range 20 {
		var docs []cairn.Document
		for i := range 50 {
			docs = append(docs, doc(fmt.Sprint("d", n, "-", i), "text", 1000))
		}
		h.apply(docs...)
		c, m := h.manifest(h.create().ID)
		for _, s := range m.Segments {
			list, err := c.Parts(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				parts[p.Name] = p
			}
		}
	}
	var all, size int64
	for _, p := range parts {
		all, size = all+p.Plain, size+p.Size
	}
	if n := int64(len(parts)); size > n*partBytes/8 {
		t.Errorf("parts have %d bytes", size/n)
	}
	if live := h.db.Stats(); all > live.Bytes*5/4 {
		t.Errorf("%d bytes of lines were written for %d of documents", all, live.Bytes)
	}
}

// TestGoesOn has a creation go on from what one before it has sent: one that failed,
// one of a daemon that was killed since, and one whose last parts are gone.
func TestGoesOn(t *testing.T) {
	for _, what := range []string{"tried again", "after a restart", "some parts are gone", "some documents changed", "a base besides"} {
		t.Run(what, func(t *testing.T) {
			store := stores.New(t)
			var mu sync.Mutex
			puts, last := 0, -1 // which is the last that succeeds
			through := fault.New(store, func(c fault.Call) fault.Outcome {
				mu.Lock()
				defer mu.Unlock()
				if c.Op == fault.Put && strings.HasPrefix(c.Name, "parts/") {
					if puts++; last >= 0 && puts > last {
						return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
					}
				}
				return fault.Outcome{}
			})
			h := openHouse(t, quickDir(t), through, func(cfg *backup.Config) { cfg.PartBytes = 8 << 10 })
			random := rand.New(rand.NewPCG(1, 2))
			if what == "a base besides" {
				h.apply(noise(random, "first", 300))
				h.create()
				puts = 0
			}
			var docs []cairn.Document
			for i := range 2000 {
				docs = append(docs, noise(random, fmt.Sprint("d", i), 300))
			}
			h.apply(docs...)
			const parts = 98 // of about 20 documents
			last = parts * 9 / 10
			if _, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore); cairn.CodeOf(err) != cairn.CodeDenied {
				t.Fatalf("the first creation ended with %v", err)
			}
			there := named(objects(t, store), "parts/")
			again := int64(0) // what is to be sent again for other reasons
			switch what {
			case "after a restart":
				h.restart()
			case "some parts are gone":
				for _, name := range there[:10] {
					if err := store.Delete(t.Context(), name); err != nil {
						t.Fatal(err)
					}
				}
				again = 10 * 9 << 10
			case "some documents changed":
				for i := range 10 {
					h.apply(noise(random, fmt.Sprint("d", i*100), 300))
				}
				again = 10 * 9 << 10
			}
			before := stored(t, store, "parts/")
			puts, last = 0, -1
			b := h.create()
			total := b.JSONBytes * 3 / 4 // as it is stored
			if sent := stored(t, store, "parts/") - before; sent > total*15/100+again {
				t.Errorf("%d bytes were sent again of %d in %d parts", sent, total, puts)
			}
			h.restore(b.ID)
			if d := h.verify(); d != b.Digest {
				t.Errorf("it restores to %s, want %s", d, b.Digest)
			}
			if entries, err := h.db.Journal(t.Context(), h.cloud); err != nil || len(entries) > 0 {
				t.Errorf("the journal has %d entries, %v", len(entries), err)
			}
			h.undo()
			if entries, err := h.db.Journal(t.Context(), h.cloud); err != nil || len(entries) > 0 {
				t.Errorf("the journal of the database that was backed up has %d entries, %v", len(entries), err)
			}
		})
	}
}
