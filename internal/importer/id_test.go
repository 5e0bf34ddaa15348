package importer_test

import (
	"path/filepath"
	"testing"

	"cairn/internal/importer"
)

// The ids were computed with Python's uuid.uuid5, which is independent of the
// code here. They are stored in databases and must not change.
func TestIDs(t *testing.T) {
	tests := []struct{ path, asset, format string }{
		{"/home/ada/notes/todo.txt", "316fcd0a-7765-5c25-88f9-47a6a20e7551", "25bf5a82-7513-5f8c-9bcb-c9bfd8eaadc5"},
		{"/", "310f4094-7c12-5b31-809c-9d8207ffa684", "aa00a2f3-ca9e-5144-987e-e0cd5ac7dfb5"},
		{"/tmp/50% größer #1?.md", "e6a978bd-4ac6-5c3b-b827-ccba2a290e7b", "534bc1c6-a606-544e-8c78-ed0f4ad4d905"},
		{"/tmp/\xff\xfe", "1217c8e8-8a69-55ca-9c79-701a1a0a4bbd", "c0acae55-14b4-5f7d-85ec-0487ae012b9a"},
		{"C:/notes/todo.txt", "9a25308e-a55d-577a-b047-a7deb12625a1", "3752bdd7-f53c-5ebb-9aed-33e41fb43fdd"},
	}
	for _, tt := range tests {
		asset := importer.AssetID(filepath.FromSlash(tt.path))
		if asset != tt.asset {
			t.Errorf("AssetID(%q) = %s, want %s", tt.path, asset, tt.asset)
		}
		if format := importer.FormatID(asset); format != tt.format {
			t.Errorf("FormatID(%s) = %s, want %s", asset, format, tt.format)
		}
	}
}

func TestFormatIDOfNoUUID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	importer.FormatID("todo")
}

func TestDisplayName(t *testing.T) {
	tests := []struct{ rel, want string }{
		{"notes/todo.txt", "notes/todo.txt"},
		{"Grüße/世界", "Grüße/世界"},
		{"a\xff\xfeb", "a\ufffd\ufffdb"},
		{"\xe4\xb8/x", "\ufffd\ufffd/x"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := importer.DisplayName(filepath.FromSlash(tt.rel)); got != tt.want {
			t.Errorf("DisplayName(%q) = %q, want %q", tt.rel, got, tt.want)
		}
	}
}
