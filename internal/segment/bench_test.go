package segment_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/segment"
)

// sources returns documents of about a part, each with the text of a Go file.
func sources(b *testing.B) (docs []cairn.Document, plain []byte) {
	b.Helper()
	root, err := exec.CommandContext(b.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || len(plain) >= segment.PartBytes || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		doc, err := json.Marshal(map[string]any{"name": path, "created": "2026-11-23T07:25:41.123Z", "text": string(text)})
		if err != nil {
			return err
		}
		n := len(docs)
		d := cairn.Document{Collection: "assets", ID: fmt.Sprintf("%08x-1111-5111-8111-111111111111", uint32(n)*2654435761), Revision: int64(n + 1), JSON: doc}
		docs, plain = append(docs, d), segment.AppendLine(plain, d)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return docs, plain
}

func BenchmarkEncode(b *testing.B) {
	_, plain := sources(b)
	encoder, err := segment.NewEncoder(keys(b).Recipient())
	if err != nil {
		b.Fatal(err)
	}
	var object []byte
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		if object, _, err = encoder.Encode(object[:0], plain); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(plain))/float64(len(object)), "ratio")
}

func BenchmarkDecode(b *testing.B) {
	docs, plain := sources(b)
	identity := keys(b)
	object, part := encode(b, identity.Recipient(), docs)
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		b.Fatal(err)
	}
	var got []byte
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		if got, err = decoder.Decode(got[:0], object, part); err != nil {
			b.Fatal(err)
		}
	}
	if !bytes.Equal(got, plain) {
		b.Error("other lines came back")
	}
}

func BenchmarkAppendLine(b *testing.B) {
	docs, plain := sources(b)
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		plain = plain[:0]
		for _, d := range docs {
			plain = segment.AppendLine(plain, d)
		}
	}
}

func BenchmarkParseLine(b *testing.B) {
	docs, plain := sources(b)
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range segment.Lines(plain) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != len(docs) {
			b.Fatalf("%d documents, want %d", n, len(docs))
		}
	}
}

// BenchmarkNewRow shows what a document costs on the encode workers beside its
// compression; most of it is the hash.
func BenchmarkNewRow(b *testing.B) {
	docs, plain := sources(b)
	var batch segment.Batch
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		batch = segment.Batch{}
		for _, d := range docs {
			batch.Add(segment.NewRow(d, cairn.ContentHash(d.JSON), nil))
		}
	}
}

// BenchmarkCatalog adds 100,000 rows and writes the index, in the memory of a
// backup; bytes are those of the rows.
func BenchmarkCatalog(b *testing.B) {
	const rows = 100_000
	batches, size := make([]segment.Batch, 60), 0
	for i := range rows {
		id := uint32(i) * 2654435761
		r := segment.Row{
			Collection: "assets", ID: fmt.Sprintf("%08x-%04x-5%03x-8111-%012x", id, id>>16, id&0xfff, uint64(id)*0x9e3779b1),
			Revision: int64(i + 1), Bytes: int64(id % 10_000), Hash: [8]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24), byte(i), 6, 7},
			Name: fmt.Sprintf("src/net/http/file%d.go", id%1000), Language: "go", Created: "2026-11-23T07:25:41.123Z",
		}
		batches[i*len(batches)/rows].Add(r)
		size += len(segment.AppendRow(nil, r))
	}
	parts := []segment.Part{
		{Object: segment.Object{Name: "a", Size: 1}, From: 0, To: 1, Documents: 1, Plain: 100},
		{Object: segment.Object{Name: "b", Size: 1}, From: 1, To: rows, Documents: rows - 1, Plain: 100 * rows},
	}
	s, err := segment.Join(parts)
	if err != nil {
		b.Fatal(err)
	}
	recipient := keys(b).Recipient()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var index bytes.Buffer
	var end time.Duration
	for b.Loop() {
		index.Reset()
		c := segment.NewCatalog(b.TempDir(), 16<<20)
		for _, batch := range batches {
			if err := c.Add(&batch); err != nil {
				b.Fatal(err)
			}
		}
		begin := time.Now()
		if _, err := segment.WriteIndex(b.Context(), &index, recipient, s, parts, c); err != nil {
			b.Fatal(err)
		}
		end += time.Since(begin)
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(end.Seconds()*1e3/float64(b.N), "ms/WriteIndex")
	b.ReportMetric(float64(size)/float64(index.Len()), "ratio")
}
