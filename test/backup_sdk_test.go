package test

import (
	"os"
	"path/filepath"
	"testing"

	"cairn/test/harness"
)

// TestSDKLockedCloud runs the SDK on a daemon that has the folder of a cloud
// without its key.
func TestSDKLockedCloud(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	cloud := filepath.Join(t.TempDir(), "cloud")
	if err := harness.Start(t, harness.Options{Args: []string{"--cloud", cloud}}).Stop(); err != nil {
		t.Fatal(err)
	}
	d := harness.Start(t, harness.Options{Args: []string{"--cloud", cloud}})
	v := harness.NewValidator(t, d.URL)
	if err := nodeTest(t, filepath.Join(sdk, "backup_locked.mjs"), v.URL); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(cloud); err != nil || len(entries) != 1 {
		t.Errorf("the cloud holds %v (%v), not just cairn.json", entries, err)
	}
}
