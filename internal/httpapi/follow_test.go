package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
)

// all reads what a feed says next, as "kind STATUS percentage" for each job.
func (st *stream) all() []string {
	st.t.Helper()
	text, err := st.next()
	if err != nil {
		st.t.Fatalf("the feed: %q, %v", text, err)
	}
	return allOf(st.t, text)
}

func allOf(t *testing.T, text string) []string {
	t.Helper()
	var all api.AllProgress
	parseAs(t, "AllProgress", text, &all)
	lines := []string{}
	for i, list := range [][]api.Progress{all.Backups, all.Restorations} {
		for _, p := range list {
			if p.Backup.ID == "" {
				t.Errorf("the feed has a job without its backup: %s", text)
			}
			lines = append(lines, fmt.Sprint([]string{"backup ", "restoration "}[i], p.Status, " ", p.Percentage))
		}
	}
	return lines
}

// tells fails the test unless a feed says this next.
func (st *stream) tells(want ...string) {
	st.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), st.all()); diff != "" {
		st.t.Errorf("the feed (-want +got):\n%s", diff)
	}
}

// TestFollow follows all jobs: what is in progress at once, then each change, each
// end once.
func TestFollow(t *testing.T) {
	for _, transport := range transports {
		perform(t, func(t *testing.T, s *stage) {
			s.engine.work = play(10*time.Second, nil, 50)
			feed := s.open(following, transport)
			feed.tells()
			create := s.open(creating, api.NDJSON)
			for range 2 { // it is in the queue, and runs
				if got := feed.all(); slices.Equal(got, []string{"backup IN-PROGRESS 0"}) {
					break
				} else if !slices.Equal(got, []string{"backup INITIALIZED 0"}) {
					t.Errorf("the feed says %q", got)
				}
			}
			restore := s.open(restoring, api.NDJSON)
			feed.tells("backup IN-PROGRESS 0", "restoration INITIALIZED 0")
			s.open(restoring, api.SSE) // joins it
			feed.tells("backup IN-PROGRESS 50", "restoration INITIALIZED 0")
			late := s.open(following, transport)
			late.tells("backup IN-PROGRESS 50", "restoration INITIALIZED 0")
			both := []*stream{feed, late}
			for _, f := range both {
				if got := f.all(); slices.Equal(got, []string{"backup COMPLETED 100", "restoration INITIALIZED 0"}) {
					f.tells("restoration IN-PROGRESS 0")
				} else if !slices.Equal(got, []string{"backup COMPLETED 100", "restoration IN-PROGRESS 0"}) {
					t.Errorf("the feed says %q", got)
				}
			}
			for _, want := range [][]string{{"restoration IN-PROGRESS 50"}, {"restoration COMPLETED 100"}, nil, nil} {
				for _, f := range both {
					f.tells(want...) // at last what goes on, without what has ended
				}
			}
			checkStory(t, "the creation", create.rest(), cairn.JobCompleted)
			checkStory(t, "the restoration", restore.rest(), cairn.JobCompleted)
		})
	}
}

// TestFollowShort has jobs of no duration, and feeds that read late: each job is
// in each feed, once with its end.
func TestFollowShort(t *testing.T) {
	for _, transport := range transports {
		perform(t, func(t *testing.T, s *stage) {
			feed := s.open(following, transport)
			feed.tells()
			want := map[string]int{}
			for range 30 {
				for _, op := range []operation{creating, restoring} {
					events := s.open(op, api.NDJSON).rest()
					want[string(op.kind)+events[0].Backup.ID]++
				}
			}
			if a := s.document("POST", "/backup/unknown/restore"); a.problem.Code != cairn.CodeBackupNotFound {
				t.Errorf("restoring what is not there: %s", a.body)
			}
			want["restorationunknown"]++
			if a := s.document("POST", "/v1/restoration/undo"); a.status != http.StatusNoContent {
				t.Errorf("undo: %s", a.body)
			}
			got := map[string]int{}
			for ends := 0; ends < 61; {
				text, err := feed.next()
				if err != nil {
					t.Fatal(err)
				}
				var all api.AllProgress
				parseAs(t, "AllProgress", text, &all)
				for kind, list := range map[cairn.JobKind][]api.Progress{cairn.Creation: all.Backups, cairn.Restoration: all.Restorations} {
					for _, p := range list {
						if p.Status.Ended() {
							ends++
							got[string(kind)+p.Backup.ID]++
						}
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: the ends in the feed (-want +got):\n%s", transport, diff)
			}
		})
	}
}

// TestFollowOnce asks for what is in progress, once: nothing begins.
func TestFollowOnce(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.engine.work = play(10*time.Second, nil, 50)
		for range 2 {
			a := s.document("GET", following.get)
			if got := allOf(t, a.body); len(got) > 0 {
				t.Errorf("at first: %q", got)
			}
		}
		s.open(creating, api.NDJSON)
		s.open(restoring, api.NDJSON)
		time.Sleep(15 * time.Second)
		for range 2 {
			a := s.document("GET", following.get)
			if diff := cmp.Diff([]string{"backup IN-PROGRESS 50", "restoration INITIALIZED 0"}, allOf(t, a.body)); diff != "" {
				t.Errorf("amid it (-want +got):\n%s", diff)
			}
		}
		time.Sleep(time.Minute)
		a := s.document("GET", following.get)
		if got := allOf(t, a.body); len(got) > 0 {
			t.Errorf("at the end: %q", got)
		}
	})
}

// TestGets sends what a browser or a generated client may send to the paths of
// websockets, which begins nothing.
func TestGets(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		for _, op := range []operation{creating, restoring, following} {
			for _, method := range []string{"GET", "HEAD"} {
				for _, headers := range [][]string{nil, {"Accept", "*/*"}, {"Accept", api.NDJSON}, {"Accept", api.SSE}, {"Upgrade", "h2c"}} {
					if op == following && method == "GET" && len(headers) > 0 && headers[1] != "*/*" && headers[0] == "Accept" {
						continue // is a stream
					}
					a := s.document(method, op.get, headers...)
					if a.status != http.StatusOK || a.header.Get("Content-Type") != api.JSON || (a.body == "") != (method == "HEAD") {
						t.Errorf("%s %s with %q: status %d, %v, %s", method, op.get, headers, a.status, a.header, a.body)
					}
				}
			}
		}
		time.Sleep(time.Minute)
		if names, list := s.engine.names(), s.jobs.List(); len(names) > 0 || len(list) > 0 {
			t.Errorf("the engine did %q: %+v", names, list)
		}
	})
}

// TestFollowLeft has clients of the feed go away, and others come behind.
func TestFollowLeft(t *testing.T) {
	for _, transport := range transports {
		perform(t, func(t *testing.T, s *stage) {
			for range 10 {
				feed := s.open(following, transport)
				feed.tells()
				feed.leave()
			}
			time.Sleep(time.Minute) // the bubble ends if nobody is left
			synctest.Wait()
			s.open(following, transport).tells()
		})
	}
}

// TestFollowBehind has more jobs end than are kept for a feed that does not read:
// it is told so, and nobody is to blame.
func TestFollowBehind(t *testing.T) {
	for _, transport := range []string{api.NDJSON, "websocket"} {
		perform(t, func(t *testing.T, s *stage) {
			feed := s.open(following, transport)
			if feed.socket != nil {
				feed.socket.SetReadLimit(-1)
			}
			feed.tells()
			for range 2100 {
				watch, err := s.jobs.Create(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := watch.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			for range 3 { // what was on its way
				if _, err = feed.next(); err != nil {
					break
				}
			}
			if code := websocket.CloseStatus(err); err == nil || feed.socket != nil && code != websocket.StatusTryAgainLater {
				t.Errorf("%s: the feed ends with %v", transport, err)
			}
		})
	}
}
