package cairn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// DigestSize is the number of bytes of a [Digest] in storage.
const DigestSize = 16

// A Digest is a fingerprint of a set of documents: the sum modulo 2^128 of the
// fingerprints of its members, so that adding and removing one costs the same
// whatever the size of the set. The zero Digest is that of the empty set.
//
// The fingerprint of a document is the first 16 bytes, read as a big-endian
// number, of
//
//	SHA-256( collection 0x00 id 0x00 revision SHA-256(json) )
//
// with the revision as 8 bytes big-endian. Neither name can hold a zero byte,
// so no two documents have the same input; the text is hashed by itself so that
// who knows its [ContentHash] need not read it again. The form is described in
// docs/format.md. It detects damage and mistakes; authenticity is the business
// of the manifest that carries it.
type Digest struct{ hi, lo uint64 }

// A Hash is the SHA-256 of a document's text: the same wherever and whenever it
// was written.
type Hash = [sha256.Size]byte

// ContentHash returns the Hash of a text.
func ContentHash(json []byte) Hash { return sha256.Sum256(json) }

// DigestOf returns the digest of the set that holds d alone.
func DigestOf(d Document) Digest { return DigestWith(d, ContentHash(d.JSON)) }

// DigestWith is DigestOf for a document whose ContentHash is known. It does not
// look at d.JSON.
func DigestWith(d Document, content Hash) Digest {
	input := make([]byte, 0, maxCollectionBytes+maxIDBytes+2+8+sha256.Size)
	input = append(input, d.Collection...)
	input = append(input, 0)
	input = append(input, d.ID...)
	input = append(input, 0)
	input = binary.BigEndian.AppendUint64(input, uint64(d.Revision))
	input = append(input, content[:]...)
	sum := sha256.Sum256(input)
	return digestFrom(sum[:])
}

// Add returns the digest of the union of two sets without common members.
func (g Digest) Add(o Digest) Digest {
	lo, carry := bits.Add64(g.lo, o.lo, 0)
	hi, _ := bits.Add64(g.hi, o.hi, carry)
	return Digest{hi, lo}
}

// Sub returns the digest of the set g without the members of o.
func (g Digest) Sub(o Digest) Digest {
	lo, borrow := bits.Sub64(g.lo, o.lo, 0)
	hi, _ := bits.Sub64(g.hi, o.hi, borrow)
	return Digest{hi, lo}
}

// Bytes returns the 16 bytes of g, big-endian, as they are stored.
func (g Digest) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, DigestSize), g.hi)
	return binary.BigEndian.AppendUint64(b, g.lo)
}

// String returns g in 32 hexadecimal digits.
func (g Digest) String() string { return hex.EncodeToString(g.Bytes()) }

// ParseDigest reads what [Digest.Bytes] wrote. Any other length is an error.
func ParseDigest(b []byte) (Digest, error) {
	if len(b) != DigestSize {
		return Digest{}, fmt.Errorf("a digest has %d bytes, not %d", DigestSize, len(b))
	}
	return digestFrom(b), nil
}

// digestFrom reads the first 16 bytes of b.
func digestFrom(b []byte) Digest {
	return Digest{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}
