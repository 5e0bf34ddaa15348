package gcs_test

import (
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/gcs"
	"cairn/test/emulator"
)

// openBucket opens a new bucket of a server.
func openBucket(t *testing.T, s *emulator.Server) *gcs.Bucket {
	t.Helper()
	b, err := gcs.Open(t.Context(), gcs.Location{Bucket: s.Bucket(), Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLostReply(t *testing.T) {
	s := emulator.GCS(t)
	s.Setenv(t)
	buckettest.LostReply(t, s.URL, func(endpoint string) bucket.Bucket {
		b, err := gcs.Open(t.Context(), gcs.Location{Bucket: s.Bucket(), Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestConformance(t *testing.T) {
	s := emulator.GCS(t)
	s.Setenv(t)
	buckettest.RunFew(t, func(t *testing.T) bucket.Bucket { return openBucket(t, s) })
}
