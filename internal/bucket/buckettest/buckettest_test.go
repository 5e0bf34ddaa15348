package buckettest_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/memory"
)

// defects are stores that break one promise each.
var defects = map[string]func(*memory.Bucket) bucket.Bucket{
	"none":               func(b *memory.Bucket) bucket.Bucket { return b },
	"replaces objects":   func(b *memory.Bucket) bucket.Bucket { return replacing{b} },
	"reads on":           func(b *memory.Bucket) bucket.Bucket { return readingOn{b} },
	"finds what is gone": func(b *memory.Bucket) bucket.Bucket { return finding{b} },
	"lists backwards":    func(b *memory.Bucket) bucket.Bucket { return backwards{b} },
	"keeps objects":      func(b *memory.Bucket) bucket.Bucket { return keeping{b} },
}

// A replacing store puts an object in the place of another.
type replacing struct{ *memory.Bucket }

func (b replacing) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	err := b.Bucket.Put(ctx, name, content)
	if errors.Is(err, bucket.ErrExists) {
		err = errors.Join(b.Bucket.Delete(ctx, name), b.Bucket.Put(ctx, name, content))
	}
	return err
}

// A readingOn store takes content from where it stands.
type readingOn struct{ *memory.Bucket }

func (b readingOn) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	rest, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return b.Bucket.Put(ctx, name, strings.NewReader(string(rest)))
}

// A finding store has every object.
type finding struct{ *memory.Bucket }

func (b finding) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.Bucket.Get(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return r, err
}

// A backwards store lists the last object first.
type backwards struct{ *memory.Bucket }

func (b backwards) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		var all []bucket.Object
		for object, err := range b.Bucket.List(ctx, prefix) {
			if err != nil {
				yield(object, err)
				return
			}
			all = append([]bucket.Object{object}, all...)
		}
		for _, object := range all {
			if !yield(object, nil) {
				return
			}
		}
	}
}

// A keeping store deletes nothing.
type keeping struct{ *memory.Bucket }

func (b keeping) Delete(context.Context, string) error { return nil }

const defectVariable = "BUCKETTEST_DEFECT"

// TestDefects holds the suite to its purpose: it passes a good store and fails
// each bad one. The suite runs in a process of its own, since it is to fail.
func TestDefects(t *testing.T) {
	if name := os.Getenv(defectVariable); name != "" {
		buckettest.Run(t, func(*testing.T) bucket.Bucket { return defects[name](new(memory.Bucket)) })
		return
	}
	for name := range defects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefects$", "-test.failfast", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), defectVariable+"="+name)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (name == "none") || err != nil && !strings.Contains(string(out), "--- FAIL: TestDefects/") {
				t.Errorf("the suite ends with %v:\n%.2000s", err, out)
			}
		})
	}
}
