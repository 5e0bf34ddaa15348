package database

import "hash/crc32"

// castagnoli is the polynomial that processors have an instruction for.
// Source: RFC 3720, 12.1.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum returns the CRC-32C of a row of documents: of collection 0x00 id 0x00
// json. SQLite has no checksums of its own, so a bit that flips in a text would
// be served, and backed up, as if it had been written.
func checksum(collection, id, json string) int64 {
	table := castagnoli()
	var head [256]byte // longer than both names may be
	names := append(head[:0], collection...)
	names = append(names, 0)
	names = append(names, id...)
	names = append(names, 0)
	sum := crc32.Update(0, table, names)
	return int64(crc32.Update(sum, table, textBytes(json)))
}
