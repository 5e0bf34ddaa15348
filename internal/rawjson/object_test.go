package rawjson_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn/internal/rawjson"
)

func TestObject(t *testing.T) {
	var o rawjson.Object
	if got := string(o.JSON()); got != "{}" || !o.Empty() {
		t.Errorf("the zero Object is %s, empty %t, want {} and true", got, o.Empty())
	}
	o.Set("a", nil).Set("b", []byte(`[1]`))
	first := o.JSON()
	o.SetText("c\n", "\"").Set("d", []byte("null"))
	if got, want := string(o.JSON()), `{"b":[1],"c\n":"\"","d":null}`; got != want || o.Empty() {
		t.Errorf("the Object is %s, empty %t, want %s and false", got, o.Empty(), want)
	}
	if got, want := string(first), `{"b":[1]}`; got != want {
		t.Errorf("the text taken before became %s, want %s still", got, want)
	}
}

func TestArray(t *testing.T) {
	for want, values := range map[string][][]byte{
		`[]`:       nil,
		`[1]`:      {[]byte(`1`)},
		`[{},"a"]`: {[]byte(`{}`), []byte(`"a"`)},
	} {
		if got := string(rawjson.Array(values...)); got != want {
			t.Errorf("Array = %s, want %s", got, want)
		}
	}
}

func TestReplace(t *testing.T) {
	for _, test := range []struct{ text, name, value, want string }{
		{`{"a":1,"b":2,"c":3}`, "b", `[]`, `{"a":1,"b":[],"c":3}`},
		{`{"a":1}`, "b", `2`, `{"a":1,"b":2}`},
		{`{}`, "b", `2`, `{"b":2}`},
		{`{"a":1,"b":2,"c":3}`, "b", ``, `{"a":1,"c":3}`},
		{`{"b":2}`, "b", ``, `{}`},
		{`{}`, "b", ``, `{}`},
		{`{"b":1,"a":1,"b":2}`, "b", `3`, `{"b":3,"a":1}`},
		{`{"b":1,"a":1,"b":2}`, "b", ``, `{"a":1}`},
		{`{"\u0062":1}`, "b", `3`, `{"\u0062":3}`},
		{`{"a":1}`, "\n", `2`, `{"a":1,"\n":2}`},
		{``, "b", `2`, `{"b":2}`},
		{`null`, "b", `2`, `{"b":2}`},
		{`[1]`, "b", `2`, `{"b":2}`},
		{`[1]`, "b", ``, `{}`},
	} {
		var value []byte
		if test.value != "" {
			value = []byte(test.value)
		}
		if got := rawjson.Replace([]byte(test.text), test.name, value); string(got) != test.want {
			t.Errorf("Replace(%s, %q, %s) = %s, want %s", test.text, test.name, test.value, got, test.want)
		}
	}
}

func TestRewrite(t *testing.T) {
	const text = `{"a":1,"\u0062":2,"a":3,"c":null}`
	got := rawjson.Rewrite([]byte(text), func(name string, value []byte) []byte {
		switch name {
		case "a":
			return []byte("[" + string(value) + "]")
		case "c":
			return nil
		}
		return value
	})
	if want := `{"a":[1],"\u0062":2,"a":[3]}`; string(got) != want {
		t.Errorf("Rewrite(%s) = %s, want %s", text, got, want)
	}
	for _, text := range []string{``, `null`, `[1]`, `{}`} {
		got := rawjson.Rewrite([]byte(text), func(string, []byte) []byte { t.Error("called"); return nil })
		if string(got) != "{}" {
			t.Errorf("Rewrite(%s) = %s, want {}", text, got)
		}
	}
}

func TestOverlay(t *testing.T) {
	for _, test := range []struct{ base, over, want string }{
		{`{"a":1,"b":2}`, `{"c":3,"a":{}}`, `{"a":{},"b":2,"c":3}`},
		{`{"a":1}`, `{"a":null,"b":null}`, `{"a":1}`},
		{`{"a":1}`, `{}`, `{"a":1}`},
		{`{}`, `{"a":1}`, `{"a":1}`},
		{`null`, `{"a":1}`, `{"a":1}`},
		{`{"a":1}`, `[]`, `{"a":1}`},
		{`{"a":1,"a":2}`, `{"a":3}`, `{"a":3}`},
		{`{"a":1,"a":2}`, `{"b":3}`, `{"a":1,"a":2,"b":3}`},
		{`{"a":1}`, `{"a":2,"a":3}`, `{"a":3}`},
		{`{"a":1}`, `{"a":2,"a":null}`, `{"a":1}`},
		{`{}`, `{"b":2,"b":3}`, `{"b":3}`},
		{`{"\u0061":1}`, `{"a":2}`, `{"\u0061":2}`},
	} {
		if got := rawjson.Overlay([]byte(test.base), []byte(test.over)); string(got) != test.want {
			t.Errorf("Overlay(%s, %s) = %s, want %s", test.base, test.over, got, test.want)
		}
	}
}

// object decodes what may be no object; that counts as an empty one.
func object(t fataler, text string) map[string]any {
	t.Helper()
	m, _ := decode(t, text).(map[string]any)
	if m == nil {
		return map[string]any{}
	}
	return m
}

func TestObjectsAgainstJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := valueOf(3, true).Draw(t, "base")
		over := valueOf(3, true).Draw(t, "over")
		name := rapid.SampledFrom([]string{"a", "b", "id", "é\n", "new"}).Draw(t, "name")

		removed := object(t, base)
		delete(removed, name)
		got := rawjson.Replace([]byte(base), name, nil)
		checkCompacted(t, "Replace", got)
		if diff := cmp.Diff(removed, object(t, string(got))); diff != "" {
			t.Fatalf("%s without %q (-want +got):\n%s", base, name, diff)
		}

		replaced := maps.Clone(removed)
		replaced[name] = decode(t, over)
		got = rawjson.Replace([]byte(base), name, []byte(over))
		checkCompacted(t, "Replace", got)
		if diff := cmp.Diff(replaced, object(t, string(got))); diff != "" {
			t.Fatalf("%s with %q = %s (-want +got):\n%s", base, name, over, diff)
		}

		laid := object(t, base)
		for n, v := range object(t, over) {
			if v != nil {
				laid[n] = v
			}
		}
		got = rawjson.Overlay([]byte(base), []byte(over))
		checkCompacted(t, "Overlay", got)
		if diff := cmp.Diff(laid, object(t, string(got))); diff != "" {
			t.Fatalf("%s over %s (-want +got):\n%s", over, base, diff)
		}
	})
}
