package client_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
	"cairn/client"
)

// seen are the requests that came to a server, as "METHOD path host authorization".
type seen struct {
	mu   sync.Mutex
	list []string
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.list = append(s.list, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Host+" "+r.Header.Get("Authorization")))
	s.mu.Unlock()
	if r.Header.Get("Upgrade") != "" {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			conn.CloseNow()
		}
		return
	}
	w.Header().Set("Content-Type", api.NDJSON)
}

// ask has a client ask in each way there is: for an answer, with a body, for lines
// and over a websocket.
func (s *seen) ask(t *testing.T, c *client.Client) []string {
	t.Helper()
	ctx := t.Context()
	_, _ = c.Metrics(ctx) // the answers are no use
	_, _ = c.WriteDocuments(ctx, nil)
	for range c.StreamCreate(ctx) {
	}
	for range c.StreamAssetIDs(ctx) {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// TestSocket speaks to a daemon on a unix socket, with a token and without.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "so cket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &seen{}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	server.Start()
	defer server.Close()
	t.Chdir(filepath.Dir(path))
	for _, at := range []string{"unix://" + strings.ReplaceAll(filepath.ToSlash(path), " ", "%20"), "unix:" + path, "unix:so cket"} {
		for _, token := range []string{"", "the-token"} {
			s.list = nil
			want := " localhost"
			if token != "" {
				want += " Bearer " + token
			}
			got := s.ask(t, client.New(at).WithToken(token))
			if len(got) != 4 {
				t.Errorf("%s with the token %q: the requests are %q", at, token, got)
			}
			for _, request := range got {
				if !strings.HasSuffix(request, want) {
					t.Errorf("%s with the token %q: the request is %q", at, token, request)
				}
			}
		}
	}
	if _, err := client.New("unix:///no/such/socket").Status(t.Context()); cairn.CodeOf(err) != cairn.CodeUnreachable || !strings.Contains(err.Error(), "No daemon answers at unix:///no/such/socket.") {
		t.Errorf("without a daemon: %v", err)
	}
}

// TestUntrusted holds that a certificate that is not trusted is told as such.
func TestUntrusted(t *testing.T) {
	server := httptest.NewUnstartedServer(&seen{})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := client.New(server.URL).Status(t.Context())
	if cairn.CodeOf(err) != cairn.CodeUnreachable || !strings.Contains(err.Error(), "The certificate of the daemon at "+server.URL+" is not for that name") {
		t.Errorf("the error is %v", err)
	}
}

// TestTokenOfNoHeader holds that a token which no header can have is told as such, and
// not shown, instead of a daemon being missed.
func TestTokenOfNoHeader(t *testing.T) {
	s := &seen{}
	server := httptest.NewServer(s)
	defer server.Close()
	c := client.New(server.URL).WithToken("a-token-of-a-file-of-windows\r")
	_, answered := c.Status(t.Context())
	var streamed error
	for _, err := range c.StreamAssetIDs(t.Context()) {
		streamed = err
	}
	for _, err := range []error{answered, streamed} {
		if cairn.CodeOf(err) != cairn.CodeInvalid || !strings.Contains(err.Error(), "The token ") || strings.Contains(err.Error(), "windows") {
			t.Errorf("the error is %v", err)
		}
	}
	if len(s.list) > 0 {
		t.Errorf("the requests are %q", s.list)
	}
}
