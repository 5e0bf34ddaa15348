package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	faults "cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/internal/database"
	installation "cairn/internal/device"
	"cairn/internal/httpapi"
	"cairn/internal/jobs"
	"cairn/internal/keys"
	"cairn/test/harness"
	"cairn/test/pipe"
	"cairn/test/s3server"
)

// longWork is how long the store takes for a part.
const longWork = 10 * time.Minute

// TestHeartbeats has creations and restorations take ten minutes, with the daemon's
// parts in a bubble and a store that is slow. What comes to a client is then played,
// without the waiting, to the SDK on Node's default fetch and to Python's http.client:
// both take it for what it is.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	var answers map[string]recording
	synctest.Test(t, func(t *testing.T) { answers = recordAnswers(t) })
	if t.Failed() {
		return
	}
	url := replay(t, answers)
	if err := nodeTest(t, filepath.Join(sdk, "heartbeat.mjs"), url); err != nil {
		t.Error(err)
	}
	python(t, url, answers)
}

// A recording is what came on a connection, piece by piece.
type recording struct {
	pieces []string
	at     []time.Duration // since the request was sent
	closed bool            // the connection, after the last piece
}

// slowRequests are what is recorded: twice, as it is, and below /failing with a store
// that refuses in the end. ID stands for the id of a backup.
var slowRequests = []string{"/backups/create", "/backups/create/streamed", "/backup/ID/restore", "/backup/ID/restore/streamed"}

// recordAnswers returns the answers, by their paths.
func recordAnswers(t *testing.T) map[string]recording {
	d := startSlow(t)
	first, err := d.engine.Create(t.Context(), d.engine.NewBackup(cairn.ScopeAll), func(cairn.Backup, cairn.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]recording{}
	for _, failing := range []bool{false, true} {
		d.failing.Store(failing)
		for _, request := range slowRequests {
			path := strings.Replace(request, "ID", first.ID, 1)
			d.change(t)
			d.slow.Store(true)
			r := d.record(t, path)
			checkBeats(t, path, r)
			name := request
			if failing {
				name = "/failing" + name
			}
			answers[name] = r
		}
	}
	return answers
}

// checkBeats fails the test unless an answer takes as long as the work and is never
// silent for long.
func checkBeats(t *testing.T, path string, r recording) {
	t.Helper()
	if len(r.at) == 0 {
		t.Fatalf("%s: nothing came", path)
	}
	last := r.at[len(r.at)-1]
	if r.at[0] != time.Minute || last < longWork-time.Minute || last > longWork+time.Minute {
		t.Errorf("%s: it came from %s to %s", path, r.at[0], last)
	}
	for i := 1; i < len(r.at); i++ {
		if gap := r.at[i] - r.at[i-1]; gap > 15*time.Second {
			t.Errorf("%s: nothing came for %s", path, gap)
		}
	}
}

// slowDaemon is the parts of a daemon, in a bubble.
type slowDaemon struct {
	database *database.DB
	changes  int
	engine   *backup.Engine
	pipes    *pipe.Listener
	slow     atomic.Bool // the next call that is about a part is
	failing  atomic.Bool
}

func startSlow(t *testing.T) *slowDaemon {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	d := &slowDaemon{pipes: pipe.Listen()}
	closed := func(what io.Closer) {
		t.Cleanup(func() {
			if err := what.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	dev, err := installation.Open(t.Context(), installation.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	closed(dev)
	db, err := database.Open(t.Context(), database.Config{Dir: dir, Installation: dev.Installation(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	closed(db)
	d.database = db
	d.change(t)
	store := faults.New(new(memory.Bucket), d.outcome)
	d.engine = backup.New(backup.Config{
		Database: db,
		Device:   dev,
		Connect: func(ctx context.Context) (*cloud.Cloud, error) {
			return cloud.Open(ctx, cloud.Config{Bucket: bucket.Retry(store, bucket.Policy{}), URL: "memory", Keys: &keys.Store{Dir: filepath.Join(dir, "keys")}, Cache: dev, Log: log})
		},
		Place: func() backup.Place { return backup.Place{URL: "memory"} }, Spool: filepath.Join(dir, "spool"), Version: "0.1.0", Platform: "LINUX", Log: log,
	})
	work := jobs.New(jobs.Config{Engine: d.engine, History: dev, Log: log})
	handler := httpapi.New(httpapi.Config{Documents: db, Device: dev, Backups: d.engine, Jobs: work, Spool: filepath.Join(dir, "spool"), Log: log})
	server := &http.Server{Handler: handler}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(d.pipes) }) // until it is closed
	t.Cleanup(func() {
		work.Close()
		handler.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		handler.Wait()
	})
	return d
}

// change changes a document, so that a backup has a part to send.
func (d *slowDaemon) change(t *testing.T) {
	t.Helper()
	d.changes++
	doc := cairn.Document{Collection: "assets", ID: "one", JSON: fmt.Appendf(nil, `{"id":"one","n":%d}`, d.changes)}
	if _, err := d.database.Apply(t.Context(), []cairn.Document{doc}); err != nil {
		t.Fatal(err)
	}
}

// outcome has parts take their time, and fail if they shall.
func (d *slowDaemon) outcome(c faults.Call) (o faults.Outcome) {
	if !strings.HasPrefix(c.Name, "parts/") {
		return o
	}
	if d.slow.CompareAndSwap(true, false) {
		o.Delay = longWork
	}
	if d.failing.Load() {
		o.Effect, o.Err = faults.Fail, bucket.ErrRefused
	}
	return o
}

// record sends a request and returns what comes until its answer is over.
func (d *slowDaemon) record(t *testing.T, path string) (r recording) {
	t.Helper()
	client, err := d.pipes.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	begun := time.Now()
	if _, err := fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if n > 0 {
			r.pieces, r.at = append(r.pieces, string(buf[:n])), append(r.at, time.Since(begun))
		}
		if err != nil {
			r.closed = true
			return r
		}
		if strings.HasSuffix(r.pieces[len(r.pieces)-1], "0\r\n\r\n") {
			return r
		}
	}
}

// replay starts a server that answers with recordings, and returns its URL.
func replay(t *testing.T, answers map[string]recording) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	life, end := context.WithCancel(context.Background())
	t.Cleanup(func() {
		l.Close()
		end()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			serving.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(life, func() { conn.Close() })()
				for in := bufio.NewReader(conn); answerFrom(conn, in, answers); {
				}
			})
		}
	})
	return "http://" + l.Addr().String()
}

// answerFrom answers one request, and returns whether there may be another.
func answerFrom(conn net.Conn, in *bufio.Reader, answers map[string]recording) bool {
	req, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return false
	}
	path := req.URL.Path
	if before, after, ok := strings.Cut(path, "/backup/"); ok {
		if id, rest, more := strings.Cut(after, "/"); more && id != "" {
			path = before + "/backup/ID/" + rest
		}
	}
	answer, ok := answers[path]
	if !ok {
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		return true
	}
	for _, piece := range answer.pieces {
		if _, err := io.WriteString(conn, piece); err != nil {
			return false
		}
	}
	return !answer.closed
}

// pythonClient posts to each path of its arguments, and prints for each of them a
// line with what came of it.
const pythonClient = `
import http.client, json, sys
host, *paths = sys.argv[1:]
for path in paths:
    conn = http.client.HTTPConnection(host, timeout=300)
    conn.request("POST", path, body=None, headers={"Content-Type": "application/json", "Accept": "application/json"})
    resp = conn.getresponse()
    seen = {"path": path, "status": resp.status, "type": resp.getheader("Content-Type")}
    try:
        text = resp.read()
        seen["document"] = json.loads(text) if text.strip() else None
    except http.client.IncompleteRead as e:
        seen["cut"] = e.partial.decode()
    print(json.dumps(seen), flush=True)
    conn.close()
`

// pythonSaw is what it prints.
type pythonSaw struct {
	Path     string
	Status   int
	Type     string
	Document json.RawMessage
	Cut      *string
}

// runPython posts to paths with Python's http.client.
func runPython(ctx context.Context, url string, paths ...string) ([]pythonSaw, error) {
	args := append([]string{"-c", pythonClient, strings.TrimPrefix(url, "http://")}, paths...)
	cmd := exec.CommandContext(ctx, "python3", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("python3: %w\n%s%s", err, out, stderr.Bytes())
	}
	var all []pythonSaw
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var one pythonSaw
		if err := dec.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
}

// python plays all recordings to http.client.
func python(t *testing.T, url string, answers map[string]recording) {
	t.Helper()
	var paths []string
	for path := range answers {
		paths = append(paths, path)
	}
	saw, err := runPython(t.Context(), url, paths...)
	if err != nil {
		t.Fatal(err)
	}
	if len(saw) != len(answers) {
		t.Errorf("Python saw %d answers of %d", len(saw), len(answers))
	}
	for _, s := range saw {
		failing, streamed := strings.HasPrefix(s.Path, "/failing"), strings.HasSuffix(s.Path, "/streamed")
		cut := failing && !streamed
		var doc struct{ ID, Status string }
		if s.Document != nil {
			if err := json.Unmarshal(s.Document, &doc); err != nil {
				t.Errorf("%s: %v", s.Path, err)
			}
		}
		wantStatus := map[bool]string{true: "FAILED", false: "COMPLETED"}[failing]
		switch {
		case s.Status != http.StatusOK || s.Type != "application/json":
			t.Errorf("%s: status %d of type %s", s.Path, s.Status, s.Type)
		case cut != (s.Cut != nil) || cut && strings.TrimSpace(*s.Cut) != "":
			t.Errorf("%s: Python saw %+v", s.Path, s)
		case !cut && streamed && doc.Status != wantStatus, !cut && !streamed && doc.ID == "":
			t.Errorf("%s: Python read %s", s.Path, s.Document)
		}
	}
}

// TestSlowStore makes backups in a store whose answer to a part takes eleven minutes
// with CAIRN_LONG, and else two seconds: one client is the SDK on Node's default
// fetch, the other Python's http.client, at the same time.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	installSDK(t)
	takes := 2 * time.Second
	if os.Getenv("CAIRN_LONG") != "" {
		takes = 11 * time.Minute
	}
	s := s3server.Shared(t)
	var slow atomic.Bool
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if request := s3server.RequestOf(r); !slow.Load() || request.Op != "put" || !strings.Contains(request.Key, "/parts/") {
			forward.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r)
		if err := drawl(w, answer.Result(), takes); err != nil {
			t.Errorf("answering slowly: %v", err)
		}
	})
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	c := client.New(d.URL)
	fillDatabase(t, c, rand.New(rand.NewPCG(3, 4)), 1<<20, 8000)
	slow.Store(true)
	enough := func() { slow.Store(false) } // for the other one, which waited for its turn
	begun := time.Now()
	var made [2]struct{ ID string }
	var clients sync.WaitGroup
	clients.Go(func() {
		defer enough()
		const program = `import { backups } from './client.mjs'; console.log(JSON.stringify(await backups.backupsCreateNewBackup()));`
		out, err := node(t, d.URL, "--input-type=module", "--eval", program)
		if err == nil {
			err = json.Unmarshal(out, &made[0])
		}
		if err != nil {
			t.Error(err)
		}
	})
	clients.Go(func() {
		defer enough()
		saw, err := runPython(t.Context(), d.URL, "/backups/create")
		if err == nil {
			err = json.Unmarshal(saw[0].Document, &made[1])
		}
		if err != nil {
			t.Errorf("%v: %+v", err, saw)
		}
	})
	clients.Wait()
	if took := time.Since(begun); took < takes {
		t.Errorf("the slow store took %s, want %s", took, takes)
	}
	list, err := c.Backups(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("there are the backups %+v, %v", list, err)
	}
	for _, m := range made {
		if i := slices.IndexFunc(list, func(b api.Backup) bool { return b.ID == m.ID }); m.ID == "" || i < 0 {
			t.Errorf("a client was told of the backup %q, which is not listed", m.ID)
		}
	}
}

// drawl sends an answer that takes so long, with a sign of life every 20 seconds: on a
// connection that stands still, nothing would be waited for.
func drawl(w http.ResponseWriter, answer *http.Response, takes time.Duration) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer conn.Close()
	answer.ProtoMajor, answer.ProtoMinor, answer.Close = 1, 1, true
	var text bytes.Buffer
	if err := answer.Write(&text); err != nil {
		return err
	}
	status, rest, _ := bytes.Cut(text.Bytes(), []byte("\r\n"))
	_, err = fmt.Fprintf(conn, "%s\r\nX-Slow: ", status)
	end := time.After(takes)
	for tick := time.Tick(20 * time.Second); err == nil; {
		select {
		case <-tick:
			_, err = io.WriteString(conn, ".")
		case <-end:
			_, err = fmt.Fprintf(conn, "\r\n%s", rest)
			return err
		}
	}
	return err
}
