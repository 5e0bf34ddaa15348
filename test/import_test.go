package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// maxFile is the largest file that becomes a document.
const maxFile = 32 << 20

// TestImportGoSources imports the sources of the Go installation, twice, and
// reads all of it back through the SDK. It is those of the commands, unless
// CAIRN_LONG is set; TestBackupGoSources imports all of them in any case.
func TestImportGoSources(t *testing.T) {
	t.Parallel()
	installSDK(t)
	dir, least := filepath.Join(goRoot(t), "src"), 10_000
	if os.Getenv("CAIRN_LONG") == "" {
		dir, least = filepath.Join(dir, "cmd"), 3000
	}
	want := textFiles(t, dir)
	if len(want) <= least {
		t.Fatalf("%s has %d text files; the test expects more than %d", dir, len(want), least)
	}
	contents := map[string]bool{}
	for _, sum := range want {
		contents[sum] = true
	}
	if len(contents) == len(want) {
		t.Fatal("no two files have equal contents, so that is not tested")
	}
	d := harness.Start(t, harness.Options{})
	first := importFiles(t, d, dir)
	if first.Files != len(want) || first.Added != len(want) || first.Edited != 0 || first.Refused != 0 {
		t.Errorf("the first import of %d text files reports %+v", len(want), first)
	}
	before := databaseStatus(t, d)
	if before.Documents != int64(len(want)) {
		t.Errorf("the database has %d documents for %d text files", before.Documents, len(want))
	}

	second := importFiles(t, d, dir)
	if second.Unchanged != len(want) || second.Added != 0 || second.Changed != 0 {
		t.Errorf("the second import reports %+v, want %d unchanged", second, len(want))
	}
	if diff := cmp.Diff(before, databaseStatus(t, d)); diff != "" {
		t.Errorf("the second import changed the database (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(want, readBack(t, d.URL)); diff != "" {
		t.Errorf("texts read through the SDK (-file +asset):\n%.4000s", diff)
	}
}

// TestImportInterrupted interrupts an import in the middle and runs it again.
func TestImportInterrupted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(goRoot(t), "src", "cmd")
	want := textFiles(t, dir)
	d := harness.Start(t, harness.Options{})
	cmd := harness.Command(t, d.Env(), "import", "files", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for databaseStatus(t, d).Documents == 0 { // until the first of its requests
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 130 {
		t.Fatalf("the interrupted import ended with %v, want exit code 130\n%s", err, stderr.String())
	}
	stored := int(databaseStatus(t, d).Documents)
	if stored == 0 || stored >= len(want) {
		t.Fatalf("%d of %d files were stored before the interruption: it was not in the middle", stored, len(want))
	}
	rest := importFiles(t, d, dir)
	if rest.Added != len(want)-stored || rest.Unchanged != stored || rest.Changed != 0 {
		t.Errorf("the import after the interruption reports %+v; %d of %d files were stored before", rest, stored, len(want))
	}
	if again := importFiles(t, d, dir); again.Unchanged != len(want) {
		t.Errorf("one more import reports %+v", again)
	}
	if got := databaseStatus(t, d); got.Documents != int64(len(want)) || got.Revision != int64(len(want)) {
		t.Errorf("the database has %d documents at revision %d, want %d", got.Documents, got.Revision, len(want))
	}
}

// TestImportFolder imports a small folder with one file of each kind, and
// again after changes on both sides.
func TestImportFolder(t *testing.T) {
	t.Parallel()
	installSDK(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.go":                   "package main\n",
		"copy/main.go":              "package main\n", // equal contents are different assets
		"empty.txt":                 "",
		"ünïcode 日本/😀.py":           "print('é\u2028')\r\n",
		"late_nul.txt":              strings.Repeat("x", 1<<20) + "\x00",
		"binary":                    "\x00\x01",
		"latin1.txt":                "caf\xe9",
		"bom.txt":                   "\ufefftext",
		".hidden":                   "text",
		".git/config":               "[core]\n",
		"node_modules/x/index.js":   "x",
		"sub/node_modules/index.js": "x",
		".gitignore":                "*.log\n/build/\n!keep.log\n",
		"a.log":                     "ignored",
		"keep.log":                  "kept",
		"build/out.txt":             "ignored",
		"sub/build/out.txt":         "kept: the pattern is anchored",
		"sub/.gitignore":            "*.txt\n",
		"sub/other.md":              "kept",
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	for link, target := range map[string]string{"link.go": "main.go", "folder": "copy", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := textFiles(t, dir)
	if diff := cmp.Diff([]string{".gitignore", ".hidden", "bom.txt", "copy/main.go", "empty.txt", "keep.log", "main.go",
		"sub/.gitignore", "sub/other.md", "ünïcode 日本/😀.py"}, names(want)); diff != "" {
		t.Fatalf("the text files that git and this test find (-want +got):\n%s", diff)
	}
	d := harness.Start(t, harness.Options{})
	v := harness.NewValidator(t, d.URL)
	if got := importFiles(t, d, dir); got.Added != len(want) {
		t.Errorf("the import reports %+v, want %d added", got, len(want))
	}
	assets := readBack(t, v.URL)
	if diff := cmp.Diff(want, assets); diff != "" {
		t.Errorf("texts read through the SDK (-file +asset):\n%s", diff)
	}

	// A changed file updates its asset; one whose asset was edited too does
	// not, nor one whose asset alone was.
	write(t, filepath.Join(dir, "main.go"), "package changed\n")
	write(t, filepath.Join(dir, "bom.txt"), "changed here")
	edit(t, v.URL, "bom.txt", "changed there")
	edit(t, v.URL, "keep.log", "changed there alone")
	for run := range 2 {
		got := importFiles(t, d, dir)
		if changed := 1 - run; got.Changed != changed || got.Edited != 1 || got.Added != 0 || got.Unchanged != len(want)-1-changed {
			t.Errorf("import %d after the changes reports %+v", run+1, got)
		}
		if !slices.ContainsFunc(got.Notes, func(note string) bool { return strings.Contains(note, "bom.txt") }) {
			t.Errorf("import %d does not name the file that it left alone: %q", run+1, got.Notes)
		}
	}
	// An asset and its file that were changed alike are one again: the file's
	// next change counts.
	write(t, filepath.Join(dir, "keep.log"), "changed there alone")
	if got := importFiles(t, d, dir); got.Changed != 0 || got.Edited != 1 {
		t.Errorf("the import of a file that was changed like its asset reports %+v", got)
	}
	write(t, filepath.Join(dir, "keep.log"), "changed again")
	// A file that has outgrown a document is skipped, and ends nothing.
	write(t, filepath.Join(dir, "empty.txt"), strings.Repeat("\"", 20<<20))
	if got := importFiles(t, d, dir); got.Changed != 1 || got.Skipped["too_large"] != 1 {
		t.Errorf("the import after that reports %+v, want one changed and one too large", got)
	}
	want["main.go"] = sum("package changed\n")
	want["bom.txt"] = sum("changed there")
	want["keep.log"] = sum("changed again")
	if diff := cmp.Diff(want, readBack(t, v.URL)); diff != "" {
		t.Errorf("texts after the changes (-want +asset):\n%s", diff)
	}
}

// report is what cairn import files --json prints.
type report struct {
	Files, Added, Changed, Unchanged, Edited, Refused int
	Skipped                                           map[string]int
	Notes                                             []string
}

// importFiles imports a folder with the command line.
func importFiles(t *testing.T, d *harness.Daemon, dir string) report {
	t.Helper()
	stdout, stderr, code := harness.Cairn(t, d.Env(), "import", "files", "--json", dir)
	if code != 0 {
		t.Fatalf("cairn import files: exit code %d\n%s", code, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("reading what cairn import files printed: %v", err)
	}
	return r
}

// databaseStatus returns what the daemon says of its database.
func databaseStatus(t *testing.T, d *harness.Daemon) api.DatabaseStatus {
	t.Helper()
	st, err := client.New(d.URL).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Database
}

// readBack returns the SHA-256 of the text of each asset, by its name, read
// through the SDK.
func readBack(t *testing.T, url string) map[string]string {
	t.Helper()
	out, err := node(t, url, "texts.mjs")
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for line := range bytes.Lines(out) {
		var a struct{ Name, SHA256 string }
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		if _, ok := sums[a.Name]; ok {
			t.Errorf("two assets are called %q", a.Name)
		}
		sums[a.Name] = a.SHA256
	}
	return sums
}

// edit changes the text of the asset with the name, as a client does.
func edit(t *testing.T, url, name, text string) {
	t.Helper()
	c := client.New(url)
	for asset, err := range c.Assets(t.Context(), false) {
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			ID, Name string
			Original struct{ ID string }
		}
		if err := json.Unmarshal(asset, &a); err != nil {
			t.Fatal(err)
		}
		if a.Name != name {
			continue
		}
		fragment := map[string]any{"string": map[string]string{"raw": text}}
		patch, err := json.Marshal(map[string]any{"id": a.ID, "formats": map[string]any{
			"iterable": []any{map[string]any{"id": a.Original.ID, "fragment": fragment}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.UpdateAsset(t.Context(), patch, nil); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no asset is called %q", name)
}

// textFiles returns the SHA-256 of each text file below dir that is to be
// imported, by its path with slashes. Git itself says which are ignored.
func textFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, name := range notIgnored(t, dir) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !info.Mode().IsRegular() || slices.Contains(strings.Split(name, "/"), "node_modules") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(text) && !bytes.Contains(text, []byte{0}) && len(text) <= maxFile {
			sums[name] = sum(string(text))
		}
	}
	return sums
}

// notIgnored returns the paths below dir that git would take into an empty
// repository: one of our own, with the work tree of the repository around
// dir, or with dir when there is none.
func notIgnored(t *testing.T, dir string) []string {
	t.Helper()
	top := dir
	for up := dir; up != filepath.Dir(up); up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, ".git")); err == nil {
			top = up
			break
		}
	}
	gitDir := filepath.Join(t.TempDir(), "git")
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_DIR="+gitDir, "GIT_WORK_TREE="+top, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %s: %v", strings.Join(args, " "), err)
		}
		return out
	}
	run("init", "--quiet")
	out := run("ls-files", "--others", "--exclude-standard", "-z", ".")
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}

// goRoot returns the folder of the Go installation.
func goRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	// The folder may be a link; the files below it are none.
	dir, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

func names(of map[string]string) []string {
	var list []string
	for name := range of {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
