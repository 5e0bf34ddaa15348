package database_test

import (
	"fmt"
	"strings"
	"testing"

	"cairn"
)

// slowChecksum computes a CRC-32C bit by bit, as RFC 3720, 12.1 and B.4 have it.
func slowChecksum(text string) uint32 {
	crc := ^uint32(0)
	for i := range len(text) {
		crc ^= uint32(text[i])
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78*(crc&1)
		}
	}
	return ^crc
}

// goldenChecksum is that of the document {"v":1} with the id a in assets,
// computed elsewhere.
const goldenChecksum = 0xd79d3c03

// The checksum of a row is that of its names and its text, on the disk too.
func TestChecksum(t *testing.T) {
	if got := slowChecksum("123456789"); got != 0xe3069283 { // the check value of CRC-32C
		t.Fatalf("the slow checksum of 123456789 is %#x", got)
	}
	for _, replaced := range []bool{false, true} {
		db := open(t, t.TempDir())
		docs := []cairn.Document{
			at(1, put("a", `{"v":1}`)), at(2, cairn.Document{Collection: "tags", ID: "0.-_", JSON: []byte(`{}`)}),
			at(3, put(strings.Repeat("x", 128), "{\"é\":\""+strings.Repeat("y", 100_000)+"\"}")),
			at(4, cairn.Document{Collection: strings.Repeat("c", 64), ID: strings.Repeat("i", 128), JSON: []byte(`{"a":"\u0000"}`)}),
		}
		if replaced {
			replace(t, db, "job", docs[:2], docs[2:])
		} else {
			apply(t, db, docs...)
		}
		for _, d := range docs {
			var got int64
			if err := direct(t, db.Path()).QueryRowContext(t.Context(), "SELECT crc FROM documents WHERE revision = ?", d.Revision).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if want := int64(slowChecksum(d.Collection + "\x00" + d.ID + "\x00" + string(d.JSON))); got != want {
				t.Errorf("replaced %t: the checksum of %.20s is %d, want %d", replaced, d.ID, got, want)
			}
			if d.ID == "a" && got != goldenChecksum {
				t.Errorf("replaced %t: the checksum of %s is %d, want %d", replaced, d.JSON, got, goldenChecksum)
			}
		}
		shut(t, db)
	}
}

// A bit that flips in a row is noticed by whoever reads it, and by nobody who
// does not.
func TestChecksumFinds(t *testing.T) {
	for _, test := range []struct {
		statement  string
		collection string // where the row is now
		id         string
	}{
		{`UPDATE documents SET json = '{"v":3,"refs":["r"]}' WHERE id = 'bad'`, "assets", "bad"}, // 1 is 0x31, 3 is 0x33
		{`UPDATE documents SET json = '{"w":1,"refs":["r"]}' WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET json = '{}' WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET json = '' WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET crc = crc + 1 WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET crc = crc + 4294967296 WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET crc = -crc WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET crc = 0 WHERE id = 'bad'`, "assets", "bad"},
		{`UPDATE documents SET id = 'ba' || char(101) WHERE id = 'bad'`, "assets", "bae"}, // d is 0x64, e is 0x65
		{`UPDATE documents SET collection = 'assetr' WHERE id = 'bad'`, "assetr", "bad"},
		{`UPDATE documents SET id = 'x' || id WHERE id = 'bad'`, "assets", "xbad"},
	} {
		db := open(t, t.TempDir())
		apply(t, db, put("a", `{"v":1}`), put("bad", `{"v":1,"refs":["r"]}`), put("z", `{"v":1}`))
		tamper(t, db.Path(), test.statement)
		last := func(seq func(func(cairn.Document, error) bool)) (err error) {
			for doc, e := range seq {
				if err = e; e == nil && doc.ID == test.id {
					t.Errorf("%s: it came as %s", test.statement, doc.JSON)
				}
			}
			return err
		}
		scan := func(after int64) error {
			return scan(t.Context(), db, after, func(cairn.Stats) error { return nil }, func(doc cairn.Document, _ cairn.Hash) error {
				if doc.ID == test.id {
					t.Errorf("%s: it came as %s", test.statement, doc.JSON)
				}
				return nil
			})
		}
		before := db.Stats()
		_, get := db.Get(t.Context(), test.collection, test.id)
		_, update := db.Update(t.Context(), test.collection, test.id, func([]byte) ([]byte, error) {
			t.Errorf("%s: an edit got it", test.statement)
			return []byte(`{}`), nil
		})
		_, write := db.Apply(t.Context(), []cairn.Document{put("new", `{}`), {Collection: test.collection, ID: test.id, JSON: []byte(`{}`)}})
		_, drop := db.Apply(t.Context(), []cairn.Document{{Collection: test.collection, ID: test.id}})
		results := map[string]error{
			"Get": get, "Update": update, "Apply": write, "a deletion": drop,
			"List": last(db.List(t.Context(), test.collection)), "Changes": last(db.Changes(t.Context(), "", 0)), "Changes since": last(db.Changes(t.Context(), "", 1)),
			"Scan": scan(0), "Scan since": scan(1), "Verify": db.Verify(t.Context()),
		}
		if test.collection == "assets" && test.id == "bad" {
			_, results["Find"] = db.Find(t.Context(), "assets", "r")
		}
		for name, err := range results {
			checkCode(t, fmt.Sprintf("%s: %s", test.statement, name), err, cairn.CodeDamaged)
			if err != nil && !strings.Contains(err.Error(), db.Path()) {
				t.Errorf("%s: %s: %v does not name the file", test.statement, name, err)
			}
		}
		for _, id := range []string{"a", "z"} {
			if doc, err := db.Get(t.Context(), "assets", id); err != nil || string(doc.JSON) != `{"v":1}` {
				t.Errorf("%s: Get of %s: %+v, %v", test.statement, id, doc, err)
			}
		}
		if got := db.Stats(); got != before {
			t.Errorf("%s: Stats = %+v, want %+v", test.statement, got, before)
		}
		shut(t, db)
	}
}
