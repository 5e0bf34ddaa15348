package test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/test/harness"
)

// TestSDKBackups runs the SDK's tests of backups, which [TestSDK] runs on the
// folder that a daemon has by default, with a cloud on S3.
func TestSDKBackups(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	for _, name := range []string{"backup", "jobs", "streams"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := harness.NewValidator(t, s3Cloud(t).serve(t, harness.Options{}).URL)
			if err := nodeTest(t, filepath.Join(sdk, name+".test.mjs"), v.URL); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSDKLockedCloud runs the SDK on a daemon that has a cloud without its key.
func TestSDKLockedCloud(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		if err := cloud.serve(t, harness.Options{}).Stop(); err != nil {
			t.Fatal(err)
		}
		before := snapshot(t, cloud.dir)
		v := harness.NewValidator(t, cloud.serve(t, harness.Options{}).URL)
		if err := nodeTest(t, filepath.Join(sdk, "backup_locked.mjs"), v.URL); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(before, snapshot(t, cloud.dir)); diff != "" || len(before) != 1 {
			t.Errorf("the cloud held %d objects and was changed (-before +after):\n%s", len(before), diff)
		}
	})
}
