package importer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/importer"
)

// TestIgnore pins single rules; TestIgnoreAsGit compares many with git.
func TestIgnore(t *testing.T) {
	tests := []struct {
		name  string
		rules string
		files []string
		want  []string // without .gitignore
	}{
		{"name at any depth", "a\n", []string{"a", "b/a", "ab"}, []string{"ab"}},
		{"no end of line", "a", []string{"a", "b"}, []string{"b"}},
		{"anchored", "/a\nb/c\n", []string{"a", "b/a", "b/c", "d/b/c"}, []string{"b/a", "d/b/c"}},
		{"folder only", "a/\n", []string{"a/x", "b/a"}, []string{"b/a"}},
		{"last rule decides", "*.log\n!x.log\n", []string{"a.log", "x.log"}, []string{"x.log"}},
		{"negation after it", "!x.log\n*.log\n", []string{"x.log"}, nil},
		{"negated folder is not its content", "*.log\n!logs\n", []string{"logs/x.log", "logs/x"}, []string{"logs/x"}},
		{"no way back below an ignored folder", "a/\n!a/x\n", []string{"a/x"}, nil},
		{"way back below its content", "a/*\n!a/x\n", []string{"a/x", "a/y"}, []string{"a/x"}},
		{"comment", "#a\n\\#b\n", []string{"#a", "#b"}, []string{"#a"}},
		{"escaped exclamation mark", "\\!a\n", []string{"!a", "a"}, []string{"a"}},
		{"spaces at the end", "a  \nb\\ \nc\t\n", []string{"a", "b ", "b", "c"}, []string{"b", "c"}},
		{"carriage returns", "a\r\n\r\nb\r\n", []string{"a", "b", "c"}, []string{"c"}},
		{"byte order mark", "\ufeffa\n", []string{"a", "b"}, []string{"b"}},
		{"star stays in a folder", "a/*.o\n", []string{"a/b.o", "a/b/c.o"}, []string{"a/b/c.o"}},
		{"folders before", "**/a/x\n", []string{"a/x", "b/c/a/x", "b/a/y"}, []string{"b/a/y"}},
		{"folders between", "a/**/x\n", []string{"a/x", "a/b/x", "a/b/c/x", "b/a/x"}, []string{"b/a/x"}},
		{"all below", "a/**\n", []string{"a/x", "a/b/x", "b/a/x"}, []string{"b/a/x"}},
		{"two stars in a name", "a/x**\n", []string{"a/x", "a/xy", "a/xz/y", "a/b/xy"}, []string{"a/b/xy"}},
		{"one byte", "a?\n", []string{"a", "ab", "b/a/b"}, []string{"a", "b/a/b"}},
		{"nothing but a slash matches a slash", "/a?b\n/a[/]b\n/a[.-0]b\n/a[!x]b\n", []string{"a/b", "a.b"}, []string{"a/b"}},
		{"set", "a[0-9_]\n", []string{"a1", "a_", "ab"}, []string{"ab"}},
		{"negated set", "a[!0-9]\na[^b]c\n", []string{"a1", "a_", "abc", "axc"}, []string{"a1", "abc"}},
		{"set with a bracket", "a[]x]\n", []string{"a]", "ax", "ab"}, []string{"ab"}},
		{"class", "a[[:digit:]]\n", []string{"a1", "ab"}, []string{"ab"}},
		{"malformed", "a[b\nc[[:none:]]\n*\\\n", []string{"a[b", "ab", "cn"}, []string{"a[b", "ab", "cn"}},
		{"nothing", "\n/\n!\n//\n   \n", []string{"a"}, []string{"a"}},
		{"everything", "*\n", []string{"a", "b/c"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{".gitignore": tt.rules}
			for _, name := range tt.files {
				files[name] = ""
			}
			grow(t, dir, files)
			var got []string
			names, _, _ := walk(t, dir)
			for _, name := range names {
				if name != ".gitignore" {
					got = append(got, name)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%q keeps (-want +got):\n%s", tt.rules, diff)
			}
		})
	}
}

// TestIgnorePlaces walks parts of trees with rules in many places.
func TestIgnorePlaces(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		dir   string
		want  []string
	}{
		{
			name: "deeper files are stronger",
			files: map[string]string{
				".gitignore": "*.log\n", "a/.gitignore": "!x.log\n", "a/b/.gitignore": "x.log\n",
				"x.log": "", "a/x.log": "", "a/y.log": "", "a/b/x.log": "", "a/c/x.log": "",
			},
			want: []string{".gitignore", "a/.gitignore", "a/b/.gitignore", "a/c/x.log", "a/x.log"},
		},
		{
			name: "slashes count from the file's folder",
			files: map[string]string{
				"a/.gitignore": "/x\nb/y\n", "x": "", "b/y": "", "a/x": "", "a/b/x": "", "a/b/y": "",
			},
			want: []string{"a/.gitignore", "a/b/x", "b/y", "x"},
		},
		{
			name: "parents up to the repository's top",
			files: map[string]string{
				".gitignore": "a\n", "top/.git/info/exclude": "b\n/p/q/e\n!c\n",
				"top/.gitignore": "c\n/p/q/d\n", "top/p/.gitignore": "!b\n",
				"top/p/q/a": "", "top/p/q/b": "", "top/p/q/c": "", "top/p/q/d": "", "top/p/q/e": "", "top/p/q/r/e": "",
			},
			dir:  "top/p/q",
			want: []string{"a", "b", "r/e"},
		},
		{
			name:  "no repository, no parents",
			files: map[string]string{".gitignore": "a\n", "p/a": "", "p/.gitignore": "b\n", "p/b": ""},
			dir:   "p",
			want:  []string{".gitignore", "a"},
		},
		{
			name: "a folder asked for by name",
			files: map[string]string{
				".git/HEAD": "", ".gitignore": "out/\n*.log\n", "out/p/a": "", "out/p/b.log": "", "out/p/out/c": "",
			},
			dir:  "out/p",
			want: []string{"a"},
		},
		{
			name: "nested repository",
			files: map[string]string{
				".gitignore": "a\nb\n", "p/.git/info/exclude": "!a\nc\n", "p/.gitignore": "!c\n",
				"p/a": "", "p/b": "", "p/c": "", "c": "",
			},
			want: []string{".gitignore", "c", "p/.gitignore", "p/a", "p/c"},
		},
		{
			name: "submodule",
			files: map[string]string{
				".git/modules/p/info/exclude": "a\n", ".git/info/exclude": "b\n",
				"p/.git": "gitdir: ../.git/modules/p\n", "p/a": "", "p/b": "", "p/c": "",
			},
			dir:  "p",
			want: []string{"b", "c"},
		},
		{
			name: "worktree",
			files: map[string]string{
				"main/.git/info/exclude":                   "a\n",
				"main/.git/worktrees/feature/commondir":    "../..\n",
				"main/.git/worktrees/feature/info/exclude": "b\n",
				"feature/.git":                             "gitdir: ../main/.git/worktrees/feature\n",
				"feature/p/a":                              "", "feature/p/b": "",
			},
			dir:  "feature/p",
			want: []string{"b"},
		},
		{
			name:  "rules that are a folder",
			files: map[string]string{".gitignore/a": "", "p/.git": "what is this", "p/a": ""},
			want:  []string{".gitignore/a", "p/a"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, tt.files)
			names, _, unreadable := walk(t, filepath.Join(dir, filepath.FromSlash(tt.dir)))
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if unreadable != nil {
				t.Errorf("unreadable: %q", unreadable)
			}
		})
	}
}

func TestIgnoreThroughLinks(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{
		"exclude": "a\n", "top/.git/info/": "", "top/.gitignore": "b\n", "top/p/a": "", "top/p/b": "", "top/p/c": "",
	})
	link(t, filepath.Join(dir, "exclude"), filepath.Join(dir, "top", ".git", "info", "exclude"))
	link(t, filepath.Join(dir, "top", "p"), filepath.Join(dir, "door"))
	for _, root := range []string{filepath.Join("top", "p"), "door"} {
		names, _, _ := walk(t, filepath.Join(dir, root))
		if diff := cmp.Diff([]string{"c"}, names); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", root, diff)
		}
	}
}

func TestIgnoreTooManyRules(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "", "p/.gitignore": "", "p/b": ""})
	file := filepath.Join(dir, "p", ".gitignore")
	if err := os.Truncate(file, 16<<20+1); err != nil {
		t.Fatal(err)
	}
	names, skips, unreadable := walk(t, dir)
	if diff := cmp.Diff([]string{"a"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{file}, unreadable); diff != "" || skips != (importer.Skips{Unreadable: 1}) {
		t.Errorf("skips = %+v, unreadable (-want +got):\n%s", skips, diff)
	}
}

// TestIgnoreHostilePattern has a rule that takes a matcher with backtracking
// longer than anybody waits.
func TestIgnoreHostilePattern(t *testing.T) {
	const stars, folders = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "**/a*/**/a*/**/a*/**/a*/**/a*/**/b"
	deep := ""
	for range 30 {
		deep += "aaaaaaaaaaaaaaaaaaaa/"
	}
	long := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	dir := t.TempDir()
	grow(t, dir, map[string]string{".gitignore": stars + "\n" + folders + "\n", long: "", deep + "c": ""})
	names, _, _ := walk(t, dir)
	if diff := cmp.Diff([]string{".gitignore", deep + "c", long}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
