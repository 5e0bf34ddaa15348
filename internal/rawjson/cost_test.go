package rawjson_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cairn/internal/rawjson"
)

// The work grows with the length of a text, not with its depth: a hundred times
// that of flat text would be far too much, and reading the text below each level
// again would be ten thousand times as much.
func TestCostOfDepth(t *testing.T) {
	long := `"` + strings.Repeat(`x\n`, 1<<20/3) + `"`
	many := strings.TrimSuffix(strings.Repeat(`{"a":1},`, 128<<10/8), ",")
	for _, kind := range []struct {
		open, end string
		levels    int
	}{
		{`{"a":`, `}`, 9_990},
		{`[`, `]`, 9_990},
		{`[{"id":"x","a":`, `}]`, 4_990},
	} {
		for name, core := range map[string][2]string{
			"a long text":  {long, long[:len(long)-1] + `y"`},
			"many objects": {"[" + many + `,{"b":1}]`, "[" + many + `,{"b":2}]`},
		} {
			flat := timeMerge(t, 1, kind.open, core, kind.end)
			nested := timeMerge(t, kind.levels, kind.open, core, kind.end)
			if nested > 100*max(flat, 50*time.Millisecond) {
				t.Errorf("%s in %d levels of %s: %v, but %v in one", name, kind.levels, kind.open, nested, flat)
			}
		}
	}
}

// timeMerge merges and compares two nested texts, and returns how long it took.
func timeMerge(t *testing.T, levels int, open string, core [2]string, end string) time.Duration {
	t.Helper()
	base := deep(levels, open, core[0], end)
	patch := deep(levels, open, core[1], end)
	start := time.Now()
	if got := rawjson.Merge(base, patch); string(got) != string(patch) {
		t.Errorf("%d levels of %s: not the patch after the merge", levels, open)
	}
	if got := rawjson.Merge([]byte("{}"), patch); string(got) != string(patch) {
		t.Errorf("%d levels of %s: not what was added to nothing", levels, open)
	}
	if rawjson.Same(base, patch) {
		t.Errorf("%d levels of %s: the same as another", levels, open)
	}
	return time.Since(start)
}

// Many members and many items are no trouble either.
func TestCostOfBreadth(t *testing.T) {
	var members, items []string
	for i := range 10_000 {
		members = append(members, fmt.Sprintf(`"m%d":null,"n%d":%d`, i, i, i))
		items = append(items, fmt.Sprintf(`{"id":"%d","a":1}`, i))
	}
	text := []byte(`{"list":[` + strings.Join(items, ",") + `],` + strings.Join(members, ",") + `}`)
	if got := rawjson.Merge(text, text); string(got) != string(text) {
		t.Error("an object merged with itself is another")
	}
	if got := rawjson.Overlay(text, text); string(got) != string(text) {
		t.Error("an object laid over itself is another")
	}
	if !rawjson.Same(text, []byte(strings.Replace(string(text), `"n1":1,`, `"n1":1.0,`, 1))) {
		t.Error("an object is not the same with a number in another form")
	}
}

// snippet is a document of about 5 KB.
func snippet() []byte {
	code := strings.Repeat(`func main() {\n\tfmt.Println(\"hello, world\")\n}\n`, 95)
	return []byte(`{"id":"a1111111-1111-4111-8111-111111111111","name":"hello","created":{"value":"2026-01-02T03:04:05.678Z"},` +
		`"formats":{"iterable":[{"id":"f1111111-1111-4111-8111-111111111111","bytes":{"value":11},"fragment":{"string":{"raw":"` + code + `"}}}]},` +
		`"original":{"id":"f1111111-1111-4111-8111-111111111111"},"mechanism":"MANUAL"}`)
}

func BenchmarkCompact(b *testing.B) {
	text := snippet()
	dst := make([]byte, 0, len(text))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rawjson.Compact(dst, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	text := snippet()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if rawjson.Get(text, "mechanism") == nil {
			b.Fatal("no mechanism")
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	text := snippet()
	patch := []byte(strings.Replace(string(text), `"hello"`, `"other"`, 1))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rawjson.Merge(text, patch)
	}
}
