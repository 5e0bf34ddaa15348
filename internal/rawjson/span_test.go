package rawjson_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cairn/internal/rawjson"
)

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		text                         string
		object, array, isText, isNil bool
	}{
		{`{}`, true, false, false, false},
		{`{"a":1}`, true, false, false, false},
		{`[]`, false, true, false, false},
		{`[{}]`, false, true, false, false},
		{`""`, false, false, true, false},
		{`"null"`, false, false, true, false},
		{`null`, false, false, false, true},
		{``, false, false, false, true},
		{`0`, false, false, false, false},
		{`-1`, false, false, false, false},
		{`true`, false, false, false, false},
	} {
		v := []byte(test.text)
		got := []bool{rawjson.IsObject(v), rawjson.IsArray(v), rawjson.IsString(v), rawjson.IsNull(v)}
		if diff := cmp.Diff([]bool{test.object, test.array, test.isText, test.isNil}, got); diff != "" {
			t.Errorf("object, array, string, null of %q (-want +got):\n%s", test.text, diff)
		}
	}
}

// pairs returns an object's names and values, one behind the other.
func pairs(v string) []string {
	out := []string{}
	for n, v := range rawjson.Members([]byte(v)) {
		out = append(out, string(n), string(v))
	}
	return out
}

func TestMembers(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{``, []string{}},
		{`null`, []string{}},
		{`[1,2]`, []string{}},
		{`"{}"`, []string{}},
		{`{}`, []string{}},
		{`{"":1}`, []string{`""`, `1`}},
		{`{"a":1,"b":[1,{"a":2}],"a":{}}`, []string{`"a"`, `1`, `"b"`, `[1,{"a":2}]`, `"a"`, `{}`}},
		{`{"\"":"\\","}":"}","\\\"":"{\"a\":1}","\\":[]}`, []string{`"\""`, `"\\"`, `"}"`, `"}"`, `"\\\""`, `"{\"a\":1}"`, `"\\"`, `[]`}},
	} {
		if diff := cmp.Diff(test.want, pairs(test.text)); diff != "" {
			t.Errorf("members of %s (-want +got):\n%s", test.text, diff)
		}
	}
	for range rawjson.Members([]byte(`{"a":1,"b":2}`)) {
		break // a loop can be left
	}
	for range rawjson.Elements([]byte(`[1,2]`)) {
		break
	}
}

// What is appended to a span does not run into what follows it.
func TestSpansDoNotGrow(t *testing.T) {
	const text = `{"a":[1,2],"b":"c"}`
	v := []byte(text)
	for n, m := range rawjson.Members(v) {
		_, _ = append(n, 'x'), append(m, 'x')
		for e := range rawjson.Elements(m) {
			_ = append(e, 'x')
		}
	}
	_ = append(rawjson.Get(v, "a"), 'x')
	if string(v) != text {
		t.Errorf("appending to spans made %s of %s", v, text)
	}
}

// Members and Elements put together again are the same text, and each value
// decodes to what encoding/json sees there.
func TestSpansAgainstJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := valueOf(4, true).Draw(t, "value")
		checkSpans(t, text, decode(t, text))
	})
}

func checkSpans(t *rapid.T, text string, want any) {
	switch want := want.(type) {
	case map[string]any:
		var o rawjson.Object
		for n, v := range rawjson.Members([]byte(text)) {
			name, _ := rawjson.Text(n)
			if decoded := decode(t, string(n)); decoded != name {
				t.Fatalf("Text(%s) = %q, want %q", n, name, decoded)
			}
			o.Set(name, v)
		}
		if diff := cmp.Diff(want, decode(t, string(o.JSON()))); diff != "" {
			t.Fatalf("the members of %s (-want +got):\n%s", text, diff)
		}
		for name, w := range want {
			checkSpans(t, string(rawjson.Get([]byte(text), name)), w)
		}
		for _, name := range []string{"a", "b", "nowhere"} {
			if _, there := want[name]; !there && rawjson.Get([]byte(text), name) != nil {
				t.Fatalf("Get(%s, %q) found something", text, name)
			}
		}
	case []any:
		var all [][]byte
		for e := range rawjson.Elements([]byte(text)) {
			all = append(all, e)
		}
		if got := string(rawjson.Array(all...)); got != text || len(all) != len(want) {
			t.Fatalf("the %d elements of %s give %s, want %d", len(all), text, got, len(want))
		}
		for i, e := range all {
			checkSpans(t, string(e), want[i])
		}
	default:
		if diff := cmp.Diff(want, decode(t, text)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestGet(t *testing.T) {
	for _, test := range []struct {
		text string
		path []string
		want string // empty for none
	}{
		{`{"a":1}`, []string{"a"}, `1`},
		{`{"a":1}`, []string{"b"}, ``},
		{`{"a":1}`, nil, `{"a":1}`},
		{`{"a":1,"a":2}`, []string{"a"}, `2`},
		{`{"a":1,"\u0061":2}`, []string{"a"}, `2`},
		{`{"a":{"b":{"c":"d"}}}`, []string{"a", "b", "c"}, `"d"`},
		{`{"a":{"b":1},"a":5}`, []string{"a", "b"}, ``},
		{`{"a":null}`, []string{"a"}, `null`},
		{`{"a":null}`, []string{"a", "b"}, ``},
		{`[{"a":1}]`, []string{"a"}, ``},
		{`"a"`, []string{"a"}, ``},
		{`{"\n":1}`, []string{"\n"}, `1`},
		{`{"n":1}`, []string{"\n"}, ``},
		{`{"ab":1}`, []string{"a"}, ``},
		{`{"":1}`, []string{""}, `1`},
		{`{"\ud800":1,"\udc00":2}`, []string{"\xed\xa0\x80"}, `1`},
		{`{"\ud800":1,"\udc00":2}`, []string{"\ufffd"}, ``},
	} {
		got := rawjson.Path([]byte(test.text), test.path...)
		if string(got) != test.want || (got == nil) != (test.want == "") {
			t.Errorf("Path(%s, %q) = %q, want %q", test.text, test.path, got, test.want)
		}
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`""`, ""},
		{`"a"`, "a"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"\u0000\u001f\u0041\u00e9\u20ac\uffff"`, "\x00\x1fAé€\uffff"},
		{`"\ud83d\ude00"`, "😀"},
		{`"\uD83D\uDE00x"`, "😀x"},
		{`"\ud800\udc00\udbff\udfff"`, "\U00010000\U0010FFFF"},
		{`"\ud800"`, "\xed\xa0\x80"},
		{`"\udbff"`, "\xed\xaf\xbf"},
		{`"\udc00"`, "\xed\xb0\x80"},
		{`"\udfff"`, "\xed\xbf\xbf"},
		{`"\ud800\ud83d\ude00"`, "\xed\xa0\x80😀"},
		{`"\ud800\u0041"`, "\xed\xa0\x80A"},
		{`"\ud800\n"`, "\xed\xa0\x80\n"},
		{`"\ud800ude00"`, "\xed\xa0\x80ude00"},
		{`"\ud800\\ude00"`, "\xed\xa0\x80\\ude00"},
		{`"\udc00\ud800"`, "\xed\xb0\x80\xed\xa0\x80"},
		{`"\\u0041"`, `\u0041`},
		{`"\\\u0041"`, `\A`},
		{`"é😀"`, "é😀"},
	} {
		got, ok := rawjson.Text([]byte(test.text))
		if !ok || got != test.want {
			t.Errorf("Text(%s) = %q, %t, want %q", test.text, got, ok, test.want)
		}
	}
	for _, text := range []string{``, `null`, `1`, `{}`, `["a"]`, `true`} {
		if got, ok := rawjson.Text([]byte(text)); ok || got != "" {
			t.Errorf("Text(%s) = %q, %t, want none", text, got, ok)
		}
	}
}

// Different strings stay different, whatever surrogates they hold.
func TestTextIsInjective(t *testing.T) {
	units := []string{"d7ff", "d800", "dbff", "dc00", "dfff", "e000", "0041"}
	seen := map[string]string{}
	for _, a := range units {
		for _, b := range units {
			for _, c := range units {
				text := `"\u` + a + `\u` + b + `\u` + c + `"`
				got, _ := rawjson.Text([]byte(text))
				if other, ok := seen[got]; ok {
					t.Errorf("%s and %s are both %q", text, other, got)
				}
				seen[got] = text
			}
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `""`},
		{"a", `"a"`},
		{"\"\\/\b\f\n\r\t", `"\"\\/\u0008\u000c\n\r\t"`},
		{"\x00\x1f\x7f", "\"\\u0000\\u001f\x7f\""},
		{"é😀\u2028<>&", "\"é😀\u2028<>&\""},
		{"a\xffb", "\"a\ufffdb\""},
		{"\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
		{"\xe2\x82", "\"\ufffd\ufffd\""},
		{"\ufffd", "\"\ufffd\""},
	} {
		if got := rawjson.AppendString([]byte("x"), test.text); string(got) != "x"+test.want {
			t.Errorf("AppendString(%q) = %s, want x%s", test.text, got, test.want)
		}
	}
}

// What AppendString writes, both encoding/json and Text read.
func TestAppendStringAgainstJSON(t *testing.T) {
	anyText := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		s := anyText.Draw(t, "text")
		text := rawjson.AppendString(nil, s)
		checkCompacted(t, "a string", text)
		want := s
		if !utf8.ValidString(s) {
			b, _ := json.Marshal(s)
			want = decode(t, string(b)).(string) // with U+FFFD for each byte
		}
		if got := decode(t, string(text)); got != want {
			t.Fatalf("AppendString(%q) = %s, which is %q", s, text, got)
		}
		if got, ok := rawjson.Text(text); !ok || got != want {
			t.Fatalf("Text of AppendString(%q) = %q", s, got)
		}
	})
}

// The text of every escape that encoding/json knows is the one it sees.
func TestTextAgainstJSON(t *testing.T) {
	for r := rune(0); r < 0x10000; r++ {
		if 0xd800 <= r && r <= 0xdfff {
			continue // encoding/json makes U+FFFD of them
		}
		const digits = "0123456789abcdefABCDEF"
		hex := string([]byte{digits[r>>12], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
		for _, text := range []string{`"\u` + hex + `"`, `"\u` + strings.ToUpper(hex) + `"`} {
			if got, _ := rawjson.Text([]byte(text)); got != string(r) {
				t.Fatalf("Text(%s) = %q, want %q", text, got, string(r))
			}
		}
	}
}
