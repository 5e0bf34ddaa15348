package test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cairn"
	"cairn/internal/bucket/folder"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/internal/segment"
)

// A handmade is a cloud whose backups are put together by the test, in ways that
// the daemon may not choose.
type handmade struct {
	t       *testing.T
	dir     string
	key     string // file
	cloud   *cloud.Cloud
	encoder *segment.Encoder
	minute  int // of the next backup
}

func newHandmade(t *testing.T) *handmade {
	t.Helper()
	h := &handmade{t: t, dir: filepath.Join(t.TempDir(), "cloud")}
	bucket, err := folder.Create(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	store := &keys.Store{Dir: t.TempDir()}
	if h.cloud, err = cloud.Open(t.Context(), cloud.Config{Bucket: bucket, URL: "file://" + h.dir, Keys: store, WorkFactor: 10, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if h.encoder, err = segment.NewEncoder(h.cloud.Recipient()); err != nil {
		t.Fatal(err)
	}
	h.key = store.Path(h.cloud.ID())
	return h
}

// part stores a part of rows, which begins after a revision.
func (h *handmade) part(from int64, rows ...cairn.Document) segment.Part {
	h.t.Helper()
	p := segment.Part{From: from, To: rows[len(rows)-1].Revision}
	var lines []byte
	for _, row := range rows {
		lines = segment.AppendLine(lines, row)
		if row.Deleted() {
			p.Deletions++
		} else {
			p.Documents++
		}
	}
	return h.storePart(p, lines)
}

// storePart stores a part that says what p does, of any lines.
func (h *handmade) storePart(p segment.Part, lines []byte) segment.Part {
	h.t.Helper()
	object, sum, err := h.encoder.Encode(nil, lines)
	if err != nil {
		h.t.Fatal(err)
	}
	p.Object = segment.Object{Name: h.cloud.PartName(), Size: int64(len(object)), SHA256: sum}
	p.Plain = int64(len(lines))
	h.put(p.Name, object)
	return p
}

// segment joins parts, with an index if there are several.
func (h *handmade) segment(parts []segment.Part, rows ...cairn.Document) segment.Segment {
	h.t.Helper()
	s, err := segment.Join(parts)
	if err != nil {
		h.t.Fatal(err)
	}
	if s.Parts == 1 {
		return s
	}
	catalog := segment.NewCatalog(h.t.TempDir(), 1<<20)
	defer catalog.Close()
	var batch segment.Batch
	for _, row := range rows {
		if !row.Deleted() {
			batch.Add(segment.NewRow(row, cairn.ContentHash(row.JSON), nil))
		}
	}
	if err := catalog.Add(&batch); err != nil {
		h.t.Fatal(err)
	}
	var index bytes.Buffer
	object, err := segment.WriteIndex(h.t.Context(), &index, h.cloud.Recipient(), s, parts, catalog)
	if err != nil {
		h.t.Fatal(err)
	}
	object.Name = h.cloud.IndexName()
	h.put(object.Name, index.Bytes())
	s.Index, s.Stored = &object, s.Stored+object.Size
	return s
}

func (h *handmade) put(name string, object []byte) {
	h.t.Helper()
	if err := h.cloud.Put(h.t.Context(), name, bytes.NewReader(object)); err != nil {
		h.t.Fatal(err)
	}
}

// commit makes a backup, each a minute after the one before, whose segments amount
// to the rows.
func (h *handmade) commit(scope cairn.Scope, rows []cairn.Document, segments ...segment.Segment) string {
	h.t.Helper()
	created := time.Date(2026, 11, 23, 7, h.minute, 0, 0, time.UTC)
	h.minute++
	b := cairn.Backup{Version: "0.1.0", Created: created, DeviceName: `the "box", "scope":"none"`, Platform: "LINUX", Scope: scope}
	b.ID, b.Timestamp = cairn.NewBackupID(b.Version, created, 7)
	for _, d := range rows {
		if d.Deleted() {
			b.Deletions++
			continue
		}
		b.Documents++
		b.JSONBytes += int64(len(d.JSON))
		b.Digest = b.Digest.Add(cairn.DigestOf(d))
	}
	if len(segments) > 0 {
		b.Revision = segments[len(segments)-1].To
	}
	if _, err := h.cloud.Commit(h.t.Context(), cloud.Manifest{Backup: b, Segments: segments}, h.cloud.Fresh()); err != nil {
		h.t.Fatal(err)
	}
	return b.ID
}

// document returns a document, or a deletion without a text.
func document(collection, id string, revision int64, text string) cairn.Document {
	d := cairn.Document{Collection: collection, ID: id, Revision: revision}
	if text != "" {
		d.JSON = []byte(text)
	}
	return d
}

// byName returns documents as [storedDocuments] does.
func byName(documents []cairn.Document) map[string]storedDocument {
	all := map[string]storedDocument{}
	for _, d := range documents {
		all[d.Collection+"/"+d.ID] = storedDocument{string(d.JSON), d.Revision}
	}
	return all
}

// simple makes a backup of one part with two documents.
func (h *handmade) simple() (id string, part segment.Part) {
	h.t.Helper()
	rows := []cairn.Document{document("assets", "one", 1, `{"n":5}`), document("tags", "two", 2, `{"n":6}`)}
	part = h.part(0, rows...)
	return h.commit(cairn.ScopeAll, rows, h.segment([]segment.Part{part})), part
}

// layered makes a backup of segments that overwrite, delete and make again what
// earlier ones hold, and returns what is left.
func (h *handmade) layered() (id string, left []cairn.Document) {
	h.t.Helper()
	first := []cairn.Document{
		document("assets", "kept", 1, `{"text":"kept"}`), document("assets", "changed", 2, `{"text":"old"}`),
		document("assets", "deleted", 3, `{"text":"gone"}`), document("tags", "back", 4, `{"text":"old"}`),
		document("tags", "kept", 5, `{}`),
	}
	second := []cairn.Document{
		document("assets", "changed", 7, `{"text":"new"}`), document("assets", "deleted", 8, ""),
		document("tags", "back", 9, ""), document("persons", "new", 10, `{"in":"second"}`),
	}
	third := []cairn.Document{document("tags", "back", 12, `{"text":"again"}`), document("persons", "new", 13, "")}
	left = slices.Concat(first[:1], first[4:], second[:1], third[:1])
	id = h.commit(cairn.ScopeAll, slices.Concat(left, second[1:2], third[1:]),
		h.segment([]segment.Part{h.part(0, first[:3]...), h.part(3, first[3:]...)}, first...),
		segment.Segment{From: 5, To: 6},
		h.segment([]segment.Part{h.part(6, second...)}),
		h.segment([]segment.Part{h.part(10, third[:1]...), h.part(12, third[1:]...)}, third...))
	return id, left
}

// object returns the path of an object.
func (h *handmade) object(name string) string {
	return filepath.Join(h.dir, filepath.FromSlash(name))
}

// flip changes a bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
