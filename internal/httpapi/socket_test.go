package httpapi_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
)

// A frame is what a client sends on a websocket.
type frame struct {
	kind websocket.MessageType
	text string
}

// text is a text frame.
func text(of string) *frame { return &frame{websocket.MessageText, of} }

// TestFirstFrame begins work with the first frame, or a second after the opening.
// One that is not what it should be begins nothing.
func TestFirstFrame(t *testing.T) {
	other := strings.Replace(sampleJSON, "0.1.0_2026", "0.1.0_2027", 1)
	for _, test := range []struct {
		name  string
		op    operation // both when it has no name
		first *frame    // none when nil
		code  websocket.StatusCode
	}{
		{"none", operation{}, nil, websocket.StatusNormalClosure},
		{"empty", operation{}, text(""), websocket.StatusNormalClosure},
		{"null", operation{}, text("null"), websocket.StatusNormalClosure},
		{"an object", operation{}, text(" {} "), websocket.StatusNormalClosure},
		{"a seed", operation{}, text(`{"schema":{"migration":0,"semantic":"MAJOR_0_MINOR_0_PATCH_1"}}`), websocket.StatusNormalClosure},
		{"a backup", operation{}, text(sampleJSON), websocket.StatusNormalClosure},
		{"a backup without id", restoring, text(`{"id":null}`), websocket.StatusNormalClosure},
		{"32 KiB", operation{}, text(`{"x":"` + strings.Repeat("x", 32<<10-8) + `"}`), websocket.StatusNormalClosure},

		{"another backup", restoring, text(other), websocket.StatusInvalidFramePayloadData},
		{"a number for its id", restoring, text(`{"id":7}`), websocket.StatusInvalidFramePayloadData},
		{"a long id", restoring, text(`{"id":"` + strings.Repeat("ä", 1000) + `"}`), websocket.StatusInvalidFramePayloadData},
		{"no JSON", operation{}, text("{"), websocket.StatusInvalidFramePayloadData},
		{"an array", operation{}, text("[]"), websocket.StatusInvalidFramePayloadData},
		{"bad UTF-8", operation{}, text("{\"a\":\"\xff\"}"), websocket.StatusInvalidFramePayloadData},
		{"two objects", operation{}, text("{}{}"), websocket.StatusInvalidFramePayloadData},
		{"no text", operation{}, &frame{websocket.MessageBinary, "{}"}, websocket.StatusUnsupportedData},
		{"too much", operation{}, text(`{"x":"` + strings.Repeat("x", 32<<10-7) + `"}`), websocket.StatusMessageTooBig},
	} {
		for _, op := range []operation{creating, restoring} {
			if test.op.name != "" && test.op != op {
				continue
			}
			name := test.name + " for a " + op.name
			perform(t, func(t *testing.T, s *stage) {
				st := s.open(op, "websocket")
				begun := time.Now()
				if test.first != nil {
					_ = st.socket.Write(t.Context(), test.first.kind, []byte(test.first.text)) // it may be too much
				}
				if test.code == websocket.StatusNormalClosure {
					first := st.event()
					took := time.Since(begun)
					if test.first == nil && took != time.Second || test.first != nil && took != 0 {
						t.Errorf("%s: the work began after %s", name, took)
					}
					checkStory(t, name, append([]api.Progress{first}, st.rest()...), cairn.JobCompleted)
					return
				}
				_, err := st.next()
				closed, ok := errors.AsType[websocket.CloseError](err)
				if !ok || closed.Code != test.code {
					t.Errorf("%s: the stream ends with %v", name, err)
				}
				if test.code != websocket.StatusMessageTooBig && (closed.Reason == "" || len(closed.Reason) > 123) {
					t.Errorf("%s: the reason is %q", name, closed.Reason)
				}
				time.Sleep(time.Minute)
				if names := s.engine.names(); len(names) > 0 {
					t.Errorf("%s: the engine did %q", name, names)
				}
			})
		}
	}
}

// TestLaterFrames says much more after the first frame, and pings: all of it means
// nothing.
func TestLaterFrames(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.engine.work = play(time.Second, nil, 10, 20, 30)
		st := s.open(restoring, "websocket")
		for _, f := range []*frame{text("{}"), text("{}"), text("nonsense"), {websocket.MessageBinary, "\xff"}, text(""), text(`{"id":"other"}`)} {
			if err := st.socket.Write(t.Context(), f.kind, []byte(f.text)); err != nil {
				t.Fatal(err)
			}
		}
		events := []api.Progress{st.event()}
		pinged := make(chan error, 1)
		go func() { pinged <- st.socket.Ping(t.Context()) }()
		events = append(events, st.rest()...)
		checkStory(t, "it", events, cairn.JobCompleted)
		if err := <-pinged; err != nil {
			t.Errorf("the ping: %v", err)
		}
		if names := s.engine.names(); len(names) != 1 {
			t.Errorf("the engine did %q", names)
		}
	})
}

// TestSocketLeft has clients go away before the work begins: without a frame
// nothing does; with one it does, however quick they are.
func TestSocketLeft(t *testing.T) {
	for _, op := range []operation{creating, restoring} {
		for range 20 {
			perform(t, func(t *testing.T, s *stage) {
				st := s.open(op, "websocket")
				time.Sleep(500 * time.Millisecond)
				st.leave()
				time.Sleep(time.Minute)
				if names := s.engine.names(); len(names) > 0 {
					t.Errorf("%s: without a frame the engine did %q", op.name, names)
				}
				st = s.open(op, "websocket")
				if err := st.socket.Write(t.Context(), websocket.MessageText, []byte("{}")); err != nil {
					t.Fatal(err)
				}
				st.leave()
				time.Sleep(time.Minute)
				if list := s.jobs.List(); len(list) != 1 || list[0].Status != cairn.JobCompleted {
					t.Errorf("%s: with a frame there are the jobs %+v", op.name, list)
				}
			})
		}
	}
}

// TestSocketCloses closes websockets as a client should, amid the work and after
// its end.
func TestSocketCloses(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.engine.work = play(time.Second, nil, 10, 20, 30)
		for _, op := range []operation{creating, following} {
			st := s.open(op, "websocket")
			if _, err := st.next(); err != nil {
				t.Fatal(err)
			}
			closed := make(chan error, 1)
			go func() { closed <- st.socket.Close(websocket.StatusNormalClosure, "") }()
			synctest.Wait()
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("%s: the close was not answered: %v", op.name, err)
				}
			default:
				t.Errorf("%s: the close is not answered", op.name)
			}
		}
		time.Sleep(time.Minute)
		if list := s.jobs.List(); len(list) != 1 || list[0].Status != cairn.JobCompleted {
			t.Errorf("the jobs are %+v", list)
		}
	})
}

// shutDown stops a stage as cairn serve does, and returns how long that took.
func (s *stage) shutDown() time.Duration {
	begun := time.Now()
	s.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var closing sync.WaitGroup
		closing.Go(s.server.Close)
		closing.Go(s.jobs.Close)
		closing.Wait()
	}()
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	s.cut()
	<-ended
	s.server.Wait()
	return time.Since(begun)
}

// drainTime is how long requests under way may take at the end.
const drainTime = 10 * time.Second

// TestShutDown stops the daemon amid all kinds of streams. Those of jobs hear how
// these end, the others are told goodbye, and nothing is left running: the bubble
// would notice.
func TestShutDown(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.engine.work = play(time.Hour, nil, 10)
		streams := map[string]*stream{}
		for _, transport := range transports {
			for _, op := range []operation{creating, restoring, following} {
				st := s.open(op, transport)
				streams[op.name+" "+transport] = st
				if op != following {
					if e := st.event(); e.Status.Ended() {
						t.Errorf("%s begins with %+v", op.name, e)
					}
				}
			}
		}
		waiting := s.record("POST /backups/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		long := s.record("POST " + restoring.post + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		void := s.record("POST /backup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		// The feeds read all there is, so that they have nothing on their way.
		ends := make(chan struct{}, 100)
		for name, st := range streams {
			go func() {
				defer func() { ends <- struct{}{} }()
				s.checkEnd(name, st)
			}()
		}
		time.Sleep(5 * time.Minute)
		early := s.open(creating, "websocket") // whose work has not begun
		goodbye := make(chan error, 1)
		go func() {
			_, err := early.next()
			goodbye <- err
		}()
		took := s.shutDown()
		if took > time.Second {
			t.Errorf("it took %s", took)
		}
		for range streams {
			<-ends
		}
		if err := <-goodbye; websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("a websocket whose work has not begun ends with %v", err)
		}
		<-waiting.done
		if got := waiting.text(); !strings.HasPrefix(got, "HTTP/1.1 200 OK") || strings.HasSuffix(got, "0\r\n\r\n") {
			t.Errorf("POST /backups/create is answered %q, want that it is cut", got)
		}
		<-void.done
		if got := void.text(); !strings.HasPrefix(got, "HTTP/1.1 500 ") || !strings.Contains(got, `"code":"shutting_down"`) {
			t.Errorf("POST /backup is answered %q", got)
		}
		if got := long.text(); !strings.Contains(got, `"status":"FAILED"`) || !strings.HasSuffix(got, "0\r\n\r\n") {
			t.Errorf("the one document is %q", got)
		}
		if _, err := s.tryOpen(creating, api.NDJSON); err == nil {
			t.Error("a stream begins afterwards")
		}
	})
}

// checkEnd reads a stream until the daemon has stopped.
func (s *stage) checkEnd(name string, st *stream) {
	feed := strings.HasPrefix(name, "feed")
	var last string
	for {
		text, err := st.next()
		if err == nil {
			last = text
			continue
		}
		want := err == errEnd
		if feed && st.socket != nil {
			want = websocket.CloseStatus(err) == websocket.StatusGoingAway
		}
		if !want {
			s.t.Errorf("%s ends with %v", name, err)
		}
		if !feed {
			if p := progressOf(s.t, last); p.Status != cairn.JobFailed || p.Problem.Code != cairn.CodeShuttingDown {
				s.t.Errorf("%s says at last %s", name, last)
			}
		}
		return
	}
}

// TestShutDownUnread stops the daemon while clients take nothing: it does not wait
// for them for long.
func TestShutDownUnread(t *testing.T) {
	for _, op := range []operation{creating, following} {
		for _, transport := range transports {
			perform(t, func(t *testing.T, s *stage) {
				s.engine.work = play(time.Second, nil, 10, 20, 30, 40, 50)
				if op == following {
					if _, err := s.jobs.Create(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				st := s.open(op, transport)
				if _, err := st.next(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				took := s.shutDown()
				if took > drainTime || op == following && transport == "websocket" && took > 2*time.Second {
					t.Errorf("%s as %s: it took %s", op.name, transport, took)
				}
			})
		}
	}
}
