package httpapi

import (
	"container/list"
	"context"
	"sync"
)

// A budget is a number of bytes that is shared out, first come, first served: who
// asks for much is not passed by those who ask for little.
type budget struct {
	mu      sync.Mutex
	free    int64
	waiters list.List // of *waiter
}

// A waiter waits for bytes. ready is closed when they are its own.
type waiter struct {
	bytes int64
	ready chan struct{}
}

func newBudget(bytes int64) *budget { return &budget{free: bytes} }

// acquire waits for bytes, at most as many as the budget has, until ctx ends. Without
// an error they are the caller's until release.
func (b *budget) acquire(ctx context.Context, bytes int64) error {
	b.mu.Lock()
	if b.waiters.Len() == 0 && b.free >= bytes {
		b.free -= bytes
		b.mu.Unlock()
		return nil
	}
	w := &waiter{bytes, make(chan struct{})}
	place := b.waiters.PushBack(w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.ready: // at the same moment
		return nil
	default:
	}
	b.waiters.Remove(place)
	b.serve() // those behind may ask for less
	return ctx.Err()
}

// release gives bytes back.
func (b *budget) release(bytes int64) {
	if bytes == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += bytes
	b.serve()
}

// serve gives those who wait their bytes, as far as there are any. b.mu is held.
func (b *budget) serve() {
	for first := b.waiters.Front(); first != nil; first = b.waiters.Front() {
		w := first.Value.(*waiter)
		if w.bytes > b.free {
			return
		}
		b.free -= w.bytes
		b.waiters.Remove(first)
		close(w.ready)
	}
}
