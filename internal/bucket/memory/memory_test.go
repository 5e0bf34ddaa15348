package memory_test

import (
	"strings"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/memory"
)

func TestBucket(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return new(memory.Bucket) })
}

func TestNow(t *testing.T) {
	now := time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC)
	b := &memory.Bucket{Now: func() time.Time { return now }}
	if err := b.Put(t.Context(), "a", strings.NewReader("a")); err != nil {
		t.Fatalf("Put: %v", err)
	}
	want := bucket.Object{Name: "a", Size: 1, Modified: now}
	if got, err := b.Head(t.Context(), "a"); err != nil || got != want {
		t.Errorf("Head = %+v, %v, want %+v", got, err, want)
	}
}
