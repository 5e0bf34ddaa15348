package device_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/device"
)

// TestOpenRefuses has files that are not for this code. Each is named in the
// error, and is left as it was.
func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		code  cairn.Code
	}{
		{"newer schema", statement("PRAGMA user_version = 2"), cairn.CodeSchemaTooNew},
		{"much newer schema", statement("PRAGMA user_version = 2147483647"), cairn.CodeSchemaTooNew},
		{"schema version 0", statement("PRAGMA user_version = 0"), cairn.CodeDamaged},
		{"other program's", statement("PRAGMA application_id = 77"), cairn.CodeDamaged},
		{"other program's, not in WAL mode", func(t *testing.T, dir string) {
			content(nil)(t, dir)
			query(t, dir, "CREATE TABLE bookmarks (url)")
		}, cairn.CodeDamaged},
		{"no row", statement("DELETE FROM device"), cairn.CodeDamaged},
		{"no installation", statement("UPDATE device SET installation = 'x'"), cairn.CodeDamaged},
		{"no user", statement("UPDATE device SET user = ''"), cairn.CodeDamaged},
		{"text", content([]byte("{\"installation\": \"of another program\"}\n")), cairn.CodeDamaged},
		{"zeros", content(make([]byte, 8192)), cairn.CodeDamaged},
		{"cut short", truncate(4096), cairn.CodeDamaged},
		{"pages overwritten", overwrite(4096, 4096), cairn.CodeDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, device.FileName)
			visit(t, config(dir, "m1"))
			tt.spoil(t, dir)
			before := readFile(t, path)

			_, err := device.Open(t.Context(), config(dir, "m2"))
			e, ok := errors.AsType[*cairn.Error](err)
			if !ok {
				t.Fatalf("Open: %v, want a *cairn.Error", err)
			}
			if e.Code != tt.code || !strings.Contains(e.Message, path) || e.Hint == "" {
				t.Errorf("Open: %+v, want code %q, a message that names %s, and a hint", e, tt.code, path)
			}
			if !bytes.Equal(before, readFile(t, path)) {
				t.Error("Open changed the file")
			}
		})
	}
}

// TestOpenHalfMade has what a crash leaves before the first commit.
func TestOpenHalfMade(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
	}{
		{"empty file", content(nil)},
		{"header only", func(t *testing.T, dir string) {
			content(nil)(t, dir)
			query(t, dir, "PRAGMA journal_mode = WAL")
			if len(readFile(t, filepath.Join(dir, device.FileName))) == 0 {
				t.Fatal("the file is empty, want it to have a header")
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.spoil(t, dir)
			first := visit(t, config(dir, "m1"))
			if first.Copied || !first.SignedIn || first.Name != "host of m1" {
				t.Errorf("the device is %+v, want a fresh one", first)
			}
			if again := visit(t, config(dir, "m1")); again != first {
				t.Errorf("the device opened again is %+v, want %+v", again, first)
			}
		})
	}
}

// TestOpenNoFile has no folder for the file, and a folder in its place.
func TestOpenNoFile(t *testing.T) {
	dir := t.TempDir()
	missing, taken := filepath.Join(dir, "missing"), filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, device.FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{missing, taken} {
		_, err := device.Open(t.Context(), config(dir, "m1"))
		if e, ok := errors.AsType[*cairn.Error](err); !ok || !strings.Contains(e.Message, dir) {
			t.Errorf("Open: %v, want a *cairn.Error that names %s", err, dir)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("Open made the folder")
	}
}

// statement spoils a file with SQL.
func statement(text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		query(t, dir, text)
	}
}

// content spoils a file by replacing it.
func content(data []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, device.FileName), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// truncate spoils a file by cutting it.
func truncate(size int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Truncate(filepath.Join(dir, device.FileName), size); err != nil {
			t.Fatal(err)
		}
	}
}

// overwrite spoils n bytes of a file.
func overwrite(offset, n int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		data := readFile(t, filepath.Join(dir, device.FileName))
		copy(data[offset:offset+n], bytes.Repeat([]byte{0xff}, n))
		content(data)(t, dir)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
