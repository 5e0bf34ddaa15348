package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

// operations are the calls that Retry repeats as they are.
func operations(b bucket.Bucket) map[fault.Op]func(context.Context) error {
	return map[fault.Op]func(context.Context) error{
		fault.Get: func(ctx context.Context) error {
			body, err := b.Get(ctx, "a")
			if err == nil {
				err = body.Close()
			}
			return err
		},
		fault.Head:   func(ctx context.Context) error { _, err := b.Head(ctx, "a"); return err },
		fault.List:   func(ctx context.Context) error { _, err := names(ctx, b, ""); return err },
		fault.Delete: func(ctx context.Context) error { return b.Delete(ctx, "a") },
	}
}

// names returns what a List yields before it ends.
func names(ctx context.Context, b bucket.Bucket, prefix string) (names []string, err error) {
	for object, err := range b.List(ctx, prefix) {
		if err != nil {
			return names, err
		}
		names = append(names, object.Name)
	}
	return names, nil
}

// failing returns a store with the object a, whose first calls fail.
func failing(t *testing.T, calls int, err error) *fault.Bucket {
	t.Helper()
	store := new(memory.Bucket)
	put(t, store, "a", ours)
	return fault.New(store, func(c fault.Call) fault.Outcome {
		if c.N <= calls {
			return fault.Outcome{Effect: fault.Fail, Err: err}
		}
		return fault.Outcome{}
	})
}

func TestRetry(t *testing.T) {
	odd := errors.New("odd")
	for _, test := range []struct {
		err          error
		fails, calls int // calls that fail, and that there must be
		want         error
	}{
		{bucket.ErrUnreachable, 4, 5, nil},
		{bucket.ErrUnreachable, 5, 5, bucket.ErrUnreachable},
		{odd, 4, 5, nil},
		{odd, 9, 5, odd},
		{context.DeadlineExceeded, 1, 2, nil}, // of one call, not of ours
		{bucket.ErrNotFound, 1, 1, bucket.ErrNotFound},
		{bucket.ErrExists, 1, 1, bucket.ErrExists},
		{bucket.ErrMissing, 1, 1, bucket.ErrMissing},
		{bucket.ErrReadOnly, 1, 1, bucket.ErrReadOnly},
		{bucket.ErrFull, 1, 1, bucket.ErrFull},
		{bucket.ErrRefused, 1, 1, bucket.ErrRefused},
		{bucket.ErrName, 1, 1, bucket.ErrName},
		{bucket.ErrUnknown, 1, 1, bucket.ErrUnknown},
		{bucket.ErrRejected, 1, 1, bucket.ErrRejected},
		{bucket.ErrNoCredentials, 1, 1, bucket.ErrNoCredentials},
		{bucket.ErrKey, 1, 1, bucket.ErrKey},
		{bucket.ErrSecret, 1, 1, bucket.ErrSecret},
		{bucket.ErrExpired, 1, 1, bucket.ErrExpired},
		{bucket.ErrClock, 1, 1, bucket.ErrClock},
		{bucket.ErrRegion, 1, 1, bucket.ErrRegion},
		{bucket.ErrTLS, 1, 1, bucket.ErrTLS},
		{bucket.ErrNotStore, 1, 1, bucket.ErrNotStore},
		{bucket.ErrBusy, 4, 5, nil},
		{bucket.ErrHost, 4, 5, nil},
		{&bucket.Answer{Class: bucket.ErrBusy, Err: odd}, 9, 5, bucket.ErrBusy},
		{&bucket.Answer{Class: bucket.ErrKey, Err: odd}, 9, 1, bucket.ErrKey},
	} {
		for op := range operations(nil) {
			t.Run(fmt.Sprintf("%s %v %d", op, test.err, test.fails), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					faulty := failing(t, test.fails, test.err)
					b := bucket.Retry(faulty, bucket.Policy{})
					if err := operations(b)[op](t.Context()); !errors.Is(err, test.want) {
						t.Errorf("%s = %v, want %v", op, err, test.want)
					}
					if got := faulty.Calls(); got != test.calls {
						t.Errorf("%s took %d calls, want %d", op, got, test.calls)
					}
				})
			})
		}
	}
}

// TestRetryDelete tells whether a Delete that failed may yet be carried out.
func TestRetryDelete(t *testing.T) {
	late := fault.Outcome{Effect: fault.Late}
	refused := fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
	for _, test := range []struct {
		outcomes []fault.Outcome
		want     error
		unknown  bool
	}{
		{[]fault.Outcome{late, {}}, nil, false},
		{[]fault.Outcome{late, late}, bucket.ErrUnreachable, true},
		{[]fault.Outcome{late, refused}, bucket.ErrRefused, true},
		{[]fault.Outcome{refused}, bucket.ErrRefused, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := new(memory.Bucket)
			put(t, store, "a", ours)
			faulty := fault.New(store, func(c fault.Call) fault.Outcome { return test.outcomes[c.N-1] })
			err := bucket.Retry(faulty, bucket.Policy{Tries: 2}).Delete(t.Context(), "a")
			if !errors.Is(err, test.want) || errors.Is(err, bucket.ErrUnknown) != test.unknown {
				t.Errorf("after %v, Delete = %v, want %v, and that it is unknown: %t", test.outcomes, err, test.want, test.unknown)
			}
			faulty.Land(t.Context())
			if gone := read(t, store, "a") == ""; gone != (test.unknown || test.want == nil) {
				t.Errorf("after %v the object is gone: %t", test.outcomes, gone)
			}
		})
	}
}

// TestRetryTime looks at how long the pauses are, by a clock that stands still
// else.
func TestRetryTime(t *testing.T) {
	policy := bucket.Policy{Tries: 8, First: 100 * time.Millisecond, Longest: time.Second}
	const most = (100 + 200 + 400 + 800 + 3*1000) * time.Millisecond
	var all []time.Duration
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			faulty := failing(t, 99, nil)
			start := time.Now()
			if err := bucket.Retry(faulty, policy).Delete(t.Context(), "a"); !errors.Is(err, bucket.ErrUnreachable) {
				t.Errorf("Delete = %v, want ErrUnreachable", err)
			}
			if calls := faulty.Calls(); calls != 8 {
				t.Errorf("there were %d calls, want 8", calls)
			}
			all = append(all, time.Since(start))
		})
	}
	slices.Sort(all)
	if all[0] <= 0 || all[len(all)-1] > most {
		t.Errorf("8 tries took from %v to %v, want at most %v", all[0], all[len(all)-1], most)
	}
	if median := all[len(all)/2]; median < most/4 || median > most*3/4 {
		t.Errorf("8 tries took %v in the middle, want about half of %v", median, most)
	}
	if len(slices.Compact(all)) < 45 {
		t.Error("the pauses are not random")
	}
}

// TestRetryAfter has a store say for how long it wants to be left alone.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		calls int
	}{{0, 5}, {time.Second, 5}, {14 * time.Second, 5}, {25 * time.Second, 3}, {time.Minute, 1}, {time.Hour, 1}} {
		synctest.Test(t, func(t *testing.T) {
			busy := fmt.Errorf("busy: %w", &bucket.Answer{Class: bucket.ErrBusy, After: c.after, Err: errors.New("503")})
			faulty := failing(t, 1e9, busy)
			start := time.Now()
			err := bucket.Retry(faulty, bucket.Policy{}).Delete(t.Context(), "a")
			if took := time.Since(start); !errors.Is(err, bucket.ErrBusy) || took < time.Duration(c.calls-1)*c.after || took > time.Minute {
				t.Errorf("with pauses of %v Delete = %v after %v", c.after, err, took)
			}
			if calls := faulty.Calls(); calls != c.calls {
				t.Errorf("with pauses of %v there were %d calls, want %d", c.after, calls, c.calls)
			}

			absent := &bucket.Answer{Class: bucket.ErrNotFound, Err: errors.New("404")}
			puts := 0
			faulty = fault.New(new(memory.Bucket), func(call fault.Call) fault.Outcome {
				if call.Op == fault.Put {
					puts++
					return fault.Outcome{Effect: fault.Fail, Err: busy}
				}
				return fault.Outcome{Effect: fault.Fail, Err: absent} // it is read back
			})
			start = time.Now()
			err = bucket.Create(t.Context(), faulty, "b", strings.NewReader("b"))
			if took := time.Since(start); !errors.Is(err, bucket.ErrBusy) || took < time.Duration(c.calls-1)*c.after || took > time.Minute || puts != c.calls {
				t.Errorf("with pauses of %v Create = %v after %v and %d puts", c.after, err, took, puts)
			}
		})
	}
}

func TestRetryTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := failing(t, 1e9, nil)
		policy := bucket.Policy{Tries: 1e9, First: time.Second, Longest: time.Second, Total: time.Minute}
		start := time.Now()
		err := bucket.Retry(faulty, policy).Delete(t.Context(), "a")
		if !errors.Is(err, bucket.ErrUnreachable) || !strings.Contains(err.Error(), "tries") {
			t.Errorf("Delete = %v, want ErrUnreachable after so many tries", err)
		}
		if took := time.Since(start); took > time.Minute || took < 50*time.Second {
			t.Errorf("it was tried for %v, want a minute", took)
		}
		if calls := faulty.Calls(); calls < 60 {
			t.Errorf("it was tried %d times in a minute, want more than once a second", calls)
		}
	})
}

// TestRetryCancelled cancels in the middle of a pause.
func TestRetryCancelled(t *testing.T) {
	b := func(t *testing.T) bucket.Bucket {
		return bucket.Retry(failing(t, 1e9, nil), bucket.Policy{First: time.Hour, Longest: time.Hour, Total: 9 * time.Hour})
	}
	calls := operations(b(t))
	for op := range calls {
		t.Run(string(op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { cancelAfterASecond(t, operations(b(t))[op]) })
		})
	}
	t.Run("put", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := b(t)
			cancelAfterASecond(t, func(ctx context.Context) error { return store.Put(ctx, "b", strings.NewReader("b")) })
		})
	})
}

func cancelAfterASecond(t *testing.T, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	err := call(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("the call = %v, want the end of the context and its cause", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the call ended after %v, want a second", took)
	}
}

// TestRetryList has a listing break off again and again.
func TestRetryList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory.Bucket)
		var want []string
		for i := range 1000 {
			name := fmt.Sprintf("parts/%04d", i)
			put(t, store, name, "x")
			want = append(want, name)
		}
		// Each of these goes one object further than the one before.
		b := bucket.Retry(&breaking{Bucket: store}, bucket.Policy{Tries: 2})
		if got, err := names(t.Context(), b, "parts/"); err != nil || !slices.Equal(got, want) {
			t.Errorf("List yields %d names, %v, want the %d that there are, once each", len(got), err, len(want))
		}
		// These get nowhere after the first.
		cut := fault.New(store, func(fault.Call) fault.Outcome { return fault.Outcome{Effect: fault.Cut} })
		got, err := names(t.Context(), bucket.Retry(cut, bucket.Policy{Tries: 3}), "parts/")
		if !errors.Is(err, bucket.ErrUnreachable) || !slices.Equal(got, want[:500]) {
			t.Errorf("List yields %d names, %v, want 500 and ErrUnreachable", len(got), err)
		}
		if calls := cut.Calls(); calls != 3 {
			t.Errorf("List took %d calls, want 3", calls)
		}
	})
}

// A breaking store lists one object more each time.
type breaking struct {
	*memory.Bucket
	lists int
}

func (b *breaking) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		b.lists++
		left := b.lists
		for object, err := range b.Bucket.List(ctx, prefix) {
			if left == 0 {
				yield(bucket.Object{}, bucket.ErrUnreachable)
				return
			}
			left--
			if !yield(object, err) {
				return
			}
		}
	}
}
