package s3server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// startTime is how long versitygw may take to answer; it takes 40 ms.
const startTime = time.Minute

// errEnded says that versitygw ended instead of answering.
var errEnded = errors.New("versitygw ended at once")

// A process is a running versitygw.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is gone
	err   error         // of its end; set before ended is closed
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()   // the process has its own
	health := name("/") // so that no other server at this address is taken for it
	args := []string{"--port", s.address, "--health", health, "--keep-alive", "--iam-dir", filepath.Join(s.dir, "iam"), "posix"}
	if s.sidecar {
		args = append(args, "--sidecar", filepath.Join(s.dir, "sidecar"))
	}
	cmd := exec.Command(s.binary, append(args, filepath.Join(s.dir, "data"))...)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.Secret, "VGW_REGION=" + region}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// On Linux the process goes with the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting versitygw: %w", err)
	}
	if err := p.await(s.URL + health); err != nil {
		p.kill()
		return fmt.Errorf("%w\n%s", err, s.log())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	return nil
}

// await waits until the process answers at a URL.
func (p *process) await(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for !answers(ctx, client, url) {
		select {
		case <-p.ended:
			return fmt.Errorf("%w: %w", errEnded, p.err)
		case <-ctx.Done():
			return fmt.Errorf("versitygw does not answer after %s", startTime)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// answers reports whether a GET succeeds.
func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only the status counts
	return resp.StatusCode == http.StatusOK
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already
	<-p.ended
}

// freeAddress returns an address that nobody listens at. Its port is below
// those that systems give to connections, so that it is free too when the
// server comes back.
func freeAddress() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", errors.New("found no free port")
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

// log returns the end of the log, in which each request is a line.
func (s *Server) log() string {
	const most = 8 << 10
	f, err := os.Open(s.logPath())
	if err != nil {
		return err.Error()
	}
	defer f.Close() // it was only read
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-most), io.SeekStart) // reading from elsewhere shows nothing
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
