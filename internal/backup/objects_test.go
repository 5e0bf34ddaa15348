package backup_test

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// objects returns what is in a bucket, by name.
func objects(t testing.TB, b bucket.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	for object, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.Get(t.Context(), object.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[object.Name] = string(data)
	}
	return all
}

// bucketOf returns a bucket with these objects.
func bucketOf(t testing.TB, objects map[string]string) bucket.Bucket {
	t.Helper()
	b := stores.New(t)
	for name, data := range objects {
		put(t, b, name, data)
	}
	return b
}

// named returns the names of the objects in a folder, sorted.
func named(objects map[string]string, folder string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(objects)), func(name string) bool { return !strings.HasPrefix(name, folder) })
}

// manifestOf returns the name of the manifest of a backup.
func manifestOf(id string) string { return "backups/" + id + ".json.age" }

// newBackup returns the description of a backup by hand.
func newBackup(want cairn.Stats) cairn.Backup {
	created := time.Now().UTC().Truncate(time.Millisecond)
	b := cairn.Backup{
		Version: "0.1.0", Created: created, DeviceName: "hand", Platform: "LINUX", Installation: "by hand",
		Line: "line", Scope: cairn.ScopeAll,
		Revision: want.Revision, Documents: want.Documents, Deletions: want.Deletions, JSONBytes: want.Bytes, Digest: want.Digest,
	}
	b.ID, b.Timestamp = cairn.NewBackupID(b.Version, created, uint32(want.Revision))
	return b
}

// commit makes a backup by hand: a list of segments, each a list of parts, each
// a list of rows. Its manifest wants what is given; edit may change it before it
// is written.
func (h *house) commit(want cairn.Stats, segments [][][]cairn.Document, edit func(*cloud.Manifest)) cairn.Backup {
	h.t.Helper()
	c, err := h.engine.Connect(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	m := cloud.Manifest{Backup: newBackup(want)}
	from := int64(0)
	for _, parts := range segments {
		m.Segments = append(m.Segments, h.segment(c, from, parts))
		from = m.Segments[len(m.Segments)-1].To
	}
	if edit != nil {
		edit(&m)
	}
	b, err := c.Commit(h.t.Context(), m, c.Fresh())
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// put stores an object, in the place of what is there.
func put(t testing.TB, b bucket.Bucket, name, data string) {
	t.Helper()
	if err := b.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), name, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

// write puts a part or an index into the cloud.
func write(t testing.TB, c *cloud.Cloud, name string, data []byte) {
	t.Helper()
	if err := c.Put(t.Context(), name, strings.NewReader(string(data))); err != nil {
		t.Fatal(err)
	}
}

// segment writes a segment of parts with an index, if there are several.
func (h *house) segment(c *cloud.Cloud, from int64, rows [][]cairn.Document) segment.Segment {
	h.t.Helper()
	encoder, err := segment.NewEncoder(c.Recipient())
	if err != nil {
		h.t.Fatal(err)
	}
	catalog := segment.NewCatalog(h.t.TempDir(), 1<<20)
	defer catalog.Close()
	var parts []segment.Part
	for _, docs := range rows {
		p := segment.Part{From: from}
		var lines []byte
		var batch segment.Batch
		for _, d := range docs {
			lines = segment.AppendLine(lines, d)
			p.To = max(p.To, d.Revision)
			if d.Deleted() {
				p.Deletions++
				continue
			}
			p.Documents++
			batch.Add(segment.NewRow(d, cairn.ContentHash(d.JSON), nil))
		}
		if err := catalog.Add(&batch); err != nil {
			h.t.Fatal(err)
		}
		object, sum, err := encoder.Encode(nil, lines)
		if err != nil {
			h.t.Fatal(err)
		}
		p.Plain, p.Object = int64(len(lines)), segment.Object{Name: c.PartName(), Size: int64(len(object)), SHA256: sum}
		write(h.t, c, p.Name, object)
		parts, from = append(parts, p), p.To
	}
	s, err := segment.Join(parts)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(parts) > 1 {
		var index strings.Builder
		object, err := segment.WriteIndex(h.t.Context(), &index, c.Recipient(), s, parts, catalog)
		if err != nil {
			h.t.Fatal(err)
		}
		object.Name = c.IndexName()
		write(h.t, c, object.Name, []byte(index.String()))
		s.Index, s.Stored = &object, s.Stored+object.Size
	}
	return s
}

// at gives a document or a deletion its revision.
func at(revision int64, d cairn.Document) cairn.Document {
	d.Revision = revision
	return d
}

// folded returns what rows lead to when the newest of a document counts: the
// documents as house.documents returns them, and their numbers.
func folded(segments [][][]cairn.Document) (documents map[string]string, stats cairn.Stats) {
	newest := map[string]cairn.Document{}
	for _, parts := range segments {
		for _, rows := range parts {
			for _, d := range rows {
				newest[d.Collection+"/"+d.ID] = d
				stats.Revision = max(stats.Revision, d.Revision)
			}
		}
	}
	documents = map[string]string{}
	for key, d := range newest {
		if d.Deleted() {
			stats.Deletions++
			continue
		}
		documents[key] = fmt.Sprintf("%d %s", d.Revision, d.JSON)
		stats.Documents++
		stats.Bytes += int64(len(d.JSON))
		stats.Digest = stats.Digest.Add(cairn.DigestOf(d))
	}
	return documents, stats
}
