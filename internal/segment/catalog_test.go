package segment_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"cairn/internal/segment"
)

// randomRows returns n rows of several collections in a random order. Some
// names begin with others, and are shorter or longer than what a key holds.
func randomRows(n int) []segment.Row {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	collections := []string{"assets", "asset", "a", "a_b", "a0", "tags", strings.Repeat("z", 64)}
	rows := make([]segment.Row, n)
	for i := range rows {
		id := fmt.Sprintf("%08x-%x", random.Uint32(), i)
		switch i % 5 {
		case 0:
			id = fmt.Sprintf("%x", i)
		case 1:
			id = fmt.Sprintf("same-start-%x.%d", i, i)
		case 2:
			id = fmt.Sprintf("%X-_", i)
		}
		rows[i] = segment.Row{Collection: collections[random.IntN(len(collections))], ID: id, Revision: int64(i + 1), Bytes: int64(i), Name: strings.Repeat("n", i%500)}
	}
	random.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// sorted returns rows as a catalog has them.
func sorted(rows []segment.Row) []segment.Row {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b segment.Row) int {
		return cmp.Or(strings.Compare(a.Collection, b.Collection), strings.Compare(a.ID, b.ID))
	})
	return rows
}

// fill adds rows in batches of random size.
func fill(t testing.TB, c *segment.Catalog, rows []segment.Row) {
	t.Helper()
	random := rand.New(rand.NewPCG(2, uint64(len(rows))))
	var batch segment.Batch
	for len(rows) > 0 {
		n := min(len(rows), random.IntN(500))
		for _, r := range rows[:n] {
			batch.Add(r)
		}
		if err := c.Add(&batch); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
}

// twoParts returns parts of n documents, fewer than 600,000, without objects, and
// their segment.
func twoParts(t testing.TB, n int64) ([]segment.Part, segment.Segment) {
	t.Helper()
	parts := []segment.Part{
		{Object: segment.Object{Name: "parts/aa/x", Size: 1000}, From: 0, To: 1, Documents: 1, Plain: 2000},
		{Object: segment.Object{Name: "parts/bb/y", Size: 3000}, From: 1, To: n + 1, Documents: n - 1, Deletions: 1, Plain: max(5000, 60*n)},
	}
	s, err := segment.Join(parts)
	if err != nil {
		t.Fatal(err)
	}
	return parts, s
}

// writeIndex returns an index and its segment, whole.
func writeIndex(t testing.TB, recipient age.Recipient, s segment.Segment, parts []segment.Part, c *segment.Catalog) ([]byte, segment.Segment) {
	t.Helper()
	var index bytes.Buffer
	object, err := segment.WriteIndex(t.Context(), &index, recipient, s, parts, c)
	if err != nil {
		t.Fatal(err)
	}
	object.Name = "indexes/aa/x.jsonl.zst.age"
	s.Index, s.Stored = &object, s.Stored+object.Size
	return index.Bytes(), s
}

// TestCatalogSorts compares what comes back with the rows sorted in memory:
// from no files, one, and more than are merged at once, twice over.
func TestCatalogSorts(t *testing.T) {
	identity := keys(t)
	for _, test := range []struct{ rows, memory int }{
		{2, 16 << 20}, {1000, 16 << 20}, {1000, 100 << 10}, {5_000, 200 << 10}, {30_000, 0},
	} {
		t.Run(fmt.Sprintf("%d rows in %d bytes", test.rows, test.memory), func(t *testing.T) {
			rows := randomRows(test.rows)
			dir := t.TempDir()
			c := segment.NewCatalog(dir, test.memory)
			fill(t, c, rows)
			if got := c.Rows(); got != int64(len(rows)) {
				t.Errorf("Rows() = %d, want %d", got, len(rows))
			}
			files := namesIn(t, dir)
			t.Logf("%d files", len(files))
			if many := test.memory < 2<<20 && test.rows > 500; many == (len(files) == 0) || len(files) > 2*32 {
				t.Errorf("%d files", len(files))
			}
			for _, name := range files {
				if !strings.HasSuffix(name, ".tmp") {
					t.Errorf("a file called %s", name)
				}
			}
			parts, s := twoParts(t, int64(len(rows)))
			for range 2 { // the first may have failed to be stored
				index, whole := writeIndex(t, identity.Recipient(), s, parts, c)
				got := collect(t, segment.Rows(bytes.NewReader(index), identity, whole))
				checkRows(t, got, sorted(rows))
			}
			for range 2 {
				if err := c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if files := namesIn(t, dir); len(files) != 0 {
				t.Errorf("after Close there are %q", files)
			}
		})
	}
}

// checkRows compares many rows.
func checkRows(t *testing.T, got, want []segment.Row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows came back, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("row %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// namesIn returns the names in a folder.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestCatalogConcurrently(t *testing.T) {
	identity := keys(t)
	rows := randomRows(4_000)
	c := segment.NewCatalog(t.TempDir(), 200<<10)
	defer c.Close()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() { fill(t, c, rows[worker*1000:(worker+1)*1000]) })
	}
	wg.Wait()
	parts, s := twoParts(t, int64(len(rows)))
	index, s := writeIndex(t, identity.Recipient(), s, parts, c)
	got := collect(t, segment.Rows(bytes.NewReader(index), identity, s))
	checkRows(t, got, sorted(rows))
}

// TestCatalogMemory adds 100 times as many bytes as it may hold.
func TestCatalogMemory(t *testing.T) {
	c := segment.NewCatalog(t.TempDir(), 256<<10)
	defer c.Close()
	var batch segment.Batch
	before := heap()
	for range 40 {
		for i := range 1000 {
			batch.Add(segment.Row{Collection: "a", ID: fmt.Sprint(i), Revision: 1, Name: strings.Repeat("x", 500)})
		}
		if err := c.Add(&batch); err != nil {
			t.Fatal(err)
		}
	}
	// The batch is larger than the memory by itself, and has room for the next.
	if kept := heap() - before; kept > 2<<20 {
		t.Errorf("of 24 MB of rows %d bytes are kept", kept)
	}
}

func TestCatalogDuplicates(t *testing.T) {
	parts, s := twoParts(t, 1001)
	for _, memory := range []int{0, 1 << 20} {
		rows := randomRows(1000)
		again := rows[500]
		again.Revision, again.Name = 1001, "another"
		c := segment.NewCatalog(t.TempDir(), memory)
		defer c.Close()
		fill(t, c, append(rows, again))
		if _, err := segment.WriteIndex(t.Context(), &bytes.Buffer{}, keys(t).Recipient(), s, parts, c); err == nil || !strings.Contains(err.Error(), again.ID) {
			t.Errorf("two rows of %s in %d bytes of memory: %v", again.ID, memory, err)
		}
	}
}

// TestCatalogRefuses has rows with names that none can have, which sort in another
// order than their keys, or are none: an index of them could not be read.
func TestCatalogRefuses(t *testing.T) {
	parts, s := twoParts(t, 1002)
	for _, memory := range []int{0, 1 << 20} {
		for _, test := range []struct{ first, second, says string }{
			{"a", "a!", "comes too late"},
			{"b", "c\n", "is not a row"},
		} {
			c := segment.NewCatalog(t.TempDir(), memory)
			defer c.Close()
			fill(t, c, append(randomRows(1000), segment.Row{Collection: "a", ID: test.first}, segment.Row{Collection: "a", ID: test.second}))
			if _, err := segment.WriteIndex(t.Context(), io.Discard, keys(t).Recipient(), s, parts, c); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("rows of %q and %q in %d bytes of memory: %v, want that one %s", test.first, test.second, memory, err, test.says)
			}
		}
	}
}

// TestCatalogFails has the folder go away.
func TestCatalogFails(t *testing.T) {
	c := segment.NewCatalog(filepath.Join(t.TempDir(), "missing"), 0)
	var batch segment.Batch
	for range 2 {
		for _, r := range randomRows(1000) {
			batch.Add(r)
		}
		if err := c.Add(&batch); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Add: %v, want that the folder does not exist", err)
		}
	}
	parts, s := twoParts(t, 1000)
	if _, err := segment.WriteIndex(t.Context(), &bytes.Buffer{}, keys(t).Recipient(), s, parts, c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("WriteIndex: %v, want that the folder does not exist", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := c.Add(&batch); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Add after Close: %v, want ErrClosed", err)
	}
}
