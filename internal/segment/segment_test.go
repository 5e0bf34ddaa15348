package segment_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"cairn"
	"cairn/internal/segment"
)

// keys returns a new identity.
func keys(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// encode returns the part of documents and its object.
func encode(t testing.TB, recipient age.Recipient, docs []cairn.Document) ([]byte, segment.Part) {
	t.Helper()
	encoder, err := segment.NewEncoder(recipient)
	if err != nil {
		t.Fatal(err)
	}
	return encodeWith(t, encoder, docs)
}

func encodeWith(t testing.TB, encoder *segment.Encoder, docs []cairn.Document) ([]byte, segment.Part) {
	t.Helper()
	var plain []byte
	var p segment.Part
	for _, d := range docs {
		plain = segment.AppendLine(plain, d)
		if d.Deleted() {
			p.Deletions++
		} else {
			p.Documents++
		}
	}
	object, sum, err := encoder.Encode(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	p.Object = segment.Object{Name: "parts/aa/x.jsonl.zst.age", Size: int64(len(object)), SHA256: sum}
	p.From, p.To, p.Plain = docs[0].Revision-1, docs[len(docs)-1].Revision, int64(len(plain))
	return object, p
}

// seal returns an object that holds plain, whatever that is.
func seal(t testing.TB, recipient age.Recipient, plain []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return encrypt(t, recipient, z.EncodeAll(plain, nil))
}

// encrypt returns what age makes of content.
func encrypt(t testing.TB, recipient age.Recipient, content []byte) []byte {
	t.Helper()
	var object bytes.Buffer
	w, err := age.Encrypt(&object, recipient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return object.Bytes()
}

// unseal returns what an object holds, read by the libraries alone.
func unseal(t testing.TB, identity age.Identity, object []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(decryptAll(t, identity, object)))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// decryptAll returns what age makes of an object.
func decryptAll(t testing.TB, identity age.Identity, object []byte) []byte {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(object), identity)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// browse finds what a person looks for in the documents of these tests.
func browse(_ string, text []byte) (name, language, created string) {
	var d struct{ Name, Language, Created string }
	if json.Unmarshal(text, &d) != nil {
		return "", "", ""
	}
	return d.Name, d.Language, d.Created
}

// rowsOf returns the rows of documents, without deletions.
func rowsOf(docs []cairn.Document) (rows []segment.Row) {
	for _, d := range docs {
		if !d.Deleted() {
			rows = append(rows, segment.NewRow(d, cairn.ContentHash(d.JSON), browse))
		}
	}
	return rows
}

// oddDocuments are the ones that a careless codec would not bring back.
func oddDocuments() []cairn.Document {
	texts := []string{
		`{}`,
		`{"a":"{\"collection\":\"x\"},\"document\":{}}"}`,
		`{"name":"\ud800","b":"\udc00\ud800","c":"\u0000","d":"\"\\\/\b\f\n\r\t\u2028"}`,
		`{"name":"ä 😀 ` + "\u2028\x7f" + `","language":"go","created":"2026-11-23T07:25:41.123Z"}`,
		`{"n":1e400,"m":123456789012345678901234567890,"o":-0.0}`,
		`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`,
		`{"` + strings.Repeat("x", 1<<20) + `":null}`,
		`{"name":"` + strings.Repeat("é", 400) + `"}`,
	}
	var docs []cairn.Document
	for i, text := range texts {
		docs = append(docs, cairn.Document{Revision: int64(2*i + 1), Collection: "assets", ID: strings.Repeat("-", i+1), JSON: []byte(text)})
		docs = append(docs, cairn.Document{Revision: int64(2*i + 2), Collection: "z_" + strings.Repeat("0", i), ID: strings.Repeat("Z", 128-i)})
	}
	docs[len(docs)-1].Revision = 1<<63 - 1
	return docs
}

// bigDocument returns one whose text has n bytes; nothing in it repeats nearby.
func bigDocument(n int) cairn.Document {
	text := make([]byte, 0, n)
	text = append(text, `{"text":"`...)
	for x := uint64(1); len(text) < n-2; x = x*6364136223846793005 + 1442695040888963407 {
		text = append(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[x>>58])
	}
	text = append(text[:n-2], `"}`...)
	return cairn.Document{Revision: 1, Collection: "assets", ID: "big", JSON: text}
}
