package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
)

// errDamaged is how work of the tests fails.
var errDamaged = &cairn.Error{Code: cairn.CodeDamaged, Message: "It is damaged.", Hint: "Try another."}

// checkStory fails the test unless the events of one stream are a whole story, from
// the beginning or not: each with the backup, and none says less than the one
// before.
func checkStory(t *testing.T, name string, events []api.Progress, end cairn.JobStatus) {
	t.Helper()
	if len(events) < 2 {
		t.Fatalf("%s: %d events come: %+v", name, len(events), events)
	}
	id := events[0].Backup.ID
	for i, e := range events {
		last := i == len(events)-1
		switch {
		case e.Backup.ID == "" || e.Backup.ID != id:
			t.Errorf("%s: event %d is of the backup %q, the first of %q", name, i, e.Backup.ID, id)
		case i > 0 && (e.Percentage < events[i-1].Percentage || e.DoneBytes < events[i-1].DoneBytes):
			t.Errorf("%s: after %+v comes %+v", name, events[i-1], e)
		case (e.Percentage == 100) != (e.Status == cairn.JobCompleted):
			t.Errorf("%s: %s with %d %%", name, e.Status, e.Percentage)
		case e.Status.Ended() != last:
			t.Errorf("%s: event %d of %d is %s", name, i, len(events), e.Status)
		case last && e.Status != end:
			t.Errorf("%s: it ends as %s, want %s", name, e.Status, end)
		case (e.Problem != nil) != (e.Status == cairn.JobFailed || e.Status == cairn.JobCanceled):
			t.Errorf("%s: %s with the problem %v", name, e.Status, e.Problem)
		case e.Status == cairn.JobCompleted && e.Backup.Bytes == 0:
			t.Errorf("%s: the backup of the last event is %+v", name, e.Backup)
		}
	}
}

// TestStreams reads whole streams: each transport, each kind of job, each end of
// it, with and without a duration.
func TestStreams(t *testing.T) {
	for _, op := range []operation{creating, restoring} {
		for _, transport := range transports {
			for _, test := range []struct {
				name  string
				work  func(context.Context, string, cairn.Backup, func(cairn.Backup, cairn.Progress)) (cairn.Backup, error)
				after func(*stage, string) // what is done amid it, with the id of the backup
				end   cairn.JobStatus
				code  cairn.Code
				most  int // percent at the end
			}{
				{"done at once", nil, nil, cairn.JobCompleted, "", 100},
				{"failed at once", play(0, errDamaged), nil, cairn.JobFailed, cairn.CodeDamaged, 0},
				{"done", play(300*time.Millisecond, nil, 0, 30, 20, 60, 60, 100), nil, cairn.JobCompleted, "", 100},
				{"failed", play(300*time.Millisecond, errDamaged, 0, 30, 20, 60, 100), nil, cairn.JobFailed, cairn.CodeDamaged, 99},
				{"broken", func(context.Context, string, cairn.Backup, func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
					panic("broken")
				},
					nil, cairn.JobFailed, cairn.CodeInternal, 0},
				{"cancelled", play(300*time.Millisecond, nil, 0, 30, 60, 90, 100), func(s *stage, id string) {
					time.Sleep(time.Second)
					if err := s.jobs.Cancel(s.t.Context(), op.kind, id); err != nil {
						t.Error(err)
					}
				}, cairn.JobCanceled, cairn.CodeCanceled, 60},
				{"stopped", play(300*time.Millisecond, nil, 0, 30, 60, 90, 100), func(s *stage, _ string) {
					time.Sleep(700 * time.Millisecond)
					s.jobs.Close()
				}, cairn.JobFailed, cairn.CodeShuttingDown, 30},
			} {
				name := op.name + " " + test.name + " as " + transport
				perform(t, func(t *testing.T, s *stage) {
					s.engine.work = test.work
					st := s.open(op, transport)
					first := st.event()
					if test.after != nil {
						go test.after(s, first.Backup.ID)
					}
					events := append([]api.Progress{first}, st.rest()...)
					checkStory(t, name, events, test.end)
					last := events[len(events)-1]
					if last.Percentage != test.most || test.code != "" && (last.Problem == nil || last.Problem.Code != test.code) {
						t.Errorf("%s: the last event is %+v", name, last)
					}
					if first.Status != cairn.JobInitialized {
						t.Errorf("%s: the first event is %+v", name, first)
					}
					if st.response != nil && strings.Split(st.response.Header.Get("Content-Type"), ";")[0] != transport {
						t.Errorf("%s: the answer is of type %s", name, st.response.Header.Get("Content-Type"))
					}
					if job := s.jobs.List()[0]; job.Backup.ID != last.Backup.ID || op == restoring && job.Backup.ID != sampleID {
						t.Errorf("%s: the job is of %s, the stream of %s", name, job.Backup.ID, last.Backup.ID)
					}
				})
			}
		}
	}
}

// TestDocument has the same jobs answered with the one document that everybody
// understands. What fails at once has its own status.
func TestDocument(t *testing.T) {
	for _, op := range []operation{creating, restoring} {
		for _, test := range []struct {
			name   string
			err    error
			cancel bool
			status int
			end    cairn.JobStatus
		}{
			{"done", nil, false, 200, cairn.JobCompleted},
			{"failed", errDamaged, false, 500, ""},
			{"newer", &cairn.Error{Code: cairn.CodeFormatTooNew, Message: "It is newer.", Hint: "Update."}, false, 505, ""},
			{"locked", &cairn.Error{Code: cairn.CodeCloudLocked, Message: "There is no key.", Hint: "Give it."}, false, 511, ""},
			{"cancelled", nil, true, 200, cairn.JobCanceled},
		} {
			perform(t, func(t *testing.T, s *stage) {
				s.engine.work = play(time.Second, test.err, 0, 30, 60)
				if test.cancel {
					go func() {
						time.Sleep(1500 * time.Millisecond)
						if err := s.jobs.Cancel(t.Context(), op.kind, s.jobs.List()[0].Backup.ID); err != nil {
							t.Error(err)
						}
					}()
				}
				a := s.document("POST", op.post, "Accept", "*/*")
				if a.status != test.status {
					t.Fatalf("%s %s: status %d: %s", op.name, test.name, a.status, a.body)
				}
				if test.status == http.StatusOK {
					p := progressOf(t, a.body)
					if p.Status != test.end || p.Backup.ID == "" || (p.Percentage == 100) != (test.end == cairn.JobCompleted) {
						t.Errorf("%s %s: %s", op.name, test.name, a.body)
					}
				} else if got, _ := errors.AsType[*cairn.Error](test.err); a.problem.Code != got.Code {
					t.Errorf("%s %s: %s", op.name, test.name, a.body)
				}
			})
		}
	}
}

// halfway are the events of a restoration that reports once that a half is done.
var halfway = []string{
	`{"status":"INITIALIZED","percentage":0,"backup":` + sampleJSON + `,"done_bytes":0,"total_bytes":0}`,
	`{"status":"IN-PROGRESS","percentage":0,"backup":` + sampleJSON + `,"done_bytes":0,"total_bytes":0}`,
	`{"status":"IN-PROGRESS","percentage":50,"backup":` + sampleJSON + `,"done_bytes":50,"total_bytes":100}`,
	`{"status":"COMPLETED","percentage":100,"backup":` + sampleJSON + `,"done_bytes":50,"total_bytes":100}`,
}

// TestStreamBytes holds whole answers to their bytes.
func TestStreamBytes(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: TYPE\r\nX-Content-Type-Options: nosniff\r\n" +
		"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, test := range []struct {
		protocol, accept, media, before, after string
		document                               bool
	}{
		{"1.1", api.NDJSON, api.NDJSON, "", "\n", false},
		{"1.1", api.JSONLines, api.JSONLines, "", "\n", false},
		{"1.1", api.SSE, api.SSE, "data: ", "\n\n", false},
		{"1.0", api.NDJSON, api.NDJSON, "", "\n", false},
		{"1.1", "*/*", api.JSON, "", "\n", true},
	} {
		perform(t, func(t *testing.T, s *stage) {
			s.engine.work = play(time.Second, nil, 50)
			r := s.record("POST " + restoring.post + " HTTP/" + test.protocol + "\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Type: application/json\r\nAccept: " + test.accept + "\r\n\r\n")
			time.Sleep(10 * time.Second)
			events := halfway
			want := strings.Replace(head, "TYPE", test.media, 1)
			if test.document {
				events = halfway[len(halfway)-1:]
				want = strings.Replace(want, "Content-Type", fmt.Sprintf("Content-Length: %d\r\nContent-Type", len(events[0])+1), 1)
				want = strings.Replace(want, "Transfer-Encoding: chunked\r\n", "", 1)
				want = strings.Replace(want, "00:00:00", "00:00:02", 1)
			}
			if test.protocol == "1.0" {
				want = strings.Replace(strings.Replace(want, "HTTP/1.1", "HTTP/1.0", 1), "Transfer-Encoding: chunked\r\n", "", 1)
			}
			for _, event := range events {
				text := test.before + event + test.after
				if test.protocol == "1.0" || test.document {
					want += text
				} else {
					want += fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
				}
			}
			if test.protocol == "1.1" && !test.document {
				want += "0\r\n\r\n"
			}
			if diff := cmp.Diff(want, r.text()); diff != "" {
				t.Errorf("HTTP/%s, Accept: %s (-want +got):\n%s", test.protocol, test.accept, diff)
			}
			synctest.Wait()
			select {
			case <-r.done:
				if test.protocol == "1.1" {
					t.Errorf("Accept: %s: the connection was closed", test.accept)
				}
			default:
				if test.protocol == "1.0" {
					t.Error("the connection of HTTP/1.0 was not closed")
				}
			}
		})
	}
}

// TestFrames holds the frames of a websocket to their bytes.
func TestFrames(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.engine.work = play(time.Second, nil, 50)
		st := s.open(restoring, "websocket")
		for _, want := range halfway {
			if got, err := st.next(); got != want {
				t.Errorf("the next frame is %q, %v, want %q", got, err, want)
			}
		}
		if got, err := st.next(); err != errEnd {
			t.Errorf("at last comes %q, %v", got, err)
		}
	})
}

// TestAccept asks for streams and documents in all kinds of ways.
func TestAccept(t *testing.T) {
	for _, test := range []struct {
		accept []string
		want   string
	}{
		{nil, api.JSON},
		{[]string{"*/*"}, api.JSON},
		{[]string{"application/json"}, api.JSON},
		{[]string{"text/plain"}, api.JSON},
		{[]string{"nonsense"}, api.JSON},
		{[]string{""}, api.JSON},
		{[]string{"application/x-ndjson"}, api.NDJSON},
		{[]string{"Application/X-NDJSON; charset=utf-8"}, api.NDJSON},
		{[]string{"application/jsonl"}, api.JSONLines},
		{[]string{"text/event-stream"}, api.SSE},
		{[]string{"application/json", "application/x-ndjson"}, api.NDJSON},
		{[]string{"application/json, application/x-ndjson"}, api.NDJSON}, // who knows both
		{[]string{"application/json, application/x-ndjson;q=0.9"}, api.JSON},
		{[]string{"application/json;q=0.9,text/event-stream"}, api.SSE},
		{[]string{"application/x-ndjson;q=0.5, text/event-stream;q=0.6"}, api.SSE},
		{[]string{"text/event-stream;q=0.5", "application/jsonl;q=0.6", "application/x-ndjson;q=0.6"}, api.JSONLines},
		{[]string{"application/x-ndjson, */*;q=0.1"}, api.NDJSON},
		{[]string{"nonsense/, application/x-ndjson"}, api.NDJSON},
		{[]string{"application/x-ndjson;q=0"}, api.JSON},
		{[]string{"application/x-ndjson;q=much"}, api.JSON},
		{[]string{"application/json;q=0, text/event-stream;q=0.1"}, api.SSE},
	} {
		perform(t, func(t *testing.T, s *stage) {
			var headers []string
			for _, accept := range test.accept {
				headers = append(headers, "Accept", accept)
			}
			for method, path := range map[string]string{"POST": creating.post, "GET": following.get} {
				if method == "GET" && test.want != api.JSON {
					continue // which does not end
				}
				if a := s.document(method, path, headers...); a.status != http.StatusOK || a.header.Get("Content-Type") != test.want {
					t.Errorf("Accept %q: status %d and %s from %s, want %s", test.accept, a.status, a.header.Get("Content-Type"), path, test.want)
				}
			}
		})
	}
}

// TestStreamsRefused asks for streams of what cannot begin: the answer is a problem
// document with its own status, and nothing begins.
func TestStreamsRefused(t *testing.T) {
	unknown := operation{"an unknown backup", "/backup/0.1.0_20200101T000000.000000000Z/restore/streamed", "/backup/0.1.0_20200101T000000.000000000Z/restore/streamed/websocket", ""}
	locked := &cairn.Error{Code: cairn.CodeCloudLocked, Message: "There is no key.", Hint: "Give it."}
	for _, test := range []struct {
		op      operation
		prepare func(*stage)
		code    cairn.Code
	}{
		{creating, func(s *stage) { s.device.signedOut.Store(true) }, cairn.CodeSignedOut},
		{restoring, func(s *stage) { s.device.signedOut.Store(true) }, cairn.CodeSignedOut},
		{creating, func(s *stage) { s.cloud.err = locked }, cairn.CodeCloudLocked},
		{restoring, func(s *stage) { s.cloud.err = locked }, cairn.CodeCloudLocked},
		{unknown, func(*stage) {}, cairn.CodeBackupNotFound},
	} {
		for _, transport := range append(transports, "*/*") {
			if transport == "*/*" && test.code == cairn.CodeCloudLocked {
				continue // the job finds that out
			}
			perform(t, func(t *testing.T, s *stage) {
				test.prepare(s)
				st, err := s.tryOpen(test.op, transport)
				if cairn.CodeOf(err) != test.code {
					t.Errorf("%s as %s, %s: %+v, %v", test.op.name, transport, test.code, st, err)
				}
				if list := s.jobs.List(); len(list) > 0 || len(s.engine.names()) > 0 {
					t.Errorf("%s as %s, %s: began %+v", test.op.name, transport, test.code, list)
				}
			})
		}
	}
}

// TestStreamLeft has clients go away amid the work, which goes on, as the status
// says.
func TestStreamLeft(t *testing.T) {
	for _, op := range []operation{creating, restoring} {
		for _, transport := range transports {
			perform(t, func(t *testing.T, s *stage) {
				s.engine.work = play(time.Second, nil, 10, 20, 30, 40)
				st := s.open(op, transport)
				id := st.event().Backup.ID
				time.Sleep(1500 * time.Millisecond)
				st.leave()
				time.Sleep(time.Second)
				status := "/backup/" + id + "/" + string(op.kind) + "/status"
				if a := s.document("GET", status); !strings.Contains(a.body, `"value":"IN-PROGRESS","percentage":20`) {
					t.Errorf("%s as %s: the status is %s", op.name, transport, a.body)
				}
				time.Sleep(5 * time.Second)
				if a := s.document("GET", status); !strings.Contains(a.body, `"value":"COMPLETED","percentage":100`) {
					t.Errorf("%s as %s: the status at the end is %s", op.name, transport, a.body)
				}
			})
		}
	}
}

// TestStreamsJoin has many clients ask for the same restoration: it is one, and each
// has the whole story of it, from when it came.
func TestStreamsJoin(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.engine.work = play(time.Second, nil, 10, 20, 30, 40)
		var all []*stream
		for _, transport := range transports {
			all = append(all, s.open(restoring, transport))
			time.Sleep(1100 * time.Millisecond)
		}
		for i, st := range all {
			events := st.rest()
			checkStory(t, transports[i], events, cairn.JobCompleted)
			if events[0].Percentage > 10*(i+1) {
				t.Errorf("%s: the first event is %+v", transports[i], events[0])
			}
		}
		if names := s.engine.names(); len(names) != 1 {
			t.Errorf("the engine did %q", names)
		}
	})
}
