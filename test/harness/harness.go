// Package harness runs the cairn binary for end-to-end tests: the daemon on a
// data folder of its own, the verbs of its command line, and a proxy that
// holds every answer to the OpenAPI document.
//
//	d := harness.Start(t, harness.Options{})
//	v := harness.NewValidator(t, d.URL)
//	resp, err := http.Get(v.URL + "/assets")
//	stdout, _, code := harness.Cairn(t, d.Env(), "status")
//
// Whatever is started ends with the test, and fails it when it does not end
// well. [Binary] says which binary runs.
package harness

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Main runs the tests of a package and removes what [Binary] built. Call it
// from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
//
// Without it a binary that had to be built stays in the temporary folder.
func Main(m *testing.M) int {
	code := m.Run()
	if build.dir != "" {
		if err := os.RemoveAll(build.dir); err != nil && code == 0 {
			return 1
		}
	}
	return code
}

// build is the binary of this process, built when first asked for.
var build struct {
	once      sync.Once
	dir, path string
	err       error
}

// Binary returns the absolute path of the cairn to test: that of CAIRN_BIN,
// counted from the top of the repository when relative, or else one that is
// built from the working tree, once for all tests of the process.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CAIRN_BIN"); path != "" {
		if !filepath.IsAbs(path) {
			path = filepath.Join(Root(t), path)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("CAIRN_BIN: %v", err)
		}
		return path
	}
	root := Root(t)
	build.once.Do(func() { build.dir, build.path, build.err = goBuild(root) })
	if build.err != nil {
		t.Fatalf("building cairn: %v", build.err)
	}
	return build.path
}

func goBuild(root string) (dir, path string, err error) {
	if dir, err = os.MkdirTemp("", "cairn-test-"); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "cairn")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", path, "./cmd/cairn")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, "", errors.New(strings.TrimSpace(err.Error() + "\n" + string(out)))
	}
	return dir, path, nil
}

// Root returns the top of the repository, where go.mod is.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod at or above the working folder")
		}
		dir = parent
	}
}
