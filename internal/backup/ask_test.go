package backup_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/test/stores"
)

// A deaf bucket is a folder on a server that can be gone: a call waits until it is
// back, whatever ctx says.
type deaf struct {
	bucket.Bucket
	gone  atomic.Pointer[chan struct{}] // closed when it is back; nil while it is there
	after atomic.Int64                  // how many calls are answered all the same
}

func (d *deaf) hang() {
	if back := d.gone.Load(); back != nil && d.after.Add(-1) < 0 {
		<-*back
	}
}

func (d *deaf) leave() { d.gone.Store(new(make(chan struct{}))) }
func (d *deaf) come()  { close(*d.gone.Swap(nil)) }

func (d *deaf) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	d.hang()
	return d.Bucket.Get(ctx, name)
}
func (d *deaf) Head(ctx context.Context, name string) (bucket.Object, error) {
	d.hang()
	return d.Bucket.Head(ctx, name)
}
func (d *deaf) Delete(ctx context.Context, name string) error {
	d.hang()
	return d.Bucket.Delete(ctx, name)
}
func (d *deaf) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		d.hang()
		d.Bucket.List(ctx, prefix)(yield)
	}
}

// Who asks a cloud that does not answer waits as long as he wants to, and no
// longer; however many ask, they leave a bounded number of threads behind; and
// when it is back, it answers.
func TestDeafBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deaf{Bucket: stores.New(t)}
		h := newHouse(t, store)
		h.apply(doc("a", "", 10))
		b := h.create()
		fresh := h.newEngine() // has not opened it yet
		before := runtime.NumGoroutine()
		store.leave()
		for name, ask := range map[string]func(context.Context) error{
			"Connect": func(ctx context.Context) error { _, err := fresh.Connect(ctx); return err },
			"List":    func(ctx context.Context) error { _, err := h.engine.List(ctx); return err },
			"Backup":  func(ctx context.Context) error { _, err := h.engine.Backup(ctx, b.ID); return err },
			"Delete":  func(ctx context.Context) error { return h.engine.Delete(ctx, b.ID) },
			"Backups": func(ctx context.Context) error { _, err := h.engine.Backups(ctx); return err },
			"Document": func(ctx context.Context) error {
				_, err := h.engine.Document(ctx, b.ID, cairn.DocumentName{Collection: "assets", ID: "a"})
				return err
			},
			"Documents": func(ctx context.Context) (err error) {
				for _, err = range h.engine.Documents(ctx, b.ID, cairn.DocumentFilter{}) {
				}
				return err
			},
			"Prune": func(ctx context.Context) error {
				_, err := h.engine.Prune(ctx, false, func(cairn.PruneProgress) {})
				return err
			},
			"Undelete": func(ctx context.Context) error { _, err := h.engine.Undelete(ctx, b.ID); return err },
			"Deleted":  func(ctx context.Context) error { _, err := h.engine.Deleted(ctx); return err },
			"Cloud, connecting": func(ctx context.Context) error {
				st := fresh.Cloud(ctx)
				if st.State != cairn.CloudUnavailable || st.Problem == nil {
					t.Errorf("connecting, the cloud is %q: %v", st.State, st.Problem)
				}
				return ctx.Err()
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			begin := time.Now()
			if err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
				t.Errorf("%s: %v after %v, want that it ends with its context", name, err, time.Since(begin))
			}
			cancel()
		}
		begin := time.Now()
		var asking sync.WaitGroup
		for range 200 {
			asking.Go(func() {
				if st := h.engine.Cloud(t.Context()); st.State != cairn.CloudUnavailable || cairn.CodeOf(st.Problem) != cairn.CodeCloudLost {
					t.Errorf("the cloud is %q: %v", st.State, st.Problem)
				}
			})
		}
		asking.Wait()
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("the status took %v, want five seconds", took)
		}
		if n := runtime.NumGoroutine() - before; n > 100 { // each of 200 left one once; a store may have some for its connections
			t.Errorf("%d goroutines are left behind", n)
		}
		store.come()
		synctest.Wait()
		if st := h.engine.Cloud(t.Context()); st.State != cairn.CloudReady {
			t.Errorf("when it is back, the cloud is %q: %v", st.State, st.Problem)
		}
		if _, err := fresh.List(t.Context()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

// TestDeafBucketRestore cancels a restoration from a cloud that does not answer: it
// ends, and another one can begin.
func TestDeafBucketRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deaf{Bucket: stores.New(t)}
		h := newHouse(t, store)
		h.apply(doc("a", "", 10))
		b := h.create()
		gone := errors.New("gone")
		for left := range 8 { // calls that are still answered
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, gone)
			store.after.Store(int64(left))
			store.leave()
			ended := make(chan error)
			go func() {
				_, err := h.engine.Restore(ctx, "job", b.ID, func(cairn.Backup, cairn.Progress) {})
				ended <- err
			}()
			select {
			case err := <-ended:
				if err != nil && !errors.Is(err, gone) {
					t.Errorf("after %d calls: %v", left, err)
				}
			case <-time.After(time.Hour):
				t.Errorf("after %d calls, the restoration does not end", left)
				store.come()
				<-ended
				store.leave()
			}
			cancel()
			store.come()
			synctest.Wait()
		}
	})
}
