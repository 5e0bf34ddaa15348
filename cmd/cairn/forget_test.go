package main

import (
	"testing"
	"time"
)

// TestForgetFailed prints what was decided and done before the store failed, and ends
// as the failure says.
func TestForgetFailed(t *testing.T) {
	const decision = `"created":"2026-11-23T07:25:41.123Z","modified":"2026-11-23T08:00:00.000Z","installation":"i"`
	answers(t, map[string]string{"POST /v1/backups/forget": `{"policy":{"keep_daily":1},"dry_run":false,"removed":1,"left":1,"decisions":[` +
		`{"id":"three","device_name":"dev box","keep":true,"reasons":["daily 1 of 1","newest of its line"],` + decision + `},` +
		`{"id":"two","device_name":"dev\u001b[2J","keep":false,"reasons":[],"removed":true,` + decision + `},` +
		`{"id":"one","device_name":"dev box","keep":false,"reasons":[],` + decision + `}],` +
		`"problem":{"code":"access_denied","detail":"The store says no.","hint":"Ask its owner."}}`})
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Local().Format("2006-01-02 15:04:05")
	wantOut := "three  " + at + "  dev box  keep         daily 1 of 1, newest of its line\n" +
		"two    " + at + "  dev\ufffd[2J  deleted\n" +
		"one    " + at + "  dev box  not deleted\n" +
		"kept 1 backup, deleted 1\n"
	wantErr := "cairn: 1 backup is not deleted yet: The store says no\nhint: ask its owner. Then run the same command again to go on\n"
	code, stdout, stderr := verb(t, "", "backup", "forget", "--keep-daily", "1")
	if code != exitCloud || stdout != wantOut || stderr != wantErr {
		t.Errorf("it ends with %d, want %d:\n%s%s\nwant\n%s%s", code, exitCloud, stdout, stderr, wantOut, wantErr)
	}
}
