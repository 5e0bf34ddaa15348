package rawjson_test

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn/internal/rawjson"
)

// The merge rules a second time, on decoded values.

func mergeModel(base, patch any) any {
	if patch == nil {
		return base
	}
	switch b := base.(type) {
	case map[string]any:
		if p, ok := patch.(map[string]any); ok {
			return mergeMaps(b, p)
		}
	case []any:
		if p, ok := patch.([]any); ok && slices.ContainsFunc(b, hasID) {
			return mergeLists(b, p)
		}
	}
	if base != nil && sameModel(cleanModel(base), cleanModel(patch), "") {
		return base
	}
	return cleanModel(patch)
}

func mergeMaps(base, patch map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range base {
		out[name] = v
	}
	for name, v := range patch {
		old, there := base[name]
		switch {
		case v == nil || there && sameTimes(name, old, v):
		case there:
			out[name] = mergeModel(old, v)
		default:
			out[name] = cleanModel(v)
		}
	}
	return out
}

func hasID(item any) bool {
	m, _ := item.(map[string]any)
	_, ok := m["id"].(string)
	return ok
}

func mergeLists(base, patch []any) []any {
	base = slices.Clone(base)
	out := []any{}
	for _, p := range patch {
		at := slices.IndexFunc(base, func(b any) bool {
			if !hasID(p) || !hasID(b) {
				return !hasID(p) && !hasID(b)
			}
			return b.(map[string]any)["id"] == p.(map[string]any)["id"]
		})
		var old any
		if at >= 0 {
			old = base[at]
			base = slices.Delete(base, at, at+1)
		}
		switch {
		case at >= 0 && hasID(p):
			out = append(out, mergeModel(old, p))
		case at >= 0 && sameModel(cleanModel(old), cleanModel(p), ""):
			out = append(out, old)
		default:
			out = append(out, cleanModel(p))
		}
	}
	return out
}

// cleanModel returns a value without the members that are null.
func cleanModel(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, m := range v {
			if m != nil {
				out[name] = cleanModel(m)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, cleanModel(e))
		}
		return out
	}
	return v
}

// sameModel compares two values; name is that of the member they are.
func sameModel(a, b any, name string) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for n := range a {
			if _, ok := b[n]; !ok || !sameModel(a[n], b[n], n) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, func(x, y any) bool { return sameModel(x, y, "") })
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumbers(a, b)
	}
	return a == b || sameTimes(name, a, b)
}

func sameNumbers(a, b json.Number) bool {
	rational := func(n string) *big.Rat {
		r, ok := new(big.Rat).SetString(n)
		if !ok {
			panic(n)
		}
		return r
	}
	if rational(string(a)).Cmp(rational(string(b))) == 0 {
		return true
	}
	x, _ := a.Float64()
	y, _ := b.Float64()
	if x != y || math.IsInf(x, 0) {
		return false
	}
	shortest := rational(strconv.FormatFloat(x, 'g', -1, 64))
	return rational(string(a)).Cmp(shortest) == 0 || rational(string(b)).Cmp(shortest) == 0
}

func sameTimes(name string, a, b any) bool {
	s, ok1 := a.(string)
	t, ok2 := b.(string)
	x, err1 := time.Parse(time.RFC3339Nano, s)
	y, err2 := time.Parse(time.RFC3339Nano, t)
	return name == "value" && ok1 && ok2 && err1 == nil && err2 == nil && x.UnixMilli() == y.UnixMilli()
}

func TestMergeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := valueOf(4, true).Draw(t, "base")
		patch := rapid.OneOf(valueOf(4, true), rapid.Just(client(t, base))).Draw(t, "patch")
		got := rawjson.Merge([]byte(base), []byte(patch))
		checkCompacted(t, "Merge", got)
		if diff := cmp.Diff(mergeModel(decode(t, base), decode(t, patch)), decode(t, string(got))); diff != "" {
			t.Fatalf("Merge(%s, %s) (-want +got):\n%s", base, patch, diff)
		}
		if again := rawjson.Merge(got, []byte(patch)); string(again) != string(got) {
			t.Fatalf("Merge(%s, %s) = %s, and once more %s", base, patch, got, again)
		}
	})
}

func TestSameAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := valueOf(3, true).Draw(t, "a")
		b := rapid.OneOf(valueOf(3, true), rapid.Just(client(t, a))).Draw(t, "b")
		want := sameModel(decode(t, a), decode(t, b), "")
		if got := rawjson.Same([]byte(a), []byte(b)); got != want {
			t.Fatalf("Same(%s, %s) = %t, want %t", a, b, got, want)
		}
		if got := rawjson.Same([]byte(b), []byte(a)); got != want {
			t.Fatalf("Same(%s, %s) = %t, want %t", b, a, got, want)
		}
		if rawjson.Equal([]byte(a), []byte(b)) && !want {
			t.Fatalf("%s and %s are Equal but not the Same", a, b)
		}
	})
}

// client returns a value as a client sends back what it read: fields that it
// does not know gone, others null, numbers rounded, times cut.
func client(t *rapid.T, text string) string {
	out, err := json.Marshal(throughClient(t, decode(t, text), "", false))
	if err != nil {
		t.Fatalf("encoding what a client sends: %v", err)
	}
	return string(out)
}

// throughClient leaves no field out of an item without an id, which is replaced
// as a whole; a number there that is beyond all doubles it sends as it is.
func throughClient(t *rapid.T, v any, name string, whole bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for n, m := range v {
			if n == "id" || whole && m != nil || rapid.Bool().Draw(t, "keep") {
				out[n] = throughClient(t, m, n, whole)
			}
		}
		if rapid.Bool().Draw(t, "null") {
			out["unset"] = nil
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, throughClient(t, e, "", whole || !hasID(e)))
		}
		return out
	case json.Number:
		switch {
		case isInfinite(v) && whole:
			return v
		case isInfinite(v):
			return nil
		}
		f, _ := v.Float64()
		return f
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil && name == "value" {
			return at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
	}
	return v
}

func isInfinite(n json.Number) bool {
	f, _ := n.Float64()
	return math.IsInf(f, 0)
}

// A client that sends back what it read changes not one byte.
func TestMergeOfARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := valueOf(4, true).Draw(t, "base")
		sent := client(t, base)
		if got := rawjson.Merge([]byte(base), []byte(sent)); string(got) != base {
			t.Fatalf("Merge of %s with %s, which says the same, is %s", base, sent, got)
		}
	})
}
