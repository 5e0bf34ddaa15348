package cairn_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"cairn"
)

// bigDigest is the fingerprint of a document, written down a second time from
// its description.
func bigDigest(d cairn.Document) *big.Int {
	content := sha256.Sum256(d.JSON)
	input := d.Collection + "\x00" + d.ID + "\x00" +
		string(binary.BigEndian.AppendUint64(nil, uint64(d.Revision))) + string(content[:])
	sum := sha256.Sum256([]byte(input))
	return new(big.Int).SetBytes(sum[:16])
}

// checkDigest compares a digest with a number modulo 2^128.
func checkDigest(t interface{ Errorf(string, ...any) }, what string, got cairn.Digest, want *big.Int) {
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	want = new(big.Int).Mod(want, modulus)
	if n := new(big.Int).SetBytes(got.Bytes()); n.Cmp(want) != 0 {
		t.Errorf("%s: digest %s, want %032x", what, got, want)
	}
}

func TestDigestGolden(t *testing.T) {
	d := cairn.Document{Revision: 7, Collection: "assets", ID: "a1111111-1111-4111-8111-111111111111", JSON: []byte(`{"id":"a1111111-1111-4111-8111-111111111111"}`)}
	const want = "4caacd6160950434293e3abb21459de2"
	if got := cairn.DigestOf(d).String(); got != want {
		t.Errorf("DigestOf = %s, want %s", got, want)
	}
	checkDigest(t, "the golden document", cairn.DigestOf(d), bigDigest(d))
}

// Each part counts, and where one ends and the next begins.
func TestDigestOfDifferentDocuments(t *testing.T) {
	docs := []cairn.Document{
		{},
		{Revision: 1},
		{Revision: 1 << 32},
		{Revision: -1},
		{Collection: "a"},
		{ID: "a"},
		{JSON: []byte("a")},
		{Collection: "a", ID: "b"},
		{Collection: "ab"},
		{ID: "ab"},
		{ID: "a", JSON: []byte("b")},
		{JSON: []byte("ab")},
	}
	seen := map[cairn.Digest]int{}
	for i, d := range docs {
		checkDigest(t, "document", cairn.DigestOf(d), bigDigest(d))
		if other, ok := seen[cairn.DigestOf(d)]; ok {
			t.Errorf("documents %d and %d have one digest", other, i)
		}
		seen[cairn.DigestOf(d)] = i
	}
}

// A sum of documents is their sum modulo 2^128, in any order, and what is
// taken out again leaves nothing behind.
func TestDigestSums(t *testing.T) {
	document := rapid.Custom(func(t *rapid.T) cairn.Document {
		return cairn.Document{
			Revision:   rapid.Int64Range(0, 1<<40).Draw(t, "revision"),
			Collection: rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "collection"),
			ID:         rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "id"),
			JSON:       []byte(rapid.String().Draw(t, "json")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		docs := rapid.SliceOfN(document, 0, 20).Draw(t, "docs")
		var sum cairn.Digest
		want := new(big.Int)
		for _, d := range docs {
			sum = sum.Add(cairn.DigestOf(d))
			want.Add(want, bigDigest(d))
		}
		checkDigest(t, "the sum", sum, want)

		var other cairn.Digest
		for _, i := range rapid.Permutation(indexes(len(docs))).Draw(t, "order") {
			other = cairn.DigestOf(docs[i]).Add(other)
		}
		if other != sum {
			t.Errorf("the sum in another order is %s, want %s", other, sum)
		}
		half := len(docs) / 2
		for _, d := range docs[:half] {
			sum = sum.Sub(cairn.DigestOf(d))
			want.Sub(want, bigDigest(d))
		}
		checkDigest(t, "without the first half", sum, want)
		for _, d := range docs[half:] {
			sum = sum.Sub(cairn.DigestOf(d))
		}
		if sum != (cairn.Digest{}) {
			t.Errorf("without all of them %s is left, want nothing", sum)
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// Carries and borrows between the halves.
func TestDigestArithmetic(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	edges := []uint64{0, 1, 1 << 63, 1<<63 - 1, 1<<64 - 1, random.Uint64(), random.Uint64()}
	var all []cairn.Digest
	for _, hi := range edges {
		for _, lo := range edges {
			b := binary.BigEndian.AppendUint64(nil, hi)
			d, err := cairn.ParseDigest(binary.BigEndian.AppendUint64(b, lo))
			if err != nil {
				t.Fatalf("ParseDigest: %v", err)
			}
			all = append(all, d)
		}
	}
	number := func(d cairn.Digest) *big.Int { return new(big.Int).SetBytes(d.Bytes()) }
	for _, a := range all {
		for _, b := range all {
			checkDigest(t, a.String()+" + "+b.String(), a.Add(b), new(big.Int).Add(number(a), number(b)))
			checkDigest(t, a.String()+" - "+b.String(), a.Sub(b), new(big.Int).Sub(number(a), number(b)))
		}
	}
}

func TestParseDigest(t *testing.T) {
	b := []byte("0123456789abcdef")
	d, err := cairn.ParseDigest(b)
	if err != nil || string(d.Bytes()) != string(b) {
		t.Errorf("ParseDigest(%q) = %q, %v, want the same bytes", b, d.Bytes(), err)
	}
	if got, want := d.String(), "30313233343536373839616263646566"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	for _, n := range []int{0, 1, 15, 17, 32} {
		if _, err := cairn.ParseDigest(make([]byte, n)); err == nil {
			t.Errorf("ParseDigest of %d bytes: no error", n)
		}
	}
	if _, err := cairn.ParseDigest(nil); err == nil {
		t.Error("ParseDigest(nil): no error")
	}
}
