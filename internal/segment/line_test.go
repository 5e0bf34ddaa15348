package segment_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn"
	"cairn/internal/segment"
)

func TestAppendLine(t *testing.T) {
	for _, test := range []struct {
		doc  cairn.Document
		want string
	}{
		{cairn.Document{Revision: 7, Collection: "assets", ID: "a-1", JSON: []byte(`{"a":"b"}`)},
			`{"collection":"assets","id":"a-1","revision":7,"document":{"a":"b"}}` + "\n"},
		{cairn.Document{Revision: math.MaxInt64, Collection: "tags", ID: "b"},
			`{"collection":"tags","id":"b","revision":9223372036854775807}` + "\n"},
	} {
		if got := string(segment.AppendLine([]byte("x"), test.doc)); got != "x"+test.want {
			t.Errorf("AppendLine to x gave\n%q, want\n%q", got, "x"+test.want)
		}
	}
}

func TestLinesOdd(t *testing.T) {
	docs := append(oddDocuments()[:15], cairn.Document{Revision: 1 << 40, Collection: "a", ID: "b", JSON: bigDocument(cairn.MaxDocumentBytes).JSON})
	var plain []byte
	for _, d := range docs {
		plain = segment.AppendLine(plain, d)
	}
	got := collect(t, segment.Lines(plain))
	if len(got) != len(docs) {
		t.Fatalf("%d documents came back, want %d", len(got), len(docs))
	}
	for i, want := range docs {
		checkDocument(t, got[i], want)
	}
	for range segment.Lines(plain) {
		break // must not go on
	}
}

// checkDocument compares two documents without printing their texts.
func checkDocument(t *testing.T, got, want cairn.Document) {
	t.Helper()
	if got.Revision != want.Revision || got.Collection != want.Collection || got.ID != want.ID {
		t.Errorf("got %s %s at %d, want %s %s at %d", got.Collection, got.ID, got.Revision, want.Collection, want.ID, want.Revision)
	}
	if !bytes.Equal(got.JSON, want.JSON) || got.Deleted() != want.Deleted() {
		t.Errorf("%s %s: another text came back", want.Collection, want.ID)
	}
}

// collect returns what a sequence yields, which must have no errors.
func collect[V any](t *testing.T, seq func(func(V, error) bool)) (all []V) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// firstError returns the error that ends a sequence, and what came before it.
func firstError[V any](seq func(func(V, error) bool)) (n int, last error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestLinesRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := cairn.Document{
			Revision:   rapid.Int64Range(1, math.MaxInt64).Draw(t, "revision"),
			Collection: rapid.StringMatching(`[a-z][a-z0-9_]{0,63}`).Draw(t, "collection"),
			ID:         rapid.StringMatching(`[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}`).Draw(t, "id"),
		}
		if rapid.Bool().Draw(t, "document") {
			d.JSON = []byte("{" + strings.ReplaceAll(rapid.String().Draw(t, "text"), "\n", "") + "}")
		}
		line := segment.AppendLine(nil, d)
		got, err := segment.ParseLine(line[:len(line)-1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("another document came back (-want +got):\n%s", diff)
		}
	})
}

// lines are refused, but for the first two. Each is a seed of the fuzz target.
var lines = []string{
	`{"collection":"a","id":"b","revision":7,"document":{}}`,
	`{"collection":"a","id":"b","revision":7}`,

	``, `{}`, `x`, `null`,
	` {"collection":"a","id":"b","revision":7}`,
	`{"collection":"a","id":"b","revision":7} `,
	`{"collection":"a","id":"b","revision":7}` + "\r",
	`{"collection":"a","id":"b","revision":7}` + "\n",
	`{"collection":"a","id":"b","revision":7,"document":{}}` + "\n",
	`{"collection":"a","id":"b","revision":7,"document":{` + "\n" + `}}`,
	`{"collection": "a","id":"b","revision":7}`,
	`{"collection":"a", "id":"b","revision":7}`,
	`{"collection":"a","id":"b","revision": 7}`,
	`{"collection":"a","id":"b","revision":7 }`,
	`{"collection":"a","id":"b","revision":7,"document": {}}`,
	`{"collection":"a","id":"b","revision":7,"document":{} }`,
	`{"id":"b","collection":"a","revision":7}`,
	`{"collection":"a","revision":7,"id":"b"}`,
	`{"collection":"a","id":"b","document":{},"revision":7}`,
	`{"collection":"a","id":"b"}`,
	`{"id":"b","revision":7}`,
	`{"collection":"a","id":"b","revision":}`,
	`{"collection":"a","id":"b","revision":0}`,
	`{"collection":"a","id":"b","revision":00}`,
	`{"collection":"a","id":"b","revision":07}`,
	`{"collection":"a","id":"b","revision":-7}`,
	`{"collection":"a","id":"b","revision":+7}`,
	`{"collection":"a","id":"b","revision":7.0}`,
	`{"collection":"a","id":"b","revision":7e0}`,
	`{"collection":"a","id":"b","revision":"7"}`,
	`{"collection":"a","id":"b","revision":9223372036854775808}`,
	`{"collection":"a","id":"b","revision":18446744073709551623}`,
	`{"collection":"a","id":"b","revision":7,"document":null}`,
	`{"collection":"a","id":"b","revision":7,"document":[]}`,
	`{"collection":"a","id":"b","revision":7,"document":}`,
	`{"collection":"a","id":"b","revision":7,"document":}}`,
	`{"collection":"a","id":"b","revision":7,"document":{}`,
	`{"collection":"a","id":"b","revision":7,"document":{`,
	`{"collection":"a","id":"b","revision":7,"document":"{}"}`,
	`{"collection":"a","id":"b","revision":7,"other":{}}`,
	`{"collection":"a","id":"b","revision":7,"document":{},"other":1}`,
	`{"collection":"a","id":"b","revision":7,}`,
	`{"collection":"a","id":"b","revision":7`,
	`{"collection":"a","id":"b`,
	`{"collection":"a`,
	`{"collection":"","id":"b","revision":7}`,
	`{"collection":"A","id":"b","revision":7}`,
	`{"collection":"a\u0061","id":"b","revision":7}`,
	`{"collection":"` + strings.Repeat("a", 65) + `","id":"b","revision":7}`,
	`{"collection":"a","id":"","revision":7}`,
	`{"collection":"a","id":"..","revision":7}`,
	`{"collection":"a","id":"a/b","revision":7}`,
	`{"collection":"a","id":"ä","revision":7}`,
	`{"collection":"a","id":"a\"b","revision":7}`,
	`{"collection":"a","id":"` + strings.Repeat("a", 129) + `","revision":7}`,
	`{"Collection":"a","id":"b","revision":7}`,
}

func TestParseLineRefuses(t *testing.T) {
	for i, line := range lines {
		got, err := segment.ParseLine([]byte(line))
		if i < 2 {
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
		} else if err == nil {
			t.Errorf("%q was read as %+v", line, got)
		}
	}
	large := cairn.Document{Revision: 1, Collection: "a", ID: "b", JSON: bigDocument(cairn.MaxDocumentBytes + 1).JSON}
	line := segment.AppendLine(nil, large)
	if _, err := segment.ParseLine(line[:len(line)-1]); err == nil {
		t.Error("a document of more than 32 MiB was read")
	}
}

// FuzzParseLine checks that what can be read is what AppendLine writes.
func FuzzParseLine(f *testing.F) {
	if len(lines) == 0 {
		f.Fatal("there are no seeds")
	}
	for _, line := range lines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		d, err := segment.ParseLine(line)
		if err != nil {
			return
		}
		if err := d.Validate(); err != nil || d.Revision <= 0 {
			t.Errorf("read revision %d of %s %s: %v", d.Revision, d.Collection, d.ID, err)
		}
		if again := string(segment.AppendLine(nil, d)); again != string(line)+"\n" {
			t.Errorf("%q was read, but is written as %q", line, again)
		}
	})
}

func TestLinesRefuse(t *testing.T) {
	a, b := `{"collection":"a","id":"a","revision":7}`+"\n", `{"collection":"a","id":"b","revision":9,"document":{}}`+"\n"
	for _, test := range []struct {
		name, plain string
		good        int // lines before the error
	}{
		{"no last line break", a + b[:len(b)-1], 1},
		{"cut off", a + b[:20], 1},
		{"empty line", a + "\n" + b, 1},
		{"empty last line", a + b + "\n", 2},
		{"not in order", b + a, 1},
		{"twice", a + b + b, 2},
		{"not a line", a + "{}\n", 1},
	} {
		n, err := firstError(segment.Lines([]byte(test.plain)))
		if n != test.good || !errors.Is(err, segment.ErrDamaged) {
			t.Errorf("%s: %d documents, then %v, want %d and ErrDamaged", test.name, n, err, test.good)
		}
	}
	if n, err := firstError(segment.Lines(nil)); n != 0 || err != nil {
		t.Errorf("no lines: %d documents, then %v", n, err)
	}
}

func TestPartLines(t *testing.T) {
	plain := []byte(`{"collection":"a","id":"a","revision":7}` + "\n" + `{"collection":"a","id":"b","revision":9,"document":{}}` + "\n")
	p := segment.Part{From: 6, To: 9, Documents: 1, Deletions: 1, Plain: int64(len(plain))}
	if n, err := firstError(p.Lines(plain)); n != 2 || err != nil {
		t.Fatalf("%d documents, then %v", n, err)
	}
	for range p.Lines(plain) {
		break // must not go on
	}
	for name, change := range map[string]func(*segment.Part){
		"from":      func(p *segment.Part) { p.From = 7 },
		"to":        func(p *segment.Part) { p.To = 8 },
		"documents": func(p *segment.Part) { p.Documents++ },
		"deletions": func(p *segment.Part) { p.Deletions-- },
		"plain":     func(p *segment.Part) { p.Plain++ },
	} {
		q := p
		change(&q)
		if _, err := firstError(q.Lines(plain)); !errors.Is(err, segment.ErrDamaged) {
			t.Errorf("another %s: %v, want ErrDamaged", name, err)
		}
	}
}
