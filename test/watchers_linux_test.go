package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

const (
	watcherCount   = 200
	watcherPeakMiB = 200
)

// TestWatchers has two hundred clients watch one restoration, by all ways there are.
// Some stop reading, some read a byte a second, some go away: the work does not wait
// for any of them, and all who read in the end hear of its end, once.
func TestWatchers(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	gate, part := make(chan struct{}), make(chan struct{}, 1)
	var gated atomic.Bool
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if request := s3server.RequestOf(r); gated.Load() && request.Op == "get" && strings.Contains(request.Key, "/parts/") {
			<-gate
			part <- struct{}{} // one after the other, each a little late
			<-time.After(100 * time.Millisecond)
			<-part
		}
		forward.ServeHTTP(w, r)
	})
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	c := client.New(d.URL)
	fillDatabase(t, c, rand.New(rand.NewPCG(5, 6)), 60<<20, 8000)
	b, err := c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := databaseOf(t, c).Digest
	gated.Store(true)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	watched := &watched{url: d.URL, id: b.ID, ended: make(chan struct{})}
	all := make([]*watcher, watcherCount)
	var watching, first, reading sync.WaitGroup
	for i := range all {
		w := &watcher{watched: watched, way: watcherWays[i%len(watcherWays)], habit: habit(i / len(watcherWays) % int(habits))}
		all[i] = w
		first.Add(1)
		w.begun, w.heard = sync.OnceFunc(first.Done), func() {}
		if w.habit == reads {
			reading.Add(1)
			w.heard = sync.OnceFunc(reading.Done)
		}
		watching.Go(func() {
			defer w.begun()
			defer w.heard()
			w.err = w.watch(ctx)
		})
	}
	first.Wait()
	close(gate)
	reading.Wait()
	// Nobody else has read anything until here. The job that comes now is the last
	// that feeds tell of.
	if job := newestJob(t, c); job.Status != cairn.JobCompleted || job.Backup.ID != b.ID {
		t.Errorf("the restoration is %+v", job)
	}
	if _, err := c.RestoreBackup(t.Context(), lastWatched); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		t.Errorf("restoring what is not there: %v", err)
	}
	close(watched.ended)
	watching.Wait()

	for i, w := range all {
		if err := w.check(); err != nil {
			t.Errorf("watcher %d (%s, %s): %v", i, w.way, w.habit, err)
		}
	}
	restorations := 0
	jobs, err := c.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if job.Kind == cairn.Restoration {
			restorations++
		}
	}
	if got := databaseOf(t, c).Digest; restorations != 1 || got != want {
		t.Errorf("%d restorations made %s, want one that makes %s", restorations, got, want)
	}
	if peak := peakMiB(t, d.PID); peak > watcherPeakMiB {
		t.Errorf("the daemon took %d MiB at its peak, want at most %d", peak, watcherPeakMiB)
	} else {
		t.Logf("the daemon took %d MiB at its peak", peak)
	}
}

// newestJob returns the newest job of a daemon.
func newestJob(t *testing.T, c *client.Client) api.Job {
	t.Helper()
	jobs, err := c.Jobs(t.Context())
	if err != nil || len(jobs) == 0 {
		t.Fatalf("the jobs are %+v, %v", jobs, err)
	}
	return jobs[0]
}

// lastWatched is no backup.
const lastWatched = "0.1.0_20200101T000000.000000000Z"

// watched is what all watchers watch.
type watched struct {
	url, id string
	ended   chan struct{} // closed when those who read have heard the end
}

// The ways to watch. Those of the feed begin nothing.
var watcherWays = []string{api.NDJSON, api.SSE, "websocket", api.NDJSON, "feed as lines", "websocket", "feed as websocket"}

// A habit is how a watcher reads after the first event.
type habit int

const (
	reads  habit = iota
	stops        // until those who read have heard the end
	crawls       // as stops, but for a byte a second
	leaves
	habits
)

func (h habit) String() string { return [...]string{"reads", "stops", "crawls", "leaves"}[h] }

// A watcher is one client.
type watcher struct {
	*watched
	way    string
	habit  habit
	begun  func()         // is called when it has heard of the restoration,
	heard  func()         // and when it has heard of its end
	events []api.Progress // of the restoration
	err    error

	lazy atomic.Bool // it does not read as it should
}

// lazyConn is a connection that its watcher reads as its habit is.
type lazyConn struct {
	net.Conn
	w *watcher
}

func (c lazyConn) Read(p []byte) (int, error) {
	if c.w.lazy.Load() {
		var tick <-chan time.Time
		if c.w.habit == crawls {
			tick = time.After(time.Second)
		}
		select {
		case <-c.w.ended:
		case <-tick:
			p = p[:1]
		}
	}
	return c.Conn.Read(p)
}

// client returns a client with a connection of its own.
func (w *watcher) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
				return nil, err
			}
			return lazyConn{conn, w}, nil
		},
	}}
}

// errOver is a clean end of a stream.
var errOver = errors.New("the end")

// watch reads until the end, or goes away.
func (w *watcher) watch(ctx context.Context) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	next, err := w.open(ctx)
	if err != nil {
		return err
	}
	for {
		text, err := next()
		if err == nil {
			err = w.hear(text)
		}
		switch {
		case err == errOver:
			return nil
		case err != nil:
			return err
		case len(w.events) > 0 && w.events[len(w.events)-1].Status.Ended():
			w.heard()
		case len(w.events) == 1:
			w.begun()
			if w.habit == leaves {
				return nil
			}
			w.lazy.Store(w.habit != reads)
		}
	}
}

// open opens the stream, and returns what reads its events.
func (w *watcher) open(ctx context.Context) (next func() (string, error), err error) {
	feed := strings.HasPrefix(w.way, "feed")
	if strings.HasSuffix(w.way, "websocket") {
		path := "/backup/" + w.id + "/restore/streamed/websocket"
		if feed {
			path = "/backups/streamed/progress"
		}
		conn, _, err := websocket.Dial(ctx, w.url+path, &websocket.DialOptions{HTTPClient: w.client()})
		if err != nil {
			return nil, err
		}
		if !feed {
			if err := conn.Write(ctx, websocket.MessageText, []byte("{}")); err != nil {
				return nil, err
			}
		}
		return func() (string, error) {
			_, text, err := conn.Read(ctx)
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				err = errOver
			}
			return string(text), err
		}, nil
	}
	method, path, accept := "POST", "/backup/"+w.id+"/restore/streamed", w.way
	if feed {
		method, path, accept = "GET", "/backups/streamed/progress", api.NDJSON
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := w.client().Do(req)
	if err != nil {
		return nil, err
	}
	if media := resp.Header.Get("Content-Type"); media != accept {
		return nil, fmt.Errorf("the answer is of type %s", media)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (string, error) {
		for {
			line, err := lines.ReadString('\n')
			switch {
			case err == io.EOF && line == "":
				return "", errOver
			case err != nil || line != "\n": // which ends an event
				return strings.TrimPrefix(line, "data: "), err
			}
		}
	}, nil
}

// hear notes an event. A feed is over with the last job.
func (w *watcher) hear(text string) error {
	if !strings.HasPrefix(w.way, "feed") {
		var p api.Progress
		err := json.Unmarshal([]byte(text), &p)
		w.events = append(w.events, p)
		return err
	}
	var all api.AllProgress
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	for _, p := range all.Restorations {
		if p.Backup.ID != lastWatched {
			w.events = append(w.events, p)
		} else if p.Status.Ended() {
			return errOver
		}
	}
	return nil
}

// check returns what is wrong with what the watcher has heard.
func (w *watcher) check() error {
	if w.err != nil {
		return w.err
	}
	if w.habit == leaves {
		return nil
	}
	ends := 0
	for i, p := range w.events {
		if p.Status.Ended() {
			ends++
		}
		if p.Backup.ID != w.id || i > 0 && p.Percentage < w.events[i-1].Percentage || (p.Percentage == 100) != (p.Status == cairn.JobCompleted) {
			return fmt.Errorf("event %d of %+v", i, w.events)
		}
	}
	if n := len(w.events); n < 2 || ends != 1 || w.events[n-1].Status != cairn.JobCompleted {
		return fmt.Errorf("the events are %+v", w.events)
	}
	return nil
}

// TestWatchersStop stops the daemon amid a restoration. Those who watch it hear that
// it has failed and why, the feeds are told goodbye, and the daemon ends at once.
func TestWatchersStop(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	var gated atomic.Bool
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if gated.Load() && s3server.RequestOf(r).Op == "get" && strings.Contains(r.URL.Path, "/parts/") {
			<-r.Context().Done()
			return
		}
		forward.ServeHTTP(w, r)
	})
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	c := client.New(d.URL)
	fillDatabase(t, c, rand.New(rand.NewPCG(7, 8)), 1<<20, 8000)
	b, err := c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gated.Store(true)
	watched := &watched{url: d.URL, id: b.ID}
	var first, watching sync.WaitGroup
	for _, way := range watcherWays {
		w := &watcher{watched: watched, way: way}
		next, err := w.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first.Add(1)
		begun := sync.OnceFunc(first.Done)
		watching.Go(func() {
			defer begun()
			var err error
			for err == nil {
				var text string
				if text, err = next(); err == nil {
					err = w.hear(text)
				}
				if len(w.events) > 0 {
					begun()
				}
			}
			feed := strings.HasPrefix(way, "feed")
			if way == "feed as websocket" && websocket.CloseStatus(err) != websocket.StatusGoingAway || way != "feed as websocket" && err != errOver {
				t.Errorf("%s: it ends with %v", way, err)
			}
			if len(w.events) == 0 {
				t.Errorf("%s: nothing came", way)
			} else if last := w.events[len(w.events)-1]; !feed && (last.Status != cairn.JobFailed || last.Problem.Code != cairn.CodeShuttingDown) {
				t.Errorf("%s: at last comes %+v", way, last)
			}
		})
	}
	first.Wait()
	begun := time.Now()
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	// Who still waited for a client would wait for ten seconds.
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("the daemon took %s to stop", took)
	}
	watching.Wait()
}
