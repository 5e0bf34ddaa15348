package buckettest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/internal/bucket"
)

// testRace has many store under one name: the bytes of the only one that is
// told of success stand.
func testRace(t *testing.T, b bucket.Bucket) {
	for round := range 4 {
		name := fmt.Sprintf("race/%d", round)
		contents := make([][]byte, 16)
		errs := make([]error, len(contents))
		var writers sync.WaitGroup
		for i := range contents {
			contents[i] = bytes.Repeat([]byte{byte('a' + i)}, 100_000)
			writers.Go(func() { errs[i] = b.Put(t.Context(), name, bytes.NewReader(contents[i])) })
		}
		writers.Wait()
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				want(t, b, name, contents[i])
			} else if !errors.Is(err, bucket.ErrExists) {
				t.Errorf("Put beside others: %v, want nil or ErrExists", err)
			}
		}
		if winners != 1 {
			t.Errorf("%d of %d writers of one name were told of success, want 1", winners, len(errs))
		}
	}
}

// testList lists n objects while others come and go.
func testList(t *testing.T, b bucket.Bucket, n int) {
	names := []string{"a", "a-b", "a.b", "a0/b", "a_", "b/a", "b/a.c", "b/a0", "b/aa/c", "b/aa.c", "b/aa-/d", "B", "z"}
	for i := range n - len(names) {
		names = append(names, fmt.Sprintf("parts/%02x/%04d%c", i%64, i, "-._a"[i%4])+"x")
	}
	var writers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			for j := i; j < len(names); j += 16 {
				if err := b.Put(t.Context(), names[j], strings.NewReader(names[j])); err != nil {
					t.Errorf("Put of %s: %v", names[j], err)
				}
			}
		})
	}
	writers.Wait()
	for _, prefix := range []string{"", "a", "a0", "a0/", "b/a", "b/aa", "b/aa/", "parts/", "parts/0", "parts/3f/00", "c", "zz", "z/"} {
		wantList(t, b, prefix, below(names, prefix))
	}
	wantObjects(t, b, 7)

	for i := range 4 {
		writers.Go(func() {
			for j := range 30 {
				name := fmt.Sprintf("parts/%02x/other-%d", (i*30+j)%70, i)
				put := b.Put(t.Context(), name, strings.NewReader("x"))
				if err := errors.Join(put, b.Delete(t.Context(), name)); err != nil {
					t.Errorf("beside a List: %v", err)
				}
			}
		})
	}
	slices.Sort(names)
	for range 5 {
		got := list(t, b, "")
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Error("beside writers List yields names out of order, or twice")
		}
		got = slices.DeleteFunc(got, func(name string) bool { return strings.Contains(name, "other") })
		if !slices.Equal(got, names) {
			t.Errorf("beside writers List yields %d of the %d objects that stay", len(got), len(names))
		}
	}
	writers.Wait()
	wantList(t, b, "", names)
}

// testBusy reads objects that are just being stored: they are whole or absent.
func testBusy(t *testing.T, b bucket.Bucket) {
	data := noise(2 << 20)
	for round := range 3 {
		name := fmt.Sprintf("busy/%d", round)
		done := make(chan struct{})
		var readers, writer sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						readWhole(t, b, name, data)
					}
				}
			})
		}
		writer.Go(func() {
			if err := b.Put(t.Context(), name, bytes.NewReader(data)); err != nil {
				t.Errorf("Put beside readers: %v", err)
			}
		})
		writer.Wait()
		close(done)
		readers.Wait()
		want(t, b, name, data)
	}
}

// readWhole fails the test unless an object is absent or holds data.
func readWhole(t *testing.T, b bucket.Bucket, name string, data []byte) {
	object, err := b.Head(t.Context(), name)
	if err == nil && object.Size != int64(len(data)) {
		t.Errorf("Head of an object that is being stored: %d bytes, want none or %d", object.Size, len(data))
	}
	for object, err := range b.List(t.Context(), name) {
		if err != nil || object.Size != int64(len(data)) {
			t.Errorf("List yields %+v, %v while it is being stored", object, err)
		}
	}
	body, err := b.Get(t.Context(), name)
	if errors.Is(err, bucket.ErrNotFound) {
		return
	}
	if err != nil {
		t.Errorf("Get of an object that is being stored: %v", err)
		return
	}
	got, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("reading an object that is being stored: %d bytes, %v, want none or all %d", len(got), err, len(data))
	}
}

// list returns all names below a prefix.
func list(t *testing.T, b bucket.Bucket, prefix string) (names []string) {
	t.Helper()
	for object, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List of %q: %v", prefix, err)
		}
		names = append(names, object.Name)
	}
	return names
}

// wantList fails the test unless List yields these names, in order.
func wantList(t *testing.T, b bucket.Bucket, prefix string, names []string) {
	t.Helper()
	names = slices.Sorted(slices.Values(names))
	got := list(t, b, prefix)
	for i := range max(len(got), len(names)) {
		if i >= len(got) || i >= len(names) || got[i] != names[i] {
			t.Errorf("List of %q yields %d names, want %d; the first that differs is number %d: %.3q, want %.3q",
				prefix, len(got), len(names), i, got[min(i, len(got)):], names[min(i, len(names)):])
			return
		}
	}
}

// wantObjects stops a List early, and compares what it yields with Head.
func wantObjects(t *testing.T, b bucket.Bucket, n int) {
	t.Helper()
	for object, err := range b.List(t.Context(), "parts/") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		got, err := b.Head(t.Context(), object.Name)
		if err != nil || got.Size != object.Size || !got.Modified.Equal(object.Modified) {
			t.Errorf("Head = %+v, %v, want %+v as List", got, err, object)
		}
		if n--; n == 0 {
			return
		}
	}
	t.Errorf("List yields %d objects too few", n)
}

// below returns the names that begin with prefix.
func below(names []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}
