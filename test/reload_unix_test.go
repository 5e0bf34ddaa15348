//go:build !windows

package test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cairn/client"
	"cairn/test/harness"
)

// A reloaded is a daemon whose configuration is changed while it runs.
type reloaded struct {
	*harness.Daemon
	t    *testing.T
	file string
}

// configure writes the configuration, has the daemon read it and waits until it has
// logged what is wanted, at the same level. It returns what it logged for that.
func (r *reloaded) configure(text, want string) string {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	before := len(r.Stderr())
	if err := syscall.Kill(r.PID, syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(30 * time.Second)
	for {
		if log := r.Stderr()[before:]; strings.Contains(log, want) && strings.HasSuffix(log, "\n") {
			return log
		}
		select {
		case <-tick.C:
		case <-giveUp:
			r.t.Fatalf("%s is not logged:\n%s", want, r.Stderr()[before:])
		}
	}
}

// status asks the daemon with a token, and of a page.
func (r *reloaded) status(token, origin string) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.URL+"/assets", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestReload changes what can be changed while a daemon runs.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := strings.Repeat("first", 8), strings.Repeat("second", 8)
	for name, token := range map[string]string{"first": first, "second": second} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &reloaded{t: t, file: filepath.Join(dir, "config.toml")}
	start := "token_file = \"first\"\n"
	if err := os.WriteFile(r.file, []byte(start), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Daemon = harness.Start(t, harness.Options{Args: []string{"--config", r.file}})
	const page = "https://tools.example.com"
	check := func(what, token, origin string, want int) {
		t.Helper()
		if got := r.status(token, origin); got != want {
			t.Errorf("%s: status %d, want %d", what, got, want)
		}
	}
	check("at first", first, "", 200)
	check("a page at first", first, page, 403)

	done := "the configuration was read again"
	log := r.configure("token_file = \"second\"\nallow_origins = [\""+page+"\"]\nlog_level = \"debug\"\n[backup]\nquiet = \"1h\"\nschedule = \"@yearly\"\n", done)
	if !strings.Contains(log, "backups are made by themselves") || strings.Contains(log, "restart") {
		t.Errorf("it logged\n%s", log)
	}
	check("the token of before", first, "", 401)
	check("the other token", second, "", 200)
	check("a page that is allowed now", second, page, 200)
	if !strings.Contains(r.Stderr(), "level=DEBUG") {
		t.Error("nothing is logged for debugging")
	}
	st, err := client.New("unix://" + filepath.Join(r.Data, "socket")).Status(t.Context())
	if err != nil || st.Automatic.Quiet != 3600 || st.Automatic.Schedule != "@yearly" {
		t.Errorf("the status says %+v, %v", st.Automatic, err)
	}

	// What is wrong changes nothing, and is told with its line.
	for text, want := range map[string]string{
		"token_file = \"first\"\nallow_origins = [\"*\"]\n":        r.file + ":2: allow_origins: ",
		"token_file = \"first\"\n[backup]\nschedule = \"often\"\n": r.file + ":3: backup.schedule: ",
		"token_file = \"config.toml\"\n":                           "could not be read again",
		"tls_key = \"none\"\n":                                     r.file + ":1: tls_key: ",
	} {
		r.configure(text, want)
		check("after "+text, second, page, 200)
	}

	// What takes a restart is named.
	log = r.configure("token_file = \"first\"\ncloud = \"elsewhere\"\nkey = \"key\"\n", "take a restart")
	if !strings.Contains(log, `keys="cloud, key"`) {
		t.Errorf("it logged\n%s", log)
	}
	check("the first token again", first, "", 200)
	check("a page that is not allowed any more", first, page, 403)
	log = r.configure("allow_origins = [\""+page+"\"]\n", "take a restart")
	if !strings.Contains(log, "keys=token_file") {
		t.Errorf("it logged\n%s", log)
	}
	check("without a token", "", "", 401)
	check("with the last one that there was", first, page, 200) // all else is applied
	if strings.Contains(r.Stderr(), first) || strings.Contains(r.Stderr(), second) {
		t.Error("a token is in the log")
	}
}

// TestTLS opens a websocket over TLS, and has the certificate replaced.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeCertificate(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	r := &reloaded{t: t, file: filepath.Join(dir, "config.toml")}
	config := fmt.Sprintf("tls_cert = %q\ntls_key = %q\n", certFile, keyFile)
	if err := os.WriteFile(r.file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Daemon = harness.Start(t, harness.Options{Args: []string{"--config", r.file}})
	for _, name := range []string{"the first certificate", "the second certificate"} {
		text, err := os.ReadFile(certFile)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: version}}
			conn, _, err := websocket.Dial(t.Context(), r.URL+"/assets/stream/identifiers", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
			if (err == nil) != ok {
				t.Errorf("%s, %s: %v", name, tls.VersionName(version), err)
			}
			if err == nil {
				if _, frame, err := conn.Read(t.Context()); err != nil || string(frame) != `{"iterable":[]}` {
					t.Errorf("%s: the first frame is %q, %v", name, frame, err)
				}
				conn.CloseNow()
			}
		}
		if err := writeCertificate(certFile, keyFile); err != nil {
			t.Fatal(err)
		}
		r.configure(config, "the configuration was read again")
	}
	// Half of a change, as when it is read between the two writes, changes nothing.
	if err := os.WriteFile(keyFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.configure(config, "could not be read again")
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}).Get(r.URL + "/assets")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("then it answers %v, %v", resp, err)
	}
}
