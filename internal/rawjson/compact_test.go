package rawjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"cairn/internal/rawjson"
)

// texts are odd inputs, most of them broken. Each is tested and is a seed of
// the fuzz target.
var texts = []string{
	// Nothing, white space, and what is no white space.
	"", " ", "\t\r\n ", "\ufeff", "\ufeff{}", "{}\ufeff", "\u00a0{}", "\v{}", "\f{}", "\x00", "{}\x00", "\x00{}", "[\x001]",
	// Words.
	"true", "false", "null", " true ", "tru", "truee", "True", "nul", "nulll", "fals", "t", "NaN", "Infinity", "-Infinity", "undefined", "truefalse", "[true false]",
	// Numbers.
	"0", "-0", "-0.0", "00", "01", "-01", "1", "-1", "+1", "--1", "-", "- 1", "1.", ".1", "-.1", "1.0", "1.e1", "1e", "1e+", "1e-", "1E+1", "1e-0", "1e05", "0e0", "0E-00",
	"1e400", "-1e400", "1e-400", "1e99999999999999999999", "123456789012345678901234567890", "0.1000000000000000055511151231257827021181583404541015625",
	"0x1", "0b1", "1_000", "1,000", "1d", "1a", "1.1.1", "1e1e1", "1e1.5", "١", "1 2", "[1 2]", "[0 1]", "[-]", "[1.]", "[-a]", `{"a":01}`,
	// Strings: every escape, broken ones, surrogates, control characters.
	`""`, `"a"`, `"`, `"a`, `'a'`, `"\"\\\/\b\f\n\r\t"`, `"\u0000\u001f\u007f\u00e9\uD83D\uDE00\uFFFF"`, `"\a"`, `"\0"`, `"\v"`, `"\x41"`, `"\'"`, `"\U00000041"`, `"\`, `"\"`, `"\\"`, `"\\\"`,
	`"\u"`, `"\u1"`, `"\u12"`, `"\u123"`, `"\u123g"`, `"\u-123"`, `"\u+123"`, `"\u 123"`, `"\u123`, `"\u`, `"\u00e"`, `"\u{61}"`,
	`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud800x"`, `"\ud800\u0041"`, `"\uD800\uDC00"`, `"\udbff\udfff"`,
	"\"\n\"", "\"\t\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\u0080\"", "\"\u2028\u2029\"", "\"é\"", "\"\U0001F600\"", "\"\ufffd\"", "\"\ufeff\"", "\"<>&\"",
	// Not UTF-8: stray, overlong, surrogate, too large and cut off bytes.
	"\"\x80\"", "\"\xbf\"", "\"\xff\"", "\"\xfe\"", "\"\xc0\x80\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\x80\"", "\"\xe0\x9f\xbf\"", "\"\xf0\x80\x80\x80\"", "\"\xf0\x8f\xbf\xbf\"",
	"\"\xed\xa0\x80\"", "\"\xed\xbf\xbf\"", "\"\xed\xa0\xbd\xed\xb8\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xc3", "\"\\\xff\"", "\"\\u00\xff1\"",
	"{\"\xff\":1}", "\xff", "{}\xff", "[\xff]",
	// Arrays and objects.
	"[]", "{}", "[ ]", "{ }", "[[]]", "[{}]", "[1,2]", " [ 1 , 2 ] ", "[,]", "[1,]", "[,1]", "[1,,2]", "[", "]", "[]]", "[[]", "[1", "[1,", "[}", "{]", "[1}", "[\"a\"", "[\"a\":1]",
	`{"a":1}`, ` { "a" : 1 , "b" : [ ] } `, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`, `{null:1}`, `{"a":1`, `{"a":`, `{"a"`, `{"`, `{`, `}`, `{"a":1]`, `{[]:1}`,
	`{"a":1,"a":2}`, `{"":""}`, `{"\u0061":1,"a":2}`, `{"a":{"b":{"c":[null,true,false,0,""]}}}`,
	// Something behind, comments, two values.
	"{}{}", "{} {}", "{},", "1,", "null null", "// c\n1", "/* c */1", "1//", "#1", "{}\n", "{}x", `"a""b"`,
}

// takenByCompact tells which texts Compact takes: those that encoding/json
// takes, but for the ones that are not UTF-8. There is no other difference.
func takenByCompact(text []byte) bool { return json.Valid(text) && utf8.Valid(text) }

// checkCompact compares Compact with encoding/json.
func checkCompact(t *testing.T, src []byte) {
	t.Helper()
	before := bytes.Clone(src)
	got, err := rawjson.Compact([]byte("before"), src)
	if !bytes.Equal(src, before) {
		t.Fatalf("Compact changed its input %q to %q", before, src)
	}
	if !takenByCompact(src) {
		checkRefused(t, src, err)
		return
	}
	if err != nil {
		t.Fatalf("Compact(%q): %v; encoding/json takes it", src, err)
	}
	var want bytes.Buffer
	want.WriteString("before")
	if err := json.Compact(&want, src); err != nil {
		t.Fatalf("json.Compact(%q): %v", src, err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("Compact(%q) = %q, want %q", src, got, want.Bytes())
	}
	got = got[len("before"):]
	again, err := rawjson.Compact(nil, got)
	if err != nil || !bytes.Equal(again, got) {
		t.Fatalf("Compact of its own result %q = %q, %v", got, again, err)
	}
	inPlace, err := rawjson.Compact(before[:0], before)
	if err != nil || !bytes.Equal(inPlace, got) {
		t.Fatalf("Compact(%q) into its own memory = %q, %v, want %q", src, inPlace, err, got)
	}
}

// checkRefused checks what Compact says of a broken text.
func checkRefused(t *testing.T, src []byte, err error) {
	t.Helper()
	syntax, ok := errors.AsType[*rawjson.SyntaxError](err)
	if !ok {
		t.Fatalf("Compact(%q): error %v, want a *SyntaxError", src, err)
	}
	if syntax.Offset < 0 || syntax.Offset > len(src) || syntax.Reason == "" {
		t.Errorf("Compact(%q): offset %d and reason %q of %d bytes", src, syntax.Offset, syntax.Reason, len(src))
	}
	if json.Valid(src) && !syntax.UTF8 {
		t.Errorf("Compact(%q): %v, want the blame on UTF-8", src, err)
	}
	if syntax.UTF8 {
		if r, n := utf8.DecodeRune(src[syntax.Offset:]); r != utf8.RuneError || n != 1 {
			t.Errorf("Compact(%q) blames the UTF-8 at byte %d, where %q is", src, syntax.Offset, r)
		}
	}
}

func TestCompact(t *testing.T) {
	for _, text := range texts {
		checkCompact(t, []byte(text))
		checkCompact(t, []byte("["+text+"]"))
		checkCompact(t, []byte(`{"a": `+text+` }`))
	}
}

// What Compact says where it refuses.
func TestCompactReasons(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "the text ends too early at byte 0"},
		{`{"a":1`, "the text ends too early at byte 6"},
		{`["\`, "the text ends too early at byte 3"},
		{`{"a":1} x`, "something follows the value at byte 8"},
		{`{a:1}`, "a member's name in quotes is missing at byte 1"},
		{`{"a" 1}`, "a colon is missing at byte 5"},
		{`{"a":1 "b":2}`, "a comma or } is missing at byte 7"},
		{`[1 2]`, "a comma or ] is missing at byte 3"},
		{`[1,]`, "this is not a JSON value at byte 3"},
		{`[-]`, "a digit is missing at byte 2"},
		{"\"a\n\"", "a string holds the control character 0x0a, which must be escaped at byte 2"},
		{`"\u12g4"`, `four hexadecimal digits must follow \u at byte 1`},
		{`"\x"`, "there is no such escape at byte 1"},
		{"\"\xff\"", "the text is not UTF-8 at byte 1"},
		{strings.Repeat("[", 10_001), "arrays and objects are nested deeper than 10000 at byte 10000"},
	} {
		_, err := rawjson.Compact(nil, []byte(test.text))
		if err == nil || err.Error() != test.want {
			t.Errorf("Compact(%.20q): %v, want %s", test.text, err, test.want)
		}
	}
}

func TestCompactDepth(t *testing.T) {
	for _, kind := range []struct{ open, core, end string }{
		{"[", "", "]"},
		{"[", "1", "]"},
		{`{"a":`, "{}", "}"},
		{`[ {"a":`, "[ ]", " } ]"},
	} {
		levels := strings.Count(kind.open, "[") + strings.Count(kind.open, "{")
		core := strings.Count(kind.core, "[") + strings.Count(kind.core, "{")
		for _, depth := range []int{9_000, 9_999, 10_000, 10_001, 10_002, 100_000} {
			n := (depth - core) / levels
			text := []byte(strings.Repeat(kind.open, n) + kind.core + strings.Repeat(kind.end, n))
			_, err := rawjson.Compact(nil, text)
			if got, want := err == nil, n*levels+core <= rawjson.MaxDepth; got != want {
				t.Errorf("%d levels of %s: taken %t, want %t (%v)", n*levels+core, kind.open, got, want, err)
			}
			checkCompact(t, text)
		}
	}
}

// A string that is long, or of escapes and quotes alone, costs no more than its
// length.
func TestCompactLongStrings(t *testing.T) {
	for _, unit := range []string{"x", `\\`, `\"`, `\u0000`, "é", "\U0001F600"} {
		text := `["` + strings.Repeat(unit, 256<<10/len(unit)) + `"]`
		checkCompact(t, []byte(text))
		n := 0
		for e := range rawjson.Elements([]byte(text)) {
			n++
			if len(e) != len(text)-2 {
				t.Errorf("a string of %q: the element has %d bytes, want %d", unit, len(e), len(text)-2)
			}
		}
		if n != 1 {
			t.Errorf("a string of %q: %d elements, want 1", unit, n)
		}
	}
}

// mutate changes a text in a few random places.
func mutate(r *rand.Rand, text []byte) []byte {
	const alphabet = "{}[]\",:\\ \t\n0123456789-+.eEtruefalsn/bu\x00\x1f\x7f\x80\xbf\xc0\xc3\xed\xa0\xf0\x9f\xff"
	out := bytes.Clone(text)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(out) + 1)
		b := alphabet[r.IntN(len(alphabet))]
		switch r.IntN(4) {
		case 0:
			out = append(out[:at], append([]byte{b}, out[at:]...)...)
		case 1:
			if at < len(out) {
				out = append(out[:at], out[at+1:]...)
			}
		case 2:
			if at < len(out) {
				out[at] = b
			}
		default:
			other := texts[r.IntN(len(texts))]
			out = append(out[:at], append([]byte(other), out[at:]...)...)
		}
	}
	return out
}

func TestCompactRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(20261123, 1))
	valid := 0
	for range 20_000 {
		text := mutate(r, []byte(texts[r.IntN(len(texts))]))
		if takenByCompact(text) {
			valid++
		}
		checkCompact(t, text)
	}
	if valid < 500 {
		t.Errorf("only %d random texts were valid: the test tests little", valid)
	}
}

func FuzzCompact(f *testing.F) {
	if len(texts) == 0 {
		f.Fatal("there are no seeds")
	}
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(checkCompact)
}
