// Package buckettest is what every store and wrapper must pass:
//
//	func TestBucket(t *testing.T) {
//		buckettest.Run(t, func(t *testing.T) bucket.Bucket { return new(memory.Bucket) })
//	}
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
)

// deaf is an observer for whom nothing matters but that calls pass.
type deaf struct{}

func (deaf) Called(string, error) {}
func (deaf) Sent(int64)           {}
func (deaf) Received(int64)       {}

// Run tests the stores that open returns, an empty one each time: as they are,
// below a prefix, with a meter and retries, and with retries while every fourth
// call fails.
func Run(t *testing.T, open func(t *testing.T) bucket.Bucket) { run(t, 2000, open) }

// RunFew is Run with fewer objects, for a store whose lists come in small parts.
func RunFew(t *testing.T, open func(t *testing.T) bucket.Bucket) { run(t, 300, open) }

func run(t *testing.T, objects int, open func(t *testing.T) bucket.Bucket) {
	for _, wrapper := range []struct {
		name    string
		objects int // that are listed
		wrap    func(bucket.Bucket) bucket.Bucket
	}{
		{"plain", objects, func(b bucket.Bucket) bucket.Bucket { return b }},
		{"prefix", 300, func(b bucket.Bucket) bucket.Bucket { return bucket.Prefix(b, "some/prefix") }},
		{"retry", 300, func(b bucket.Bucket) bucket.Bucket { return bucket.Retry(bucket.Meter(b, deaf{}), bucket.Policy{}) }},
		{"retry over faults", 300, func(b bucket.Bucket) bucket.Bucket {
			return bucket.Retry(unreliable(b), bucket.Policy{Tries: 100, First: time.Microsecond, Longest: time.Millisecond})
		}},
	} {
		t.Run(wrapper.name, func(t *testing.T) {
			t.Parallel()
			open := func(t *testing.T) bucket.Bucket { return wrapper.wrap(open(t)) }
			for _, test := range []struct {
				name string
				run  func(*testing.T, bucket.Bucket)
			}{
				{"round trip", testRoundTrip},
				{"exists", testExists},
				{"race", testRace},
				{"delete", testDelete},
				{"names", testNames},
				{"cancelled", testCancelled},
				{"list", func(t *testing.T, b bucket.Bucket) { testList(t, b, wrapper.objects) }},
				{"busy", testBusy},
			} {
				t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
			}
		})
	}
}

// unreliable has one call in eight fail, and one in eight lose its reply.
func unreliable(b bucket.Bucket) bucket.Bucket {
	random := rand.New(rand.NewPCG(1, 2))
	return fault.New(b, func(c fault.Call) fault.Outcome {
		switch random.IntN(8) {
		case 0:
			return fault.Outcome{Effect: fault.Fail}
		case 1:
			if c.Op == fault.List {
				return fault.Outcome{Effect: fault.Cut}
			}
			return fault.Outcome{Effect: fault.Lost}
		}
		return fault.Outcome{}
	})
}

func testRoundTrip(t *testing.T, b bucket.Bucket) {
	const slack = time.Minute // of the clock of the store
	before := time.Now().Add(-slack)
	for _, size := range []int{0, 1, 9 << 20} {
		name, data := fmt.Sprintf("parts/ab/%d.jsonl", size), noise(size)
		content := bytes.NewReader(data)
		if _, err := content.Seek(int64(size+1)/2, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), name, content); err != nil {
			t.Fatalf("Put of %d bytes: %v", size, err)
		}
		want(t, b, name, data)
		object, err := b.Head(t.Context(), name)
		if err != nil || object.Name != name || object.Size != int64(size) {
			t.Errorf("Head of %s = %+v, %v, want its name and %d bytes", name, object, err, size)
		}
		if object.Modified.Before(before) || object.Modified.After(time.Now().Add(slack)) {
			t.Errorf("Head of %s: modified at %v, want now", name, object.Modified)
		}
		for listed, err := range b.List(t.Context(), name) {
			if err != nil || listed.Name != name || listed.Size != object.Size || !listed.Modified.Equal(object.Modified) {
				t.Errorf("List yields %+v, %v, want %+v as Head", listed, err, object)
			}
		}
	}
	wantNone(t, b, "parts/ab/none")
	wantNone(t, b, "none/ab/none")
	wantNone(t, b, "parts/ab")
	wantNone(t, b, "parts/ab/1.jsonl/below")
}

func testExists(t *testing.T, b bucket.Bucket) {
	for _, data := range []string{"old", ""} {
		name := "backups/" + data + "x"
		put(t, b, name, data)
		for _, other := range []string{"new", "longer than the old one", "ol", ""} {
			if other == data {
				continue
			}
			if err := b.Put(t.Context(), name, strings.NewReader(other)); !errors.Is(err, bucket.ErrExists) {
				t.Errorf("Put of %q over %q: %v, want ErrExists", other, data, err)
			}
			if err := bucket.Create(t.Context(), b, name, strings.NewReader(other)); !errors.Is(err, bucket.ErrExists) {
				t.Errorf("Create of %q over %q: %v, want ErrExists", other, data, err)
			}
			want(t, b, name, []byte(data))
		}
		if err := bucket.Create(t.Context(), b, name, strings.NewReader(data)); err != nil {
			t.Errorf("Create of %q again: %v, want nil", data, err)
		}
	}
}

func testDelete(t *testing.T, b bucket.Bucket) {
	put(t, b, "trash/a", "a")
	put(t, b, "trash/b", "b")
	for _, name := range []string{"trash/a", "trash/a", "trash/none", "none/none", "trash", "trash/b/below"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete of %s: %v", name, err)
		}
	}
	wantNone(t, b, "trash/a")
	want(t, b, "trash/b", []byte("b"))
	put(t, b, "trash/a", "anew")
	want(t, b, "trash/a", []byte("anew"))
}

func testNames(t *testing.T, b bucket.Bucket) {
	long := strings.Repeat(strings.Repeat("x", 99)+"/", 4) + "y"
	good := []string{"cairn.json", "0", "-", "_", "a-b_c.D9", "a/b/c/d/e", "tmp", "a.tmp2", "a.tmp.b", long}
	for _, name := range good {
		put(t, b, name, name)
	}
	for _, name := range good {
		want(t, b, name, []byte(name))
	}
	for _, name := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "a/./b", "a/../b", "../a", "../../etc/passwd", "a/..", ".hidden",
		"a/.hidden/b", "a.", "a.tmp", "a.tmp/b", "a b", "a\\b", "a\x00b", "ä", "a\xffb", "a:b", "a+b",
		strings.Repeat("x/", bucket.MaxName/2) + "x",
	} {
		_, getErr := b.Get(t.Context(), name)
		_, headErr := b.Head(t.Context(), name)
		for op, err := range map[string]error{
			"Put":    b.Put(t.Context(), name, strings.NewReader("x")),
			"Create": bucket.Create(t.Context(), b, name, strings.NewReader("x")),
			"Get":    getErr, "Head": headErr, "Delete": b.Delete(t.Context(), name),
		} {
			if !errors.Is(err, bucket.ErrName) {
				t.Errorf("%s of %q: %v, want ErrName", op, name, err)
			}
		}
	}
	wantList(t, b, "", good)
	for _, prefix := range []string{"/", "../", "..", "a//", "a/../", ".", "a/b/c/d/e/", "cairn.json/", "\x00", "A B"} {
		wantList(t, b, prefix, nil)
	}
}

func testCancelled(t *testing.T, b bucket.Bucket) {
	put(t, b, "a", "a")
	ctx, cancel := context.WithCancel(t.Context())
	body, err := b.Get(ctx, "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	cancel()
	_, readErr := io.ReadAll(body)
	if err := body.Close(); err != nil {
		t.Errorf("closing what was read: %v", err)
	}
	_, getErr := b.Get(ctx, "a")
	_, headErr := b.Head(ctx, "a")
	var listErr error
	for _, err := range b.List(ctx, "") {
		listErr = err
	}
	for op, err := range map[string]error{
		"Put":    b.Put(ctx, "b", strings.NewReader("b")),
		"Create": bucket.Create(ctx, b, "c", strings.NewReader("c")),
		"Get":    getErr, "reading": readErr, "Head": headErr, "List": listErr, "Delete": b.Delete(ctx, "a"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a cancelled context: %v, want context.Canceled", op, err)
		}
	}
	wantList(t, b, "", []string{"a"})

	// Cancelled while it stores: the object is there whole, or not at all.
	ctx, cancel = context.WithCancel(t.Context())
	data := noise(9 << 20)
	err = b.Put(ctx, "d", &canceller{bytes.NewReader(data), cancel})
	if err == nil {
		want(t, b, "d", data)
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("Put cancelled half way: %v, want context.Canceled", err)
	} else {
		wantNone(t, b, "d")
	}
}

// A canceller cancels a context when half of its content was read.
type canceller struct {
	*bytes.Reader
	cancel func()
}

// WriteTo must not be that of bytes.Reader, which passes Read by.
func (c *canceller) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

func (c *canceller) Read(p []byte) (int, error) {
	if int64(c.Len()) < c.Size()/2 {
		c.cancel()
	}
	return c.Reader.Read(p)
}

// noise returns bytes that repeat nowhere.
func noise(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // it never fails
	return data
}

func put(t *testing.T, b bucket.Bucket, name, data string) {
	t.Helper()
	if err := b.Put(t.Context(), name, strings.NewReader(data)); err != nil {
		t.Fatalf("Put of %s: %v", name, err)
	}
}

// want fails the test unless an object holds data.
func want(t *testing.T, b bucket.Bucket, name string, data []byte) {
	t.Helper()
	body, err := b.Get(t.Context(), name)
	if err != nil {
		t.Errorf("Get of %s: %v", name, err)
		return
	}
	got, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Errorf("reading %s: %v", name, err)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%s holds %d bytes, %.20q, want %d, %.20q", name, len(got), got, len(data), data)
	}
}

// wantNone fails the test if there is an object of this name.
func wantNone(t *testing.T, b bucket.Bucket, name string) {
	t.Helper()
	body, err := b.Get(t.Context(), name)
	if err == nil {
		_ = body.Close()
	}
	_, headErr := b.Head(t.Context(), name)
	for op, err := range map[string]error{"Get": err, "Head": headErr} {
		if !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("%s of %s: %v, want ErrNotFound", op, name, err)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%s of %s: the error does not name it: %v", op, name, err)
		}
	}
}
