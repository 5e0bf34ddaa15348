package importer_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSetsAsGit compares bracket expressions for every byte.
func TestSetsAsGit(t *testing.T) {
	needGit(t)
	patterns := []string{
		"x?", "x[a-z]", "x[!a-z]", "x[^a-z]", "x[]-a]", "x[!]a]", `x[\]a]`, `x[\a-\f]`, "x[a-]", "x[-a]", "x[+--]",
		"x[z-a]", "x[[:]", "x[[:a]", "x[[:x]]", "x[a[:digit:]-z]", "x[![:alnum:]_]", "x[![:none:]]", "x[a[:none:]]", "x[a-c-z]", "x[[:-a]", "x[\x80-\xff]", "x[", "x[]", "x[!]", "x[[::]]",
		"/x[/a]", "/x?", "/x[!a]",
	}
	for _, class := range strings.Fields("alnum alpha blank cntrl digit graph lower print punct space upper xdigit ascii word") {
		patterns = append(patterns, "x[[:"+class+":]]")
	}
	dir := filepath.Join(t.TempDir(), "tree")
	files := make(map[string]string)
	for c := 1; c < 256; c++ {
		if c != '/' {
			files["x"+string([]byte{byte(c)})] = ""
		}
	}
	grow(t, dir, files)
	git(t, filepath.Dir(dir), "init", "--quiet", "--template=", "tree")
	for _, p := range patterns {
		grow(t, dir, map[string]string{".gitignore": p + "\n"})
		got, _, _ := walk(t, dir)
		slices.Sort(got)
		if diff := cmp.Diff(gitKeeps(t, dir), got); diff != "" {
			t.Errorf("pattern %q: files (-git +got):\n%s", p, diff)
		}
	}
}
