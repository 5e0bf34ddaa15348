package test

import (
	"path/filepath"
	"testing"

	"cairn/test/harness"
)

// TestSDKBackups runs the SDK's tests of backups, which [TestSDK] runs on the
// folder that a daemon has by default, with a cloud on S3.
func TestSDKBackups(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	for _, name := range []string{"backup", "jobs", "streams", "user"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := harness.NewValidator(t, s3Cloud(t).serve(t, harness.Options{}).URL)
			if err := nodeTest(t, filepath.Join(sdk, name+".test.mjs"), v.URL); err != nil {
				t.Error(err)
			}
		})
	}
}
