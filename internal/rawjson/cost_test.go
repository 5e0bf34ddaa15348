package rawjson_test

import (
	"fmt"
	"strings"
	"testing"

	"cairn/internal/rawjson"
)

// The work grows with the length of a text, not with its depth: reading the
// text below each level again would make 50 GB of the five megabytes here, and
// run into the test's time limit.
func TestCostOfDepth(t *testing.T) {
	long := `"` + strings.Repeat(`x\n`, 5<<20/3) + `"`
	many := strings.TrimSuffix(strings.Repeat(`{"a":1},`, 1<<20/8), ",")
	for _, kind := range []struct {
		open, end string
		levels    int
	}{
		{`{"a":`, `}`, 9_990},
		{`[`, `]`, 9_990},
		{`[{"id":"x","a":`, `}]`, 4_990},
	} {
		for name, core := range map[string][2]string{
			"a long text":  {long, `"y"`},
			"many objects": {"[" + many + `,{"b":1}]`, "[" + many + `,{"b":2}]`},
		} {
			base := deep(kind.levels, kind.open, core[0], kind.end)
			patch := deep(kind.levels, kind.open, core[1], kind.end)
			if got := rawjson.Merge(base, patch); string(got) != string(patch) {
				t.Errorf("%s in %d levels of %s: not the patch after the merge", name, kind.levels, kind.open)
			}
			if rawjson.Same(base, patch) {
				t.Errorf("%s in %d levels of %s: the same as another", name, kind.levels, kind.open)
			}
			if got := rawjson.Merge([]byte("{}"), patch); string(got) != string(patch) {
				t.Errorf("%s in %d levels of %s: not what was added to nothing", name, kind.levels, kind.open)
			}
		}
	}
}

// Many members and many items are no trouble either.
func TestCostOfBreadth(t *testing.T) {
	var members, items []string
	for i := range 30_000 {
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
