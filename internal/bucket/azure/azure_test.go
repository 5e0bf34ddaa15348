package azure_test

import (
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/azure"
	"cairn/internal/bucket/buckettest"
	"cairn/test/emulator"
)

// openBucket opens a new bucket of a server.
func openBucket(t *testing.T, s *emulator.Server) *azure.Bucket {
	t.Helper()
	b, err := azure.Open(t.Context(), azure.Location{Container: s.Bucket(), Account: emulator.Account, Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLostReply(t *testing.T) {
	s := emulator.Azure(t)
	s.Setenv(t)
	buckettest.LostReply(t, s.URL, func(endpoint string) bucket.Bucket {
		b, err := azure.Open(t.Context(), azure.Location{Container: s.Bucket(), Account: emulator.Account, Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestConformance(t *testing.T) {
	s := emulator.Azure(t)
	s.Setenv(t)
	buckettest.RunFew(t, func(t *testing.T) bucket.Bucket { return openBucket(t, s) })
}
