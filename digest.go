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
//	SHA-256( collection 0x00 id 0x00 revision json )
//
// with the revision as 8 bytes big-endian. Neither name can hold a zero byte,
// so no two documents have the same input. The form is described in
// docs/format.md. It detects damage and mistakes; authenticity is the business
// of the manifest that carries it.
type Digest struct{ hi, lo uint64 }

// DigestOf returns the digest of the set that holds d alone.
func DigestOf(d Document) Digest {
	h := sha256.New()
	head := make([]byte, 0, len(d.Collection)+len(d.ID)+10)
	head = append(head, d.Collection...)
	head = append(head, 0)
	head = append(head, d.ID...)
	head = append(head, 0)
	head = binary.BigEndian.AppendUint64(head, uint64(d.Revision))
	h.Write(head)
	h.Write(d.JSON)
	var sum [sha256.Size]byte
	return digestFrom(h.Sum(sum[:0]))
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
