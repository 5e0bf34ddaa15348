package segment_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"cairn"
	"cairn/internal/segment"
)

func TestPartRoundTrip(t *testing.T) {
	identity := keys(t)
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]cairn.Document, 20_000)
	for i := range many {
		many[i] = cairn.Document{Revision: int64(i + 1), Collection: "assets", ID: fmt.Sprint(i), JSON: fmt.Appendf(nil, `{"text":"%s"}`, strings.Repeat(fmt.Sprint(i), 30))}
	}
	for name, docs := range map[string][]cairn.Document{
		"one":    {{Revision: 1, Collection: "a", ID: "b", JSON: []byte(`{}`)}},
		"odd":    oddDocuments(),
		"many":   many,
		"10 MiB": {bigDocument(10 << 20)},
		"32 MiB": {bigDocument(cairn.MaxDocumentBytes)},
	} {
		t.Run(name, func(t *testing.T) {
			object, p := encode(t, identity.Recipient(), docs)
			if p.SHA256 != sha256.Sum256(object) {
				t.Error("Encode returned another SHA-256 than that of the object")
			}
			plain, err := decoder.Decode([]byte("before"), object, p)
			if err != nil {
				t.Fatal(err)
			}
			plain, ok := bytes.CutPrefix(plain, []byte("before"))
			if !ok || !bytes.Equal(plain, unseal(t, identity, object)) {
				t.Error("Decode and the libraries differ")
			}
			got := collect(t, p.Lines(plain))
			if len(got) != len(docs) {
				t.Fatalf("%d documents came back, want %d", len(got), len(docs))
			}
			for i := range docs {
				checkDocument(t, got[i], docs[i])
			}
		})
	}
}

// TestEncodeForm checks what public tools rely on: one frame that tells its
// size, with a window they take without being asked, and a checksum.
func TestEncodeForm(t *testing.T) {
	identity := keys(t)
	encoder, err := segment.NewEncoder(identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{256, 2000, 1 << 20, segment.PartBytes, cairn.MaxDocumentBytes} {
		plain := bytes.Repeat([]byte("x"), n)
		object, _, err := encoder.Encode([]byte("before"), plain)
		if err != nil {
			t.Fatal(err)
		}
		object, ok := bytes.CutPrefix(object, []byte("before"))
		if !ok || !bytes.HasPrefix(object, []byte("age-encryption.org/v1\n-> X25519 ")) {
			t.Fatalf("the object of %d bytes begins with %q", n, object[:min(len(object), 40)])
		}
		frame := decryptAll(t, identity, object)
		var h zstd.Header
		if err := h.Decode(frame); err != nil {
			t.Fatal(err)
		}
		if !h.HasFCS || h.FrameContentSize != uint64(n) || h.WindowSize > 8<<20 || h.HasCheckSum || h.DictionaryID != 0 {
			t.Errorf("the frame of %d bytes has the header %+v", n, h)
		}
	}
}

// TestDecodeDamage changes every byte of an object, in one bit and in all, and
// its length.
func TestDecodeDamage(t *testing.T) {
	identity := keys(t)
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		t.Fatal(err)
	}
	docs := []cairn.Document{{Revision: 1, Collection: "a", ID: "b", JSON: []byte(`{}`)}, {Revision: 2, Collection: "a", ID: "c"}}
	object, p := encode(t, identity.Recipient(), docs)
	other, q := encode(t, identity.Recipient(), docs)
	check := func(what string, object []byte, p segment.Part, want error) {
		t.Helper()
		plain, err := decoder.Decode([]byte("before"), object, p)
		if !errors.Is(err, want) || string(plain) != "before" {
			t.Errorf("%s: %q, %v, want nothing new and %v", what, plain, err, want)
		}
	}
	// checkBoth also has a manifest that was changed to match.
	checkBoth := func(what string, object []byte) {
		t.Helper()
		check(what, object, p, segment.ErrDamaged)
		q := p
		q.Size, q.SHA256 = int64(len(object)), sha256.Sum256(object)
		if _, err := decoder.Decode(nil, object, q); !errors.Is(err, segment.ErrDamaged) && !errors.Is(err, segment.ErrKey) {
			t.Errorf("%s: %v, though the SHA-256 was right", what, err)
		}
	}
	for i := range object {
		for _, bits := range []byte{1, 0xff} {
			changed := bytes.Clone(object)
			changed[i] ^= bits
			checkBoth(fmt.Sprintf("byte %d ^ %#x", i, bits), changed)
		}
		checkBoth(fmt.Sprintf("cut to %d bytes", i), object[:i])
	}
	checkBoth("extended", append(bytes.Clone(object), 0))
	checkBoth("doubled", append(bytes.Clone(object), object...))
	check("swapped", other, p, segment.ErrDamaged)
	check("swapped the other way", object, q, segment.ErrDamaged)

	foreign, r := encode(t, keys(t).Recipient(), docs)
	check("of another key", foreign, r, segment.ErrKey)
	check("of another key in its place", foreign, p, segment.ErrDamaged)
	if _, err := decoder.Decode(nil, object, p); err != nil {
		t.Errorf("as it was, after all that: %v", err)
	}
}

// TestDecodeLies has objects that are authentic, but not what the part says.
func TestDecodeLies(t *testing.T) {
	identity := keys(t)
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer // a frame that does not tell its size
	w, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, 100<<20))
	w.Close()
	text := bytes.Repeat([]byte("text"), 250)
	for name, content := range map[string][]byte{
		"not zstd":        []byte("plain"),
		"empty":           {},
		"shorter":         z.EncodeAll(text[:999], nil),
		"longer":          z.EncodeAll(append(text, 'x'), nil),
		"bomb":            z.EncodeAll(make([]byte, 100<<20), nil),
		"bomb in stream":  stream.Bytes(),
		"something after": append(z.EncodeAll(text, nil), "x"...),
		"another frame":   append(z.EncodeAll(text, nil), z.EncodeAll(text, nil)...),
	} {
		object := encrypt(t, identity.Recipient(), content)
		p := segment.Part{Object: segment.Object{Name: "x", Size: int64(len(object)), SHA256: sha256.Sum256(object)}, To: 1, Documents: 1, Plain: 1000}
		var err error
		if grown := allocated(func() { _, err = decoder.Decode(nil, object, p) }); grown > 2<<20 {
			t.Errorf("%s: Decode allocated %d bytes", name, grown)
		}
		if !errors.Is(err, segment.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", name, err)
		}
	}
	if _, err := decoder.Decode(nil, nil, segment.Part{To: 1, Documents: 1, Plain: 1 << 40}); !errors.Is(err, segment.ErrDamaged) {
		t.Errorf("a part of 1 TiB: %v, want ErrDamaged", err)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemory bounds what a worker takes: to begin with, and for each part.
func TestMemory(t *testing.T) {
	identity := keys(t)
	plain := segment.AppendLine(nil, bigDocument(segment.PartBytes))
	var encoder *segment.Encoder
	var decoder *segment.Decoder
	object, back := make([]byte, 0, 2*segment.PartBytes), make([]byte, 0, 2*segment.PartBytes)
	var sum segment.Sum
	work := func() {
		var err error
		if object, sum, err = encoder.Encode(object[:0], plain); err != nil {
			t.Fatal(err)
		}
		p := segment.Part{Object: segment.Object{Size: int64(len(object)), SHA256: sum}, To: 1, Documents: 1, Plain: int64(len(plain))}
		if back, err = decoder.Decode(back[:0], object, p); err != nil {
			t.Fatal(err)
		}
	}
	first := allocated(func() {
		var err error
		if encoder, err = segment.NewEncoder(identity.Recipient()); err != nil {
			t.Fatal(err)
		}
		if decoder, err = segment.NewDecoder(identity); err != nil {
			t.Fatal(err)
		}
		work()
	})
	next := allocated(work)
	t.Logf("the first part of incompressible text took %d bytes, the next %d", first, next)
	if first > 80<<20 {
		t.Errorf("the first part took %d bytes, want at most 80 MiB for both", first)
	}
	if next > 20<<20 { // age allocates each chunk that it decrypts
		t.Errorf("the next part took %d bytes, want at most 20 MiB for both", next)
	}
}

// TestLargePartIsNotKept has workers let go of a part that is larger than usual,
// and go on.
func TestLargePartIsNotKept(t *testing.T) {
	identity := keys(t)
	large, small := []cairn.Document{bigDocument(cairn.MaxDocumentBytes)}, []cairn.Document{bigDocument(1 << 20)}
	decoder, err := segment.NewDecoder(identity)
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := segment.NewEncoder(identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	work := func(docs []cairn.Document) {
		object, p := encodeWith(t, encoder, docs)
		if _, err := decoder.Decode(nil, object, p); err != nil {
			t.Fatal(err)
		}
	}
	work(small)
	before := heap()
	work(large)
	after := heap()
	if kept := after - before; kept > 16<<20 {
		t.Errorf("%d bytes are kept of a part of %d", kept, cairn.MaxDocumentBytes)
	}
	work(small)
	runtime.KeepAlive(large)
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // for what has a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestConcurrentEncoders shares what an Encoder and a Decoder may share: the
// recipient and the identity.
func TestConcurrentEncoders(t *testing.T) {
	identity := keys(t)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 10 {
				docs := []cairn.Document{{Revision: int64(i + 1), Collection: "a", ID: fmt.Sprint(worker), JSON: []byte(`{}`)}}
				object, p := encode(t, identity.Recipient(), docs)
				decoder, err := segment.NewDecoder(identity)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := decoder.Decode(nil, object, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
