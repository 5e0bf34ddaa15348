package rawjson_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn/internal/rawjson"
)

// tails may follow a value in the text that Walk gets.
var tails = []string{"", "}", "]", `,"x":1}`, `,{}]`, "}]}", `,"]"]`}

// walked passes over a value with Walk and WalkArray alone, and returns its text
// put together again, and how long they say that it is. Of each name and value
// it asks what it should be.
func walked(t *rapid.T, rest []byte) (text string, length int) {
	visit := func(rest []byte) int {
		part, n := walked(t, rest)
		if text[len(text)-1] != '{' && text[len(text)-1] != '[' && text[len(text)-1] != ':' {
			text += ","
		}
		text += part
		return n
	}
	switch {
	case rawjson.IsObject(rest):
		text = "{"
		length = rawjson.Walk(rest, func(name string, rest []byte) int {
			if len(text) > 1 {
				text += ","
			}
			text += string(rawjson.AppendString(nil, name)) + ":"
			return visit(rest)
		})
		return text + "}", length
	case rawjson.IsArray(rest):
		text = "["
		length = rawjson.WalkArray(rest, visit)
		return text + "]", length
	}
	return string(rawjson.First(rest)), rawjson.Length(rest)
}

// spelled returns the text of a value with its names as AppendString spells
// them.
func spelled(v []byte) string {
	var parts []string
	switch {
	case rawjson.IsObject(v):
		for raw, value := range rawjson.Members(v) {
			name, _ := rawjson.Text(raw)
			parts = append(parts, string(rawjson.AppendString(nil, name))+":"+spelled(value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case rawjson.IsArray(v):
		for value := range rawjson.Elements(v) {
			parts = append(parts, spelled(value))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return string(v)
}

// Walking over all of a value finds all of it, whatever follows it.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value, tail := valueOf(4, true).Draw(t, "value"), rapid.SampledFrom(tails).Draw(t, "tail")
		rest := []byte(value + tail)
		if got, n := walked(t, rest); got != spelled([]byte(value)) || n != len(value) {
			t.Fatalf("walking over %s and %s found %s of %d bytes", value, tail, got, n)
		}
		if got := rawjson.Length(rest); got != len(value) {
			t.Fatalf("Length(%s) = %d, want %d", rest, got, len(value))
		}
		if got := rawjson.First(rest); string(got) != value || cap(got) != len(value) {
			t.Fatalf("First(%s) = %s with room for %d, want %s", rest, got, cap(got), value)
		}
	})
}

// Walk finds the members that Members does, and WalkArray the elements.
func TestWalkAgainstMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := valueOf(4, true).Draw(t, "value")
		v := []byte(value + rapid.SampledFrom(tails).Draw(t, "tail"))
		want, got := []string{}, []string{}
		switch {
		case rawjson.IsObject(v):
			for raw, value := range rawjson.Members([]byte(value)) {
				name, _ := rawjson.Text(raw)
				want = append(want, name, string(value))
			}
			n := rawjson.Walk(v, func(name string, rest []byte) int {
				got = append(got, name, string(rawjson.First(rest)))
				return rawjson.Length(rest)
			})
			if n != len(value) {
				t.Fatalf("Walk over %s: %d bytes", value, n)
			}
		case rawjson.IsArray(v):
			for e := range rawjson.Elements([]byte(value)) {
				want = append(want, string(e))
			}
			n := rawjson.WalkArray(v, func(rest []byte) int {
				got = append(got, string(rawjson.First(rest)))
				return rawjson.Length(rest)
			})
			if n != len(value) {
				t.Fatalf("WalkArray over %s: %d bytes", value, n)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", value, diff)
		}
	})
}

// A visit that has seen enough ends all walks that it is in.
func TestWalkStops(t *testing.T) {
	rest := []byte(`{"a":[1,{"b":2,"c":3},4],"d":5}`)
	var seen []string
	stopping := func(name string, rest []byte) int {
		seen = append(seen, name)
		if name == "b" {
			return rawjson.Stop
		}
		return rawjson.Length(rest)
	}
	n := rawjson.Walk(rest, func(name string, rest []byte) int {
		seen = append(seen, name)
		return rawjson.WalkArray(rest, func(rest []byte) int {
			if rawjson.IsObject(rest) {
				return rawjson.Walk(rest, stopping)
			}
			return rawjson.Length(rest)
		})
	})
	if diff := cmp.Diff([]string{"a", "b"}, seen); diff != "" || n != rawjson.Stop {
		t.Errorf("Walk returned %d, seen were (-want +got):\n%s", n, diff)
	}
}
