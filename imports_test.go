package cairn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// anything lets a package import every other one of ours.
const anything = "*"

// mayImport holds the import rule: what of ours each package may import. A row
// that ends in /... is for a folder and all below it. External test packages
// (package foo_test) are free.
var mayImport = map[string][]string{
	"cairn":                            {},
	"cairn/api":                        {"cairn"},
	"cairn/client":                     {"cairn", "cairn/api"},
	"cairn/cmd/cairn":                  {anything},
	"cairn/internal/asset":             {"cairn", "cairn/internal/rawjson"},
	"cairn/internal/bucket":            {},
	"cairn/internal/bucket/buckettest": {"cairn/internal/bucket", "cairn/internal/bucket/fault"},
	"cairn/internal/bucket/fault":      {"cairn/internal/bucket"},
	"cairn/internal/bucket/folder":     {"cairn/internal/bucket", "cairn/internal/durable"},
	"cairn/internal/bucket/memory":     {"cairn/internal/bucket"},
	"cairn/internal/bucket/azure":      {"cairn/internal/bucket", "cairn/internal/bucket/remote"},
	"cairn/internal/bucket/gcs":        {"cairn/internal/bucket", "cairn/internal/bucket/remote"},
	"cairn/internal/bucket/remote":     {"cairn/internal/bucket"},
	"cairn/internal/bucket/s3":         {"cairn/internal/bucket", "cairn/internal/bucket/remote"},
	"cairn/internal/cloud":             {"cairn", "cairn/internal/bucket", "cairn/internal/keys", "cairn/internal/segment"},
	"cairn/internal/config":            {"cairn"},
	"cairn/internal/connection": {"cairn", "cairn/internal/bucket", "cairn/internal/bucket/azure", "cairn/internal/bucket/folder", "cairn/internal/bucket/gcs",
		"cairn/internal/bucket/s3", "cairn/internal/cloud", "cairn/internal/keys", "cairn/internal/kit"},
	"cairn/internal/database":   {"cairn", "cairn/internal/durable", "cairn/internal/sqlitefile"},
	"cairn/internal/sqlitefile": {"cairn"},
	"cairn/internal/device":     {"cairn", "cairn/internal/durable", "cairn/internal/sqlitefile"},
	"cairn/internal/keys":       {"cairn", "cairn/internal/durable"},
	"cairn/internal/kit":        {"cairn"},
	"cairn/internal/durable":    {},
	"cairn/internal/httpapi":    {"cairn", "cairn/api", "cairn/internal/asset", "cairn/internal/rawjson"},
	"cairn/internal/importer":   {"cairn", "cairn/api", "cairn/client", "cairn/internal/asset", "cairn/internal/rawjson"},
	"cairn/internal/backup":     {"cairn", "cairn/internal/cloud", "cairn/internal/segment", "cairn/internal/durable"},
	"cairn/internal/schedule":   {"cairn"},
	"cairn/internal/segment":    {"cairn"},
	"cairn/internal/jobs":       {"cairn"},
	"cairn/internal/metrics":    {"cairn"},
	"cairn/internal/rawjson":    {},
	"cairn/internal/web":        {"cairn", "cairn/api"},
	"cairn/test/...":            {anything},
}

// TestImports holds the table, on every system that has files of its own.
func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			packages := listPackages(t, goos)
			if len(packages) == 0 {
				t.Fatal("go list found no packages")
			}
			for _, p := range packages {
				checkImports(t, p)
			}
		})
	}
}

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath           string
	Imports, TestImports []string
}

// listPackages asks the go command for the packages of this module.
func listPackages(t *testing.T, goos string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			stderr = exit.Stderr
		}
		t.Fatalf("go list: %v\n%s", err, stderr)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("reading what go list printed: %v", err)
		}
		packages = append(packages, p)
	}
}

// checkImports holds p to its row.
func checkImports(t *testing.T, p goPackage) {
	t.Helper()
	allowed, ok := rowOf(p.ImportPath)
	if !ok {
		t.Errorf("package %s is unknown: add a row for it to mayImport in imports_test.go", p.ImportPath)
		return
	}
	for _, path := range append(p.Imports, p.TestImports...) {
		first, _, _ := strings.Cut(path, "/")
		switch {
		case first == "cairn":
			if !slices.Contains(allowed, path) && !slices.Contains(allowed, anything) {
				t.Errorf("package %s imports %s; of ours it may import %q", p.ImportPath, path, allowed)
			}
		case p.ImportPath == "cairn" && strings.Contains(first, "."):
			t.Errorf("package cairn imports %s; it may import the standard library only", path)
		}
	}
}

// rowOf returns the row of mayImport for a package.
func rowOf(path string) (allowed []string, ok bool) {
	for row, allowed := range mayImport {
		folder, tree := strings.CutSuffix(row, "/...")
		if path == folder || tree && strings.HasPrefix(path, folder+"/") {
			return allowed, true
		}
	}
	return nil, false
}

// maxLines is the length of the longest Go file.
const maxLines = 600

// TestSources holds what can be seen in a single file.
func TestSources(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != "." && strings.HasPrefix(name, ".") || name == "node_modules" || name == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			files++
			checkSource(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Error("found no Go files")
	}
}

// checkSource checks the length, the package name and the functions of a file.
func checkSource(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	lines := bytes.Count(text, []byte("\n"))
	if lines > maxLines {
		t.Errorf("%s has %d lines; at most %d are allowed: split it", path, lines, maxLines)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	switch name := strings.TrimSuffix(file.Name.Name, "_test"); name {
	case "util", "common", "models":
		t.Errorf("%s: package %s says nothing: name it after what it holds", path, name)
	}
	if strings.HasSuffix(path, "_test.go") {
		return
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			t.Errorf("%s has a func init: call what it does from where it is needed", path)
		}
	}
}
