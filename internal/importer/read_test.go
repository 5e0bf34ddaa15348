package importer_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/internal/importer"
)

func TestReadText(t *testing.T) {
	tests := []struct {
		name   string
		text   string
		max    int64
		reason importer.SkipReason
	}{
		{"empty", "", 10, importer.Kept},
		{"empty with no room", "", 0, importer.Kept},
		{"text", "Grüße, 世界\r\n\t\x1b", 100, importer.Kept},
		{"byte order mark", "\ufeffx", 100, importer.Kept},
		{"replacement character", "\ufffd", 100, importer.Kept},
		{"just fits", "0123456789", 10, importer.Kept},
		{"one too many", "0123456789a", 10, importer.TooLarge},
		{"large", strings.Repeat("x", 1<<20), 1 << 20, importer.Kept},
		{"no bound", "x", math.MaxInt64, importer.Kept},
		{"negative bound", "", -1, importer.TooLarge},
		{"NUL", "a\x00b", 10, importer.Binary},
		{"Latin-1", "Gr\xfc\xdfe", 10, importer.Binary},
		{"UTF-16", "\xff\xfea\x00", 10, importer.Binary},
		{"cut off", "世"[:2], 10, importer.Binary},
		{"surrogate", "\xed\xa0\x80", 10, importer.Binary},
		{"large binary", strings.Repeat("\x00", 11), 10, importer.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			text, reason, err := importer.ReadText(path, tt.max)
			if reason != tt.reason || err != nil {
				t.Fatalf("reason = %q, %v, want %q", reason, err, tt.reason)
			}
			if reason == importer.Kept && (string(text) != tt.text || text == nil) {
				t.Errorf("text = %q, want %q", text, tt.text)
			}
			if reason != importer.Kept && text != nil {
				t.Errorf("text = %q, want none", text)
			}
		})
	}
}

func TestReadTextNotAFile(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"file": "x", "folder/": ""})
	link(t, "file", filepath.Join(dir, "link"))
	link(t, "nowhere", filepath.Join(dir, "dangling"))
	tests := []struct {
		path string
		want importer.SkipReason
	}{
		{"missing", importer.Vanished},
		{"missing/file", importer.Vanished},
		{"file/below", importer.Vanished},
		{"folder", importer.Special},
		{"link", importer.Link},
		{"dangling", importer.Link},
	}
	for _, tt := range tests {
		text, reason, err := importer.ReadText(filepath.Join(dir, tt.path), 10)
		if text != nil || reason != tt.want || err != nil {
			t.Errorf("ReadText(%s) = %q, %q, %v, want %q", tt.path, text, reason, err, tt.want)
		}
	}
}

func TestSkipsAdd(t *testing.T) {
	var got importer.Skips
	for _, r := range []importer.SkipReason{
		importer.Kept, importer.Link, importer.Special, importer.Ignored, importer.Folder,
		importer.Binary, importer.TooLarge, importer.Unreadable, importer.Vanished, importer.Vanished,
	} {
		got.Add(r)
	}
	want := importer.Skips{
		Links: 1, Special: 1, Ignored: 1, Folders: 1, Binary: 1, TooLarge: 1, Unreadable: 1, Vanished: 2,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
