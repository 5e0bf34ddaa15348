package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"cairn"
)

// TestRun runs the daemon and verbs that speak to it in this process, where the
// race detector sees them. What they print is the matter of the scripts in
// test/testdata.
func TestRun(t *testing.T) {
	t.Setenv("CAIRN_DATA", filepath.Join(t.TempDir(), "data"))
	t.Setenv("CAIRN_URL", "")
	t.Setenv("CAIRN_LISTEN", "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, out := io.Pipe()
	ended := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		code := run(ctx, []string{"serve"}, nil, out, &log)
		out.CloseWithError(errors.New("the daemon has ended"))
		ended <- code
	}()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "listening on http://127.0.0.1:") {
		t.Fatalf("the daemon says %q, %v", line, err)
	}
	if code, _, stderr := verb(t, "", "serve"); code != exitData {
		t.Errorf("a second daemon ends with %d: %s", code, stderr)
	}
	var verbs sync.WaitGroup
	for i := range 8 {
		verbs.Go(func() {
			text := fmt.Sprintf("print(%d)\n", i)
			code, id, stderr := verb(t, text, "assets", "add", "--name", "a.py")
			if code != exitOK {
				t.Errorf("assets add ends with %d: %s", code, stderr)
				return
			}
			id = strings.TrimSpace(id)
			if code, got, _ := verb(t, "", "assets", "get", id); code != exitOK || got != text {
				t.Errorf("assets get: %d, %q", code, got)
			}
			if code, _, _ := verb(t, "", "assets", "list", "--json"); code != exitOK {
				t.Errorf("assets list ends with %d", code)
			}
			if code, _, _ := verb(t, "", "assets", "delete", id); code != exitOK {
				t.Errorf("assets delete ends with %d", code)
			}
			if code, _, _ := verb(t, "", "assets", "get", id); code != exitGone {
				t.Errorf("assets get of a deleted one ends with %d", code)
			}
		})
	}
	for range 2 {
		verbs.Go(func() {
			code, line, stderr := verb(t, "", "backup", "create")
			id, _, ok := strings.Cut(strings.TrimPrefix(line, "created "), ":")
			if code != exitOK || !ok || !strings.Contains(stderr, "on this computer only") {
				t.Errorf("backup create ends with %d: %q, %s", code, line, stderr)
				return
			}
			if code, list, _ := verb(t, "", "backup", "list"); code != exitOK || !strings.Contains(list, id) {
				t.Errorf("backup list ends with %d:\n%s", code, list)
			}
			if code, shown, _ := verb(t, "", "backup", "show", id); code != exitOK || !strings.Contains(shown, id) {
				t.Errorf("backup show ends with %d:\n%s", code, shown)
			}
			if code, st, _ := verb(t, "", "backup", "status", id); code != exitOK || !strings.Contains(st, "COMPLETED  100 %") {
				t.Errorf("backup status ends with %d:\n%s", code, st)
			}
		})
	}
	verbs.Wait()
	_, list, _ := verb(t, "", "backup", "list")
	id, _, _ := strings.Cut(list, " ")
	for _, args := range [][]string{{"backup", "restore", id}, {"backup", "undo"}, {"backup", "delete", id}, {"status"}, {"cloud", "key"}} {
		if code, _, stderr := verb(t, "", args...); code != exitOK {
			t.Errorf("%q ends with %d: %s", args, code, stderr)
		}
	}
	if code, _, _ := verb(t, "", "backup", "restore", id); code != exitGone {
		t.Errorf("backup restore of a deleted one ends with %d", code)
	}
	if code, _, stderr := verb(t, "", "backup", "cancel", id); code != exitGone {
		t.Errorf("backup cancel of what is not in progress ends with %d: %s", code, stderr)
	}
	url := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	if resp, err := http.Post(url+"/os/sign_out", "", nil); err != nil || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	if code, text, _ := verb(t, "", "status"); code != exitOK || !strings.Contains(text, ", signed out: no backups until") {
		t.Errorf("status of who is signed out ends with %d: %s", code, text)
	}
	if code, _, stderr := verb(t, "", "backup", "create"); code != exitCloud {
		t.Errorf("backup create of who is signed out ends with %d: %s", code, stderr)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("the daemon ends with %d\n%s", code, log.String())
	}
	if code, _, _ := verb(t, "", "status"); code != exitUnreachable {
		t.Errorf("status without a daemon ends with %d", code)
	}
}

// TestSilentAddress has something listen at the address of a daemon that is gone,
// and never answer: commands do not wait for it, and a key that is named is
// printed without it.
func TestSilentAddress(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dir := t.TempDir()
	const cloud = "00000000-0000-4000-8000-000000000000"
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		urlFile:                          "http://" + silent.Addr().String() + "\n",
		filepath.Join(keysFolder, cloud): identity.String() + "\n",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, stderr := verb(t, "", "cloud", "key", cloud, "--data", dir); code != exitOK || out != identity.String()+"\n" {
		t.Errorf("cloud key of a cloud that is named: %d, %q, %s", code, out, stderr)
	}
	begin := time.Now()
	code, _, stderr := verb(t, "", "status", "--data", dir)
	if code != exitUnreachable || !strings.Contains(stderr, "nothing answers at ") || time.Since(begin) > time.Minute {
		t.Errorf("status ends with %d after %v: %s", code, time.Since(begin), stderr)
	}
}

func TestShellQuote(t *testing.T) {
	for word, want := range map[string]string{
		"/home/a/.local": "/home/a/.local",
		"/home/a b":      "'/home/a b'",
		"":               "",
		"/it's":          map[bool]string{false: `'/it'\''s'`, true: "'/it''s'"}[runtime.GOOS == "windows"],
		`C:\x`:           map[bool]string{false: `'C:\x'`, true: `C:\x`}[runtime.GOOS == "windows"],
	} {
		if got := shellQuote(word); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", word, got, want)
		}
	}
}

// verb runs one command line.
func verb(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// TestReport holds the exit codes and messages that README documents.
func TestReport(t *testing.T) {
	failure := func(code cairn.Code) error {
		return fmt.Errorf("doing it: %w", &cairn.Error{Code: code, Message: "It failed.", Hint: "Try again."})
	}
	for _, test := range []struct {
		err  error
		code int
		text string
	}{
		{context.Canceled, exitInterrupted, "cairn: interrupted\n"},
		{interruptedError{"cancelled; it is as it was"}, exitInterrupted, "cairn: cancelled; it is as it was\n"},
		{fmt.Errorf("writing: %w", syscall.EPIPE), exitFailed, ""},
		{usageError{errors.New("no such flag")}, exitUsage, "cairn: no such flag\nhint: cairn --help lists the commands, cairn COMMAND --help their flags\n"},
		{errors.New("Something"), exitFailed, "cairn: something\n"},
		{failure(cairn.CodeInvalid), exitFailed, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeGone), exitGone, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeUnreachable), exitUnreachable, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeInUse), exitData, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeDiskFull), exitData, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeReadOnly), exitData, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeNoPermission), exitData, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeDamaged), exitData, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeSchemaTooNew), exitData, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeBackupNotFound), exitGone, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeNotInProgress), exitGone, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeJobNotFound), exitGone, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeSignedOut), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeCloudLocked), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeKeyWrong), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodePassphraseWrong), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeCloudNotFound), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeNotCloud), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeBucketMissing), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeNoCredentials), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeKeyUnknown), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeRefused), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeExpired), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeDenied), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeClock), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeRegion), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeHostUnknown), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeTLS), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeNotStore), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeRejected), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeCloudBusy), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeCloudLost), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeFormatTooNew), exitCloud, "cairn: it failed\nhint: try again\n"},
		{failure(cairn.CodeBackupIsPartial), exitFailed, "cairn: it failed\nhint: try again\n"},
	} {
		var text bytes.Buffer
		if code := report(&text, test.err); code != test.code || text.String() != test.text {
			t.Errorf("%v: %d and %q, want %d and %q", test.err, code, text.String(), test.code, test.text)
		}
	}
}

// TestPhrase makes phrases of sentences, but not of names.
func TestPhrase(t *testing.T) {
	for sentence, want := range map[string]string{
		"There is no asset.":  "there is no asset",
		"A page may not.":     "a page may not",
		"CURRENT is torn.":    "CURRENT is torn",
		"/data is full.":      "/data is full",
		"":                    "",
		"Ärger mit \x1b[2J.":  "ärger mit \ufffd[2J",
		"Name \u202ebackward": "name \ufffdbackward",
	} {
		if got := phrase(sentence); got != want {
			t.Errorf("phrase(%q) = %q, want %q", sentence, got, want)
		}
	}
}

// TestBytesText counts in decimal units.
func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234: "1.2 kB", 999_949: "999.9 kB",
		5_000_000: "5.0 MB", 7_500_000_000: "7.5 GB", 2e12: "2.0 TB", 5e15: "5000.0 TB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}
