package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/api"
)

// at returns an event of the backup "ours".
func at(status cairn.JobStatus, percentage int) api.Progress {
	return api.Progress{Status: status, Percentage: percentage, Backup: api.Backup{ID: "ours"}, DoneBytes: int64(percentage) * 10, TotalBytes: 1000}
}

// ended returns the last event of a job that came to nothing.
func ended(status cairn.JobStatus, code cairn.Code) api.Progress {
	p := at(status, 40)
	p.Problem = &api.Cause{Code: code, Detail: "It has a reason.", Hint: "Do this."}
	return p
}

// A step of a daemon comes after a time.
type step struct {
	after time.Duration
	event api.Progress
	err   error // of the stream
}

// daemonJob is a job that goes its steps. When it is cancelled it goes the others
// instead, from then on.
type daemonJob struct {
	steps, canceled []step
	refuse          error  // of the cancellation
	stale           string // an id that is not known any more

	begun   bool
	cancels []string // ids
	left    bool     // the stream was left before its end
}

func (d *daemonJob) work(kind cairn.JobKind) work {
	stop := make(chan struct{})
	return work{kind, func(ctx context.Context) iter.Seq2[api.Progress, error] {
		return func(yield func(api.Progress, error) bool) {
			d.begun = true
			for steps := d.steps; len(steps) > 0; {
				select {
				case <-time.After(steps[0].after):
				case <-stop:
					stop, steps = nil, d.canceled
					continue
				case <-ctx.Done():
					d.left = true
					return
				}
				if !yield(steps[0].event, steps[0].err) {
					d.left = true
					return
				}
				steps = steps[1:]
			}
		}
	}, func(ctx context.Context, id string) error {
		if id == d.stale {
			return &cairn.Error{Code: cairn.CodeNotInProgress, Message: "No.", Hint: "No."}
		}
		d.cancels = append(d.cancels, id)
		if d.refuse != nil {
			return d.refuse
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		close(stop)
		<-ctx.Done() // the answer comes with the end of the job, or never
		return context.Cause(ctx)
	}}
}

// TestWork does jobs to their ends, whatever these are, with and without an
// interruption.
func TestWork(t *testing.T) {
	begun := []step{{0, at(cairn.JobInitialized, 0), nil}, {0, at(cairn.JobInProgress, 0), nil}}
	then := func(more ...step) []step { return append(slices.Clone(begun), more...) }
	done := step{time.Second / 2, at(cairn.JobCompleted, 100), nil}
	canceled := []step{{time.Second, ended(cairn.JobCanceled, cairn.CodeCanceled), nil}}
	const beat = 251 * time.Millisecond // never at the time of a second
	var running []step                  // four changes a second, of one percent each
	for i := range 41 {
		running = append(running, step{beat, at(cairn.JobInProgress, i), nil})
	}
	const cancelling = "cancelling; a second Ctrl-C leaves without waiting\n"
	for name, test := range map[string]struct {
		job       daemonJob
		kind      cairn.JobKind // a creation unless it says otherwise
		interrupt time.Duration // after which it is interrupted; 0 is never
		code      int
		says      string // on standard error, the report of the error too
		took      time.Duration
		canceled  bool
	}{
		"done at once": {job: daemonJob{steps: then(done)}, took: time.Second / 2},
		"slow": {
			job:  daemonJob{steps: append(then(running...), done)},
			says: "creating ours: 2 %, 20 B of 1.0 kB\n" + "creating ours: 6 %, 60 B of 1.0 kB\n" + "creating ours: 10 %, 100 B of 1.0 kB\n" + "creating ours: 14 %, 140 B of 1.0 kB\n" + "creating ours: 18 %, 180 B of 1.0 kB\n" + "creating ours: 22 %, 220 B of 1.0 kB\n" + "creating ours: 26 %, 260 B of 1.0 kB\n" + "creating ours: 30 %, 300 B of 1.0 kB\n" + "creating ours: 34 %, 340 B of 1.0 kB\n" + "creating ours: 38 %, 380 B of 1.0 kB\n",
			took: 41*beat + time.Second/2,
		},
		"waiting for another": {
			job: daemonJob{steps: []step{
				{0, at(cairn.JobInitialized, 0), nil}, {3500 * time.Millisecond, at(cairn.JobInProgress, 0), nil},
				{time.Second, at(cairn.JobInProgress, 40), nil}, {15 * time.Second, at(cairn.JobInProgress, 40), nil}, done,
			}},
			kind: cairn.Restoration,
			says: "restoring ours: waiting for the work before it\n" + "restoring ours: 0 %, 0 B of 1.0 kB\n" + "restoring ours: 40 %, 400 B of 1.0 kB\n",
			took: 20 * time.Second,
		},
		"failed": {
			job:  daemonJob{steps: then(step{0, ended(cairn.JobFailed, cairn.CodeDiskFull), nil})},
			code: exitData, says: "cairn: it has a reason\nhint: do this\n",
		},
		"cancelled by somebody": {
			job:  daemonJob{steps: then(canceled...)},
			code: exitFailed, says: "creating ours: 0 %, 0 B of 1.0 kB\ncairn: it has a reason\nhint: do this\n", took: time.Second,
		},
		"refused": {
			job:  daemonJob{steps: []step{{time.Second / 2, api.Progress{}, &cairn.Error{Code: cairn.CodeSignedOut, Message: "No.", Hint: "Sign in."}}}},
			code: exitCloud, says: "cairn: no\nhint: sign in\n", took: time.Second / 2,
		},
		"cut off at once": {
			job:  daemonJob{steps: []step{{0, api.Progress{}, &cairn.Error{Code: cairn.CodeUnreachable, Message: "Gone.", Hint: "Start it."}}}},
			code: exitUnreachable, says: "cairn: gone\nhint: start it\n",
		},
		"cut off": {
			job:  daemonJob{steps: then(step{0, api.Progress{}, &cairn.Error{Code: cairn.CodeUnreachable, Message: "Gone.", Hint: "Start it."}})},
			code: exitUnreachable, says: "cairn: gone\nhint: when the daemon runs again, cairn backup status ours says what became of it\n",
		},
		"something else answers": {
			job:  daemonJob{steps: then(step{0, api.Progress{}, &cairn.Error{Code: cairn.CodeInternal, Message: "Odd.", Hint: "Look."}})},
			code: exitFailed, says: "cairn: odd\nhint: look\n",
		},
		"interrupted": {
			job:       daemonJob{steps: then(step{time.Hour, at(cairn.JobCompleted, 100), nil}), canceled: canceled},
			interrupt: time.Second / 2, canceled: true,
			code: exitInterrupted, says: cancelling + "creating ours: 0 %, 0 B of 1.0 kB\n" + "cairn: cancelled; no backup was made\n", took: 3 * time.Second / 2,
		},
		"interrupted restoration": {
			job:       daemonJob{steps: then(step{time.Hour, at(cairn.JobCompleted, 100), nil}), canceled: canceled},
			kind:      cairn.Restoration,
			interrupt: time.Second / 2, canceled: true,
			code: exitInterrupted, says: cancelling + "restoring ours: 0 %, 0 B of 1.0 kB\n" + "cairn: cancelled; the documents are as they were\n", took: 3 * time.Second / 2,
		},
		"interrupted while it waits": {
			job:       daemonJob{steps: []step{{0, at(cairn.JobInitialized, 0), nil}, {time.Hour, at(cairn.JobInProgress, 0), nil}}, canceled: canceled},
			interrupt: time.Second / 2, canceled: true,
			code: exitInterrupted, says: cancelling + "creating ours: waiting for the work before it\n" + "cairn: cancelled; no backup was made\n", took: 3 * time.Second / 2,
		},
		"interrupted too late": {
			job:       daemonJob{steps: then(step{time.Hour, at(cairn.JobCompleted, 100), nil}), canceled: []step{done}},
			interrupt: time.Second / 4, canceled: true, says: cancelling, took: 3 * time.Second / 4,
		},
		"interrupted, and it takes a while": {
			job:       daemonJob{steps: then(step{time.Hour, at(cairn.JobCompleted, 100), nil}), canceled: []step{{10 * time.Second, ended(cairn.JobCanceled, cairn.CodeCanceled), nil}}},
			interrupt: time.Second / 2, canceled: true,
			code: exitInterrupted, says: cancelling + "creating ours: 0 %, 0 B of 1.0 kB\n" + "cairn: cancelled; no backup was made\n", took: 21 * time.Second / 2,
		},
		"interrupted as it fails": {
			job:       daemonJob{steps: then(step{time.Hour, at(cairn.JobCompleted, 100), nil}), canceled: []step{{0, ended(cairn.JobFailed, cairn.CodeCloudLost), nil}}},
			interrupt: time.Second / 4, canceled: true,
			code: exitCloud, says: cancelling + "cairn: it has a reason\nhint: do this\n", took: time.Second / 4,
		},
		"interrupted before it has begun": {
			job:       daemonJob{steps: []step{{time.Second, at(cairn.JobInitialized, 0), nil}, {time.Hour, at(cairn.JobInProgress, 0), nil}}, canceled: canceled},
			interrupt: time.Second / 4, canceled: true,
			code: exitInterrupted, says: cancelling + "creating ours: waiting for the work before it\n" + "cairn: cancelled; no backup was made\n", took: 2 * time.Second,
		},
		"interrupted, and it never begins": {
			job:       daemonJob{steps: []step{{time.Hour, at(cairn.JobInitialized, 0), nil}}},
			interrupt: time.Second / 4,
			code:      exitInterrupted, says: cancelling + "cairn: interrupted\n", took: time.Second/4 + beginTime,
		},
		"interrupted as it gets another id": {
			job: daemonJob{
				steps: []step{{0, api.Progress{Status: cairn.JobInProgress, Backup: api.Backup{ID: "taken"}}, nil}, {time.Second / 2, at(cairn.JobInProgress, 0), nil}, {time.Hour, at(cairn.JobCompleted, 100), nil}},
				stale: "taken", canceled: canceled,
			},
			interrupt: time.Second / 4, canceled: true,
			code: exitInterrupted, says: cancelling + "creating ours: 0 %, 0 B of 1.0 kB\n" + "cairn: cancelled; no backup was made\n", took: 3 * time.Second / 2,
		},
		"interrupted, and it has ended": {
			job:       daemonJob{steps: then(done), refuse: &cairn.Error{Code: cairn.CodeNotInProgress, Message: "No.", Hint: "No."}},
			interrupt: time.Second / 4, canceled: true, says: cancelling, took: time.Second / 2,
		},
		"interrupted, and cancelling fails": {
			job:       daemonJob{steps: then(done), refuse: &cairn.Error{Code: cairn.CodeForbidden, Message: "It may not be.", Hint: "No."}},
			interrupt: time.Second / 4, canceled: true, says: cancelling + "it cannot be cancelled: it may not be\n", took: time.Second / 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				if test.interrupt > 0 {
					time.AfterFunc(test.interrupt, interrupt)
				}
				if test.kind == "" {
					test.kind = cairn.Creation
				}
				var out, errs bytes.Buffer
				start := time.Now()
				last, err := test.job.work(test.kind).do(call{ctx: ctx, out: &out, err: &errs})
				took, code := time.Since(start), exitOK
				if err != nil {
					code = report(&errs, err)
				}
				if code != test.code || errs.String() != test.says || out.Len() > 0 || took != test.took {
					t.Errorf("it ends with %d after %v, want %d after %v, and says\n%s%swant\n%s", code, took, test.code, test.took, out.String(), errs.String(), test.says)
				}
				if code == exitOK && last != at(cairn.JobCompleted, 100) {
					t.Errorf("the last that it tells is %+v", last)
				}
				var want []string
				if test.canceled {
					want = []string{"ours"}
				}
				if !slices.Equal(test.job.cancels, want) {
					t.Errorf("it cancels %q, want %q", test.job.cancels, want)
				}
			})
		})
	}
}

// TestWorkJSON prints each event as a line, and nothing else.
func TestWorkJSON(t *testing.T) {
	events := []api.Progress{at(cairn.JobInitialized, 0), at(cairn.JobInProgress, 1), at(cairn.JobInProgress, 1), ended(cairn.JobFailed, cairn.CodeDiskFull)}
	steps := make([]step, len(events))
	want := ""
	for i, e := range events {
		steps[i] = step{5 * time.Second, e, nil}
		var line strings.Builder
		if err := printJSON(&line, e); err != nil {
			t.Fatal(err)
		}
		want += line.String()
	}
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		d := daemonJob{steps: steps}
		_, err := d.work(cairn.Creation).do(call{ctx: t.Context(), json: true, out: &out, err: &errs})
		if cairn.CodeOf(err) != cairn.CodeDiskFull || out.String() != want || errs.Len() > 0 {
			t.Errorf("%v, and it prints\n%s%swant\n%s", err, out.String(), errs.String(), want)
		}
	})
	// Nobody reads them.
	broken := errors.New("no room")
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		d := daemonJob{steps: steps}
		_, err := d.work(cairn.Creation).do(call{ctx: t.Context(), json: true, out: failing{broken}, err: &errs})
		want := "the daemon goes on with it; cairn backup status ours says what became of it\n"
		if !errors.Is(err, broken) || errs.String() != want || !d.left || d.cancels != nil {
			t.Errorf("%v, and it says %q; it left the stream: %t, and cancelled %q", err, errs.String(), d.left, d.cancels)
		}
	})
}

// failing is a writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestWorkInterruptedBefore begins nothing.
func TestWorkInterruptedBefore(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	d := daemonJob{}
	_, err := d.work(cairn.Creation).do(call{ctx: ctx, out: io.Discard, err: io.Discard})
	if !errors.Is(err, context.Canceled) || d.begun {
		t.Errorf("%v, and it began a job: %t", err, d.begun)
	}
}

// TestReason tells of errors of others too.
func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"it is so":       &cairn.Error{Message: "It is so.", Err: errors.New("secret")},
		"something odd":  errors.New("Something odd."),
		"other: it is":   fmt.Errorf("other: %w", errors.New("it is")),
		"it is \ufffd[2": errors.New("It is \x1b[2."),
	} {
		if got := reason(err); got != want {
			t.Errorf("the reason of %v is %q, want %q", err, got, want)
		}
	}
}
