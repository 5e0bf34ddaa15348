package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"cairn"
	"cairn/api"
)

// work is a job that a verb has the daemon do.
type work struct {
	kind   cairn.JobKind
	begin  func(context.Context) iter.Seq2[api.Progress, error]
	cancel func(ctx context.Context, backup string) error
}

const (
	// showEvery is how often lines tell how far a job is, at most.
	showEvery = time.Second
	// beginTime is how long a command that is interrupted waits to hear of a job
	// that may have begun: the daemon says so at once.
	beginTime = 2 * time.Second
)

// do does the work and shows how far it is, until it has ended. It returns the
// last that there is to say; an error unless that is complete.
//
// When the command is interrupted, it has the daemon cancel the job and goes on
// until that has ended, which it may do otherwise: then it counts as it is.
func (w work) do(c call) (api.Progress, error) {
	if c.ctx.Err() != nil {
		return api.Progress{}, context.Cause(c.ctx)
	}
	f := follower{call: c, work: w, events: make(chan event), refused: make(chan error)}
	ctx, stop := context.WithCancel(context.WithoutCancel(c.ctx))
	defer f.running.Wait()
	defer stop()
	f.running.Go(func() { f.read(ctx) })
	f.view = view{out: c.err, word: "creating", bar: onTerminal(c.err)}
	if w.kind == cairn.Restoration {
		f.view.word = "restoring"
	}
	defer f.view.end()
	return f.follow(ctx)
}

// A follower follows one job.
type follower struct {
	call
	work
	view    view
	events  chan event
	refused chan error     // gets why the job could not be cancelled
	running sync.WaitGroup // what reads events, and cancels

	newest      api.Progress
	interrupted bool
	asked       string // id of the backup that the daemon was asked to cancel
}

// An event is what a stream yields.
type event struct {
	progress api.Progress
	err      error
}

// read reads events until ctx ends.
func (f *follower) read(ctx context.Context) {
	for p, err := range f.begin(ctx) {
		select {
		case f.events <- event{p, err}:
		case <-ctx.Done():
			return
		}
	}
}

// follow shows events until the job has ended.
func (f *follower) follow(ctx context.Context) (api.Progress, error) {
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	interrupt := f.ctx.Done()
	var tooLate <-chan time.Time
	for {
		select {
		case e := <-f.events:
			if e.err != nil {
				return f.newest, f.lost(e.err)
			}
			if err := f.show(e.progress); err != nil {
				return f.newest, err
			}
			if f.newest.Status.Ended() {
				return f.newest, f.outcome()
			}
		case <-tick.C:
			f.view.tick()
		case <-interrupt:
			interrupt, tooLate = nil, time.After(beginTime)
			f.interrupted = true
			f.view.note("cancelling; a second Ctrl-C leaves without waiting")
		case <-tooLate:
			if f.newest.Status == "" {
				return f.newest, context.Cause(f.ctx) // nothing has begun, and nothing will
			}
		case err := <-f.refused:
			f.view.note("it cannot be cancelled: " + reason(err))
		}
		if id := f.newest.Backup.ID; f.interrupted && id != f.asked {
			f.asked = id // a creation whose id is taken goes on with another
			f.running.Go(func() { f.stop(ctx, id) })
		}
	}
}

// stop has the daemon cancel the job. That there is none any more is told by the
// events.
func (f *follower) stop(ctx context.Context, id string) {
	err := f.cancel(ctx, id)
	if err == nil || cairn.CodeOf(err) == cairn.CodeNotInProgress {
		return
	}
	select {
	case f.refused <- err:
	case <-ctx.Done():
	}
}

// show shows an event.
func (f *follower) show(p api.Progress) error {
	f.newest = p
	if !f.json {
		f.view.update(p) // else it has nothing to show
		return nil
	}
	err := printJSON(f.out, p)
	if err != nil && !p.Status.Ended() {
		f.view.note("the daemon goes on with it; cairn backup status " + printable(p.Backup.ID) + " says what became of it")
	}
	return err
}

// outcome returns the error of the end of a job; nil when it is complete.
func (f *follower) outcome() error {
	if f.newest.Status == cairn.JobCanceled && f.interrupted {
		if f.kind == cairn.Restoration {
			return interruptedError{"cancelled; the documents are as they were"}
		}
		return interruptedError{"cancelled; no backup was made"}
	}
	return f.newest.Err()
}

// lost returns the error of a stream that has ended too early, with what to do.
func (f *follower) lost(err error) error {
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok || e.Code != cairn.CodeUnreachable || f.newest.Backup.ID == "" {
		return err
	}
	return &cairn.Error{
		Code:    e.Code,
		Message: e.Message,
		Hint:    "When the daemon runs again, cairn backup status " + f.newest.Backup.ID + " says what became of it.",
		Err:     e,
	}
}

// interruptedError is the end of a command that was interrupted, and what it has
// come to.
type interruptedError struct{ what string }

func (e interruptedError) Error() string { return e.what }

// reason returns what is told a person of an error inside of another sentence.
func reason(err error) string {
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		return phrase(e.Message)
	}
	return phrase(fmt.Sprint(err))
}
