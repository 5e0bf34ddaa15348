package main

import (
	"fmt"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
)

// TestVerifications prints what daemons say they have found.
func TestVerifications(t *testing.T) {
	ids := []string{"b7", "b6", "b5", "b4", "b3", "b2", "b1"}
	finding := func(code cairn.Code, backups ...string) api.Finding {
		return api.Finding{Object: "parts/x", Cause: api.Cause{Code: code, Detail: "The object parts/x is odd.", Hint: "Mend it."}, Backups: backups}
	}
	affected := []api.AffectedBackup{{ID: "b7", Created: "odd", DeviceName: "a\x1bb", Objects: 2}, {ID: "b6", Created: "odd", Objects: 1}}
	const step = `{"percentage":5,"done_bytes":1,"total_bytes":20}` + "\n"
	for name, test := range map[string]struct {
		found  api.Verification
		code   int
		stdout string
		stderr string
	}{
		"well": {api.Verification{Backups: 2, Objects: 3, Bytes: 1234}, exitOK, "checked 2 backups: 3 objects of 1.2 kB are there; --read-data-subset 5% reads a part of them as well\n", ""},
		"damaged": {
			api.Verification{Backups: 7, Objects: 1, Bytes: 1, Damaged: []api.Finding{finding(cairn.CodeDamaged, ids...), finding(cairn.CodeDamaged)}, MoreDamaged: 3, Affected: affected},
			exitData,
			`checked 7 backups: 1 object of 1 B
damaged      the object parts/x is odd
             needed by b7, b6, b5, b4, b3 and 2 more
damaged      the object parts/x is odd
damaged      3 objects more
affected     b7  odd  2 objects  a` + "\uFFFD" + `b
affected     b6  odd  1 object
`, "cairn: damaged: 5 objects, needed by 2 backups\nhint: mend it\n",
		},
		"unchecked": {
			api.Verification{Unchecked: []api.Finding{finding(cairn.CodeDenied, "b7")}}, exitCloud,
			"checked 0 backups: 0 objects of 0 B\nunchecked    the object parts/x is odd\n             needed by b7\n",
			"cairn: not known: what 1 object is like, which could not be looked at\nhint: mend it\n",
		},
		"both": {
			api.Verification{Damaged: []api.Finding{finding(cairn.CodeDamaged)}, Unchecked: []api.Finding{finding(cairn.CodeFormatTooNew)}, Unreferenced: 1, UnreferencedBytes: 5, Foreign: 2}, exitData,
			`checked 0 backups: 0 objects of 0 B
damaged      the object parts/x is odd
unchecked    the object parts/x is odd
unreferenced 1 object of 5 B that no backup needs; cairn cloud prune removes them in time
foreign      2 objects that cairn has not written
`, "cairn: damaged: 1 object, needed by 0 backups\nhint: mend it\n",
		},
	} {
		var last strings.Builder
		if err := printJSON(&last, api.Step[api.Verification]{Percentage: 100, Result: &test.found}); err != nil {
			t.Fatal(err)
		}
		answers(t, map[string]string{"POST /v1/cloud/check": step + last.String()})
		if code, stdout, stderr := verb(t, "", "cloud", "check"); code != test.code || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%s: cloud check ends with %d:\n%s%s\nwant %d:\n%s%s", name, code, stdout, stderr, test.code, test.stdout, test.stderr)
		}
		if code, stdout, stderr := verb(t, "", "cloud", "check", "--json"); code != test.code || stdout != step+last.String() || stderr != test.stderr {
			t.Errorf("%s: cloud check --json ends with %d: %s%s", name, code, stdout, stderr)
		}
	}
	for text, want := range map[string]int{
		step: exitUnreachable, "problem check_running": exitFailed, "problem cloud_unreachable": exitCloud,
		step + `{"problem":{"code":"cloud_unreachable","detail":"It is away.","hint":"Wait."}}`: exitCloud,
	} {
		answers(t, map[string]string{"POST /v1/backups/ours/verify": text})
		for _, more := range []string{"--json", "--read-data"} {
			if code, _, stderr := verb(t, "", "backup", "verify", "ours", more); code != want || !strings.Contains(stderr, "\nhint: ") {
				t.Errorf("%q: backup verify %s ends with %d: %s", text, more, code, stderr)
			}
		}
	}
	if got := fmt.Sprint(counted(0, "part"), counted(1, "part"), counted(2, "part")); got != "0 parts1 part2 parts" {
		t.Error(got)
	}
}
