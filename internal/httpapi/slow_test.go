package httpapi_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// hundred is work of a hundred seconds with a report in each.
func hundred(s *stage) {
	var done []int64
	for n := range int64(99) {
		done = append(done, n+1)
	}
	s.engine.work = play(time.Second, nil, done...)
}

// TestStreamNotRead stops reading a stream for a while: the work ends in its time,
// other clients hear all of it, and the one that reads on gets what is newest and
// the end.
func TestStreamNotRead(t *testing.T) {
	for _, transport := range transports {
		perform(t, func(t *testing.T, s *stage) {
			hundred(s)
			begun := time.Now()
			slow := s.open(restoring, transport)
			events := []api.Progress{slow.event()}
			for range 10 {
				events = append(events, slow.event())
			}
			other := s.open(restoring, transport)
			time.Sleep(50 * time.Second)
			events = append(events, slow.event(), slow.event()) // what was on its way, and the newest
			if last := events[len(events)-1]; last.Percentage < 55 {
				t.Errorf("%s: after a minute the event is %+v", transport, last)
			}
			all := other.rest()
			if took := time.Since(begun).Round(time.Second); took < 100*time.Second || took > 102*time.Second {
				t.Errorf("%s: the work took %s", transport, took)
			}
			time.Sleep(2 * time.Minute)
			events = append(events, slow.rest()...)
			checkStory(t, transport, events, cairn.JobCompleted)
			checkStory(t, transport, all, cairn.JobCompleted)
			if len(events) > 20 {
				t.Errorf("%s: one that did not read got %d events", transport, len(events))
			}
		})
	}
}

// TestStreamReadSlowly reads a byte each second: the work ends in its time, and each
// event that comes is whole.
func TestStreamReadSlowly(t *testing.T) {
	for _, transport := range transports[:3] {
		perform(t, func(t *testing.T, s *stage) {
			hundred(s)
			s.cloud.backups[0].DeviceName = strings.Repeat("a long name ", 20)
			st := s.open(restoring, transport)
			st.lines.Reset(slowly{st.response.Body})
			go func() {
				time.Sleep(101 * time.Second)
				synctest.Wait()
				if job := s.jobs.List()[0]; job.Status != cairn.JobCompleted {
					t.Errorf("%s: in time the job is %+v", transport, job)
				}
			}()
			events := st.rest()
			checkStory(t, transport, events, cairn.JobCompleted)
			if len(events) > 5 {
				t.Errorf("%s: one that read a byte each second got %d events", transport, len(events))
			}
		})
	}
}

// slowly reads a byte each second.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.Reader.Read(p[:1])
}

// TestStreamStalls takes nothing of a stream for longer than a client may: it is
// cut, and the work goes on.
func TestStreamStalls(t *testing.T) {
	for _, op := range []operation{creating, restoring, following} {
		for _, transport := range transports {
			perform(t, func(t *testing.T, s *stage) {
				hundred(s)
				if op == following {
					if _, err := s.jobs.Create(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				st := s.open(op, transport)
				if _, err := st.next(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(30 * time.Second)
				var err error
				for range 10 { // what was on its way before
					if _, err = st.next(); err != nil {
						break
					}
				}
				if err == nil || err == errEnd {
					t.Errorf("%s as %s: a client that took nothing goes on with %v", op.name, transport, err)
				}
				time.Sleep(80 * time.Second)
				if job := s.jobs.List()[0]; job.Status != cairn.JobCompleted {
					t.Errorf("%s as %s: the job is %+v", op.name, transport, job)
				}
			}, func(c *httpapi.Config) { c.StreamStall = 5 * time.Second })
		}
	}
}

// TestStreamUnknownYet has the history of jobs take a minute for a job that began:
// nothing is said before it, and nothing twice.
func TestStreamUnknownYet(t *testing.T) {
	for _, transport := range transports {
		perform(t, func(t *testing.T, s *stage) {
			s.history.hold = make(chan struct{})
			time.AfterFunc(time.Minute, func() { close(s.history.hold) })
			begun := time.Now()
			st := s.open(restoring, transport)
			events := st.rest()
			checkStory(t, transport, events, cairn.JobCompleted)
			if took := time.Since(begun); took < time.Minute {
				t.Errorf("%s: the stream was over after %s", transport, took)
			}
		})
	}
}

// TestStreamPulse has nothing change for a while: the newest state is said again,
// so that nobody takes the stream for dead.
func TestStreamPulse(t *testing.T) {
	for _, transport := range transports {
		perform(t, func(t *testing.T, s *stage) {
			s.engine.work = play(50*time.Second, nil, 40)
			st := s.open(restoring, transport)
			events := []api.Progress{st.event()}
			begun := time.Now()
			at := []int{0} // seconds
			for !events[len(events)-1].Status.Ended() {
				events = append(events, st.event())
				at = append(at, int(time.Since(begun).Round(time.Second)/time.Second))
			}
			checkStory(t, transport, append(events, st.rest()...), cairn.JobCompleted)
			want := []int{0, 0, 15, 30, 45, 50, 65, 80, 95, 100}
			percent := []int{0, 0, 0, 0, 0, 40, 40, 40, 40, 100}
			for i := range want {
				if len(at) != len(want) || at[i] != want[i] || events[i].Percentage != percent[i] {
					t.Fatalf("%s: the events come after %v s: %+v", transport, at, events)
				}
			}
		})
	}
}
