package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"cairn"
	"cairn/api"
)

// stepEvery is how often an errand tells how far it is, at most.
const stepEvery = 250 * time.Millisecond

// An errand is work that belongs to the request which asks for it, unlike a job: it
// ends when the client goes away, and when the daemon stops.
type errand[T any] struct {
	mu       sync.Mutex
	changed  chan struct{} // closed when something is newer, and made anew
	progress cairn.Progress
	told     int // how often there was progress
	ended    bool
	result   T
	err      error

	// Of the one who follows it.
	seen    int       // of told
	last    time.Time // when it was seen
	percent int       // that was told: it does not go back when there turns out to be more to do
}

// runErrand does work, and answers with its result, or with steps as the request's
// Accept has it. What is in the way before the work first tells of progress is an
// ordinary error in either case.
func runErrand[T any](s *Server, w http.ResponseWriter, r *http.Request, work func(ctx context.Context, tell func(cairn.Progress)) (T, error)) error {
	if err := s.beginStream(); err != nil {
		return err
	}
	defer s.streams.Done()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer context.AfterFunc(s.life, func() { cancel(shuttingDown()) })()
	e := &errand[T]{changed: make(chan struct{})}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	running.Go(func() { e.do(ctx, work) })

	if media := streamType(r); media != "" {
		return s.follow(r.Context(), func(ctx context.Context) (state, error) { return e.step(ctx, s, r) }, s.writer(w, media))
	}
	result, err := awaitEnd(s, w, r, e.end)
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, result)
	return nil
}

// do does the work.
func (e *errand[T]) do(ctx context.Context, work func(context.Context, func(cairn.Progress)) (T, error)) {
	var result T
	err := errors.New("it has not come to an end")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		e.change(func() { e.result, e.err, e.ended = result, err, true })
	}()
	result, err = work(ctx, func(p cairn.Progress) {
		e.change(func() {
			e.progress = p
			e.told++
		})
	})
}

// change changes what is known and wakes those who wait for that.
func (e *errand[T]) change(fn func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fn()
	close(e.changed)
	e.changed = make(chan struct{})
}

// end waits for the end.
func (e *errand[T]) end(ctx context.Context) (T, error) {
	for {
		e.mu.Lock()
		changed := e.changed
		result, err, ended := e.result, e.err, e.ended
		e.mu.Unlock()
		if ended {
			return result, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return result, context.Cause(ctx)
		}
	}
}

// step waits for the next state that there is to tell of. A failure before the first
// is returned as an error.
func (e *errand[T]) step(ctx context.Context, s *Server, r *http.Request) (state, error) {
	for {
		e.mu.Lock()
		changed := e.changed
		switch {
		case e.ended && e.err != nil && e.seen == 0:
			e.mu.Unlock()
			return state{}, e.err
		case e.ended:
			e.mu.Unlock()
			if e.err != nil && r.Context().Err() == nil {
				s.logFailure(r, e.err)
			}
			last := api.LastStepOf(e.progress, e.result, e.err)
			return state{last, last, true}, nil
		}
		wait := stepEvery - time.Since(e.last)
		if e.told > e.seen && wait <= 0 {
			e.seen, e.last = e.told, time.Now()
			now := api.StepOf[T](e.progress)
			e.percent = max(e.percent, now.Percentage)
			now.Percentage = e.percent
			e.mu.Unlock()
			return state{now: now, later: now}, nil
		}
		fresh := e.told > e.seen
		e.mu.Unlock()
		if err := e.pause(ctx, changed, fresh, wait); err != nil {
			return state{}, err
		}
	}
}

// pause waits for a change, or, when there is one that was not told of, until it may
// be.
func (e *errand[T]) pause(ctx context.Context, changed chan struct{}, fresh bool, wait time.Duration) error {
	var due <-chan time.Time
	if fresh {
		due = time.After(wait)
	}
	select {
	case <-changed:
	case <-due:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
