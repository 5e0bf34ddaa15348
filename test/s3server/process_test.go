package s3server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// verdict is a testing.TB that keeps what it is told instead of failing.
type verdict struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (v *verdict) Failed() bool            { return len(v.errors) > 0 }
func (v *verdict) Cleanup(f func())        { v.cleanups = append(v.cleanups, f) }
func (v *verdict) Error(args ...any)       { v.errors = append(v.errors, fmt.Sprint(args...)) }
func (v *verdict) Logf(f string, a ...any) { v.errors = append(v.errors, fmt.Sprintf(f, a...)) }

// end runs the cleanups as the end of a test does, and returns what was said.
func (v *verdict) end() string {
	for i := len(v.cleanups) - 1; i >= 0; i-- {
		v.cleanups[i]()
	}
	return strings.Join(v.errors, "\n")
}

// TestVerdict checks which ends of a server fail a test, and that none is left.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(s *Server)
		want string // in what is said, "" for nothing
	}{
		{"left to the cleanup", func(*Server) {}, ""},
		{"stopped", (*Server).Stop, ""},
		{"restarted", func(s *Server) { s.Restart(t) }, ""},
		{"gone by itself", func(s *Server) { s.process.kill() }, "ended by itself: signal: killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := &verdict{TB: t}
			s := Start(v)
			tt.end(s)
			got := v.end()
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("said: %s\nwant: %s", got, tt.want)
			}
			if tt.want != "" && !strings.Contains(got, "| GET | /-") {
				t.Errorf("the log is not in what is said: %s", got)
			}
			if reachable(t.Context(), s.URL) {
				t.Error("the server still answers")
			}
		})
	}
}

// TestSidecar checks a server that keeps metadata in files.
func TestSidecar(t *testing.T) {
	dir := t.TempDir()
	s, err := start(Binary(t), dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	bucket := s.Bucket(t)
	put := &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("a/b"), IfNoneMatch: aws.String("*")}
	for try := range 2 {
		put.Body = strings.NewReader("hello")
		if _, err := s.Client().PutObject(t.Context(), put); (err == nil) != (try == 0) {
			t.Errorf("create number %d: %v", try, err)
		}
	}
	if text, err := os.ReadFile(s.Dir(bucket) + "/a/b"); err != nil || string(text) != "hello" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if entries, err := os.ReadDir(dir + "/sidecar"); err != nil || len(entries) == 0 {
		t.Errorf("the sidecar holds %d entries, %v", len(entries), err)
	}
}

// TestStartTwice wants a server that cannot start to say why.
func TestStartTwice(t *testing.T) {
	s := Start(t)
	second := &Server{URL: s.URL, AccessKey: s.AccessKey, Secret: s.Secret, binary: s.binary, dir: t.TempDir(), address: s.address}
	if err := os.Mkdir(second.dir+"/iam", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(second.dir+"/data", 0o700); err != nil {
		t.Fatal(err)
	}
	err := second.run()
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a server at the address of another: %v, want address already in use", err)
	}
}

// TestSharedLog has a test that failed show the log of the shared server once,
// however often it asked for the server.
func TestSharedLog(t *testing.T) {
	v := &verdict{TB: t}
	for range 2 {
		v.errors, v.cleanups = []string{"failed"}, nil
		for range 3 {
			Shared(v)
		}
		if n := strings.Count(v.end(), "which tests share:"); n != 1 {
			t.Errorf("the log was shown %d times, want once", n)
		}
	}
}

// TestShared looks at what a process leaves that had the shared server.
func TestShared(t *testing.T) {
	const child = "S3SERVER_CHILD"
	if os.Getenv(child) != "" {
		fmt.Println("url", Shared(t).URL)
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
		return
	}
	for _, tt := range []struct {
		name string
		end  func(cmd *exec.Cmd, stdin io.Closer) error
	}{
		{"ended", func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() }},
		{"killed", func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Kill() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "killed" && runtime.GOOS != "linux" {
				t.Skip("only Linux ends a process with its parent")
			}
			ctx, cancel := context.WithTimeout(t.Context(), startTime)
			defer cancel()
			folder := t.TempDir()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestShared$")
			cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+folder)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			output := bufio.NewReader(stdout)
			line, err := output.ReadString('\n')
			url, ok := strings.CutPrefix(strings.TrimSpace(line), "url ")
			if !ok {
				t.Fatalf("the process said %q, %v", line, err)
			}
			if !reachable(ctx, url) {
				t.Fatal("the server of the process is not there")
			}
			if err := tt.end(cmd, stdin); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, output) // until it is gone
			if err := cmd.Wait(); err != nil && tt.name == "ended" {
				t.Error(err)
			}
			if entries, err := os.ReadDir(folder); tt.name == "ended" && len(entries) > 0 || err != nil {
				t.Errorf("the process has left %v, %v", entries, err)
			}
			for reachable(ctx, url) {
			}
			if ctx.Err() != nil {
				t.Errorf("the server is still there after %s", startTime)
			}
		})
	}
}

// reachable reports whether anybody answers at a URL.
func reachable(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only that there is one counts
	return true
}

// TestFrontStreams sends the second half of a body when the server has the
// first, both ways.
func TestFrontStreams(t *testing.T) {
	half := bytes.Repeat([]byte("x"), 1<<20)
	arrived, read := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, len(half))); err != nil {
			t.Error(err)
		}
		close(arrived)
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != int64(len(half)) {
			t.Errorf("the rest has %d bytes, %v", n, err)
		}
		_, _ = w.Write(half) // the client looks at it
		<-read
		_, _ = w.Write(half)
	}))
	defer server.Close()
	release := sync.OnceFunc(func() { close(read) })
	defer release() // else the server has no end
	front := NewFront(t, &Server{URL: server.URL}, nil)
	body, write := io.Pipe()
	go func() {
		_, _ = write.Write(half) // the server looks at it
		<-arrived
		_, _ = write.Write(half)
		_ = write.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, front.URL+"/bucket/key", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(2 * len(half))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // it was only read
	if _, err := io.ReadFull(resp.Body, make([]byte, len(half)/2)); err != nil {
		t.Fatal(err)
	}
	release()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(half)*3/2) {
		t.Errorf("the rest of the answer has %d bytes, %v", n, err)
	}
}
