package segment_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	gocmp "github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/segment"
)

// smallIndex returns an index of two parts and five documents.
func smallIndex(t testing.TB, k *age.X25519Identity) (index []byte, s segment.Segment, parts []segment.Part, rows []segment.Row) {
	t.Helper()
	rows = randomRows(5)
	c := segment.NewCatalog(t.TempDir(), 1<<20)
	t.Cleanup(func() { c.Close() })
	fill(t, c, rows)
	parts, s = twoParts(t, 5)
	index, s = writeIndex(t, k.Recipient(), s, parts, c)
	return index, s, parts, sorted(rows)
}

func TestIndexRoundTrip(t *testing.T) {
	k := keys(t)
	index, s, parts, rows := smallIndex(t, k)
	for name, reader := range map[string]io.Reader{
		"whole":       bytes.NewReader(index),
		"byte by one": iotest.OneByteReader(bytes.NewReader(index)),
		"early EOF":   iotest.DataErrReader(bytes.NewReader(index)),
	} {
		got, err := segment.ReadIndex(reader, k, s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := gocmp.Diff(parts, got); diff != "" {
			t.Errorf("%s: other parts came back (-want +got):\n%s", name, diff)
		}
	}
	got := collect(t, segment.Rows(bytes.NewReader(index), k, s))
	if diff := gocmp.Diff(rows, got); diff != "" {
		t.Errorf("other rows came back (-want +got):\n%s", diff)
	}
	for range segment.Rows(bytes.NewReader(index), k, s) {
		break // must not go on
	}
}

// checkRefused has an index read both ways; neither may give anything.
func checkRefused(t *testing.T, what string, r func() io.Reader, k *age.X25519Identity, s segment.Segment, want error) {
	t.Helper()
	if parts, err := segment.ReadIndex(r(), k, s); !errors.Is(err, want) || parts != nil {
		t.Errorf("ReadIndex, %s: %d parts, %v, want none and %v", what, len(parts), err, want)
	}
	if _, err := firstError(segment.Rows(r(), k, s)); !errors.Is(err, want) {
		t.Errorf("Rows, %s: %v, want %v", what, err, want)
	}
	if parts, catalog, err := segment.CheckIndex(r(), k, s); !errors.Is(err, want) || parts != nil || catalog != (cairn.Digest{}) {
		t.Errorf("CheckIndex, %s: %d parts, %v, %v, want none and %v", what, len(parts), catalog, err, want)
	}
}

// TestIndexDamage changes every byte of an index, and its length.
func TestIndexDamage(t *testing.T) {
	k := keys(t)
	index, s, _, _ := smallIndex(t, k)
	check := func(what string, object []byte, k *age.X25519Identity, want error) {
		t.Helper()
		checkRefused(t, what, func() io.Reader { return bytes.NewReader(object) }, k, s, want)
	}
	for i := range index {
		changed := bytes.Clone(index)
		changed[i] ^= 1
		check(fmt.Sprintf("byte %d", i), changed, k, segment.ErrDamaged)
		check(fmt.Sprintf("cut to %d bytes", i), index[:i], k, segment.ErrDamaged)
	}
	check("extended", append(bytes.Clone(index), 0), k, segment.ErrDamaged)
	check("endless", append(bytes.Clone(index), make([]byte, 1<<20)...), k, segment.ErrDamaged)
	check("another key", index, keys(t), segment.ErrKey)
	changed := bytes.Clone(index)
	changed[30] ^= 1
	check("another key and a changed byte", changed, keys(t), segment.ErrDamaged)

	other, _, _, _ := smallIndex(t, k)
	check("swapped", other, k, segment.ErrDamaged)

	lost := errors.New("connection lost")
	for _, n := range []int{0, 10, 300, len(index)} {
		checkRefused(t, fmt.Sprintf("lost after %d bytes", n), func() io.Reader {
			return io.MultiReader(bytes.NewReader(index[:n]), iotest.ErrReader(lost))
		}, k, s, lost)
		if _, err := segment.ReadIndex(io.MultiReader(bytes.NewReader(index[:n]), iotest.ErrReader(lost)), k, s); errors.Is(err, segment.ErrDamaged) {
			t.Errorf("lost after %d bytes: %v, want no ErrDamaged", n, err)
		}
	}
}

// TestIndexOfAnotherSegment has a segment that the index does not fit.
func TestIndexOfAnotherSegment(t *testing.T) {
	k := keys(t)
	index, s, _, _ := smallIndex(t, k)
	for name, change := range map[string]func(*segment.Segment){
		"from":      func(s *segment.Segment) { s.From-- },
		"to":        func(s *segment.Segment) { s.To++ },
		"documents": func(s *segment.Segment) { s.Documents-- },
		"deletions": func(s *segment.Segment) { s.Deletions-- },
		"plain":     func(s *segment.Segment) { s.Plain++ },
		"stored":    func(s *segment.Segment) { s.Stored-- },
		"parts":     func(s *segment.Segment) { s.Parts++ },
		"no index":  func(s *segment.Segment) { s.Index = nil },
	} {
		other := s
		change(&other)
		checkRefused(t, "another "+name, func() io.Reader { return bytes.NewReader(index) }, k, other, segment.ErrDamaged)
	}
}

// TestIndexLies has indexes that are authentic, but not as WriteIndex makes
// them.
func TestIndexLies(t *testing.T) {
	k := keys(t)
	index, s, _, _ := smallIndex(t, k)
	lines := strings.SplitAfter(string(unseal(t, k, index)), "\n")
	head, part1, part2, rows := lines[0], lines[1], lines[2], strings.Join(lines[3:], "")
	row1, row2, others := lines[3], lines[4], strings.Join(lines[5:], "")
	replaced := func(line, from, to string) string {
		t.Helper()
		if !strings.Contains(line, from) {
			t.Fatalf("there is no %s in %s", from, line)
		}
		return strings.Replace(line, from, to, 1)
	}
	for _, test := range []struct {
		name, plain string
		catalog     bool // only Rows looks
		want        error
	}{
		{"empty", "", false, segment.ErrDamaged},
		{"another head", replaced(head, `"to":6`, `"to":7`) + part1 + part2 + rows, false, segment.ErrDamaged},
		{"a head with more", replaced(head, `}`, `,"x":1}`) + part1 + part2 + rows, false, segment.ErrDamaged},
		{"white space", replaced(head, `,`, `, `) + part1 + part2 + rows, false, segment.ErrDamaged},
		{"format 0", replaced(head, `"format":1`, `"format":0`) + part1 + part2 + rows, false, segment.ErrDamaged},
		{"format 2", replaced(head, `"format":1`, `"format":2,"new":{}`) + "anything", false, segment.ErrFormat},
		{"part order", head + part2 + part1 + rows, false, segment.ErrDamaged},
		{"a part twice", head + part1 + part1 + rows, false, segment.ErrDamaged},
		{"a part less", head + part1 + rows, false, segment.ErrDamaged},
		{"no parts", head, false, segment.ErrDamaged},
		{"a gap", head + part1 + replaced(part2, `"from":1`, `"from":2`) + rows, false, segment.ErrDamaged},
		{"other documents", head + part1 + replaced(part2, `"documents":4`, `"documents":3`) + rows, false, segment.ErrDamaged},
		{"negative", head + replaced(part1, `"documents":1`, `"documents":-1`) + replaced(part2, `"documents":4`, `"documents":6`) + rows, false, segment.ErrDamaged},
		{"other lines", head + part1 + replaced(part2, `"plain":5000`, `"plain":5001`) + rows, false, segment.ErrDamaged},
		{"another size", head + part1 + replaced(part2, `"size":3000`, `"size":3001`) + rows, false, segment.ErrDamaged},
		{"a part with more", head + part1 + replaced(part2, `}`, `,"x":1}`) + rows, false, segment.ErrDamaged},
		{"a sum in capitals", head + part1 + replaced(part2, `"sha256":"00`, `"sha256":"AB`) + rows, false, segment.ErrDamaged},
		{"a long line", head + replaced(part1, `parts`, strings.Repeat("x", 20_000)) + part2 + rows, false, segment.ErrDamaged},
		{"row order", head + part1 + part2 + row2 + row1 + others, true, segment.ErrDamaged},
		{"a row twice", head + part1 + part2 + row1 + row1 + others, true, segment.ErrDamaged},
		{"a row less", head + part1 + part2 + row1 + others, true, segment.ErrDamaged},
		{"a row more", head + part1 + part2 + rows + replaced(row1, `"collection":"`, `"collection":"zzz`), true, segment.ErrDamaged},
		{"something after", head + part1 + part2 + rows + "x", true, segment.ErrDamaged},
		{"a cut row", head + part1 + part2 + rows[:len(rows)-1], true, segment.ErrDamaged},
		{"a revision outside", head + part1 + part2 + replaced(row1, `"revision":`, `"revision":9`) + row2 + others, true, segment.ErrDamaged},
	} {
		object := seal(t, k.Recipient(), []byte(test.plain))
		s := s
		s.Stored += int64(len(object)) - s.Index.Size
		s.Index = &segment.Object{Size: int64(len(object)), SHA256: sha256.Sum256(object)}
		if !test.catalog {
			checkRefused(t, test.name, func() io.Reader { return bytes.NewReader(object) }, k, s, test.want)
		} else if _, err := firstError(segment.Rows(bytes.NewReader(object), k, s)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestWriteIndexRefuses(t *testing.T) {
	k := keys(t)
	parts, s := twoParts(t, 5)
	write := func(ctx context.Context, w io.Writer, s segment.Segment, parts []segment.Part, rows int) error {
		c := segment.NewCatalog(t.TempDir(), 1<<20)
		defer c.Close()
		fill(t, c, randomRows(rows))
		_, err := segment.WriteIndex(ctx, w, k.Recipient(), s, parts, c)
		return err
	}
	if err := write(t.Context(), io.Discard, s, parts, 5); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), io.Discard, s, parts, 4); err == nil {
		t.Error("a catalog without a row was written")
	}
	if err := write(t.Context(), io.Discard, s, parts[:1], 5); err == nil {
		t.Error("a segment without one of its parts was written")
	}
	other := s
	other.To++
	if err := write(t.Context(), io.Discard, other, parts, 5); err == nil {
		t.Error("parts of another segment were written")
	}
	full := errors.New("disk full")
	if err := write(t.Context(), failingWriter{full}, s, parts, 5); !errors.Is(err, full) {
		t.Errorf("to a full disk: %v, want %v", err, full)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(full)
	parts, s = twoParts(t, 5000)
	if err := write(ctx, io.Discard, s, parts, 5000); !errors.Is(err, full) {
		t.Errorf("cancelled: %v, want the cause", err)
	}
}

// failingWriter fails to write.
type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
