package segment

import (
	"encoding/binary"
	"io"

	"filippo.io/age"

	"cairn"
)

// CheckIndex reads an index to its end: the parts, which it returns as [ReadIndex]
// does, and the catalog, as [Rows] does. catalog is the sum of [Row.Digest] over its
// rows: that of the documents in the parts must be the same. Errors are those of
// ReadIndex.
func CheckIndex(r io.Reader, identity age.Identity, s Segment) (parts []Part, catalog cairn.Digest, err error) {
	x, err := openIndex(r, identity, s)
	if err != nil {
		return nil, cairn.Digest{}, err
	}
	defer x.close()
	if parts, err = x.parts(); err == nil {
		_, err = x.rows(func(r Row, _ error) bool {
			catalog = catalog.Add(r.Digest())
			return true
		})
	}
	if err := x.finish(err); err != nil {
		return nil, cairn.Digest{}, err
	}
	return parts, catalog, nil
}

// Digest returns a hash of what a row says of its document, but for what a person
// looks for: that depends on the version of cairn which wrote it. Digests add up,
// so that two sets of rows can be compared whatever their order.
func (r Row) Digest() cairn.Digest {
	var content cairn.Hash // the place of the whole one
	n := copy(content[:], r.Hash[:])
	binary.BigEndian.PutUint64(content[n:], uint64(r.Bytes))
	return cairn.DigestWith(cairn.Document{Collection: r.Collection, ID: r.ID, Revision: r.Revision}, content)
}
