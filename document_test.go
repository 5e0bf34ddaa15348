package cairn_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"cairn"
)

// checkCode fails the test unless err has the code, says something and has a
// hint.
func checkCode(t *testing.T, what string, err error, want cairn.Code) {
	t.Helper()
	if got := cairn.CodeOf(err); got != want {
		t.Errorf("%s: code %q, want %q (%v)", what, got, want, err)
		return
	}
	if e, ok := errors.AsType[*cairn.Error](err); ok && (e.Message == "" || e.Hint == "") {
		t.Errorf("%s: message %q and hint %q, want both", what, e.Message, e.Hint)
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name           string
		collection, id bool // whether it is one
	}{
		{"assets", true, true},
		{"a", true, true},
		{"anchor_points", true, true},
		{"a0_", true, true},
		{strings.Repeat("a", 64), true, true},
		{strings.Repeat("a", 65), false, true},
		{strings.Repeat("a", 128), false, true},
		{strings.Repeat("a", 129), false, false},
		{"", false, false},
		{"_a", false, true},
		{"0a", false, true},
		{"Assets", false, true},
		{"aSSETS", false, true},
		{"a-b", false, true},
		{"a.b", false, true},
		{".", false, false},
		{"..", false, false},
		{"...", false, true},
		{".a", false, true},
		{"-rf", false, true},
		{"0.1.0_20261123T072541.123456789Z", false, true},
		{"a1111111-1111-4111-8111-111111111111", false, true},
		{"a b", false, false},
		{" a", false, false},
		{"a\n", false, false},
		{"a\x00", false, false},
		{"a/b", false, false},
		{`a\b`, false, false},
		{"a:b", false, false},
		{"a%2e", false, false},
		{"a?b", false, false},
		{"a*", false, false},
		{"ä", false, false},
		{"a\xff", false, false},
		{"а", false, false}, // Cyrillic
	} {
		want := map[bool]cairn.Code{true: "", false: cairn.CodeInvalid}
		checkCode(t, "ValidateCollection of "+cairn.Quote(test.name), cairn.ValidateCollection(test.name), want[test.collection])
		checkCode(t, "ValidateID of "+cairn.Quote(test.name), cairn.ValidateID(test.name), want[test.id])
		checkCode(t, "Validate of collection "+cairn.Quote(test.name), cairn.Document{Collection: test.name, ID: "x"}.Validate(), want[test.collection])
		checkCode(t, "Validate of id "+cairn.Quote(test.name), cairn.Document{Collection: "x", ID: test.name}.Validate(), want[test.id])
	}
}

func TestDocumentSize(t *testing.T) {
	text := make([]byte, cairn.MaxDocumentBytes+1)
	doc := cairn.Document{Collection: "assets", ID: "a", JSON: text[:cairn.MaxDocumentBytes]}
	checkCode(t, "a document of 32 MiB", doc.Validate(), "")
	doc.JSON = text
	checkCode(t, "one of a byte more", doc.Validate(), cairn.CodeTooLarge)
}

func TestDeleted(t *testing.T) {
	if !(cairn.Document{}).Deleted() {
		t.Error("a document without JSON is not deleted")
	}
	if (cairn.Document{JSON: []byte{}}).Deleted() {
		t.Error("a document with JSON of no bytes is deleted")
	}
}

func TestQuote(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `""`},
		{"a\"\n\x00\xff", `"a\"\n\x00\xff"`},
		{strings.Repeat("x", 64), `"` + strings.Repeat("x", 64) + `"`},
		{strings.Repeat("x", 65), `"` + strings.Repeat("x", 64) + `..." (65 bytes)`},
		{strings.Repeat("ä", 40) + "x", `"` + strings.Repeat("ä", 32) + `..." (81 bytes)`},
		{"x" + strings.Repeat("ä", 40), `"x` + strings.Repeat("ä", 31) + `..." (81 bytes)`},
	} {
		if got := cairn.Quote(test.text); got != test.want {
			t.Errorf("Quote(%q) = %s, want %s", test.text, got, test.want)
		}
	}
	if got := cairn.Quote(strings.Repeat("\x00", 1<<20)); len(got) > 400 || !utf8.ValidString(got) {
		t.Errorf("Quote of a megabyte has %d bytes", len(got))
	}
}

func TestOutcomeNames(t *testing.T) {
	for outcome, want := range map[cairn.Outcome]string{
		cairn.Unchanged: "unchanged",
		cairn.Added:     "added",
		cairn.Changed:   "changed",
		cairn.Removed:   "removed",
		cairn.Missing:   "missing",
	} {
		if got := outcome.String(); got != want {
			t.Errorf("Outcome(%d).String() = %q, want %q", int(outcome), got, want)
		}
	}
}
