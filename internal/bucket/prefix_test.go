package bucket_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

func TestPrefix(t *testing.T) {
	store := new(memory.Bucket)
	for _, name := range []string{"a/b/c", "a/b/d/e", "a/bc", "a.b/c", "c"} {
		put(t, store, name, name)
	}
	for prefix, want := range map[string][]string{
		"": {"a.b/c", "a/b/c", "a/b/d/e", "a/bc", "c"}, "a": {"b/c", "b/d/e", "bc"}, "a/b": {"c", "d/e"}, "a/b/": {"c", "d/e"},
		"c": nil, "/": nil,
	} {
		b := bucket.Prefix(store, prefix)
		got, err := names(t.Context(), b, "")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("below %q List yields %q, %v, want %q", prefix, got, err, want)
		}
	}

	b := bucket.Prefix(store, "x/y")
	put(t, b, "z", "new")
	if got := read(t, store, "x/y/z"); got != "new" {
		t.Errorf("the object z below x/y is %q as x/y/z, want %q", got, "new")
	}
	if err := b.Delete(t.Context(), "z"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if got := read(t, store, "x/y/z"); got != "" {
		t.Errorf("the object z below x/y stands after Delete")
	}
	for _, prefix := range []string{"..", "a/..", "a//b", " "} {
		b := bucket.Prefix(store, prefix)
		if err := b.Put(t.Context(), "z", strings.NewReader("z")); !errors.Is(err, bucket.ErrName) {
			t.Errorf("Put below %q: %v, want ErrName", prefix, err)
		}
	}
}

// TestWrapped has a Put settled once, however the wrappers are nested.
func TestWrapped(t *testing.T) {
	policy := bucket.Policy{Tries: 3}
	for name, wrap := range map[string]func(bucket.Bucket) bucket.Bucket{
		"retry":        func(b bucket.Bucket) bucket.Bucket { return bucket.Retry(b, policy) },
		"retry prefix": func(b bucket.Bucket) bucket.Bucket { return bucket.Retry(bucket.Prefix(b, "p"), policy) },
		"prefix retry": func(b bucket.Bucket) bucket.Bucket { return bucket.Prefix(bucket.Retry(b, policy), "p") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faulty := failing(t, 1e9, nil)
				err := bucket.Create(t.Context(), wrap(faulty), "b", strings.NewReader("b"))
				if !errors.Is(err, bucket.ErrUnknown) || faulty.Calls() != 4 {
					t.Errorf("Create = %v after %d calls, want ErrUnknown after a Put and three Gets", err, faulty.Calls())
				}
			})
		})
	}
}

func TestUnwrap(t *testing.T) {
	var b bucket.Bucket = new(memory.Bucket)
	wrapped := bucket.Retry(bucket.Prefix(fault.New(b, nil), "p"), bucket.Policy{})
	for range 3 {
		wrapped = wrapped.(interface{ Unwrap() bucket.Bucket }).Unwrap()
	}
	if wrapped != b {
		t.Errorf("unwrapped three times it is %T, want the store", wrapped)
	}
}
