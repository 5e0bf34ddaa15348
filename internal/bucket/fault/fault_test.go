package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

// TestBucket has a wrapper that lets all pass.
func TestBucket(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return fault.New(new(memory.Bucket), nil) })
}

// TestEffects pins what each call does, and what its caller is told.
func TestEffects(t *testing.T) {
	odd := errors.New("odd")
	for _, outcome := range []fault.Outcome{
		{}, {Effect: fault.Fail}, {Effect: fault.Lost}, {Effect: fault.Cut}, {Effect: fault.Late}, {Effect: fault.Fail, Err: odd}, {Effect: fault.Lost, Err: odd},
	} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			var calls []fault.Call
			store := new(memory.Bucket)
			for _, name := range []string{"a", "b", "c", "d"} {
				if err := store.Put(t.Context(), name, strings.NewReader("0123456789")); err != nil {
					t.Fatal(err)
				}
			}
			b := fault.New(store, func(c fault.Call) fault.Outcome {
				calls = append(calls, c)
				return outcome
			})
			want := outcome.Err
			if want == nil && outcome.Effect != fault.Pass {
				want = bucket.ErrUnreachable
			}
			applied := outcome.Effect == fault.Pass || outcome.Effect == fault.Lost

			data, getErr := readAll(t, b, "a")
			_, headErr := b.Head(t.Context(), "b")
			listed, listErr := 0, error(nil)
			for _, err := range b.List(t.Context(), "") {
				if listErr = err; err == nil {
					listed++
				}
			}
			for op, err := range map[string]error{
				"Get": getErr, "Head": headErr, "List": listErr,
				"Put": b.Put(t.Context(), "e", strings.NewReader("e")), "Delete": b.Delete(t.Context(), "d"),
			} {
				if !errors.Is(err, want) {
					t.Errorf("%s = %v, want %v", op, err, want)
				}
			}
			wantApplied(t, store, applied)
			half := map[fault.Effect]int{fault.Pass: 2, fault.Lost: 2, fault.Cut: 1}[outcome.Effect]
			if listed != 2*half {
				t.Errorf("List yields %d objects, want %d", listed, 2*half)
			}
			if outcome.Effect == fault.Lost {
				half = 0 // there is no body without its reply
			}
			if len(data) != 5*half {
				t.Errorf("Get reads %d bytes, want %d", len(data), 5*half)
			}
			wantCalls(t, b, calls)
			b.Land(t.Context())
			wantApplied(t, store, applied || outcome.Effect == fault.Late)
		})
	}
}

// wantApplied checks whether e was put and d deleted.
func wantApplied(t *testing.T, store bucket.Bucket, applied bool) {
	t.Helper()
	if _, err := store.Head(t.Context(), "e"); (err == nil) != applied {
		t.Errorf("after Put: %v; applied must be %t", err, applied)
	}
	if _, err := store.Head(t.Context(), "d"); (err != nil) != applied {
		t.Errorf("after Delete: %v; applied must be %t", err, applied)
	}
}

// wantCalls checks what decide was told of.
func wantCalls(t *testing.T, b *fault.Bucket, calls []fault.Call) {
	t.Helper()
	if b.Calls() != 5 || len(calls) != 5 {
		t.Errorf("there were %d calls, and decide was asked of %d, want 5", b.Calls(), len(calls))
	}
	for i, c := range calls {
		if c.N != i+1 {
			t.Errorf("call %d has number %d", i+1, c.N)
		}
	}
	for _, want := range []fault.Call{
		{Op: fault.Get, Name: "a", N: 1}, {Op: fault.Head, Name: "b", N: 2}, {Op: fault.List, Name: "", N: 3},
	} {
		if !slices.Contains(calls, want) {
			t.Errorf("decide was not asked of %+v", want)
		}
	}
}

// TestLag looks at listings that are late, and at what is not.
func TestLag(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return fault.Lag(new(memory.Bucket), 0) })
	synctest.Test(t, func(t *testing.T) {
		store := new(memory.Bucket)
		for _, name := range []string{"a", "b"} {
			if err := store.Put(t.Context(), name, strings.NewReader(name)); err != nil {
				t.Fatal(err)
			}
		}
		b := fault.Lag(store, 3*time.Second)
		list := func(want ...string) {
			t.Helper()
			var got []string
			for object, err := range b.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(object.Name, object.Size))
			}
			if !slices.Equal(got, want) {
				t.Errorf("listed are %q, want %q", got, want)
			}
		}
		put := func(name string) error { return b.Put(t.Context(), name, strings.NewReader("new")) }
		err := errors.Join(put("c"), b.Delete(t.Context(), "a"))
		time.Sleep(time.Second)
		list("a1", "b1")
		err = errors.Join(err, put("a"), b.Delete(t.Context(), "c"), b.Delete(t.Context(), "b"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Head(t.Context(), "b"); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("Head of what is deleted: %v", err)
		}
		list("a1", "b1")
		time.Sleep(2 * time.Second)
		list("b1", "c3") // as it was two seconds ago
		time.Sleep(time.Second)
		list("a3")
	})
}

func readAll(t *testing.T, b bucket.Bucket, name string) ([]byte, error) {
	t.Helper()
	body, err := b.Get(t.Context(), name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	return data, err
}

// TestDelay has calls take a minute: each does, and no other waits for it; one whose
// context ends does nothing.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory.Bucket)
		b := fault.New(store, func(c fault.Call) fault.Outcome {
			if c.Name == "slow" {
				return fault.Outcome{Delay: time.Minute}
			}
			if c.Name == "answered-late" {
				return fault.Outcome{After: time.Hour}
			}
			return fault.Outcome{}
		})
		begun := time.Now()
		put := make(chan error, 1)
		go func() { put <- b.Put(t.Context(), "slow", strings.NewReader("x")) }()
		synctest.Wait()
		if err := b.Put(t.Context(), "other", strings.NewReader("x")); err != nil || time.Since(begun) > 0 {
			t.Errorf("another call took %s, %v", time.Since(begun), err)
		}
		if err := <-put; err != nil || time.Since(begun) != time.Minute {
			t.Errorf("the call took %s, %v", time.Since(begun), err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		if err := b.Delete(ctx, "slow"); !errors.Is(err, gone) {
			t.Errorf("a call whose context has ended returned %v", err)
		}
		if _, err := store.Head(t.Context(), "slow"); err != nil {
			t.Errorf("it did its work: %v", err)
		}
		begun = time.Now()
		go func() { put <- b.Put(t.Context(), "answered-late", strings.NewReader("x")) }()
		synctest.Wait()
		_, err := store.Head(t.Context(), "answered-late")
		if err := errors.Join(err, <-put); err != nil || time.Since(begun) != time.Hour {
			t.Errorf("a call that is answered late took %s, %v", time.Since(begun), err)
		}
	})
}
