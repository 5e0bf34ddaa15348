package segment_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cairn/internal/segment"
)

// TestSorted reads rows back in order, from memory and from files, more than once;
// several of one document come one after the other.
func TestSorted(t *testing.T) {
	for _, memory := range []int{16 << 20, 100 << 10} {
		rows := randomRows(3000)
		for i := range 1000 {
			again := rows[i]
			again.Revision += 5000
			rows = append(rows, again)
		}
		c := segment.NewCatalog(t.TempDir(), memory)
		fill(t, c, rows)
		for range 2 {
			var got []segment.Row
			for row, err := range c.Sorted() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, row)
			}
			if len(got) != len(rows) {
				t.Fatalf("%d rows come back of %d", len(got), len(rows))
			}
			slices.SortStableFunc(got, byRevision)
			want := slices.Clone(rows)
			slices.SortFunc(want, byRevision)
			order := sorted(got)
			if !slices.Equal(sorted(want), order) {
				t.Error("other rows come back")
			}
			if i := slices.IndexFunc(order, func(r segment.Row) bool { return r.Revision == 0 }); i >= 0 {
				t.Errorf("row %d is empty", i)
			}
		}
		last := ""
		for row, err := range c.Sorted() {
			if key := row.Collection + "\x00" + row.ID; err != nil || key < last {
				t.Fatalf("%q comes after %q, %v", key, last, err)
			} else {
				last = key
			}
		}
		for range c.Sorted() {
			break // and lets go of it
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func byRevision(a, b segment.Row) int { return int(a.Revision - b.Revision) }

// TestSortedSpoiled flips a bit in a file of rows.
func TestSortedSpoiled(t *testing.T) {
	dir := t.TempDir()
	c := segment.NewCatalog(dir, 100<<10)
	defer c.Close()
	fill(t, c, randomRows(2000))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the files are %v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, len(data) / 2, len(data) - 1} {
		data[at] ^= 4
		if err := os.WriteFile(files[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		data[at] ^= 4
		var last error
		for _, err := range c.Sorted() {
			last = err
		}
		if !errors.Is(last, segment.ErrSpoiled) {
			t.Errorf("byte %d is another: %v", at, last)
		}
	}
}
