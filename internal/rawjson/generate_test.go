package rawjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cairn/internal/rawjson"
)

// names are few, so that two generated objects have some in common. Two are
// one name in different forms.
var names = []string{`"a"`, `"b"`, `"id"`, `"value"`, `"\u0061"`, `"é\n"`, `""`}

var scalars = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `1.0`, `10e-1`, `-1`, `0.1`, `0.10000000000000001`, `1e400`, `2e400`, `1e-400`,
	`12345678901234567890`, `12345678901234567000`, `12345678901234567891`, `9007199254740993`, `9007199254740992`,
	`""`, `"a"`, `"\u0061"`, `"A"`, `"a\"\\\/\b\f\n\r\t\u0000"`, `"é"`, `"\u00e9"`, `"😀"`, `"\ud83d\ude00"`, `"null"`, `"{\"a\":1}"`, `"]"`, `"\\"`,
	`"2026-01-02T03:04:05.678Z"`, `"2026-01-02T03:04:05.678901Z"`, `"2026-01-02T05:04:05.678+02:00"`, `"2026-01-02T03:04:05.679Z"`,
}

// valueOf generates compacted JSON text of at most so many levels; with
// duplicates some names come twice.
func valueOf(levels int, duplicates bool) *rapid.Generator[string] {
	if levels == 0 {
		return rapid.SampledFrom(scalars)
	}
	return rapid.Custom(func(t *rapid.T) string {
		inner := valueOf(levels-1, duplicates)
		switch rapid.SampledFrom([]string{"scalar", "object", "object", "list", "items"}).Draw(t, "kind") {
		case "object":
			return objectOf(inner, duplicates).Draw(t, "object")
		case "list":
			return "[" + strings.Join(rapid.SliceOfN(inner, 0, 3).Draw(t, "list"), ",") + "]"
		case "items":
			ids := rapid.SliceOfN(rapid.SampledFrom([]string{`"x"`, `"y"`, `"z"`, `"\u0078"`}), 0, 3).Draw(t, "ids")
			items := make([]string, len(ids))
			for i, id := range ids {
				items[i] = `{"id":` + id + `,"b":` + inner.Draw(t, "item") + `}`
			}
			return "[" + strings.Join(items, ",") + "]"
		}
		return rapid.SampledFrom(scalars).Draw(t, "scalar")
	})
}

// objectOf generates an object with values of inner.
func objectOf(inner *rapid.Generator[string], duplicates bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		list := rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(t, "names")
		var members []string
		seen := map[string]bool{}
		for _, n := range list {
			if name := decode(t, n).(string); duplicates || !seen[name] {
				members = append(members, n+":"+inner.Draw(t, "member"))
				seen[name] = true
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	})
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// decode returns what encoding/json makes of a text, numbers as json.Number.
func decode(t fataler, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decoding %s: %v", text, err)
	}
	return v
}

// checkCompacted fails unless text is valid and has no white space to spare.
func checkCompacted(t fataler, what string, text []byte) {
	t.Helper()
	again, err := rawjson.Compact(nil, text)
	if err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%s is %q, which is not compacted JSON (%v)", what, text, err)
	}
}

// The generator makes compacted, valid text.
func TestGenerator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkCompacted(t, "a generated value", []byte(valueOf(4, true).Draw(t, "value")))
	})
}
