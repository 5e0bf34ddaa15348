package bucket_test

import (
	"errors"
	"strings"
	"testing"

	"cairn/internal/bucket"
)

func TestValidateName(t *testing.T) {
	for _, name := range []string{"a", "A/b/0", "a-b_c.d", "-", "_", "a.tmpx", "tmp", strings.Repeat("x", bucket.MaxName)} {
		if err := bucket.ValidateName(name); err != nil {
			t.Errorf("ValidateName(%q) = %v, want nil", name, err)
		}
	}
	for name, why := range map[string]string{
		"": "empty", "a/": "empty", "/a": "empty", "a//b": "empty", "a b": `' '`, "ä": `'ä'`, "a\\b": `'\\'`,
		".": "dot", "a/..": "dot", ".a/b": "dot", "a./b": "dot", "a.tmp": ".tmp", "a.tmp/b": ".tmp",
		strings.Repeat("x", bucket.MaxName+1): "513",
	} {
		err := bucket.ValidateName(name)
		if !errors.Is(err, bucket.ErrName) || !strings.Contains(err.Error(), why) {
			t.Errorf("ValidateName(%q) = %v, want an ErrName that speaks of %s", name, err, why)
		}
	}
}
