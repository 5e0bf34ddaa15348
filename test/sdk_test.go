package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cairn/test/harness"
)

// TestSDK runs each file of tests that are written against the SDK, on a
// fresh daemon, with every answer held to the OpenAPI document on its way.
func TestSDK(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	eachFile(t, sdk, func(t *testing.T, file string) {
		d := harness.Start(t, harness.Options{})
		v := harness.NewValidator(t, d.URL)
		if err := nodeTest(t, file, v.URL); err != nil {
			t.Error(err)
		}
	})
}

// TestSDKFails checks that tests which fail, are skipped, or are not there
// make TestSDK fail.
func TestSDKFails(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	const head = "import { test } from 'node:test';\nimport { wellKnown } from '" // the client file follows
	for _, tt := range []struct{ name, text string }{
		{"failing", "test('x', async () => { await wellKnown.getWellKnownStreamHealth(); });"},
		{"skipped", "test('x', () => {}); test.skip('y', () => {});"},
		{"empty", ""},
		{"broken", "test('x', () => {}); nonsense(;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := harness.Start(t, harness.Options{})
			file := filepath.Join(t.TempDir(), "x.test.mjs")
			text := head + filepath.ToSlash(filepath.Join(sdk, "client.mjs")) + "';\n" + tt.text + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := nodeTest(t, file, d.URL); err == nil {
				t.Error("node's verdict is not taken for a failure")
			}
		})
	}
}

// TestStreams runs the tests of our package for the SDK that need no daemon.
func TestStreams(t *testing.T) {
	t.Parallel()
	installSDK(t)
	eachFile(t, filepath.Join(harness.Root(t), "sdk", "typescript", "test"), func(t *testing.T, file string) {
		if err := nodeTest(t, file, ""); err != nil {
			t.Error(err)
		}
	})
}

// eachFile runs test for each file of tests in a folder, all at the same time.
func eachFile(t *testing.T, folder string, test func(t *testing.T, file string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.test.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("there are no tests in %s", folder)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			test(t, file)
		})
	}
}

// installSDK returns the folder of the tests against the SDK, with the SDK and our
// package for it in place. Without node or npm it skips the test, but not where all
// must run.
func installSDK(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("the tests against the SDK need %s: %v", program, err)
			}
			t.Skipf("the tests against the SDK need %s (scripts/deps.sh names what else is missing)", program)
		}
	}
	root := harness.Root(t)
	sdk := filepath.Join(root, "test", "sdk")
	installed.once.Do(func() {
		installed.err = errors.Join(install(sdk), install(filepath.Join(root, "sdk", "typescript")))
		if installed.err == nil {
			installed.err = npm(filepath.Join(root, "sdk", "typescript"), "run", "--silent", "build")
		}
	})
	if installed.err != nil {
		t.Fatal(installed.err)
	}
	return sdk
}

// installed is what became of installing, once for all tests.
var installed struct {
	once sync.Once
	err  error
}

// install installs what the lock file of a folder says, if that is not there yet.
func install(folder string) error {
	// As in scripts/deps.sh: npm writes the first of the two last.
	there, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if err == nil {
		lock, err := os.Stat(filepath.Join(folder, "package-lock.json"))
		if err != nil || there.ModTime().After(lock.ModTime()) {
			return err
		}
	}
	return npm(folder, "ci", "--no-audit", "--no-fund")
}

func npm(folder string, args ...string) error {
	cmd := exec.Command("npm", args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm %s in %s: %w\n%s", strings.Join(args, " "), folder, err, out)
	}
	return nil
}

// node runs a program of the folder sdk on the daemon at url and returns what
// it prints.
func node(t *testing.T, url string, args ...string) (stdout []byte, err error) {
	t.Helper()
	return nodeIn(t, nil, url, args...)
}

// nodeIn is node with more in its environment.
func nodeIn(t *testing.T, env []string, url string, args ...string) (stdout []byte, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Dir = filepath.Join(harness.Root(t), "test", "sdk")
	cmd.Env = slices.Concat(os.Environ(), []string{"CAIRN_URL=" + url, "NODE_OPTIONS="}, env)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("node %s: %w\n%s%s", strings.Join(args, " "), err, stdout, stderr.Bytes())
	}
	return stdout, err
}

// nodeTest runs a file of tests and returns an error, with what node printed,
// unless there are some and all of them pass. env is added to its environment.
func nodeTest(t *testing.T, file, url string, env ...string) error {
	t.Helper()
	// Node 20 has a WebSocket, but only for those who ask for it.
	out, err := nodeIn(t, env, url, "--experimental-websocket", "--test", "--test-reporter=tap", file)
	if err != nil {
		return err
	}
	total := summary(out, "tests")
	// A file without tests counts as one test that passes, of its own name.
	empty := regexp.MustCompile(`(?m)^# Subtest: .*\.test\.mjs$`).Match(out)
	if total == 0 || empty || summary(out, "pass") != total {
		return fmt.Errorf("%s: not all of its tests ran and passed:\n%s", filepath.Base(file), out)
	}
	return nil
}

// summary returns a number that node printed at the end.
func summary(out []byte, of string) int {
	m := regexp.MustCompile(`(?m)^# ` + of + ` (\d+)$`).FindSubmatch(out)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return n
}
