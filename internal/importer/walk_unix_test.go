//go:build unix

package importer_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/importer"
)

func TestWalkSpecialFiles(t *testing.T) {
	// A short path: that of a socket has a bound of about 100 bytes.
	dir, err := os.MkdirTemp("", "walk")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	grow(t, dir, map[string]string{"a": "", "sub/b": ""})
	// A pipe as .gitignore must not be waited for.
	for _, name := range []string{"pipe", "sub/.gitignore"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	names, skips, unreadable := walk(t, dir)
	if diff := cmp.Diff([]string{"a", "sub/b"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if want := (importer.Skips{Special: 3}); skips != want || unreadable != nil {
		t.Errorf("skips = %+v, unreadable = %q, want %+v and none", skips, unreadable, want)
	}
}

// TestWalkTooDeep has a folder that nobody can read by its path, not even the
// superuser: the path is longer than the system allows.
func TestWalkTooDeep(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "", "z": ""})
	name := strings.Repeat("n", 250)
	folder, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := folder.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		sub, err := folder.OpenRoot(name)
		folder.Close()
		if err != nil {
			t.Fatal(err)
		}
		folder = sub
	}
	folder.Close()

	names, skips, unreadable := walk(t, dir)
	if diff := cmp.Diff([]string{"a", "z"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if want := (importer.Skips{Unreadable: 1}); skips != want {
		t.Errorf("skips = %+v, want %+v", skips, want)
	}
	if len(unreadable) != 1 || !strings.HasPrefix(unreadable[0], filepath.Join(dir, name)) {
		t.Errorf("unreadable = %q, want one below %s", unreadable, name)
	}
}

func TestWalkNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t) // the superuser may read everything
		return
	}
	dir := t.TempDir()
	grow(t, dir, map[string]string{
		"closed/x": "", "file": "x", "open/x": "", "rules/.gitignore": "secret\n", "rules/secret": "",
	})
	var want []string
	for _, name := range []string{"closed", "rules/.gitignore", "file"} {
		path := filepath.Join(dir, name)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(path, 0o700)
		want = append(want, path)
	}

	names, skips, unreadable := walk(t, dir)
	if diff := cmp.Diff([]string{"file", "open/x"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if skips != (importer.Skips{Unreadable: 2}) {
		t.Errorf("skips = %+v, want 2 unreadable", skips)
	}
	if diff := cmp.Diff(want[:2], unreadable); diff != "" {
		t.Errorf("unreadable (-want +got):\n%s", diff)
	}

	// Below a folder whose rules are unknown, nothing is taken.
	grow(t, dir, map[string]string{"rules/sub/x": "", "rules/.git/HEAD": ""})
	names, skips, unreadable = walk(t, filepath.Join(dir, "rules", "sub"))
	if names != nil || skips != (importer.Skips{Unreadable: 1}) || len(unreadable) != 1 {
		t.Errorf("files = %q, skips = %+v, unreadable = %q, want one unreadable", names, skips, unreadable)
	}

	_, reason, err := importer.ReadText(filepath.Join(dir, "file"), 10)
	e, ok := errors.AsType[*importer.UnreadableError](err)
	if reason != importer.Unreadable || !ok || e.Path != want[2] || !errors.Is(err, os.ErrPermission) {
		t.Errorf("ReadText = %q, %v, want %q and the path", reason, err, importer.Unreadable)
	}
}

// asNobody runs the test in a process of a user without rights.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(folder); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(folder, "importer.test")
	if err := os.WriteFile(binary, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "TMPDIR="+folder, "HOME="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as a user without rights: %v\n%s", err, out)
	}
}

// TestWalkFolderBecomesLink replaces a folder by a link after it was listed.
func TestWalkFolderBecomesLink(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"tree/a": "", "tree/b/x": "", "elsewhere/secret": ""})
	tree := filepath.Join(dir, "tree")
	var skips importer.Skips
	for file, err := range importer.Walk(t.Context(), tree, &skips) {
		switch {
		case file.Rel == "a":
			if err := os.RemoveAll(filepath.Join(tree, "b")); err != nil {
				t.Fatal(err)
			}
			link(t, filepath.Join(dir, "elsewhere"), filepath.Join(tree, "b"))
		case err == nil:
			t.Errorf("got %s", file.Rel)
		}
	}
	if want := (importer.Skips{Unreadable: 1}); skips != want {
		t.Errorf("skips = %+v, want %+v", skips, want)
	}
}
