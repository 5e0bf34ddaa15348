package client_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/httpapi"
)

// A script is jobs that go through given states. The last one stays.
type script struct {
	jobs
	states []cairn.Job
	held   chan struct{} // what comes after the first state waits until it is closed; nil does not
	gone   chan struct{} // closed when nobody waits any more
}

func (s script) Create(context.Context) (cairn.Watch, error) {
	s.ask("create")
	return s.watch(), nil
}

func (s script) Restore(_ context.Context, b cairn.Backup) (cairn.Watch, error) {
	s.ask("restore %s", b.ID)
	return s.watch(), nil
}

func (s script) watch() cairn.Watch {
	next := 0
	return func(ctx context.Context) (cairn.Job, error) {
		if err := s.wait(ctx, next); err != nil {
			return cairn.Job{}, err
		}
		job := s.states[min(next, len(s.states)-1)]
		next++
		return job, nil
	}
}

// Feed tells of each state in a list of its own, and of nothing after the last.
func (s script) Feed() cairn.Feed {
	next := 0
	return func(ctx context.Context) ([]cairn.Job, error) {
		if err := s.wait(ctx, next); err != nil {
			return nil, err
		}
		if next >= len(s.states) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		next++
		return s.states[next-1 : next], nil
	}
}

func (s script) wait(ctx context.Context, state int) error {
	if s.held == nil || state == 0 {
		return nil
	}
	select {
	case <-s.held:
		return nil
	case <-ctx.Done():
		close(s.gone)
		return context.Cause(ctx)
	}
}

// ending returns the states of a job that ends so.
func ending(kind cairn.JobKind, end cairn.JobStatus, reason *cairn.Error) []cairn.Job {
	at := func(status cairn.JobStatus, done int64) cairn.Job {
		return cairn.Job{ID: "j", Kind: kind, Backup: sample, Status: status, Progress: cairn.Progress{Done: done, Total: 4}}
	}
	states := []cairn.Job{at(cairn.JobInitialized, 0), at(cairn.JobInProgress, 0), at(cairn.JobInProgress, 3), at(end, 3)}
	states[3].Reason = reason
	return states
}

// streams are the methods that begin a job.
var streams = map[string]func(context.Context, *client.Client) iter.Seq2[api.Progress, error]{
	"create": func(ctx context.Context, c *client.Client) iter.Seq2[api.Progress, error] {
		return c.StreamCreate(ctx)
	},
	"restore 1_a": func(ctx context.Context, c *client.Client) iter.Seq2[api.Progress, error] {
		return c.StreamRestore(ctx, "1_a")
	},
}

// TestStreams follows jobs to each of their ends.
func TestStreams(t *testing.T) {
	for end, reason := range map[cairn.JobStatus]*cairn.Error{
		cairn.JobCompleted: nil,
		cairn.JobFailed:    {Code: cairn.CodeDiskFull, Message: "It is full.", Hint: "Make room."},
		cairn.JobCanceled:  {Code: cairn.CodeCanceled, Message: "It was cancelled."},
	} {
		f := &cloud{backup: sample}
		c := serve(t, f, script{jobs: jobs{f}, states: ending(cairn.Creation, end, reason)}, httpapi.Config{})
		last := api.Progress{Status: end, Percentage: 75, Backup: shown, DoneBytes: 3, TotalBytes: 4, Problem: api.CauseOf(reason)}
		if end == cairn.JobCompleted {
			last.Percentage = 100
		}
		want := []api.Progress{
			{Status: cairn.JobInitialized, Backup: shown, TotalBytes: 4},
			{Status: cairn.JobInProgress, Backup: shown, TotalBytes: 4},
			{Status: cairn.JobInProgress, Percentage: 75, Backup: shown, DoneBytes: 3, TotalBytes: 4},
			last,
		}
		for asked, stream := range streams {
			f.asked = nil
			got := collect(t, stream(t.Context(), c))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s that ends as %s: (-want +got)\n%s", asked, end, diff)
			}
			if diff := cmp.Diff(error(reason), got[len(got)-1].Err()); reason != nil && diff != "" {
				t.Errorf("%s that ends as %s: (-want +got)\n%s", asked, end, diff)
			}
			if !slices.Contains(f.asked, asked) {
				t.Errorf("it asked for %q, not %q", f.asked, asked)
			}
		}
	}
}

// TestRefusedStreams has the daemon refuse before a job begins.
func TestRefusedStreams(t *testing.T) {
	f := &cloud{backup: sample}
	c, handler := closable(t, f, script{jobs: jobs{f}}, httpapi.Config{})
	wantCode(t, "an odd id", drain(c.StreamRestore(t.Context(), "a b")), cairn.CodeBackupNotFound)
	if err := c.SignOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, stream := range streams {
		wantCode(t, name, drain(stream(t.Context(), c)), cairn.CodeSignedOut)
	}
	if len(f.asked) > 0 {
		t.Errorf("it asked for %q", f.asked)
	}
	handler.Close()
	wantCode(t, "when it stops", drain(c.StreamProgress(t.Context())), cairn.CodeShuttingDown)
}

const (
	begun = `{"status":"IN-PROGRESS","percentage":1,"backup":{"id":"b"},"done_bytes":1,"total_bytes":90}` + "\n"
	done  = `{"status":"COMPLETED","percentage":100,"backup":{"id":"b"},"done_bytes":90,"total_bytes":90}` + "\n"
)

// lines answers with a text as lines of JSON, and ends the answer as if it were
// whole, or not.
func lines(text string, clean bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", api.NDJSON)
		cut(text, clean)(w, r)
	}
}

// TestStreamCutOff has streams end at each place but behind their last event, in
// the middle of lines and between them: that is an error, and comes last.
func TestStreamCutOff(t *testing.T) {
	var text string
	var clean bool
	c := fake(t, func(w http.ResponseWriter, r *http.Request) { lines(text, clean)(w, r) })
	for n := range len(begun + done) {
		for _, clean = range []bool{true, false} {
			text = (begun + done)[:n]
			whole := strings.Count(text, "90}")
			for name, stream := range streams {
				var events int
				err := drain(func(yield func(api.Progress, error) bool) {
					for p, err := range stream(t.Context(), c) {
						if err == nil {
							events++
						}
						if !yield(p, err) {
							return
						}
					}
				})
				if events != whole {
					t.Errorf("%s of %q yields %d events, want %d", name, text, events, whole)
				}
				if whole == 2 { // only its newline is missing
					if err != nil {
						t.Errorf("%s of %q: %v", name, text, err)
					}
					continue
				}
				wantCode(t, fmt.Sprintf("%s of %q", name, text), err, cairn.CodeUnreachable)
			}
		}
	}
}

// TestStreamEnd has servers say more when all is said: nobody hears it.
func TestStreamEnd(t *testing.T) {
	for _, more := range []string{done, strings.Replace(done, "COMPLETED", "FAILED", 1), begun, "<html>", "\x00", strings.Repeat(begun, 10_000)} {
		for _, clean := range []bool{true, false} {
			c := fake(t, lines(begun+done+more, clean))
			for name, stream := range streams {
				got := collect(t, stream(t.Context(), c))
				if len(got) != 2 || got[1].Status != cairn.JobCompleted || got[1].Backup.ID != "b" {
					t.Errorf("%s before %.100q yields %+v", name, more, got)
				}
			}
		}
	}
}

// TestForeignStreams asks what is not a cairn daemon for streams.
func TestForeignStreams(t *testing.T) {
	for _, media := range []string{"", "text/html; charset=utf-8", api.JSON, api.SSE} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			cut(begun+done, true)(w, r)
		})
		for _, call := range []string{"StreamCreate", "StreamRestore", "StreamProgress"} {
			wantCode(t, call+" of "+media, calls[call](t.Context(), c), cairn.CodeInternal)
		}
	}
	for _, text := range []string{"<!doctype html><p>Welcome</p>", "{}\n", "null\n", "[]\n", "7\n", `{"status":7}`, `{"status":""}`, `{"backups":[]}`, "data: " + begun} {
		c := fake(t, lines(text, true))
		for _, call := range []string{"StreamCreate", "StreamRestore", "StreamProgress"} {
			wantCode(t, call+" of "+text, calls[call](t.Context(), c), cairn.CodeInternal)
		}
	}
	// Some good events do not make up for it.
	wantCode(t, "a page in the middle", calls["StreamCreate"](t.Context(), fake(t, lines(begun+"<html>"+done, true))), cairn.CodeInternal)
}

// TestLeavingStreams ends the context of streams, and leaves loops over them: the
// connection ends, and the job is not cancelled.
func TestLeavingStreams(t *testing.T) {
	for _, name := range []string{"create", "restore 1_a", "all"} {
		for _, leave := range []bool{true, false} {
			f := &cloud{backup: sample}
			s := script{jobs: jobs{f}, states: ending(cairn.Creation, cairn.JobCompleted, nil), held: make(chan struct{})}
			s.gone = make(chan struct{})
			c := serve(t, f, s, httpapi.Config{Pulse: time.Hour})
			cause := &cairn.Error{Code: cairn.CodeUnreachable, Message: "Enough."}
			ctx, cancel := context.WithCancelCause(t.Context())
			loop := func(err error) bool {
				if err != nil {
					return true
				}
				if !leave {
					cancel(cause)
				}
				return !leave
			}
			var last error
			if name == "all" {
				for _, last = range c.StreamProgress(ctx) {
					if !loop(last) {
						break
					}
				}
			} else {
				for _, last = range streams[name](ctx, c) {
					if !loop(last) {
						break
					}
				}
			}
			if leave && last != nil || !leave && (last != error(cause) || cause.Message != "Enough.") {
				t.Errorf("%s, left by break %t: %v", name, leave, last)
			}
			select {
			case <-s.gone: // the request has ended
			case <-time.After(10 * time.Second):
				t.Fatalf("%s, left by break %t, keeps its connection", name, leave)
			}
			for _, asked := range f.asked {
				if strings.HasPrefix(asked, "cancel") {
					t.Errorf("%s, left by break %t, asks to %s", name, leave, asked)
				}
			}
			cancel(nil)
		}
	}
}

// TestStreamProgress follows all jobs until the daemon stops.
func TestStreamProgress(t *testing.T) {
	f := &cloud{backup: sample}
	states := []cairn.Job{ending(cairn.Creation, cairn.JobCompleted, nil)[2], ending(cairn.Restoration, cairn.JobCompleted, nil)[3]}
	c, handler := closable(t, f, script{jobs: jobs{f}, states: states}, httpapi.Config{})
	want := []api.AllProgress{
		{Backups: []api.Progress{{Status: cairn.JobInProgress, Percentage: 75, Backup: shown, DoneBytes: 3, TotalBytes: 4}}, Restorations: []api.Progress{}},
		{Backups: []api.Progress{}, Restorations: []api.Progress{{Status: cairn.JobCompleted, Percentage: 100, Backup: shown, DoneBytes: 3, TotalBytes: 4}}},
	}
	var got []api.AllProgress
	err := drain(func(yield func(api.AllProgress, error) bool) {
		for all, err := range c.StreamProgress(t.Context()) {
			if err == nil {
				if got = append(got, all); len(got) == len(want) {
					handler.Close()
				}
			}
			if !yield(all, err) {
				return
			}
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantCode(t, "a daemon that stops", err, cairn.CodeUnreachable)
}

// late are jobs that end when those who wait for them have heard nothing for
// several times.
type late struct {
	jobs
	end cairn.Job
}

func (l late) watch() (cairn.Watch, error) {
	waits := 0
	return func(ctx context.Context) (cairn.Job, error) {
		if waits++; waits > 3 {
			return l.end, nil
		}
		<-ctx.Done()
		return cairn.Job{}, context.Cause(ctx)
	}, nil
}

func (l late) Create(context.Context) (cairn.Watch, error) { return l.watch() }

func (l late) Restore(context.Context, cairn.Backup) (cairn.Watch, error) { return l.watch() }

// TestLateAnswers has the daemon send white space before it answers, and then
// come to an end, or break off.
func TestLateAnswers(t *testing.T) {
	for end, reason := range map[cairn.JobStatus]*cairn.Error{
		cairn.JobCompleted: nil,
		cairn.JobFailed:    {Code: cairn.CodeDiskFull, Message: "It is full.", Hint: "Make room."},
	} {
		f := &cloud{backup: sample}
		c := serve(t, f, late{jobs{f}, ending(cairn.Creation, end, reason)[3]}, httpapi.Config{Patience: time.Millisecond, Pulse: time.Millisecond})
		for name, call := range map[string]func() (api.Backup, error){
			"CreateBackup":  func() (api.Backup, error) { return c.CreateBackup(t.Context()) },
			"RestoreBackup": func() (api.Backup, error) { return c.RestoreBackup(t.Context(), "1_a") },
		} {
			b, err := call()
			if end != cairn.JobCompleted {
				wantCode(t, name+" of what fails", err, cairn.CodeUnreachable)
			} else if err != nil || b != shown {
				t.Errorf("%s returns %+v, %v", name, b, err)
			}
		}
	}
	// An answer that says nothing has no body, and comes at the end.
	for _, name := range void {
		for _, text := range []string{"", " ", "x"} {
			wantCode(t, fmt.Sprintf("%s answered with %q", name, text), calls[name](t.Context(), fake(t, cut(text, true))), cairn.CodeInternal)
		}
	}
}
