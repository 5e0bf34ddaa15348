package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cairn/api"
)

// daemon is a running cairn.
type daemon struct {
	cmd     *exec.Cmd
	url     string
	http    *http.Client
	started time.Duration // from the start of the process to the first health answer

	end     sync.Once
	outcome error
}

// startDaemon runs the binary on a data folder and waits for its first answer. env
// is added to its environment.
func startDaemon(ctx context.Context, binary, data string, env ...string) (*daemon, error) {
	d := &daemon{
		cmd: exec.CommandContext(ctx, binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "warn"),
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 8, ReadBufferSize: 256 << 10, WriteBufferSize: 256 << 10,
		}},
	}
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		d.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
		_, err = d.read(ctx, "/.well-known/health")
	}
	d.started = time.Since(begin)
	if err != nil {
		d.stop()
		return nil, fmt.Errorf("the daemon does not answer: %w", err)
	}
	return d, nil
}

// stop ends the daemon and waits for it. A second call returns the same.
func (d *daemon) stop() error {
	d.end.Do(func() {
		d.http.CloseIdleConnections()
		_ = d.cmd.Process.Signal(os.Interrupt) // if it has not ended by itself
		d.outcome = d.cmd.Wait()
	})
	return d.outcome
}

// read gets a path and returns the size of the answer.
func (d *daemon) read(ctx context.Context, path string) (int64, error) {
	return d.readTo(ctx, path, io.Discard)
}

func (d *daemon) readTo(ctx context.Context, path string, to io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, resp.Body, make([]byte, 256<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return n, err
}

// line appends a line of POST /v1/documents.
func line(body *bytes.Buffer, doc document) {
	body.WriteString(`{"collection":"assets","id":"`)
	body.WriteString(doc.id)
	body.WriteString(`","document":`)
	body.Write(doc.json)
	body.WriteString("}\n")
}

// post stores lines, and returns how many were new or a change.
func (d *daemon) post(ctx context.Context, body io.Reader) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/documents", body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", api.NDJSON)
	resp, err := d.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var written api.DocumentsWritten
	if resp.StatusCode != http.StatusOK || json.Unmarshal(text, &written) != nil {
		return 0, fmt.Errorf("POST /v1/documents: %s: %.300s", resp.Status, text)
	}
	return written.Added + written.Changed, nil
}

func (d *daemon) writeOne(ctx context.Context, doc document) error {
	var body bytes.Buffer
	line(&body, doc)
	n, err := d.post(ctx, &body)
	return differ(n, 1, err)
}

// differ returns an error unless as many documents were stored as were sent.
func differ(stored, sent int64, err error) error {
	if err == nil && stored != sent {
		err = fmt.Errorf("%d documents were stored, not %d", stored, sent)
	}
	return err
}

// fill stores documents in one request, in which they are sent as they come.
func (d *daemon) fill(ctx context.Context, docs iter.Seq[document]) error {
	body, out := io.Pipe()
	var sent int64
	var sending sync.WaitGroup
	sending.Go(func() {
		var lines bytes.Buffer
		var err error
		for doc := range docs {
			line(&lines, doc)
			sent++
			if lines.Len() <= 256<<10 {
				continue
			}
			if _, err = lines.WriteTo(out); err != nil {
				break
			}
		}
		if err == nil {
			_, err = lines.WriteTo(out)
		}
		out.CloseWithError(err) // nil is the end of the body
	})
	stored, err := d.post(ctx, body)
	body.Close() // ends the writer, if the request ended early
	sending.Wait()
	return differ(stored, sent, err)
}

// memory returns a figure of /proc/PID/status in bytes, 0 where there is none.
func (d *daemon) memory(name string) int64 {
	return memoryOf(d.cmd.Process.Pid, name)
}

func memoryOf(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// perSecond returns how many documents a second some clients write, each one
// at a time, for a while. Each write gets a new id.
func perSecond(ctx context.Context, during time.Duration, clients int, docs documents, write func(context.Context, document) error) (float64, error) {
	var done atomic.Int64
	errs := make(chan error, clients)
	begin := time.Now()
	for range clients {
		go func() {
			for time.Since(begin) < during {
				if err := write(ctx, renamed(docs[int(done.Load())%len(docs)])); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
			errs <- nil
		}()
	}
	var failed error
	for range clients {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return float64(done.Load()) / time.Since(begin).Seconds(), failed
}

var names atomic.Int64

// renamed returns the document under an id that was not there before.
func renamed(doc document) document {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", names.Add(1))
	return document{id, bytes.Replace(doc.json, []byte(doc.id), []byte(id), 1)}
}
