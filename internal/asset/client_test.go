package asset_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn/internal/asset"
)

// A client reads an asset and sends back what it made of it.
type client struct {
	name    string
	times   string          // form of times
	doubles bool            // whether all numbers are doubles
	unset   map[string]bool // members sent as null where they are absent
}

// clients have in common that they drop the fields that they do not know, which
// in these tests are those whose names begin with x_, and those that are null.
var clients = []client{
	{name: "TypeScript", times: "2006-01-02T15:04:05.000Z", doubles: true},
	{name: "Dart", times: "2006-01-02T15:04:05.000000Z", unset: map[string]bool{
		"schema": true, "readable": true, "score": true, "icon": true, "deleted": true, "synced": true, "cloud": true, "name": true,
		"fragment": true, "file": true, "analysis": true, "indices": true, "reference": true, "overlay": true, "base64": true, "tags": true,
	}},
	{name: "Python", times: "2006-01-02T15:04:05.000000-07:00"},
}

// through returns a decoded value as the client sends it; name is that of the
// member it is.
func (c client) through(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for n, m := range v {
			if !strings.HasPrefix(n, "x_") && m != nil {
				out[n] = c.through(m, n)
			}
		}
		for n := range c.unset {
			if _, there := out[n]; !there {
				out[n] = nil
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, c.through(e, ""))
		}
		return out
	case json.Number:
		if c.doubles {
			f, _ := v.Float64()
			return f
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil && name == "value" {
			return at.UTC().Format(c.times)
		}
	}
	return v
}

// sends returns what the client sends back of a rendered asset, after edit.
func (c client) sends(t fataler, rendered string, edit func(asset any)) []byte {
	v := c.through(decode(t, rendered), "")
	edit(v)
	return encode(t, v)
}

func nothing(any) {}

func rename(v any) { set(v, "renamed", "name") }

// A client that sends back what it read changes not one byte.
func TestRoundTrips(t *testing.T) {
	for name, doc := range map[string][]byte{"made here": seeded(t), "imported": imported(t)} {
		for _, c := range clients {
			for _, transferables := range []bool{true, false} {
				sent := c.sends(t, render(t, doc, transferables), nothing)
				if _, changed, err := asset.Update(doc, sent, now); changed || err != nil {
					t.Errorf("%s through %s, transferables %t: changed %t, %v", name, c.name, transferables, changed, err)
				}
				got := update(t, doc, string(c.sends(t, render(t, doc, transferables), rename)))
				want := update(t, doc, `{"name":"renamed"}`)
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("%s renamed through %s, transferables %t (-want +got):\n%s", name, c.name, transferables, diff)
				}
			}
		}
	}
}

// withUnknown adds unknown members to an object.
func withUnknown(t *rapid.T, members ...string) string {
	if rapid.Bool().Draw(t, "unknown") {
		members = append(members, `"x_1":{"y":[1.50,{"z":null}]}`)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// members is a set of names with generators of their values, some of which an
// object has.
func someOf(t *rapid.T, choices ...string) []string {
	var out []string
	for _, c := range choices {
		if rapid.Bool().Draw(t, "there") {
			out = append(out, c)
		}
	}
	return out
}

const atTime = `{"value":"2020-01-01T00:00:00.123456Z"}`

// formatMembers generates what formats and references have in common.
func formatMembers(t *rapid.T, id string) []string {
	text := rapid.SampledFrom([]string{`"one"`, `"two"`, `"\u0000\n\u00e9\/"`, `""`}).Draw(t, "text")
	str := withUnknown(t, someOf(t, `"raw":`+text, `"base64":"b25l"`)...)
	content := withUnknown(t, someOf(t, `"string":`+str, `"bytes":{"raw":[1,2]}`, `"metadata":{"ext":"py"}`)...)
	kind := rapid.SampledFrom([]string{`"fragment"`, `"file"`}).Draw(t, "kind")
	specific := rapid.SampledFrom([]string{`"py"`, `"go"`}).Draw(t, "language")
	return append([]string{`"id":` + id}, someOf(t,
		kind+":"+content, `"classification":`+withUnknown(t, `"specific":`+specific), `"role":"BOTH"`, `"bytes":{"value":12345678901234567890}`,
		`"created":`+atTime, `"updated":`+atTime, `"creator":"c"`, `"icon":null`)...)
}

// assets generates assets such as other servers give: references full, partial,
// of their own opinion or missing.
var assets = rapid.Custom(func(t *rapid.T) []byte {
	ids := rapid.SliceOfN(rapid.SampledFrom([]string{`"f1"`, `"f2"`, `"f\u0033"`}), 0, 3).Draw(t, "ids")
	var formats []string
	for _, id := range ids {
		m := formatMembers(t, id)
		if rapid.Bool().Draw(t, "flat") {
			m = append(m, `"asset":`+withUnknown(t, someOf(t, `"id":"a"`, `"created":`+atTime, `"name":"n"`, `"formats":{"iterable":[{"id":"f1"}]}`)...))
		}
		formats = append(formats, withUnknown(t, m...))
	}
	holder := func(name string) string {
		id := rapid.SampledFrom([]string{`"f1"`, `"f2"`, `"f3"`, `"f9"`}).Draw(t, name)
		m := []string{`"id":` + id}
		if rapid.Bool().Draw(t, "reference") {
			m = append(m, `"reference":`+withUnknown(t, append(formatMembers(t, id), someOf(t, `"asset":"a"`)...)...))
		}
		return withUnknown(t, m...)
	}
	members := someOf(t,
		`"name":"n"`, `"created":`+atTime, `"updated":`+atTime, `"mechanism":"MANUAL"`, `"creator":"c"`,
		`"original":`+holder("original"),
		`"preview":`+withUnknown(t, `"base":`+holder("base"), `"overlay":`+holder("overlay")),
		`"formats":`+withUnknown(t, `"iterable":[`+strings.Join(formats, ",")+`]`),
		`"tags":{"iterable":[`+withUnknown(t, `"id":"t"`)+`]}`)
	return []byte(withUnknown(t, append([]string{`"id":"a"`}, members...)...))
})

func TestRoundTripsOfAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := assets.Draw(t, "doc")
		checkCompacted(t, doc)
		c := rapid.SampledFrom(clients).Draw(t, "client")
		rendered := render(t, doc, rapid.Bool().Draw(t, "transferables"))
		unchanged(t, doc, []byte(rendered))
		unchanged(t, doc, c.sends(t, rendered, nothing))
	})
}

// lasting returns what of a rendered asset must outlive another name: all but
// the name, the time, and what follows from the asset in its formats.
func lasting(t fataler, rendered string) any {
	v := decode(t, rendered)
	members := v.(map[string]any)
	delete(members, "name")
	delete(members, "updated")
	list, _ := at(v, "formats", "iterable").([]any)
	for _, f := range list {
		flat, _ := at(f, "asset").(map[string]any)
		for n := range flat {
			if !strings.HasPrefix(n, "x_") {
				delete(flat, n)
			}
		}
	}
	return v
}

// missing returns where something of one decoded value is not in another, which
// may have more members; "" when all of it is.
func missing(before, after any) string {
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok {
			return ": no object"
		}
		for n := range b {
			if where := missing(b[n], a[n]); where != "" {
				return "." + n + where
			}
		}
		return ""
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			return ": another list"
		}
		for i := range b {
			if where := missing(b[i], a[i]); where != "" {
				return fmt.Sprintf(".%d%s", i, where)
			}
		}
		return ""
	}
	if before != after {
		return fmt.Sprintf(": %v, was %v", after, before)
	}
	return ""
}

// Another name loses nothing else, neither of the document nor of what clients
// read of it.
func TestRenameKeepsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := assets.Draw(t, "doc")
		c := rapid.SampledFrom(clients).Draw(t, "client")
		before := render(t, doc, true)
		patch := []byte(`{"name":"renamed"}`)
		if rapid.Bool().Draw(t, "whole") {
			patch = c.sends(t, before, rename)
		}
		got, changed, err := asset.Update(doc, patch, now)
		if err != nil || !changed {
			t.Fatalf("Update with %s: changed %t, %v", patch, changed, err)
		}
		after := render(t, got, true)
		if where := missing(lasting(t, before), lasting(t, after)); where != "" {
			t.Fatalf("a rename of %s\nwith %s\nlost %s in %s", doc, patch, where, after)
		}
		unchanged(t, got, []byte(after))
		unchanged(t, got, c.sends(t, after, nothing))
	})
}
