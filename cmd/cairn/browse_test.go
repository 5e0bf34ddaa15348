package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
)

// TestCounter counts documents for a person: a line a second, and none for what is
// done sooner.
func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := counter{out: &out, total: 9, last: time.Now()}
		for range 8 {
			s.count()
			time.Sleep(400 * time.Millisecond)
		}
		s.end()
		if want := "restoring: 4 of 9 documents\nrestoring: 7 of 9 documents\n"; out.String() != want {
			t.Errorf("it shows %q, want %q", out.String(), want)
		}
	})
}

// TestPickVerb has restorations of documents end as they can.
func TestPickVerb(t *testing.T) {
	const (
		path    = "POST /v1/backups/ours/documents/restore"
		details = "GET /v1/backups/ours"
		one     = `{"collection":"tags","id":"t","outcome":"added","revision":1}` + "\n"
		end     = `{"restored":{"added":1,"changed":0,"unchanged":0,"revision":1}}` + "\n"
		broken  = `{"restored":{"added":1,"changed":0,"unchanged":0,"revision":1,"problem":{"code":"damaged","detail":"It is broken.","hint":"Mend it."}}}` + "\n"
	)
	for _, test := range []struct {
		text   string
		code   int
		stdout string // without --json, and with names
		stderr string
	}{
		{one + end, exitOK, "added      tags/t\nrestored 1 document: 1 added, 0 changed, 0 unchanged\n", ""},
		{one + broken, exitData, "added      tags/t\n", "cairn: it is broken\nhint: mend it\n"},
		{one, exitUnreachable, "added      tags/t\n", "cairn: the answer of the daemon at "},
		{"problem not_in_backup", exitGone, "", "cairn: it is not_in_backup\nhint: try another\n"},
		{"problem cloud_unreachable", exitCloud, "", "cairn: it is cloud_unreachable\nhint: try another\n"},
	} {
		answers(t, map[string]string{path: test.text, details: `{"documents":1}`})
		code, stdout, stderr := verb(t, "", "backup", "pick", "ours", "tags/t")
		if code != test.code || stdout != test.stdout || !strings.HasPrefix(stderr, test.stderr) {
			t.Errorf("backup pick of %q ends with %d: %q, %q, want %+v", test.text, code, stdout, stderr, test)
		}
		code, stdout, stderr = verb(t, "", "backup", "pick", "ours", "--all")
		if _, last, _ := strings.Cut(test.stdout, "\n"); code != test.code || stdout != last || !strings.HasPrefix(stderr, test.stderr) {
			t.Errorf("backup pick --all of %q ends with %d: %q, %q, want %+v", test.text, code, stdout, stderr, test)
		}
		code, stdout, _ = verb(t, "", "backup", "pick", "ours", "--all", "--json")
		if want := strings.TrimSuffix(test.text, broken); code != test.code || !strings.HasPrefix(want, "problem") && stdout != want {
			t.Errorf("backup pick --json of %q ends with %d: %q", test.text, code, stdout)
		}
	}
}

// TestDocumentNamed reads arguments that name documents.
func TestDocumentNamed(t *testing.T) {
	for arg, want := range map[string]cairn.DocumentName{
		"assets/a": {Collection: "assets", ID: "a"}, "a": {Collection: "assets", ID: "a"}, "a.b-c": {Collection: "assets", ID: "a.b-c"}, "tags/T_1": {Collection: "tags", ID: "T_1"},
	} {
		if got, err := documentNamed(arg); err != nil || got != want {
			t.Errorf("%q names %v, %v, want %v", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", "/", "a/", "/a", "A/a", "a/b/c", "..", "tags/..", "a b", "tags/\x1b"} {
		if got, err := documentNamed(arg); err == nil {
			t.Errorf("%q names %v", arg, got)
		}
	}
}
