package importer_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/importer"
)

// grow makes files, by slash path below dir; a name that ends in a slash makes
// a folder.
func grow(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		folder := filepath.Dir(path)
		if name[len(name)-1] == '/' {
			folder = path
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if folder == path {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// walk returns what a walk of dir yields. Any error but an UnreadableError
// fails the test.
func walk(t *testing.T, dir string) (names []string, skips importer.Skips, unreadable []string) {
	t.Helper()
	for file, err := range importer.Walk(t.Context(), dir, &skips) {
		if e, ok := errors.AsType[*importer.UnreadableError](err); ok {
			unreadable = append(unreadable, e.Path)
			continue
		}
		if err != nil {
			t.Fatalf("Walk(%s): %v", dir, err)
		}
		if want := filepath.Join(dir, filepath.FromSlash(file.Rel)); file.Path != want {
			t.Errorf("%s has Path %s, want %s", file.Rel, file.Path, want)
		}
		names = append(names, file.Rel)
	}
	return names, skips, unreadable
}

// link makes a symbolic link, or skips the test where that is not allowed.
func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		if runtime.GOOS == "windows" {
			t.Skipf("this user may make no symbolic links: %v", err)
		}
		t.Fatal(err)
	}
}

func TestWalk(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string
		skips importer.Skips
	}{
		{name: "empty", files: map[string]string{"a/b/": ""}},
		{
			name:  "order is by name within a folder",
			files: map[string]string{"b": "", "a/z": "", "a.txt": "", "a/B": "", "a-b": ""},
			want:  []string{"a/B", "a/z", "a-b", "a.txt", "b"},
		},
		{
			name: "git and node folders at any depth",
			files: map[string]string{
				".git/HEAD": "", "node_modules/x/index.js": "",
				"p/.git": "gitdir: ../.git/modules/p\n", "p/node_modules/y.js": "", "p/main.go": "",
				".github/ci.yml": "", ".gitattributes": "", "q/node_modules": "a file",
			},
			want:  []string{".gitattributes", ".github/ci.yml", "p/main.go", "q/node_modules"},
			skips: importer.Skips{Folders: 4},
		},
		{
			name: "ignored folders count once and are not entered",
			files: map[string]string{
				".gitignore": "build/\n*.log\n", "build/a": "", "build/b/c": "", "build/.gitignore": "!a\n",
				"a.log": "", "src/b.log": "", "src/build": "a file",
			},
			want:  []string{".gitignore", "src/build"},
			skips: importer.Skips{Ignored: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, tt.files)
			names, skips, unreadable := walk(t, dir)
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if skips != tt.skips {
				t.Errorf("skips = %+v, want %+v", skips, tt.skips)
			}
			if unreadable != nil {
				t.Errorf("unreadable: %q", unreadable)
			}
		})
	}
}

func TestWalkLinks(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{
		"tree/a": "", "tree/sub/b": "", "elsewhere/secret": "", "rules": "a\n",
	})
	tree := filepath.Join(dir, "tree")
	link(t, filepath.Join(dir, "elsewhere"), filepath.Join(tree, "folder"))
	link(t, filepath.Join(dir, "elsewhere", "secret"), filepath.Join(tree, "file"))
	link(t, "..", filepath.Join(tree, "sub", "loop"))
	link(t, "nowhere", filepath.Join(tree, "dangling"))
	link(t, filepath.Join(dir, "rules"), filepath.Join(tree, ".gitignore")) // no rules, as in git
	link(t, tree, filepath.Join(dir, "door"))

	for _, root := range []string{"tree", "door"} {
		names, skips, _ := walk(t, filepath.Join(dir, root))
		if diff := cmp.Diff([]string{"a", "sub/b"}, names); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", root, diff)
		}
		if want := (importer.Skips{Links: 5}); skips != want {
			t.Errorf("skips of %s = %+v, want %+v", root, skips, want)
		}
	}
}

func TestWalkErrors(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"file": "x", "sub/a": ""})
	done, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		dir  string
		want error
	}{
		{"missing", t.Context(), filepath.Join(dir, "missing"), fs.ErrNotExist},
		{"file", t.Context(), filepath.Join(dir, "file"), syscall.ENOTDIR},
		{"cancelled", done, dir, context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var errs []error
			var skips importer.Skips
			for file, err := range importer.Walk(tt.ctx, tt.dir, &skips) {
				if file != (importer.File{}) {
					t.Errorf("got the file %v", file)
				}
				errs = append(errs, err)
			}
			if len(errs) != 1 || !errors.Is(errs[0], tt.want) {
				t.Fatalf("errors = %v, want %v alone", errs, tt.want)
			}
			// The walk is over, so this is not one file that cannot be read.
			if _, ok := errors.AsType[*importer.UnreadableError](errs[0]); ok || skips != (importer.Skips{}) {
				t.Errorf("error = %#v, skips = %+v, want none counted", errs[0], skips)
			}
		})
	}
}

func TestWalkRelativeDir(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"sub/a": ""})
	t.Chdir(dir)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for file, err := range importer.Walk(t.Context(), "sub", nil) {
		if want := (importer.File{Path: filepath.Join(wd, "sub", "a"), Rel: "a"}); file != want || err != nil {
			t.Errorf("got %v, %v, want %v", file, err, want)
		}
	}
}

func TestWalkStops(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a/b/c": "", "a/d": "", "e": ""})
	seq := importer.Walk(t.Context(), dir, nil)
	for range 2 { // the sequence can be used again
		var names []string
		for file := range seq {
			names = append(names, file.Rel)
			break
		}
		if diff := cmp.Diff([]string{"a/b/c"}, names); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
}

func TestWalkCancelledOnTheWay(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "", "b": "", "c": ""})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	n := 0
	for _, err := range importer.Walk(ctx, dir, nil) {
		n, last = n+1, err
		cancel()
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d pairs, the last with %v, want 2 and %v", n, last, context.Canceled)
	}
}

func TestWalkVanished(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "", "b/x": "", "c/x": "", "d": ""})
	var names []string
	var skips importer.Skips
	for file, err := range importer.Walk(t.Context(), dir, &skips) {
		if err != nil {
			t.Fatal(err)
		}
		if file.Rel == "a" { // b goes away, c becomes a file
			for _, name := range []string{"b", "c"} {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			grow(t, dir, map[string]string{"c": ""})
		}
		names = append(names, file.Rel)
	}
	if diff := cmp.Diff([]string{"a", "d"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if want := (importer.Skips{Vanished: 2}); skips != want {
		t.Errorf("skips = %+v, want %+v", skips, want)
	}
}
