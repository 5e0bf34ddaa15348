package database_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/database"
)

// What somebody changes behind our back, Verify finds.
func TestVerifyFindsTampering(t *testing.T) {
	for _, statement := range []string{
		`UPDATE documents SET json = '{"v":9}' WHERE id = 'a'`,
		`UPDATE documents SET json = json || ' ' WHERE id = 'a'`,
		`UPDATE documents SET json = '{"w":1}' WHERE id = 'a'`, // of the same length
		`UPDATE documents SET id = 'x' WHERE id = 'a'`,
		`UPDATE documents SET collection = 'tags' WHERE id = 'a'`,
		`UPDATE documents SET revision = 99 WHERE id = 'a'`,
		`DELETE FROM documents WHERE id = 'a'`,
		`INSERT INTO documents(revision, collection, id, crc, hash, json) VALUES(50, 'assets', 'x', 0, zeroblob(32), '{}')`,
		`UPDATE documents SET hash = zeroblob(32) WHERE id = 'a'`,
		fmt.Sprintf(`UPDATE documents SET json = '{"v":9}', crc = %d WHERE id = 'a'`, slowChecksum("assets\x00a\x00"+`{"v":9}`)), // the hash tells
		`UPDATE documents SET hash = x'00' WHERE id = 'a'`,
		`UPDATE documents SET hash = (SELECT hash FROM documents WHERE id = 'b') WHERE id = 'a'`,
		`UPDATE documents SET id = CASE id WHEN 'a' THEN 'b' ELSE 'a' END || 'x' WHERE id IN ('a', 'b')`,
		`DELETE FROM deletions`,
		`INSERT INTO deletions(revision, collection, id) VALUES(3, 'assets', 'x')`,
		`UPDATE deletions SET revision = 99`,
		`UPDATE state SET documents = documents + 1`,
		`UPDATE state SET deletions = 0`,
		`UPDATE state SET bytes = bytes - 1`,
		`UPDATE state SET revision = 1`,
		`UPDATE state SET digest = zeroblob(16)`,
		`UPDATE state SET digest = x'00'`,
		`UPDATE state SET documents = 'x'`,
		`DELETE FROM state`,
	} {
		db := open(t, t.TempDir())
		apply(t, db, put("a", `{"v":1}`), put("b", `{"v":2}`), put("c", `{"v":3}`), remove("c"))
		verify(t, db)
		tamper(t, db.Path(), statement)
		err := db.Verify(t.Context())
		checkCode(t, statement, err, cairn.CodeDamaged)
		if err != nil && !strings.Contains(err.Error(), db.Path()) {
			t.Errorf("%s: %v does not name the file", statement, err)
		}
		shut(t, db)
	}
}

// A state row that does not fit stops writes, before they make it worse.
func TestWritesStopAtDamage(t *testing.T) {
	for _, statement := range []string{
		`UPDATE state SET revision = 1`,
		`UPDATE state SET revision = 'x'`,
		`DELETE FROM state`,
	} {
		db := open(t, t.TempDir())
		apply(t, db, put("a", `{"v":1}`), put("b", `{"v":2}`))
		tamper(t, db.Path(), statement)
		_, err := db.Apply(t.Context(), []cairn.Document{put("c", `{}`)})
		checkCode(t, statement, err, cairn.CodeDamaged)
		if doc, err := db.Get(t.Context(), "assets", "b"); err != nil || string(doc.JSON) != `{"v":2}` {
			t.Errorf("%s: a reader got %+v, %v", statement, doc, err)
		}
		shut(t, db)
	}
}

const pageSize = 16384

// pageOf returns the offset of the page that holds a text, and how many times
// it is there.
func pageOf(t *testing.T, path, text string) (offset int64) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(file, []byte(text))
	if at < 0 || bytes.Count(file, []byte(text)) != 1 {
		t.Fatalf("%q is there %d times, want once", text, bytes.Count(file, []byte(text)))
	}
	return int64(at / pageSize * pageSize)
}

// marked returns a document of about 5 KB that can be found in the file.
func marked(i int) cairn.Document {
	return put(fmt.Sprintf("d%03d", i), fmt.Sprintf(`{"mark":"mark %03d mark","x":%q}`, i, strings.Repeat("x", 5000)))
}

// A page that is lost in the middle costs the documents on it, and no others.
func TestDamagedPage(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	var docs []cairn.Document
	for i := range 200 {
		docs = append(docs, marked(i))
	}
	apply(t, db, docs...)
	shut(t, db)
	offset := pageOf(t, db.Path(), "mark 100 mark")
	file, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	lost := map[string]bool{}
	for i := range docs {
		if bytes.Contains(file[offset:offset+pageSize], fmt.Appendf(nil, "mark %03d mark", i)) {
			lost[docs[i].ID] = true
		}
	}
	if len(lost) == 0 || len(lost) > 5 {
		t.Fatalf("%d documents are on the page, want a few", len(lost))
	}
	overwrite(t, db.Path(), offset, pageSize, 0xff)

	db = open(t, dir)
	checkDamaged(t, db, docs, lost)
	checkCode(t, "Verify", db.Verify(t.Context()), cairn.CodeDamaged)
}

// checkDamaged fails unless reading and writing the lost documents are errors,
// and the others are as they were.
func checkDamaged(t *testing.T, db *database.DB, docs []cairn.Document, lost map[string]bool) {
	t.Helper()
	for _, doc := range docs {
		got, err := db.Get(t.Context(), doc.Collection, doc.ID)
		if lost[doc.ID] {
			checkCode(t, "Get of the lost "+doc.ID, err, cairn.CodeDamaged)
			_, err = db.Apply(t.Context(), []cairn.Document{put(doc.ID, `{}`)})
			checkCode(t, "Apply of the lost "+doc.ID, err, cairn.CodeDamaged)
		} else if err != nil || string(got.JSON) != string(doc.JSON) {
			t.Errorf("Get of %s, which was not lost: %d bytes, %v", doc.ID, len(got.JSON), err)
		}
	}
	before := db.Stats()
	var last error
	n := 0
	for _, err := range db.List(t.Context(), "assets") {
		if last = err; err == nil {
			n++
		}
	}
	checkCode(t, "List", last, cairn.CodeDamaged)
	for _, err := range db.Changes(t.Context(), "", 0) {
		last = err
	}
	checkCode(t, "Changes", last, cairn.CodeDamaged)
	if n > len(docs)-len(lost) {
		t.Errorf("the list had %d documents of %d without %d", n, len(docs), len(lost))
	}
	apply(t, db, put("new", `{}`), put(docs[0].ID, `{"v":1}`), remove(docs[len(docs)-1].ID))
	if got := db.Stats(); got.Revision != before.Revision+3 {
		t.Errorf("after three writes the revision is %d, want %d", got.Revision, before.Revision+3)
	}
}

// So does a page in the middle or at the end of a long text; there it is up to
// us to notice what SQLite does not.
func TestDamagedLongText(t *testing.T) {
	for _, test := range []struct {
		name, mark string
		with       byte
		gets       bool // whether Get notices
	}{
		{"the end, of zeroes", "end mark", 0, true},
		{"the end, of 0xff", "end mark", 0xff, true},
		{"the middle, of 0xff", "middle mark", 0xff, true},
		{"the middle, of zeroes", "middle mark", 0, true},
	} {
		dir := t.TempDir()
		db := open(t, dir)
		filler := strings.Repeat("x", 60_000)
		docs := []cairn.Document{put("a", `{}`), put("long", `{"a":"`+filler+`middle mark`+filler+`end mark"}`), put("z", `{}`)}
		apply(t, db, docs...)
		shut(t, db)
		overwrite(t, db.Path(), pageOf(t, db.Path(), test.mark), pageSize, test.with)
		db = open(t, dir)
		checkCode(t, "Verify without "+test.name, db.Verify(t.Context()), cairn.CodeDamaged)
		_, err := db.Get(t.Context(), "assets", "long")
		checkCode(t, "Get without "+test.name, err, cairn.CodeDamaged)
		if doc, err := db.Get(t.Context(), "assets", "z"); err != nil || string(doc.JSON) != `{}` {
			t.Errorf("%s: Get of another: %+v, %v", test.name, doc, err)
		}
		shut(t, db)
	}
}

// A page of the index by id, too, is missed by Verify, though all documents are
// there.
func TestDamagedIndex(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	var docs []cairn.Document
	for i := range 2000 {
		docs = append(docs, put(fmt.Sprintf("%0100d", i), `{}`))
	}
	apply(t, db, docs...)
	shut(t, db)
	file, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	// The table has the id once and the index once more; rows of the table have
	// their text behind it.
	id := []byte(fmt.Sprintf("%0100d", 1000))
	at := -1
	for from := 0; ; from = at + 1 {
		i := bytes.Index(file[from:], id)
		if i < 0 {
			t.Fatal("the index does not have the id")
		}
		if at = from + i; !bytes.HasPrefix(file[at+len(id):], []byte(`{}`)) {
			break
		}
	}
	overwrite(t, db.Path(), int64(at/pageSize*pageSize), pageSize, 0xff)
	db = open(t, dir)
	_, err = db.Get(t.Context(), "assets", string(id))
	checkCode(t, "Get by the damaged index", err, cairn.CodeDamaged)
	checkCode(t, "Verify", db.Verify(t.Context()), cairn.CodeDamaged)
	if got := len(drain(t, db.List(t.Context(), "assets"))); got != len(docs) {
		t.Errorf("the list, which goes by revision, had %d documents, want %d", got, len(docs))
	}
}
