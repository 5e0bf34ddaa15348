package rawjson_test

import (
	"strings"
	"testing"

	"cairn/internal/rawjson"
)

func TestMerge(t *testing.T) {
	for _, test := range []struct{ name, base, patch, want string }{
		// Objects.
		{"a member changed", `{"b":1,"a":2,"c":3}`, `{"a":5}`, `{"b":1,"a":5,"c":3}`},
		{"a member added", `{"b":1}`, `{"c":3,"a":2}`, `{"b":1,"c":3,"a":2}`},
		{"the order of keys is kept", `{"z":1,"a":{"y":1,"b":2}}`, `{"a":{"b":3,"y":2},"z":4}`, `{"z":4,"a":{"y":2,"b":3}}`},
		{"unknown fields are kept", `{"x":{"unknown":[1.50,"\u00e9"],"name":"a"}}`, `{"x":{"name":"b"}}`, `{"x":{"unknown":[1.50,"\u00e9"],"name":"b"}}`},
		{"an empty patch", `{"a":1}`, `{}`, `{"a":1}`},
		{"an absent patch", `{"a":1}`, ``, `{"a":1}`},
		{"an absent base", ``, `{"a":1,"b":null}`, `{"a":1}`},
		{"a scalar by an object", `{"a":1}`, `{"a":{"b":2}}`, `{"a":{"b":2}}`},
		{"an object by a scalar", `{"a":{"b":2}}`, `{"a":1}`, `{"a":1}`},
		{"an object by a list", `{"a":{"b":2}}`, `{"a":[]}`, `{"a":[]}`},
		{"false and 0 and the empty text are values", `{"a":true,"b":1,"c":"x"}`, `{"a":false,"b":0,"c":""}`, `{"a":false,"b":0,"c":""}`},
		{"an empty object changes nothing", `{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":1}}`},
		// Nulls, as the Dart SDK sends them.
		{"a null leaves a member alone", `{"a":1,"b":{"c":2}}`, `{"a":null,"b":{"c":null}}`, `{"a":1,"b":{"c":2}}`},
		{"a null patch", `{"a":1}`, `null`, `{"a":1}`},
		{"a new null is none", `{"a":1}`, `{"b":null,"c":{"d":null},"e":[{"f":null}]}`, `{"a":1,"c":{},"e":[{}]}`},
		{"a null that is there stays", `{"a":null,"b":[{"c":null}]}`, `{"a":null,"b":[{"c":null}]}`, `{"a":null,"b":[{"c":null}]}`},
		{"a null is replaced", `{"a":null}`, `{"a":{"b":1,"c":null}}`, `{"a":{"b":1}}`},
		{"nulls in a list are elements", `{"a":[1]}`, `{"a":[null,1,{"b":null}]}`, `{"a":[null,1,{}]}`},
		{"the text null is none", `{"a":1}`, `{"b":{"c":"null","null":"x"}}`, `{"a":1,"b":{"c":"null","null":"x"}}`},
		// Names.
		{"the last of two in the patch counts", `{"a":1}`, `{"a":2,"a":3}`, `{"a":3}`},
		{"also when it is null", `{"a":1}`, `{"a":2,"a":null}`, `{"a":1}`},
		{"also of a new one", `{}`, `{"a":2,"b":{"x":1,"x":null},"a":3}`, `{"a":3,"b":{}}`},
		{"the last of two in the base counts", `{"a":{"x":1},"b":2,"a":{"y":1}}`, `{"a":{"y":2}}`, `{"a":{"x":1},"b":2,"a":{"y":2}}`},
		{"names are compared decoded", `{"\u0061":1}`, `{"a":2}`, `{"\u0061":2}`},
		{"surrogates in names differ", `{"\ud800":1}`, `{"\udc00":2}`, `{"\ud800":1,"\udc00":2}`},
		// Lists whose items have ids.
		{"items by id", `[{"id":"x","a":1,"u":0},{"id":"y","a":2}]`, `[{"id":"x","a":3},{"id":"y"}]`, `[{"id":"x","a":3,"u":0},{"id":"y","a":2}]`},
		{"items in another order", `[{"id":"x","u":0},{"id":"y","u":1}]`, `[{"id":"y"},{"id":"x"}]`, `[{"id":"y","u":1},{"id":"x","u":0}]`},
		{"an item removed", `[{"id":"x","u":0},{"id":"y","u":1}]`, `[{"id":"y"}]`, `[{"id":"y","u":1}]`},
		{"all removed", `[{"id":"x","u":0}]`, `[]`, `[]`},
		{"an item added", `[{"id":"x","u":0}]`, `[{"id":"new","b":null,"c":1},{"id":"x"}]`, `[{"id":"new","c":1},{"id":"x","u":0}]`},
		{"an item without an id added", `[{"id":"x","u":0}]`, `[{"id":"x"},{"a":1},5,null]`, `[{"id":"x","u":0},{"a":1},5,null]`},
		{"an item of a null id", `[{"id":"x","u":0}]`, `[{"id":null,"a":1}]`, `[{"a":1}]`},
		{"the items beside one without an id", `[{"id":"x","u":0},{"u":1.0},{"id":"y","u":2}]`, `[{"id":"y"},{"u":1},{"id":"x"}]`, `[{"id":"y","u":2},{"u":1.0},{"id":"x","u":0}]`},
		{"the items beside a changed one without an id", `[{"id":"x","u":0},{"a":1,"u":1}]`, `[{"id":"x"},{"a":2}]`, `[{"id":"x","u":0},{"a":2}]`},
		{"the one without an id removed", `[{"id":"x","u":0},{"a":1,"u":1}]`, `[{"id":"x"}]`, `[{"id":"x","u":0}]`},
		{"items added to none", `[]`, `[{"id":"x"}]`, `[{"id":"x"}]`},
		{"two items with one id", `[{"id":"x","u":0},{"id":"x","u":1}]`, `[{"id":"x"},{"id":"x","a":1}]`, `[{"id":"x","u":0},{"id":"x","u":1,"a":1}]`},
		{"two in the base, one in the patch", `[{"id":"x","u":0},{"id":"x","u":1}]`, `[{"id":"x"}]`, `[{"id":"x","u":0}]`},
		{"one in the base, two in the patch", `[{"id":"x","u":0}]`, `[{"id":"x"},{"id":"x","a":1}]`, `[{"id":"x","u":0},{"id":"x","a":1}]`},
		{"ids are compared decoded", `[{"id":"\u0078","u":0}]`, `[{"id":"x"}]`, `[{"id":"\u0078","u":0}]`},
		{"items in items", `[{"id":"x","in":{"iterable":[{"id":"y","u":1},{"id":"z"}]}}]`, `[{"id":"x","in":{"iterable":[{"id":"y","v":2}]}}]`, `[{"id":"x","in":{"iterable":[{"id":"y","u":1,"v":2}]}}]`},
		// Other lists.
		{"a list of scalars", `[1,2,3]`, `[3,1]`, `[3,1]`},
		{"the same list", `[1.0,"\u0061"]`, `[1,"a"]`, `[1.0,"\u0061"]`},
		{"a list whose items have no ids", `[{"a":1,"u":0}]`, `[{"a":1}]`, `[{"a":1}]`},
		{"a list whose ids are numbers", `[{"id":1,"u":0}]`, `[{"id":1}]`, `[{"id":1}]`},
		{"nulls in a list of objects", `[{"n":12345678901234567890,"a":null,"in":{}}]`, `[{"n":12345678901234567000,"b":null,"in":{"c":null}}]`, `[{"n":12345678901234567890,"a":null,"in":{}}]`},
		{"a list by an object", `[1]`, `{"a":null}`, `{}`},
		// Numbers.
		{"a rounded number", `12345678901234567890`, `12345678901234567000`, `12345678901234567890`},
		{"a rounded number in another form", `12345678901234567890`, `1.2345678901234567e+19`, `12345678901234567890`},
		{"a number changed by less than doubles tell apart", `12345678901234567890`, `12345678901234567891`, `12345678901234567891`},
		{"an integer beyond 2^53", `9007199254740993`, `9007199254740992`, `9007199254740993`},
		{"and another one", `9007199254740993`, `9007199254740994`, `9007199254740994`},
		{"a long fraction", `0.1000000000000000055511151231257827`, `0.1`, `0.1000000000000000055511151231257827`},
		{"the form of a number", `1.50`, `1.5`, `1.50`},
		{"the form of an exponent", `15E-1`, `1.5`, `15E-1`},
		{"a whole number as a double", `5`, `5.0`, `5`},
		{"-0", `-0`, `0`, `-0`},
		{"-0.0e5 and 0", `-0.0e5`, `0`, `-0.0e5`},
		{"too small for a double", `1e-400`, `0`, `1e-400`},
		{"too large for a double, changed", `1e400`, `2e400`, `2e400`},
		{"too large for a double, another form", `1e400`, `10.0e399`, `1e400`},
		{"too large for a double, as JavaScript sends it", `{"a":1e400}`, `{"a":null}`, `{"a":1e400}`},
		{"an exponent beyond all numbers", `1e9999999999999999999`, `2e9999999999999999999`, `2e9999999999999999999`},
		{"an exponent at the bound", `1e1000000000000000000`, `1e999999999999999999`, `1e999999999999999999`},
		{"another number", `1`, `1.0000000000000002`, `1.0000000000000002`},
		{"a number by its text", `1`, `"1"`, `"1"`},
		// Strings.
		{"the escapes of a string", `"\u0061\/"`, `"a/"`, `"\u0061\/"`},
		{"a lone surrogate", `"\ud800"`, `"\udbff"`, `"\udbff"`},
		{"a lone surrogate in another case", `"\uD800"`, `"\ud800"`, `"\uD800"`},
		{"a lone surrogate replaced", `"\ud800"`, `"\ufffd"`, `"\ufffd"`},
		// Times.
		{"a time cut to milliseconds", `{"value":"2026-01-02T03:04:05.678901Z"}`, `{"value":"2026-01-02T03:04:05.678Z"}`, `{"value":"2026-01-02T03:04:05.678901Z"}`},
		{"a time of nine digits", `{"value":"2026-01-02T03:04:05.123456789Z"}`, `{"value":"2026-01-02T03:04:05.123Z"}`, `{"value":"2026-01-02T03:04:05.123456789Z"}`},
		{"a time before 1970", `{"value":"1969-12-31T23:59:59.999999Z"}`, `{"value":"1969-12-31T23:59:59.999Z"}`, `{"value":"1969-12-31T23:59:59.999999Z"}`},
		{"a time in another zone", `{"value":"2026-01-02T03:04:05Z"}`, `{"value":"2026-01-02T05:04:05.000+02:00"}`, `{"value":"2026-01-02T03:04:05Z"}`},
		{"the next millisecond", `{"value":"2026-01-02T03:04:05.678901Z"}`, `{"value":"2026-01-02T03:04:05.679Z"}`, `{"value":"2026-01-02T03:04:05.679Z"}`},
		{"a time under another name", `{"raw":"2026-01-02T03:04:05.678901Z"}`, `{"raw":"2026-01-02T03:04:05.678Z"}`, `{"raw":"2026-01-02T03:04:05.678Z"}`},
		{"a value that is no time", `{"value":"a.678901Z"}`, `{"value":"a.678Z"}`, `{"value":"a.678Z"}`},
		{"a name with escapes", `{"v\u0061lue":"2026-01-02T03:04:05.678901Z"}`, `{"value":"2026-01-02T03:04:05.678Z"}`, `{"v\u0061lue":"2026-01-02T03:04:05.678901Z"}`},
		{"a time in a list that is the same", `[{"value":"2026-01-02T03:04:05.678901Z"}]`, `[{"value":"2026-01-02T03:04:05.678Z"}]`, `[{"value":"2026-01-02T03:04:05.678901Z"}]`},
	} {
		base, patch := []byte(test.base), []byte(test.patch)
		got := rawjson.Merge(base, patch)
		if string(got) != test.want {
			t.Errorf("%s: Merge(%s, %s) = %s, want %s", test.name, test.base, test.patch, got, test.want)
		}
		if string(base) != test.base || string(patch) != test.patch {
			t.Errorf("%s: Merge changed its arguments to %s and %s", test.name, base, patch)
		}
		if again := rawjson.Merge(got, patch); string(again) != test.want {
			t.Errorf("%s: merged once more it is %s, want %s", test.name, again, test.want)
		}
	}
	if got := rawjson.Merge(nil, nil); got != nil {
		t.Errorf("Merge(nil, nil) = %q, want nil", got)
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		a, b        string
		same, equal bool
	}{
		{``, ``, true, true},
		{``, `null`, false, false},
		{`null`, `null`, true, true},
		{`null`, `0`, false, false},
		{`{}`, `[]`, false, false},
		{`true`, `false`, false, false},
		{`{"a":1,"b":2}`, `{"b":2.0,"a":1}`, true, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false, false},
		{`{"a":1,"b":2}`, `{"a":1,"c":2}`, false, false},
		{`{"a":1,"a":2}`, `{"a":2}`, true, true},
		{`{"a":1,"a":2}`, `{"a":1}`, false, false},
		{`{"a":null}`, `{}`, false, false},
		{`[1,2]`, `[2,1]`, false, false},
		{`[1,2]`, `[1,2,3]`, false, false},
		{`[1,2,3]`, `[1,2]`, false, false},
		{`[[1],{}]`, `[[1.0],{}]`, true, true},
		{`"a"`, `"\u0061"`, true, true},
		{`"\ud83d\ude00"`, `"😀"`, true, true},
		{`"\ud800"`, `"\udc00"`, false, false},
		{`1`, `"1"`, false, false},
		{`-0`, `0`, true, true},
		{`100`, `1e2`, true, true},
		{`0.00100`, `1E-3`, true, true},
		{`0e5`, `0`, true, true},
		{`9007199254740993`, `9007199254740992`, true, false},
		{`9007199254740993`, `9007199254740991`, false, false},
		{`1e400`, `1e401`, false, false},
		{`1e400`, `-1e400`, false, false},
		{`1e-400`, `0`, true, false},
		{`1e-400`, `2e-400`, false, false},
		{`-1e-400`, `0`, true, false},
		{`{"value":"2026-01-02T03:04:05.678901Z"}`, `{"value":"2026-01-02T03:04:05.678Z"}`, true, false},
		{`{"other":"2026-01-02T03:04:05.678901Z"}`, `{"other":"2026-01-02T03:04:05.678Z"}`, false, false},
		{`{"value":"2026-01-02T03:04:05.678Z"}`, `{"value":"2026-01-02T03:04:05.679Z"}`, false, false},
	} {
		for _, pair := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
			a, b := []byte(pair[0]), []byte(pair[1])
			if got := rawjson.Same(a, b); got != test.same {
				t.Errorf("Same(%s, %s) = %t, want %t", a, b, got, test.same)
			}
			if got := rawjson.Equal(a, b); got != test.equal {
				t.Errorf("Equal(%s, %s) = %t, want %t", a, b, got, test.equal)
			}
		}
	}
}

// deep nests core into so many levels.
func deep(levels int, open, core, end string) []byte {
	return []byte(strings.Repeat(open, levels) + core + strings.Repeat(end, levels))
}

// What is nested deep is merged as what is not, down to the last level.
func TestMergeDeep(t *testing.T) {
	for _, levels := range []int{1, 99, 100, 101, 1000} {
		for _, kind := range []struct{ open, end string }{
			{`{"u":0,"a":`, `}`},
			{`[{"id":"x","u":0,"a":`, `}]`},
			{`{"a":[{"id":"x","u":0,"a":`, `}]}`},
		} {
			base := deep(levels, kind.open, `{"old":12345678901234567890,"u":1}`, kind.end)
			sent := strings.ReplaceAll(kind.open, `"u":0,`, `"dart":null,`)
			patch := deep(levels, sent, `{"old":12345678901234567000,"new":1,"none":null}`, kind.end)
			want := deep(levels, kind.open, `{"old":12345678901234567890,"u":1,"new":1}`, kind.end)
			if got := rawjson.Merge(base, patch); string(got) != string(want) {
				t.Errorf("%d levels of %s: merged to %.80s..., want %.80s...", levels, kind.open, got, want)
			}
			if !rawjson.Same(base, base[:len(base):len(base)]) || rawjson.Same(base, want) {
				t.Errorf("%d levels of %s: Same is wrong", levels, kind.open)
			}
		}
	}
}
