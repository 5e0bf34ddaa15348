package s3server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cairn/test/harness"
)

// build is what became of building versitygw in this process.
var build struct {
	once sync.Once
	err  error
}

// Binary returns the absolute path of versitygw: that of CAIRN_VERSITYGW,
// counted from the top of the repository when relative, or else bin/versitygw,
// which make builds. If that is not there it is built, which takes minutes the
// first time.
func Binary(t testing.TB) string {
	t.Helper()
	root := harness.Root(t)
	if path := os.Getenv("CAIRN_VERSITYGW"); path != "" {
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("CAIRN_VERSITYGW: %v", err)
		}
		return path
	}
	path := filepath.Join(root, "bin", "versitygw")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build.once.Do(func() {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			build.err = goBuild(root, path)
		}
	})
	if build.err != nil {
		t.Fatalf("building versitygw: %v", build.err)
	}
	return path
}

// goBuild builds versitygw. The tests of other packages may do so at the same
// time: the last one wins.
func goBuild(root, path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() {
		if err != nil {
			_ = os.Remove(temporary) // as good as it gets
		}
	}()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", temporary, "github.com/versity/versitygw/cmd/versitygw")
	cmd.Dir = filepath.Join(root, "tools")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.New(strings.TrimSpace(err.Error() + "\n" + string(out)))
	}
	return os.Rename(temporary, path)
}
