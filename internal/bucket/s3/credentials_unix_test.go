//go:build unix

package s3_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/s3"
)

// TestCredentialProcess has a program that prints more than it should, and one that
// is not there: the error says so in a few words, and tells no secret.
func TestCredentialProcess(t *testing.T) {
	credentials(t, "", "")
	dir := t.TempDir()
	noisy := filepath.Join(dir, "noisy")
	script := "#!/bin/sh\necho there is a newer version\necho '{\"Version\": 1, \"AccessKeyId\": \"AKIA\", \"SecretAccessKey\": \"TOPSECRET\"}'\n"
	if err := os.WriteFile(noisy, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	for program, want := range map[string]string{noisy: "credential_process: invalid character", "/no/such/program": "credential_process: exit status 127"} {
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[default]\ncredential_process = "+program+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: "http://127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		for name, call := range calls {
			err := call(t.Context(), b)
			answer, ok := errors.AsType[*bucket.Answer](err)
			if !ok || answer.Class != bucket.ErrNoCredentials || !strings.HasPrefix(answer.Said, want) || strings.Contains(err.Error(), "TOPSECRET") {
				t.Errorf("%s with %s: %v, said %+v, want %q", name, program, err, answer, want)
			}
		}
	}
}
