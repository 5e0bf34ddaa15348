package stores_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/memory"
	"cairn/test/stores"
)

func TestMain(m *testing.M) { os.Exit(stores.Main(m.Run)) }

// each runs a test with stores of each kind.
func each(t *testing.T, test func(t *testing.T)) {
	for _, kind := range []string{"", "memory", "folder", "s3", "gcs", "azure"} {
		t.Run("kind "+kind, func(t *testing.T) {
			t.Setenv("CAIRN_TEST_STORE", kind)
			test(t)
		})
	}
}

// TestKinds looks at what the stores are, below what is around them.
func TestKinds(t *testing.T) {
	types := map[string]string{"": "*memory.Bucket", "memory": "*memory.Bucket", "folder": "*folder.Bucket", "s3": "*s3.Bucket", "gcs": "*gcs.Bucket", "azure": "*azure.Bucket"}
	each(t, func(t *testing.T) {
		want := types[os.Getenv("CAIRN_TEST_STORE")]
		prefixed := 0
		for range 4 {
			b := stores.New(t)
			if fmt.Sprintf("%T", b) == "*bucket.prefixed" {
				prefixed++
			}
			for w, ok := b.(unwrapper); ok; w, ok = b.(unwrapper) {
				b = w.Unwrap()
			}
			if got := fmt.Sprintf("%T", b); got != want {
				t.Errorf("the store is a %s, want a %s", got, want)
			}
		}
		if stores.InMemory() != (want == "*memory.Bucket") || prefixed != 2 && !stores.InMemory() {
			t.Errorf("in memory: %t; %d of 4 stores are below a prefix", stores.InMemory(), prefixed)
		}
	})
}

// An unwrapper is around a store.
type unwrapper interface{ Unwrap() bucket.Bucket }

func TestConformance(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return stores.Outside(new(memory.Bucket)) })
}

// TestBubble uses stores in a bubble, where time only passes while all sleep.
func TestBubble(t *testing.T) {
	each(t, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			b := bucket.Retry(stores.New(t), bucket.Policy{})
			for i := range 20 {
				if err := b.Put(t.Context(), fmt.Sprintf("object%02d", i), strings.NewReader("content")); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Hour) // the connections are idle
			objects := 0
			for object, err := range b.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				objects++
				if err := b.Delete(t.Context(), object.Name); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(begin); objects != 20 || took != time.Hour {
				t.Errorf("%d objects in %v, want 20 in an hour", objects, took)
			}
		})
	})
}

// TestDeadline has a context end while an object is read, and before each call.
func TestDeadline(t *testing.T) {
	each(t, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := stores.New(t)
			if err := b.Put(t.Context(), "a", strings.NewReader("content")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r, err := b.Get(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			_, readErr := io.ReadAll(r)
			_, getErr := b.Get(ctx, "a")
			_, headErr := b.Head(ctx, "a")
			var listErr error
			for _, err := range b.List(ctx, "") {
				listErr = err
			}
			for call, err := range map[string]error{
				"Read": readErr, "Get": getErr, "Head": headErr, "List": listErr,
				"Put": b.Put(ctx, "b", strings.NewReader("content")), "Delete": b.Delete(ctx, "a"),
			} {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s returned %v, want %v", call, err, context.DeadlineExceeded)
				}
			}
		})
	})
}

var errEndless = errors.New("the context does not end")

// A hanging bucket has Get wait for the end of its context.
type hanging struct {
	bucket.Bucket
	begun chan struct{} // closed by Get
}

// Get waits.
func (h hanging) Get(ctx context.Context, _ string) (io.ReadCloser, error) {
	close(h.begun)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(10 * time.Second):
		return nil, errEndless
	}
}

// TestCancel has a context end in a bubble while a call waits outside of it.
func TestCancel(t *testing.T) {
	h := hanging{new(memory.Bucket), make(chan struct{})}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-h.begun
			cancel()
		}()
		if _, err := stores.Outside(h).Get(ctx, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, errEndless) {
			t.Errorf("Get returned %v, want %v", err, context.Canceled)
		}
	})
}
