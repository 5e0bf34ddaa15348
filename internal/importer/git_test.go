package importer_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// git runs git without anybody's configuration and returns what it prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	home := filepath.Join(filepath.Dir(dir), "home") // is never made
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "GIT_") })
	cmd := exec.CommandContext(t.Context(), "git", append([]string{
		"-c", "core.excludesFile=", "-c", "core.ignoreCase=false", "-c", "core.precomposeUnicode=false",
	}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(env, "HOME="+home, "XDG_CONFIG_HOME="+home, "GIT_CONFIG_NOSYSTEM=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", args[0], err, stderr.String())
	}
	return string(out)
}

// needGit skips the test where there is no git, but not on the CI machines.
func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no git to compare with")
	}
	t.Skip("no git to compare with")
}

// gitKeeps returns the files below dir that git does not ignore, sorted. None
// of them may be tracked.
func gitKeeps(t *testing.T, dir string) []string {
	t.Helper()
	out := git(t, dir, "ls-files", "--others", "--cached", "--exclude-standard", "-z")
	names := strings.Split(out, "\x00")
	names = names[:len(names)-1]
	slices.Sort(names)
	return names
}

// TestIgnoreAsGit compares walks of random trees with what git says. The trees
// come one after the other into few repositories, which are slow to make.
func TestIgnoreAsGit(t *testing.T) {
	needGit(t)
	const repositories, trees = 8, 50
	var telling, folders atomic.Int32
	t.Run("repositories", func(t *testing.T) {
		for repo := range uint64(repositories) {
			t.Run(fmt.Sprint(repo), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "tree")
				git(t, filepath.Dir(dir), "init", "--quiet", "--template=", "tree")
				for tree := range uint64(trees) {
					g := generator{rand.New(rand.NewPCG(repo, tree))}
					kept, all, compared := compareTree(t, g, dir)
					if t.Failed() {
						t.Fatalf("in tree %d", tree)
					}
					if 0 < kept && kept < all {
						telling.Add(1)
					}
					folders.Add(int32(compared))
					clearTree(t, dir)
				}
			})
		}
	})
	const all = repositories * trees
	t.Logf("%d of %d trees lose some files and keep others; %d folders walked", telling.Load(), all, folders.Load())
	if !t.Failed() && (telling.Load() < all/3 || folders.Load() < all*5/4) {
		t.Error("too few trees tell anything")
	}
}

// compareTree grows a random tree in the empty repository at dir and compares
// the walk of all of it, and of some of its folders, with git. It returns how
// many of the files git keeps, and how many folders were walked.
func compareTree(t *testing.T, g generator, dir string) (kept, all, folders int) {
	t.Helper()
	files := make(map[string]string)
	g.tree(files, "", 3)
	paths := slices.Sorted(maps.Keys(files)) // so that a seed makes one tree
	all = len(files)
	for _, folder := range g.places(paths) {
		files[folder+".gitignore"] = g.rules(paths, folder)
	}
	if g.one(2) {
		files[".git/info/exclude"] = g.rules(paths, "")
	}
	grow(t, dir, files)

	want := gitKeeps(t, dir)
	for _, name := range want {
		if path.Base(name) != ".gitignore" {
			kept++
		}
	}
	for _, folder := range g.places(paths) {
		below := cutFolder(want, folder)
		// Nothing kept may mean that the folder itself is ignored, which does
		// not count when walking it.
		if folder != "" && below == nil {
			continue
		}
		got, _, unreadable := walk(t, filepath.Join(dir, filepath.FromSlash(folder)))
		slices.Sort(got)
		if diff := cmp.Diff(below, got); diff != "" || unreadable != nil {
			t.Errorf("files of %q (-git +got):\n%s\nunreadable: %q\nrules:\n%s", folder, diff, unreadable, showRules(files))
		}
		folders++
	}
	return kept, all, folders
}

// clearTree empties the repository at dir.
func clearTree(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{".git/info"}
	for _, e := range entries {
		if e.Name() != ".git" {
			names = append(names, e.Name())
		}
	}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// cutFolder returns those of names that begin with folder, without it.
func cutFolder(names []string, folder string) (below []string) {
	for _, name := range names {
		if rel, ok := strings.CutPrefix(name, folder); ok {
			below = append(below, rel)
		}
	}
	return below
}

// showRules returns all rules among files for a message.
func showRules(files map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] != "" {
			fmt.Fprintf(&b, "%s: %q\n", name, files[name])
		}
	}
	return b.String()
}
