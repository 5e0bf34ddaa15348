package bucket_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

func TestRead(t *testing.T) {
	odd := errors.New("odd")
	for _, test := range []struct {
		name   string
		cuts   int // bodies that are cut off
		cut    error
		open   error // of opening
		odd    error // of who reads
		calls  int   // of Get
		want   error
		reads  int // calls of read
		paused bool
	}{
		{name: "whole", calls: 1, reads: 1},
		{name: "cut off", cuts: 4, calls: 5, reads: 5, paused: true},
		{name: "cut off too often", cuts: 99, calls: 5, reads: 5, want: bucket.ErrUnreachable, paused: true},
		{name: "taken away", cuts: 99, cut: bucket.ErrMissing, calls: 1, reads: 1, want: bucket.ErrMissing},
		{name: "not opened", open: bucket.ErrUnreachable, calls: 1, want: bucket.ErrUnreachable},
		{name: "not liked", odd: odd, calls: 1, reads: 1, want: odd},
		{name: "cut off and not liked", cuts: 99, odd: odd, calls: 5, reads: 5, want: bucket.ErrUnreachable, paused: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(memory.Bucket)
				put(t, store, "a", ours)
				faulty := fault.New(store, func(c fault.Call) fault.Outcome {
					switch {
					case test.open != nil:
						return fault.Outcome{Effect: fault.Fail, Err: test.open}
					case c.N <= test.cuts:
						return fault.Outcome{Effect: fault.Cut, Err: test.cut}
					}
					return fault.Outcome{}
				})
				begun, reads, got := time.Now(), 0, ""
				err := bucket.Read(t.Context(), faulty, "a", func(r io.Reader) error {
					reads++
					data, err := io.ReadAll(r)
					got = string(data)
					return errors.Join(err, test.odd)
				})
				if !errors.Is(err, test.want) || err == nil && got != ours {
					t.Errorf("Read = %v with %q, want %v", err, got, test.want)
				}
				if faulty.Calls() != test.calls || reads != test.reads {
					t.Errorf("it was opened %d times and read %d, want %d and %d", faulty.Calls(), reads, test.calls, test.reads)
				}
				if paused := time.Since(begun) > 0; paused != test.paused {
					t.Errorf("it took %v, want pauses: %t", time.Since(begun), test.paused)
				}
			})
		})
	}
}

func TestReadCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory.Bucket)
		put(t, store, "a", ours)
		cut := fault.New(store, func(fault.Call) fault.Outcome { return fault.Outcome{Effect: fault.Cut} })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		err := bucket.Read(ctx, cut, "a", func(r io.Reader) error {
			_, err := io.Copy(new(strings.Builder), r)
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Read, cancelled in a pause: %v", err)
		}
	})
}
