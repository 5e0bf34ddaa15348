package segment_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"cairn/internal/segment"
)

// fuzzKey is a new key for what a fuzz target encrypts.
func fuzzKey(f *testing.F) *age.X25519Identity {
	f.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	return identity
}

// FuzzLines checks that the lines of a part that can be read to their end are
// what is written for them, in order.
func FuzzLines(f *testing.F) {
	f.Add(readGolden(f, "part1.jsonl"))
	f.Add(readGolden(f, "part2.jsonl"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		var again []byte
		last := int64(0)
		for d, err := range segment.Lines(plain) {
			if errors.Is(err, segment.ErrDamaged) {
				return
			}
			if err != nil {
				t.Fatalf("an error that is not ErrDamaged: %v", err)
			}
			if d.Revision <= last {
				t.Errorf("revision %d comes after %d", d.Revision, last)
			}
			last = d.Revision
			again = segment.AppendLine(again, d)
		}
		if !bytes.Equal(again, plain) {
			t.Errorf("%q was read, but is written as %q", plain, again)
		}
	})
}

// FuzzPart decodes what anybody who knows the public key can put in the place of a
// part: it is lines of the length that the manifest has, or an error, and takes no
// more memory than they do.
func FuzzPart(f *testing.F) {
	identity := fuzzKey(f)
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"part1", "part2"} {
		plain := readGolden(f, name+".jsonl")
		f.Add(decryptAll(f, goldenKey(f), readGolden(f, name+".jsonl.zst.age")), uint16(len(plain)))
	}
	f.Fuzz(func(t *testing.T, content []byte, length uint16) {
		object := encrypt(t, identity.Recipient(), content)
		p := partOf(object, int64(length))
		var got []byte
		var err error
		if n := allocated(func() { got, err = decoder.Decode([]byte("before"), object, p) }); n > mostMemory {
			t.Errorf("%d bytes of a part of %d took %d bytes of memory", len(object), length, n)
		}
		if err != nil {
			if !errors.Is(err, segment.ErrDamaged) || string(got) != "before" {
				t.Errorf("%q and %v", got, err)
			}
			return
		}
		if len(got) != len("before")+int(length) || !bytes.HasPrefix(got, []byte("before")) {
			t.Errorf("%d bytes, of lines of %d", len(got), length)
		}
		if most := 2*int(length) + 256; cap(got) > most {
			t.Errorf("the lines take %d bytes, want at most %d", cap(got), most)
		}
		for _, err := range p.Lines(got[len("before"):]) {
			if err != nil && !errors.Is(err, segment.ErrDamaged) {
				t.Errorf("an error that is not ErrDamaged: %v", err)
			}
		}
	})
}

// mostMemory is what reading a small part may take, in bytes: 24 MiB, of which the
// window is 8.
const mostMemory = 24 << 20

// partOf describes an object as a part whose lines have a length.
func partOf(object []byte, length int64) segment.Part {
	return segment.Part{
		Object: segment.Object{Name: "parts/00/part.jsonl.zst.age", Size: int64(len(object)), SHA256: sha256.Sum256(object)},
		From:   0, To: 9, Documents: 2, Deletions: 1, Plain: length,
	}
}

// FuzzObject decodes any bytes as the object of a part, of which the manifest says
// the SHA-256: without the key nobody makes one that is taken.
func FuzzObject(f *testing.F) {
	decoder, err := segment.NewDecoder(goldenKey(f))
	if err != nil {
		f.Fatal(err)
	}
	written, length := readGolden(f, "part1.jsonl.zst.age"), int64(len(readGolden(f, "part1.jsonl")))
	f.Add(written)
	f.Fuzz(func(t *testing.T, object []byte) {
		_, err := decoder.Decode(nil, object, partOf(object, length))
		if want := bytes.Equal(object, written); (err == nil) != want {
			t.Errorf("it is the one that was written: %t; the error is %v", want, err)
		}
		if err != nil && !errors.Is(err, segment.ErrDamaged) && !errors.Is(err, segment.ErrKey) {
			t.Errorf("an error that is neither ErrDamaged nor ErrKey: %v", err)
		}
	})
}

// FuzzIndex reads any lines as an index, with its catalog, in each of the ways there
// are: what can be read is what is written for it.
func FuzzIndex(f *testing.F) {
	identity := fuzzKey(f)
	var s segment.Segment
	if err := json.Unmarshal(readGolden(f, "segment.json"), &s); err != nil {
		f.Fatal(err)
	}
	parts := s.Stored - s.Index.Size
	f.Add(readGolden(f, "index.jsonl"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		object := seal(t, identity.Recipient(), plain)
		s := s
		s.Index = &segment.Object{Name: s.Index.Name, Size: int64(len(object)), SHA256: sha256.Sum256(object)}
		s.Stored = parts + s.Index.Size
		checkIndex(t, plain, object, identity, s)
	})
}

// checkIndex reads the object of an index, whose lines are plain.
func checkIndex(t *testing.T, plain, object []byte, identity age.Identity, s segment.Segment) {
	found, err := segment.ReadIndex(bytes.NewReader(object), identity, s)
	if err != nil && !errors.Is(err, segment.ErrDamaged) && !errors.Is(err, segment.ErrFormat) {
		t.Errorf("an error that is neither ErrDamaged nor ErrFormat: %v", err)
	}
	head, _, _ := bytes.Cut(plain, []byte("\n"))
	again := append(bytes.Clone(head), '\n')
	for _, p := range found {
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again = append(append(again, line...), '\n')
	}
	if err == nil && !bytes.HasPrefix(plain, again) {
		t.Errorf("the parts are written as %q", again)
	}
	var broken error
	var last segment.Row
	for r, err := range segment.Rows(bytes.NewReader(object), identity, s) {
		if broken = err; err != nil {
			break
		}
		if order := cmp.Or(strings.Compare(last.Collection, r.Collection), strings.Compare(last.ID, r.ID)); order >= 0 {
			t.Errorf("%s/%s comes after %s/%s", r.Collection, r.ID, last.Collection, last.ID)
		}
		last = r
		again = segment.AppendRow(again, r)
	}
	if broken == nil && (err != nil || !bytes.Equal(plain, again)) {
		t.Errorf("%q was read, but is written as %q; its parts alone: %v", plain, again, err)
	}
	if _, _, checked := segment.CheckIndex(bytes.NewReader(object), identity, s); (checked == nil) != (broken == nil) {
		t.Errorf("CheckIndex: %v, and Rows: %v", checked, broken)
	}
}
