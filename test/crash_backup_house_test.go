package test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/durable"
	"cairn/test/harness"
)

// houseBytes is how much a house holds: a part of a backup takes 8 MiB.
const houseBytes = 9 << 20

// A house is a data folder and a cloud outside of it, with enough documents
// that backups of it have several parts and an index.
type house struct {
	data   string
	cloud  place
	key    string // file with the key of the cloud
	d      *harness.Daemon
	c      *client.Client
	scribe *scribe
}

// newHouse starts a daemon on a new folder and a cloud, and fills it.
func newHouse(t *testing.T, cloud place, random *rand.Rand) *house {
	t.Helper()
	return newHouseOf(t, cloud, random, houseBytes, 4000)
}

// newHouseOf is newHouse with about so many bytes of documents of about a size.
func newHouseOf(t *testing.T, cloud place, random *rand.Rand, total, size int) *house {
	t.Helper()
	h := &house{data: filepath.Join(t.TempDir(), "data"), cloud: cloud}
	h.start(t)
	h.scribe = newScribe(random)
	fillDatabase(t, h.c, random, total, size)
	h.scribe.before = bookOf(t, h.database(t))
	h.key = keyFile(t, h.data)
	return h
}

// start starts a daemon on what is there.
func (h *house) start(t *testing.T) {
	t.Helper()
	h.d = h.cloud.serve(t, harness.Options{Data: h.data})
	h.c = client.New(h.d.URL)
}

// restart starts the daemon on what its end left. The folders may hold no
// unfinished file, and no generation that CURRENT does not name.
func (h *house) restart(t *testing.T) {
	t.Helper()
	begin := time.Now()
	h.start(t)
	if took := time.Since(begin); took > restartTime {
		t.Errorf("starting took %s", took)
	}
	checkTidy(t, h.data)
}

// database returns what the status says of the documents.
func (h *house) database(t *testing.T) api.DatabaseStatus {
	t.Helper()
	return databaseOf(t, h.c)
}

// elsewhere starts a daemon on another, empty data folder that has the key of a
// cloud.
func elsewhere(t *testing.T, cloud place, key string) *client.Client {
	t.Helper()
	d := cloud.serve(t, harness.Options{Args: []string{"--key", key}})
	return client.New(d.URL)
}

// fillDatabase writes about so many bytes of documents of about the given size.
func fillDatabase(t *testing.T, c *client.Client, random *rand.Rand, total, size int) {
	t.Helper()
	n := 0
	for total > 0 {
		var lines []api.DocumentLine
		for batch := 0; batch < 4<<20 && len(lines) < 1000 && total > 0; n++ {
			var text strings.Builder
			for text.Len() < size*3/4 {
				fmt.Fprintf(&text, "%x %s ", random.Uint64(), crashWords[random.IntN(len(crashWords))])
			}
			body := fmt.Sprintf(`{"n":%d,"text":%s}`, n, jsonText(text.String()))
			lines = append(lines, api.DocumentLine{Collection: "ballast", ID: fmt.Sprintf("b%d", n), Document: json.RawMessage(body)})
			batch, total = batch+len(body), total-len(body)
		}
		if written, err := c.WriteDocuments(t.Context(), lines); err != nil || written.Added != int64(len(lines)) {
			t.Fatalf("writing %d documents: %+v, %v", len(lines), written, err)
		}
	}
}

// crashWords fill texts, so that they compress as texts do.
var crashWords = [...]string{"if err != nil {", "return", "\n\t\"é\" + ", "日本", "func (d *Daemon)", "<tag>", "\\"}

func keyFile(t *testing.T, data string) string {
	t.Helper()
	keys, err := filepath.Glob(filepath.Join(data, "keys", "*"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("the keys are %q (%v), want one", keys, err)
	}
	return keys[0]
}

func databaseOf(t *testing.T, c *client.Client) api.DatabaseStatus {
	t.Helper()
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Database
}

// generations returns the files that CURRENT names: the live one, and the one that
// it replaced or "".
func generations(t *testing.T, data string) (live, undo string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "CURRENT"))
	var current struct{ Live, Undo string }
	if err == nil {
		err = json.Unmarshal(text, &current)
	}
	if err != nil {
		t.Fatal(err)
	}
	return current.Live, current.Undo
}

// checkTidy looks at a data folder that a daemon has just been started on, or
// has restored into: nothing is unfinished, and each generation is named.
func checkTidy(t *testing.T, data string) {
	t.Helper()
	live, undo := generations(t, data)
	for _, path := range allFiles(t, data) {
		folder, name := filepath.Split(path)
		db := name
		for _, suffix := range []string{"-wal", "-shm"} {
			db = strings.TrimSuffix(db, suffix)
		}
		switch filepath.Base(folder) {
		case "generations":
			if db != live && db != undo {
				t.Errorf("%s was left behind: CURRENT names %s and %q", path, live, undo)
			}
		case "spool":
			t.Errorf("%s was left behind", path)
		default:
			if strings.Contains(name, durable.TempSuffix) {
				t.Errorf("%s was left behind", path)
			}
		}
	}
}

// listedBackups returns the ids of the backups that the daemon lists. Each is
// there once and has a manifest; and no manifest is there that is not listed.
func listedBackups(t *testing.T, c *client.Client, cloud place) []string {
	t.Helper()
	list, err := c.Backups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(list))
	for _, b := range list {
		ids = append(ids, b.ID)
	}
	slices.Sort(ids)
	if once := slices.Compact(slices.Clone(ids)); len(once) != len(ids) {
		t.Errorf("a backup is listed twice: %q", ids)
	}
	if stored := manifests(t, cloud); !slices.Equal(stored, ids) {
		t.Errorf("the backups %q are listed, and the manifests of %q are there", ids, stored)
	}
	return ids
}

// manifests returns the ids of the backups whose manifests are in a cloud. Hidden
// files are those that a crash left unfinished.
func manifests(t *testing.T, cloud place) []string {
	t.Helper()
	ids := []string{}
	entries, err := os.ReadDir(filepath.Join(cloud.dir, "backups"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			ids = append(ids, strings.TrimSuffix(e.Name(), ".json.age"))
		}
	}
	return ids
}

// restoresTo restores a backup and compares the database with what the backup
// says of itself, which it returns.
func restoresTo(t *testing.T, c *client.Client, id string) api.BackupDetails {
	t.Helper()
	details, err := c.BackupDetails(t.Context(), id)
	if err != nil {
		t.Fatalf("looking at the listed backup %s: %v", id, err)
	}
	if _, err := c.RestoreBackup(t.Context(), id); err != nil {
		t.Errorf("restoring the listed backup %s: %v", id, err)
		return details
	}
	st := databaseOf(t, c)
	if st.Digest != details.Digest || st.Documents != details.Documents || st.Bytes != details.JSONBytes || st.Revision != details.Revision {
		t.Errorf("the backup %s says that it is %+v, and restored it is %+v", id, details, st)
	}
	return details
}

// A book is what a database holds: its numbers, and the documents of a scribe.
type book struct {
	stats cairn.Stats // without Line
	docs  map[string]cairn.Document
}

// bookOf begins a book with a database that has no documents of a scribe.
func bookOf(t *testing.T, st api.DatabaseStatus) book {
	t.Helper()
	b := book{docs: map[string]cairn.Document{}}
	digest, err := hex.DecodeString(st.Digest)
	if err != nil {
		t.Fatal(err)
	}
	b.stats = cairn.Stats{Revision: st.Revision, Documents: st.Documents, Deletions: st.Deletions, Bytes: st.Bytes}
	if b.stats.Digest, err = cairn.ParseDigest(digest); err != nil {
		t.Fatal(err)
	}
	return b
}

// with returns the book after a write of docs.
func (b book) with(docs []cairn.Document) book {
	b.docs = maps.Clone(b.docs)
	for _, doc := range docs {
		old, ok := b.docs[doc.ID]
		if ok {
			b.stats.Digest = b.stats.Digest.Sub(cairn.DigestOf(old))
			b.stats.Bytes -= int64(len(old.JSON))
			b.stats.Documents--
		}
		b.stats.Revision++
		doc.Revision = b.stats.Revision
		b.docs[doc.ID] = doc
		b.stats.Digest = b.stats.Digest.Add(cairn.DigestOf(doc))
		b.stats.Bytes += int64(len(doc.JSON))
		b.stats.Documents++
	}
	return b
}

// is reports whether a database is exactly what the book says.
func (b book) is(st api.DatabaseStatus) bool {
	s := b.stats
	return st.Digest == s.Digest.String() && st.Documents == s.Documents && st.Deletions == s.Deletions &&
		st.Bytes == s.Bytes && st.Revision == s.Revision
}

// A scribe writes documents, one request after the other, and keeps books: of
// the database that it began with, and of the one that a restoration puts in
// its place. A write tells them apart by the revision that it got.
type scribe struct {
	random        *rand.Rand
	before, after book
	swapped       bool                  // a write went to the restored database
	doubt         []cairn.Document      // the request without an answer
	moments       map[int64]cairn.Stats // of before, by revision
	requests      int
}

func newScribe(random *rand.Rand) *scribe {
	return &scribe{
		random:  rand.New(rand.NewPCG(random.Uint64(), random.Uint64())),
		moments: map[int64]cairn.Stats{},
	}
}

// begin begins a round with a database that nobody else writes to. after is
// what a restoration would make of it.
func (s *scribe) begin(now, after book) {
	s.before, s.after, s.swapped, s.doubt = now, after, false, nil
	s.moments[now.stats.Revision] = now.stats
}

// write makes one request and waits for the answer.
func (s *scribe) write(ctx context.Context, c *client.Client) error {
	var docs []cairn.Document
	var lines []api.DocumentLine
	first := s.random.IntN(100)
	for i := range 1 + s.random.IntN(5) {
		doc := cairn.Document{Collection: crashCollection, ID: fmt.Sprintf("s%d", first+i)}
		doc.JSON = fmt.Appendf(nil, `{"n":%d.0,"text":%s}`, s.random.Uint64(), jsonText(randomText(s.random)))
		docs = append(docs, doc)
		lines = append(lines, api.DocumentLine{Collection: doc.Collection, ID: doc.ID, Document: doc.JSON})
	}
	s.doubt = docs
	written, err := c.WriteDocuments(ctx, lines)
	if err != nil {
		return err
	}
	s.doubt = nil
	s.requests++
	n := int64(len(docs))
	switch {
	case !s.swapped && written.Revision == s.before.stats.Revision+n:
		s.before = s.before.with(docs)
		s.moments[written.Revision] = s.before.stats
	case s.after.docs != nil && written.Revision == s.after.stats.Revision+n:
		s.swapped = true
		s.after = s.after.with(docs)
	default:
		return fmt.Errorf("%d documents got the revision %d, after %d (or %d in the restored database)",
			n, written.Revision, s.before.stats.Revision, s.after.stats.Revision)
	}
	return nil
}

// keepWriting writes until the daemon is gone.
func (s *scribe) keepWriting(t *testing.T, c *client.Client) {
	for {
		err := s.write(t.Context(), c)
		switch cairn.CodeOf(err) {
		case "":
		case cairn.CodeUnreachable, cairn.CodeShuttingDown:
			return
		default:
			t.Errorf("a write was refused: %v", err)
			return
		}
	}
}

// writeUntil writes until stop is closed.
func (s *scribe) writeUntil(t *testing.T, c *client.Client, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := s.write(t.Context(), c); err != nil {
			t.Errorf("a write was refused: %v", err)
			return
		}
	}
}

// settle finds out which database is there and returns the book of it: with
// all that was acknowledged, and with the request that was cut off as a whole
// or without it.
func (s *scribe) settle(t *testing.T, st api.DatabaseStatus) (now book, restored bool) {
	t.Helper()
	if now, ok := settled(s.before, s.doubt, st); ok && !s.swapped {
		s.moments[now.stats.Revision] = now.stats
		return now, false
	}
	if s.after.docs != nil {
		if now, ok := settled(s.after, s.doubt, st); ok {
			return now, true
		}
	}
	t.Fatalf("the database is %+v, neither the original %+v nor the restored one %+v (writes after the swap: %t, cut off: %d documents)",
		st, s.before.stats, s.after.stats, s.swapped, len(s.doubt))
	return book{}, false
}

func settled(b book, doubt []cairn.Document, st api.DatabaseStatus) (book, bool) {
	if b.is(st) {
		return b, true
	}
	b = b.with(doubt)
	return b, b.is(st)
}
