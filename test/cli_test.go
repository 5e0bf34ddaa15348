package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"

	"cairn/test/harness"
)

// TestScript runs the scripts in testdata/script: the command line as people
// use it. Besides the commands of package testscript they have:
//
//	ask STATUS URL [HEADER]...
//	                        ask it with GET, and check the status; a header is NAME:VALUE
//	await FILE              wait until the file is there
//	bytes FILE TEXT         write a file of any bytes, escaped as in Go
//	certificate CERT KEY    make a certificate for localhost and 127.0.0.1, and trust it
//	code N cairn ...        run a command that must end with this exit code
//	damage FOLDER           flip a bit in each file below it
//	events FILE BACKUP      check that it is the events of a job that is complete, and write its backup to a file
//	get PATH FILE           write the answer of the daemon in $CAIRN_DATA to a file
//	json FILE               check that it is one line of compact JSON
//	keep NAME FILE REGEXP   set a variable to the first group found in a file
//	mode MODE FILE          check its mode, an octal number
//	plain FILE              check that it is safe to show on a terminal
//	post FILE [PATH]        store the lines of a file in the daemon in $CAIRN_DATA, or send JSON to a path that answers 204
//	signal NAME             send it to the commands in the background
//
// CLOUD is an empty place for --cloud, and CLOUD_DIR the folder in which each of its
// objects lies as a file. The condition [ipv6] tells whether ::1 can be bound, and
// [s3] that the place is in a bucket.
func TestScript(t *testing.T) {
	runScripts(t, false)
}

// TestScriptS3 runs those about backups with a cloud on S3.
func TestScriptS3(t *testing.T) {
	runScripts(t, true, "backup", "backup_devices", "backup_lost", "backup_pick", "clouds", "prune")
}

// runScripts runs scripts by their names, or all.
func runScripts(t *testing.T, onS3 bool, names ...string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "cairn")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	text, err := os.ReadFile(harness.Binary(t))
	if err == nil {
		err = os.WriteFile(bin, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("testdata", "script")
	var files []string
	for _, name := range names {
		files = append(files, filepath.Join(dir, name+".txtar"))
	}
	if len(files) > 0 {
		dir = "" // only these
	}
	testscript.Run(t, testscript.Params{
		Dir:   dir,
		Files: files,
		Setup: func(env *testscript.Env) error {
			cloud := place{url: "cloud", dir: "cloud"}
			if onS3 {
				cloud = s3Cloud(env.T().(testing.TB))
			}
			env.Setenv("CLOUD", cloud.url)
			env.Setenv("CLOUD_DIR", cloud.dir)
			env.Vars = append(env.Vars, cloud.env...)
			env.Setenv("PATH", filepath.Dir(bin)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("CAIRN_DATA", filepath.Join(env.WorkDir, "data"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ask":         askStatus,
			"await":       await,
			"bytes":       writeBytes,
			"certificate": certificate,
			"code":        exitCode,
			"damage":      damageFiles,
			"events":      isEvents,
			"get":         get,
			"json":        isJSON,
			"keep":        keep,
			"mode":        hasMode,
			"plain":       isPlain,
			"post":        post,
			"signal":      signalBackground,
		},
		Condition: func(name string) (bool, error) {
			if name == "s3" {
				return onS3, nil
			}
			if name != "ipv6" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			l, err := net.Listen("tcp6", "[::1]:0")
			if err != nil {
				return false, nil
			}
			return true, l.Close()
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// arguments stops the script unless there are n arguments at least.
func arguments(ts *testscript.TestScript, neg bool, args []string, n int, form string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", form)
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "await FILE")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-giveUp:
			ts.Fatalf("%s does not appear", args[0])
		}
	}
}

func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "code N cairn ...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("the exit code is %d, want %d", got, want)
	}
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "get PATH FILE")
	url := strings.TrimSpace(ts.ReadFile(filepath.Join(ts.Getenv("CAIRN_DATA"), "url")))
	resp, err := http.Get(url + args[0])
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("GET %s: %s\n%s", args[0], resp.Status, text)
	}
	text = append(bytes.TrimSuffix(text, []byte("\n")), '\n') // as the command line ends it
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "post FILE [PATH]")
	url := strings.TrimSpace(ts.ReadFile(filepath.Join(ts.Getenv("CAIRN_DATA"), "url")))
	if len(args) > 1 { // JSON to an operation that answers nothing
		resp, err := http.Post(url+args[1], "application/json", strings.NewReader(ts.ReadFile(args[0])))
		ts.Check(err)
		ts.Check(resp.Body.Close())
		if resp.StatusCode != http.StatusNoContent {
			ts.Fatalf("POST %s: %s", args[1], resp.Status)
		}
		return
	}
	resp, err := http.Post(url+"/v1/documents", "application/x-ndjson", strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !bytes.Contains(text, []byte(`"refused_count":0,`)) {
		ts.Fatalf("POST /v1/documents: %s\n%s", resp.Status, text)
	}
}

func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "json FILE")
	text := ts.ReadFile(args[0])
	line, ok := strings.CutSuffix(text, "\n")
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(line)); err != nil || !ok || strings.Contains(line, "\n") || compact.String() != line {
		ts.Fatalf("this is not one line of compact JSON (%v):\n%s", err, text)
	}
}

func isEvents(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "events FILE BACKUP")
	text := ts.ReadFile(args[0])
	var last struct {
		Status string
		Backup json.RawMessage
	}
	for line := range strings.Lines(text) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(line)); err != nil || compact.String()+"\n" != line || last.Status == "COMPLETED" {
			ts.Fatalf("these are not lines of compact JSON up to the end of a job (%v):\n%s", err, text)
		}
		ts.Check(json.Unmarshal([]byte(line), &last))
	}
	if last.Status != "COMPLETED" || strings.Count(text, "\n") < 2 {
		ts.Fatalf("these are not all events of a job that is complete:\n%s", text)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(last.Backup, '\n'), 0o600))
}

func keep(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "keep NAME FILE REGEXP")
	text := ts.ReadFile(args[1])
	found := regexp.MustCompile(args[2]).FindStringSubmatch(text)
	if len(found) < 2 {
		ts.Fatalf("%s is not found in:\n%s", args[2], text)
	}
	ts.Setenv(args[0], found[1])
}

func isPlain(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "plain FILE")
	for _, r := range ts.ReadFile(args[0]) {
		if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			ts.Fatalf("%s holds the character %U:\n%q", args[0], r, ts.ReadFile(args[0]))
		}
	}
}

func writeBytes(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "bytes FILE TEXT")
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	name, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
}

func signalBackground(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "signal TERM|INT|KILL")
	signal, ok := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "KILL": os.Kill}[args[0]]
	if !ok || len(ts.BackgroundCmds()) == 0 {
		ts.Fatalf("there is no signal %s, or nobody to get it", args[0])
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(signal))
	}
}
