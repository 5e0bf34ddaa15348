package cairn_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCorpora holds that each fuzz target begins with what is in its folder below
// testdata/fuzz, and that no folder is for a target that is no longer there.
func TestCorpora(t *testing.T) {
	targets := fuzzTargets(t)
	if len(targets) == 0 {
		t.Fatal("there are no fuzz targets")
	}
	for _, dir := range targets {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) == 0 {
			t.Errorf("the fuzz target of %s has no corpus: %v", dir, err)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil || !bytes.HasPrefix(text, []byte("go test fuzz v1\n")) || bytes.Count(text, []byte("\n")) < 2 {
				t.Errorf("%s is no input of a fuzz target: %v", filepath.Join(dir, e.Name()), err)
			}
		}
	}
	for _, pattern := range []string{"testdata/fuzz/*", "*/testdata/fuzz/*", "*/*/testdata/fuzz/*", "*/*/*/testdata/fuzz/*"} {
		found, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range found {
			if !slices.Contains(targets, dir) {
				t.Errorf("there is no fuzz target for %s", dir)
			}
		}
	}
}

// fuzzTargets returns the folder of the corpus of each fuzz target.
func fuzzTargets(t *testing.T) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				dirs = append(dirs, filepath.Join(filepath.Dir(path), "testdata", "fuzz", f.Name.Name))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}
