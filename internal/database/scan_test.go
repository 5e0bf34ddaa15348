package database_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// scan has begin see the numbers of a moment, and row the documents after a
// revision; with another one than 0 the deletions as well.
func scan(ctx context.Context, db *database.DB, after int64, begin func(cairn.Stats) error, row func(cairn.Document, cairn.Hash) error) error {
	return db.Moment(ctx, func(m cairn.Moment) error {
		if err := begin(m.Stats); err != nil {
			return err
		}
		return m.Scan(after, m.Stats.Revision, after > 0, row)
	})
}

// scanned returns what a scan shows.
func scanned(t *testing.T, db *database.DB, after int64) (stats cairn.Stats, rows []cairn.Document) {
	t.Helper()
	return scannedWhile(t, db, after, func() {})
}

// scannedWhile is scanned with something that happens when it has begun.
func scannedWhile(t *testing.T, db *database.DB, after int64, during func()) (stats cairn.Stats, rows []cairn.Document) {
	t.Helper()
	rows = []cairn.Document{}
	begun := 0
	err := scan(t.Context(), db, after, func(s cairn.Stats) error {
		stats = s
		begun++
		during()
		return nil
	}, func(d cairn.Document, hash cairn.Hash) error {
		if begun != 1 {
			t.Errorf("a row after %d beginnings", begun)
		}
		if d.Deleted() && hash != (cairn.Hash{}) || !d.Deleted() && hash != cairn.ContentHash(d.JSON) {
			t.Errorf("%s at %d has the hash %x", d.ID, d.Revision, hash)
		}
		d.JSON = bytes.Clone(d.JSON) // the scan's
		rows = append(rows, d)
		return nil
	})
	if err != nil || begun != 1 {
		t.Fatalf("Scan after %d: %v, begun %d times", after, err, begun)
	}
	return stats, rows
}

// A scan shows all documents, or what changed since a revision, and counting
// agrees.
func TestScan(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(20261125, 1))}
	db := open(t, t.TempDir())
	m := modelOf()
	for i := range 12 {
		for after := int64(-1); after < m.revision+3; after++ {
			stats, rows := scanned(t, db, after)
			want := m.changes("", after)
			if after <= 0 {
				want = []cairn.Document{}
				for _, d := range m.changes("", 0) {
					if !d.Deleted() {
						want = append(want, d)
					}
				}
			}
			if diff := cmp.Diff(want, rows); diff != "" || stats != m.stats(stats.Line) || stats != db.Stats() {
				t.Fatalf("after %d of %d: %+v, rows (-want +got):\n%s", after, m.revision, stats, diff)
			}
			n, err := db.CountChanges(t.Context(), after)
			if want := int64(len(m.changes("", after))); err != nil || n != want {
				t.Errorf("CountChanges after %d: %d, %v, want %d", after, n, err, want)
			}
		}
		checkRange(t, db, m, g.Int64N(m.revision+1), g.Int64N(m.revision+2))
		if i == 6 {
			replace(t, db, "job", m.changes("", 0))
		}
		docs := g.documents()
		for _, d := range docs {
			m.apply(d)
		}
		apply(t, db, docs...)
	}
}

// checkRange has a range of revisions read and counted, with deletions and
// without.
func checkRange(t *testing.T, db *database.DB, m *model, after, to int64) {
	t.Helper()
	var want cairn.Rows
	for _, d := range m.changes("", after) {
		switch {
		case d.Revision > to:
		case d.Deleted():
			want.Deletions++
		default:
			want.Documents++
			want.Bytes += int64(len(d.JSON))
		}
	}
	err := db.Moment(t.Context(), func(moment cairn.Moment) error {
		if got, err := moment.Count(after, to); err != nil || got != want {
			t.Errorf("(%d, %d]: counted %+v, %v, want %+v", after, to, got, err, want)
		}
		for _, deletions := range []bool{false, true} {
			var got cairn.Rows
			last := after
			err := moment.Scan(after, to, deletions, func(d cairn.Document, _ cairn.Hash) error {
				if d.Revision <= last || d.Revision > to {
					t.Errorf("(%d, %d]: revision %d after %d", after, to, d.Revision, last)
				}
				last = d.Revision
				if d.Deleted() {
					got.Deletions++
				} else {
					got.Documents++
					got.Bytes += int64(len(d.JSON))
				}
				return nil
			})
			want := want
			if !deletions {
				want.Deletions = 0
			}
			if err != nil || got != want {
				t.Errorf("(%d, %d] with deletions %t: scanned %+v, %v, want %+v", after, to, deletions, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A scan is of one moment, while writers go on: two documents that are always
// written together are alike in it, and its rows are what its numbers say.
func TestScanIsOneMoment(t *testing.T) {
	db := open(t, t.TempDir())
	write := func(v int) error {
		_, err := db.Apply(t.Context(), []cairn.Document{
			put("one", fmt.Sprintf(`{"v":%d}`, v)), put(fmt.Sprint("x", v%7), fmt.Sprintf(`{"v":%d}`, v)), remove(fmt.Sprint("x", (v+3)%7)),
			put("two", fmt.Sprintf(`{"v":%d}`, v)),
		})
		return err
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for v := 1; ctx.Err() == nil; v++ {
			if err := write(v); err != nil {
				t.Errorf("Apply: %v", err)
			}
		}
	})
	for range 30 {
		began := db.Stats().Revision
		stats, rows := scannedWhile(t, db, 0, func() { <-db.Changed() }) // a write comes between
		got := cairn.Stats{Line: stats.Line, Revision: stats.Revision, Deletions: stats.Deletions}
		byID := map[string]string{}
		for _, d := range rows {
			got.Documents++
			got.Bytes += int64(len(d.JSON))
			got.Digest = got.Digest.Add(cairn.DigestOf(d))
			byID[d.ID] = string(d.JSON)
		}
		if got != stats || byID["one"] != byID["two"] || byID["one"] == "" || stats.Revision < began {
			t.Errorf("one %s and two %s in %+v, which says %+v", byID["one"], byID["two"], got, stats)
		}
	}
	cancel()
	wg.Wait()
}

// A scan that is held open blocks no writer, and does not see what it writes.
func TestScanBlocksNobody(t *testing.T) {
	db := open(t, t.TempDir())
	for _, id := range someNames(6) {
		apply(t, db, long(id, 0))
	}
	n := 0
	write := func(id string) error {
		_, err := db.Apply(t.Context(), []cairn.Document{put(id, fmt.Sprintf(`{"n":%d}`, n)), put(fmt.Sprint("new", n), `{}`), remove("a05")})
		return err
	}
	err := scan(t.Context(), db, 0, func(cairn.Stats) error { return write("a00") }, func(d cairn.Document, _ cairn.Hash) error {
		if d.ID != someNames(6)[n] || len(d.JSON) < 1000 {
			t.Errorf("row %d is %s of %d bytes", n, d.ID, len(d.JSON))
		}
		n++
		return write(d.ID)
	})
	if err != nil || n != 6 {
		t.Errorf("Scan: %v after %d rows, want 6", err, n)
	}
	verify(t, db)
}

// Errors of who reads are returned as they are, and end the scan.
func TestScanErrors(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{}`), put("b", `{}`), put("c", `{}`))
	for name, refusal := range map[string]error{
		"its own":      errRefused,
		"one of ours":  &cairn.Error{Code: cairn.CodeCloudLost},
		"no rows":      sql.ErrNoRows,
		"of a file":    &fs.PathError{Op: "open", Path: "/x", Err: os.ErrPermission},
		"of a context": context.Canceled,
	} {
		for _, after := range []int64{0, 1} {
			err := scan(t.Context(), db, after, func(cairn.Stats) error { return refusal }, func(cairn.Document, cairn.Hash) error {
				t.Error("a row after begin refused")
				return nil
			})
			if err != refusal {
				t.Errorf("%s: Scan = %v, want what begin returned", name, err)
			}
			rows := 0
			err = scan(t.Context(), db, after, func(cairn.Stats) error { return nil }, func(cairn.Document, cairn.Hash) error {
				rows++
				return refusal
			})
			if err != refusal || rows != 1 {
				t.Errorf("%s: Scan = %v after %d rows, want what row returned, once", name, err, rows)
			}
		}
	}
	for range 50 { // more than there are connections
		if err := scan(t.Context(), db, 0, func(cairn.Stats) error { return errRefused }, nil); err != errRefused {
			t.Fatalf("Scan: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, already := range []bool{false, true} {
		rows := 0
		err := scan(ctx, db, 0, func(cairn.Stats) error { return nil }, func(cairn.Document, cairn.Hash) error {
			rows++
			cancel()
			return nil
		})
		// It may have been through before it noticed.
		if through := rows == 3 && err == nil && !already; !through && !errors.Is(err, context.Canceled) {
			t.Errorf("a Scan that was cancelled before it %t: %v after %d rows", already, err, rows)
		}
	}
	verify(t, db)
}
