package test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn/client"
	"cairn/test/harness"
)

// TestDefaultPorts starts daemons without an address. Other programs may use
// the ports, or come and go: what counts is that a daemon takes port 1000 if it
// can, and none of 39300 to 39333 while a lower one is free.
func TestDefaultPorts(t *testing.T) {
	var wrong string
	for range 5 { // another program may have come in between
		if wrong = defaultPorts(t); wrong == "" {
			return
		}
		t.Log(wrong)
	}
	t.Error(wrong)
}

// defaultPorts starts one daemon and returns what is wrong with its addresses.
func defaultPorts(t *testing.T) string {
	t.Helper()
	sdkPort := isFree(1000)
	dir := filepath.Join(t.TempDir(), "data")
	cmd := harness.Command(t, nil, "serve", "--data", dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := firstURL(t, dir)
	st, err := client.New(address).Status(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	wrong := checkPorts(t, st.URLs, sdkPort)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopping: %v\n%s", err, stderr.String())
	}
	printed := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	var want []string
	for _, u := range st.URLs {
		want = append(want, "listening on "+u)
	}
	if diff := cmp.Diff(want, printed); diff != "" {
		t.Errorf("it printed other addresses than its status has (-status +printed):\n%s", diff)
	}
	if address != st.URLs[0] {
		t.Errorf("the file url holds %s, want the first of %v", address, st.URLs)
	}
	return wrong
}

// firstURL waits for the file url and returns its line.
func firstURL(t *testing.T, dir string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "url")); err == nil {
			return strings.TrimSpace(string(text))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the daemon does not listen")
		}
	}
}

// checkPorts returns what is wrong with the addresses of a daemon that chose
// them itself, while it runs.
func checkPorts(t *testing.T, urls []string, sdkPort bool) string {
	t.Helper()
	ports := map[int]int{}
	later := 0
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
			t.Errorf("%s is not loopback", text)
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			t.Fatal(err)
		}
		ports[port]++
		if port != 1000 {
			later = port
		}
	}
	switch {
	case sdkPort && ports[1000] == 0:
		return fmt.Sprintf("port 1000 was free, but it listens on %v", urls)
	case ports[1000] > 0 && !strings.HasSuffix(urls[0], ":1000"):
		return fmt.Sprintf("port 1000 does not come first in %v", urls)
	case len(ports)-min(ports[1000], 1) != 1 || later < 39300 || later > 39333:
		return fmt.Sprintf("it does not listen on just one port from 39300 to 39333: %v", urls)
	}
	for port := 39300; port < later; port++ {
		if isFree(port) {
			return fmt.Sprintf("it listens on %v, though port %d is free", urls, port)
		}
	}
	return ""
}

// isFree reports whether this user can listen on the port of both loopback
// addresses, as far as the machine has them.
func isFree(port int) bool {
	four, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	defer four.Close()
	if probe, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		return true // there is no IPv6
	} else if err := probe.Close(); err != nil {
		return false
	}
	six, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port))
	if err != nil {
		return false
	}
	return six.Close() == nil
}
