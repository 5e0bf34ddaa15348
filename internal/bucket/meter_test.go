package bucket_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/memory"
)

// ear is an Observer that notes what it hears.
type ear struct {
	mu             sync.Mutex
	calls          []string
	sent, received int64
}

func (e *ear) Called(operation string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for class, word := range map[error]string{bucket.ErrNotFound: "absent", bucket.ErrExists: "exists", bucket.ErrUnreachable: "lost"} {
		if errors.Is(err, class) {
			operation += " " + word
		}
	}
	e.calls = append(e.calls, operation)
}

func (e *ear) Sent(bytes int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent += bytes
}

func (e *ear) Received(bytes int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.received += bytes
}

func TestMeter(t *testing.T) {
	var e ear
	b := bucket.Meter(new(memory.Bucket), &e)
	put(t, b, "a", "four")
	_ = b.Put(t.Context(), "a", strings.NewReader("another")) // what becomes of it is told
	if got := read(t, b, "a"); got != "four" {
		t.Errorf("the object is %q", got)
	}
	_ = read(t, b, "b")
	if _, err := b.Head(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	for range b.List(t.Context(), "") {
		break
	}
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	want := []string{"put", "put exists", "get", "get absent", "head", "list", "delete"}
	if !slices.Equal(e.calls, want) || e.sent != 4 || e.received != 4 {
		t.Errorf("heard %q, %d sent, %d received; want %q, 4 and 4", e.calls, e.sent, e.received, want)
	}
}

// TestMeterHearsTries has a store that does not answer twice.
func TestMeterHearsTries(t *testing.T) {
	var e ear
	b := bucket.Retry(bucket.Meter(failing(t, 2, nil), &e), bucket.Policy{First: 1, Longest: 1})
	for _, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
	}
	if got := fmt.Sprint(e.calls); got != "[list lost list lost list]" {
		t.Errorf("heard %s", got)
	}
}
