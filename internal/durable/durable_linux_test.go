package durable_test

import (
	"testing"

	"cairn/internal/durable"
)

// TestSyncDirUnsupported takes /proc for a file system that cannot sync.
func TestSyncDirUnsupported(t *testing.T) {
	if err := durable.SyncDir("/proc"); err != nil {
		t.Errorf("SyncDir: %v", err)
	}
}
