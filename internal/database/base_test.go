package database_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// base returns the base of a backup with a number, in a cloud.
func base(cloud string, n int) cairn.Base {
	return cairn.Base{
		Cloud: cloud, Backup: fmt.Sprintf("b%02d", n), Created: time.Date(2026, 11, 23, 7, n, 0, 123456789, time.UTC),
		Revision: int64(n), Segments: fmt.Appendf(nil, `[{"n":%d,"x":"é\u0000"}]`, n),
	}
}

// addBase adds a base to the line that is live.
func addBase(t *testing.T, db *database.DB, b cairn.Base) {
	t.Helper()
	if err := db.AddBase(t.Context(), db.Stats().Line, b); err != nil {
		t.Fatalf("AddBase: %v", err)
	}
}

// checkBases fails unless the cloud has just these bases.
func checkBases(t *testing.T, what string, db *database.DB, cloud string, want ...cairn.Base) {
	t.Helper()
	got, err := db.Bases(t.Context(), cloud)
	if err != nil {
		t.Errorf("%s: Bases: %v", what, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: bases in %s (-want +got):\n%s", what, cloud, diff)
	}
}

// The newest bases of each cloud are kept, the newest first, in whatever order
// they are added.
func TestBases(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	checkBases(t, "at first", db, "x")
	stats := db.Stats()
	for _, n := range []int{5, 3, 9, 1, 7, 2, 8, 6} {
		addBase(t, db, base("x", n))
	}
	addBase(t, db, base("y", 4))
	newest := []cairn.Base{base("x", 9), base("x", 8), base("x", 7), base("x", 6), base("x", 5), base("x", 3), base("x", 2), base("x", 1)}
	checkBases(t, "eight", db, "x", newest...)
	addBase(t, db, base("x", 4))
	newest = append(slices.Insert(slices.Clone(newest), 5, base("x", 4))[:7], base("x", 2))
	checkBases(t, "nine", db, "x", newest...)
	late := base("x", 0) // of an older revision than all, though made later
	late.Created = base("x", 59).Created
	addBase(t, db, late)
	checkBases(t, "an older one", db, "x", newest...)
	again := base("x", 9)
	again.Segments = []byte(`[]`)
	addBase(t, db, again)
	newest[0] = again
	checkBases(t, "one again", db, "x", newest...)
	checkBases(t, "the other cloud", db, "y", base("y", 4))

	for range 2 {
		if err := db.DropBase(t.Context(), "x", "b08"); err != nil {
			t.Errorf("DropBase: %v", err)
		}
	}
	marked := base("x", 7)
	marked.Segments = []byte(`[{"bad":true}]`)
	if err := db.MarkBase(t.Context(), "x", "b07", marked.Segments); err != nil {
		t.Errorf("MarkBase: %v", err)
	}
	if err := db.MarkBase(t.Context(), "x", "b08", marked.Segments); err != nil {
		t.Errorf("MarkBase of one that is not there: %v", err)
	}
	newest[slices.IndexFunc(newest, func(b cairn.Base) bool { return b.Backup == marked.Backup })] = marked
	if err := db.DropBase(t.Context(), "y", "b09"); err != nil {
		t.Errorf("DropBase of one in another cloud: %v", err)
	}
	newest = slices.Delete(newest, 1, 2)
	checkBases(t, "dropped", db, "x", newest...)
	shut(t, db)
	db = open(t, dir)
	checkBases(t, "after a restart", db, "x", newest...)
	checkBases(t, "after a restart", db, "y", base("y", 4))
	if got := db.Stats(); got != stats {
		t.Errorf("Stats = %+v, want %+v as before", got, stats)
	}
	verify(t, db)
}

// Of bases of one revision the later one comes first.
func TestBasesOfOneRevision(t *testing.T) {
	db := open(t, t.TempDir())
	var all []cairn.Base
	for n := range 10 {
		b := base("x", n)
		b.Revision = 7
		if n >= 8 { // of one time
			b.Created = all[7].Created
		}
		all = append(all, b)
	}
	for _, i := range []int{3, 9, 0, 7, 1, 8, 5, 2, 6, 4} {
		addBase(t, db, all[i])
	}
	slices.Reverse(all)
	checkBases(t, "ten of one revision", db, "x", all[:8]...)
}

// The later one comes first however many digits the times have.
func TestBasesByTime(t *testing.T) {
	db := open(t, t.TempDir())
	var newest []cairn.Base
	for i, ms := range []int{1100, 1050, 1012, 1005, 1000, 999, 990, 900, 100, 0} {
		b := base("x", 1)
		b.Backup, b.Created = fmt.Sprintf("b%02d", i), time.UnixMilli(int64(ms)).UTC()
		newest = append(newest, b)
	}
	for _, i := range []int{6, 0, 3, 9, 1, 7, 4, 8, 2, 5} {
		addBase(t, db, newest[i])
	}
	checkBases(t, "ten", db, "x", newest[:8]...)
}

// journal returns the parts in the journal, with their entries.
func journal(t *testing.T, db *database.DB) map[string]string {
	t.Helper()
	rows, err := direct(t, db.Path()).QueryContext(t.Context(), "SELECT part, cloud || ' ' || backup || ' ' || entry FROM journal")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var part, entry string
		if err := rows.Scan(&part, &entry); err != nil {
			t.Fatal(err)
		}
		out[part] = entry
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// The journal holds what a creation has uploaded, until the next one begins or
// this one has made a base.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	line := db.Stats().Line
	add := func(cloud, part string) {
		t.Helper()
		if err := db.AddJournal(t.Context(), line, cloud, "b", part, []byte(`{"p":"`+part+`"}`)); err != nil {
			t.Fatalf("AddJournal: %v", err)
		}
	}
	check := func(what string, want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, journal(t, db)); diff != "" {
			t.Errorf("%s: the journal (-want +got):\n%s", what, diff)
		}
	}
	check("at first", map[string]string{})
	add("x", "1")
	add("x", "2")
	add("x", "2") // a repeated note
	add("y", "3")
	all := map[string]string{"1": `x b {"p":"1"}`, "2": `x b {"p":"2"}`, "3": `y b {"p":"3"}`}
	check("three parts", all)
	shut(t, db)
	db = open(t, dir)
	check("after a restart", all)
	entries, err := db.Journal(t.Context(), "x")
	if want := [][]byte{[]byte(`{"p":"1"}`), []byte(`{"p":"2"}`)}; err != nil || !cmp.Equal(entries, want) {
		t.Errorf("Journal = %s, %v, want %s", entries, err, want)
	}
	begin := func(keep ...string) {
		t.Helper()
		if err := db.BeginJournal(t.Context(), line, "x", keep); err != nil {
			t.Fatalf("BeginJournal: %v", err)
		}
	}
	begin("2", "3", "'")
	check("gone on with one", map[string]string{"2": all["2"], "3": all["3"]})
	if err := db.UseJournal(t.Context(), line, "x", []string{"2", "3", "4"}, "c"); err != nil {
		t.Fatalf("UseJournal: %v", err)
	}
	check("used", map[string]string{"2": `x b {"p":"2","using":"c"}`, "3": all["3"]})
	begin()
	check("begun anew", map[string]string{"3": all["3"]})
	add("x", "4")
	addBase(t, db, base("y", 1))
	check("a base in the other cloud", map[string]string{"4": `x b {"p":"4"}`})
	addBase(t, db, base("x", 1))
	check("a base", map[string]string{})
	verify(t, db)
}

// What belongs to another line is not noted: the database was replaced while it
// was made. Bases and journal stand in the generation, and come back with it.
func TestNotesOfAnotherLine(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("old", `{}`))
	old := db.Stats().Line
	addBase(t, db, base("x", 1))
	if err := db.AddJournal(t.Context(), old, "x", "b", "1", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	replace(t, db, "job", backedUp()...)
	restored := replacement("job", backedUp()...).Base
	for name, err := range map[string]error{
		"AddBase":      db.AddBase(t.Context(), old, base("x", 2)),
		"AddJournal":   db.AddJournal(t.Context(), old, "x", "b", "2", []byte(`{}`)),
		"BeginJournal": db.BeginJournal(t.Context(), old, "x", nil),
		"UseJournal":   db.UseJournal(t.Context(), old, "x", []string{"1"}, "c"),
	} {
		if err != nil {
			t.Errorf("%s of a former line: %v", name, err)
		}
	}
	checkBases(t, "restored", db, "x")
	checkBases(t, "restored", db, "cloud", restored)
	if got := journal(t, db); len(got) != 0 {
		t.Errorf("the journal of the restored one has %v", got)
	}
	addBase(t, db, base("x", 14))
	if err := db.DropBase(t.Context(), "cloud", restored.Backup); err != nil {
		t.Errorf("DropBase: %v", err)
	}
	if err := db.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkBases(t, "undone", db, "x", base("x", 1))
	checkBases(t, "undone", db, "cloud")
	if got := journal(t, db); len(got) != 1 {
		t.Errorf("the journal of the original has %v, want what it had", got)
	}
	if err := db.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkBases(t, "undone again", db, "x", base("x", 14))
	checkBases(t, "undone again", db, "cloud")
}

// A restored backup of no name leaves no base, and one with a bad time is
// damage, not silence.
func TestBasesOdd(t *testing.T) {
	db := open(t, t.TempDir())
	r := replacement("job", backedUp()...)
	r.Base = cairn.Base{}
	if err := db.Replace(t.Context(), r, feed(backedUp()...)); err != nil {
		t.Fatal(err)
	}
	checkBases(t, "no base", db, "")
	east := base("x", 1)
	east.Created = east.Created.In(time.FixedZone("east", 3*3600))
	addBase(t, db, east)
	checkBases(t, "of another time zone", db, "x", base("x", 1))
	tamper(t, db.Path(), "UPDATE bases SET created = 'x'")
	_, err := db.Bases(t.Context(), "x")
	checkCode(t, "a base with a bad time", err, cairn.CodeDamaged)
}
