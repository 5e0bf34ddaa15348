package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// A wait is an operation whose answer waits for a job.
type wait struct {
	path, body string
	document   bool // it answers with one, else with the status alone
	streamed   bool // it tells how the job has ended, whatever that is
	work       string
}

// waits are all of them.
var waits = []wait{
	{"/backups/create", "", true, false, "create"},
	{"/backup/" + sampleID + "/restore", sampleJSON, true, false, "restore"},
	{creating.post, "null", true, true, "create"},
	{restoring.post, "{}", true, true, "restore"},
	{"/backup", `{"iterable":[{"id":"one"}]}`, false, false, "from"},
	{"/backup", "", false, false, "from"},
	{"/backup/asset", `{"id":"one"}`, false, false, "from"},
	{"/v1/restoration/undo", "", false, false, "undo"},
}

func requestOf(path, body, protocol string) string {
	return fmt.Sprintf("POST %s HTTP/%s\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n%s", path, protocol, len(body), body)
}

// moments returns what has come, by the second in which it did.
func (r *recorder) moments() map[time.Duration]string {
	r.text()
	r.mu.Lock()
	defer r.mu.Unlock()
	at := map[time.Duration]string{}
	for _, p := range r.pieces {
		at[p.at.Round(time.Second)] += p.text
	}
	return at
}

// closed reports whether the connection is.
func (r *recorder) closed() bool {
	r.text()
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// TestHeartbeat has work take ten minutes, and holds each byte of the answers to its
// moment: the header and white space after a minute, white space every 15 seconds,
// and then the document; or the end of the connection, where it fails. An answer
// without a document does not begin before the end.
func TestHeartbeat(t *testing.T) {
	const beat = "1\r\n \r\n"
	for _, op := range waits {
		for _, failure := range []error{nil, errDamaged} {
			perform(t, func(t *testing.T, s *stage) {
				s.engine.work = play(101*time.Second, failure, 10, 20, 30, 40, 50)
				r := s.record(requestOf(op.path, op.body, "1.1"))
				time.Sleep(11 * time.Minute)
				want := map[time.Duration]string{}
				for at := time.Minute; at <= 10*time.Minute && op.document; at += 15 * time.Second {
					want[at] = beat
				}
				if op.document {
					want[time.Minute] = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: " + api.JSON + "\r\nX-Content-Type-Options: nosniff\r\n" +
						"Date: " + time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + beat
				}
				got := r.moments()
				const last = 606 * time.Second
				end := got[last]
				delete(got, last)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: what came before the end (-want +got):\n%s", op.path, diff)
				}
				if r.closed() != (failure != nil && op.document && !op.streamed) {
					t.Errorf("%s, %v: the connection was closed: %t", op.path, failure, r.closed())
				}
				document := ""
				if before, ok := strings.CutSuffix(end, "\r\n0\r\n\r\n"); ok {
					_, document, _ = strings.Cut(before, "\r\n")
					if end != fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(document), document) {
						t.Errorf("%s: the end is not a chunk: %q", op.path, end)
					}
				}
				switch {
				case op.streamed:
					p := progressOf(t, document)
					if failure == nil && p.Status != cairn.JobCompleted || failure != nil && (p.Status != cairn.JobFailed || p.Problem.Code != cairn.CodeDamaged || p.Percentage != 50) {
						t.Errorf("%s, %v: the document is %s", op.path, failure, document)
					}
				case !op.document:
					want := map[bool]string{true: "HTTP/1.1 204 No Content\r\n", false: "HTTP/1.1 500 Internal Server Error\r\n"}[failure == nil]
					if !strings.HasPrefix(end, want) {
						t.Errorf("%s, %v: at last comes %q", op.path, failure, end)
					}
				case failure != nil:
					if end != "" {
						t.Errorf("%s fails, and says at last %q", op.path, end)
					}
				default:
					var b api.Backup
					parseAs(t, "Backup", document, &b)
					if b.ID != s.jobs.List()[0].Backup.ID || b.Bytes == 0 {
						t.Errorf("%s: the document is %s", op.path, document)
					}
				}
			})
		}
	}
}

// TestHeartbeatBegins has work end just before the answer would begin: it has its
// own status.
func TestHeartbeatBegins(t *testing.T) {
	for _, op := range waits {
		for _, failure := range []error{nil, errDamaged} {
			perform(t, func(t *testing.T, s *stage) {
				s.engine.work = play(time.Minute-time.Millisecond, failure)
				r := s.record(requestOf(op.path, op.body, "1.1"))
				time.Sleep(5 * time.Minute)
				want := "HTTP/1.1 200 OK\r\n"
				switch {
				case failure != nil:
					want = "HTTP/1.1 500 Internal Server Error\r\n"
				case !op.document:
					want = "HTTP/1.1 204 No Content\r\n"
				}
				if got := r.text(); !strings.HasPrefix(got, want) || strings.Contains(got, "chunked") || r.closed() {
					t.Errorf("%s, %v: %q", op.path, failure, got)
				}
			})
		}
	}
}

// TestHeartbeatAgain sends the next request on a connection whose answer had begun
// early, and on one whose work failed after that.
func TestHeartbeatAgain(t *testing.T) {
	for _, failure := range []error{nil, errDamaged} {
		perform(t, func(t *testing.T, s *stage) {
			s.engine.work = play(70*time.Second, failure)
			path := creating.post
			a := s.document("POST", path)
			want := cairn.JobCompleted
			if failure != nil {
				want = cairn.JobFailed
			}
			if p := progressOf(t, a.body); p.Status != want || a.took != 70*time.Second || a.body[:2] != " {" {
				t.Errorf("after %s comes %q", a.took, a.body)
			}
			if a := s.document("GET", "/backup/"+s.jobs.List()[0].Backup.ID+"/creation/status"); a.status != http.StatusOK {
				t.Errorf("the next answer is %s", a.body)
			}
		})
	}
}

// TestHeartbeatOldProtocol has clients of HTTP/1.0, to which an answer that is cut
// off looks whole: what is nothing but white space is no document.
func TestHeartbeatOldProtocol(t *testing.T) {
	for _, op := range waits {
		for _, failure := range []error{nil, errDamaged} {
			perform(t, func(t *testing.T, s *stage) {
				s.engine.work = play(300*time.Second, failure, 50)
				r := s.record(requestOf(op.path, op.body, "1.0"))
				time.Sleep(500 * time.Second)
				if begun := r.text() != ""; begun != op.document {
					t.Errorf("%s: the answer has begun: %t", op.path, begun)
				}
				time.Sleep(2 * time.Minute)
				head, body, _ := strings.Cut(r.text(), "\r\n\r\n")
				status, _, _ := strings.Cut(head, "\r\n")
				want, ends := "HTTP/1.0 204 No Content", ""
				switch {
				case op.document && (failure == nil || op.streamed):
					want, ends = "HTTP/1.0 200 OK", "}\n"
				case op.document:
					want, ends = "HTTP/1.0 200 OK", "  " // no JSON
				case failure != nil:
					want, ends = "HTTP/1.0 500 Internal Server Error", "}\n"
				}
				if status != want || !strings.HasSuffix(body, ends) || ends == "" && body != "" || !r.closed() {
					t.Errorf("%s, %v: %s %q", op.path, failure, status, body)
				}
			})
		}
	}
}

// TestGivenUp has clients give up after a while: the job goes on, and its status
// tells. What a client sent stays until the job has used it.
func TestGivenUp(t *testing.T) {
	for _, op := range waits {
		var spool string
		perform(t, func(t *testing.T, s *stage) {
			s.engine.work = play(100*time.Second, nil, 10, 20, 30, 40, 50)
			r := s.record(requestOf(op.path, op.body, "1.1"))
			time.Sleep(105 * time.Second)
			r.conn.Close()
			time.Sleep(5 * time.Minute)
			if names := s.engine.names(); len(names) != 1 || names[0] != op.work {
				t.Fatalf("%s: the engine did %q", op.path, names)
			}
			if op.work == "undo" {
				return
			}
			kind := map[string]string{"restore": "restoration"}[op.work]
			if kind == "" {
				kind = "creation"
			}
			status := func() string {
				return s.document("GET", "/backup/"+s.jobs.List()[0].Backup.ID+"/"+kind+"/status").body
			}
			if got := status(); !strings.Contains(got, `"value":"IN-PROGRESS","percentage":40`) {
				t.Errorf("%s: amid it the status is %s", op.path, got)
			}
			if files, err := os.ReadDir(spool); err != nil || (len(files) > 0) != strings.Contains(op.body, "iterable") {
				t.Errorf("%s: amid it %d files are spooled, %v", op.path, len(files), err)
			}
			time.Sleep(5 * time.Minute)
			if got := status(); !strings.Contains(got, `"value":"COMPLETED","percentage":100`) {
				t.Errorf("%s: at the end the status is %s", op.path, got)
			}
			if files, err := os.ReadDir(spool); err != nil || len(files) > 0 {
				t.Errorf("%s: at the end %d files are spooled, %v", op.path, len(files), err)
			}
		}, func(c *httpapi.Config) { spool = c.Spool })
	}
}

// TestGivenUpEarly has a client give up before its work can begin.
func TestGivenUpEarly(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.cloud.working = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		r := s.record("POST " + creating.post + " HTTP/1.1\r\nHost: localhost\r\nAccept: " + api.NDJSON + "\r\nContent-Length: 0\r\n\r\n")
		time.Sleep(time.Minute)
		r.conn.Close()
		time.Sleep(time.Minute)
		if list := s.jobs.List(); len(list) > 0 {
			t.Errorf("there are the jobs %+v", list)
		}
	})
}
