package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/test/harness"
)

const (
	listDocuments = 100_000
	// What a list of any size may cost. A daemon at rest has about 40 MiB.
	listPeakMiB = 160
	listWALMiB  = 96
)

// TestListIsStreamed reads GET /assets over 100,000 documents while others
// write: memory and WAL stay bounded, with a client that reads a byte a second
// too, nobody waits for it, and a fast client gets each asset exactly once.
func TestListIsStreamed(t *testing.T) {
	t.Parallel()
	d := harness.Start(t, harness.Options{})
	for from := 0; from < listDocuments; from += 5000 {
		postAssets(t, d.URL, from, from+5000, "first")
	}
	slow := listSlowly(t, d.URL)

	// A writer rewrites documents all the time that the fast client reads.
	stop := make(chan struct{})
	var writer sync.WaitGroup
	var slowest time.Duration
	var writes int
	writer.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			start := time.Now()
			from := (n * 7919 * 20) % listDocuments
			postAssets(t, d.URL, from, from+20, "write "+strconv.Itoa(n))
			slowest = max(slowest, time.Since(start))
			writes++
		}
	})
	seen := listAll(t, d.URL)
	rewriteMuch(t, d.URL)
	close(stop)
	writer.Wait()

	if len(seen) != listDocuments {
		t.Errorf("the list had %d different assets, want %d", len(seen), listDocuments)
	}
	for id, n := range seen {
		if n != 1 {
			t.Fatalf("asset %s came %d times", id, n)
		}
	}
	if peak := peakMiB(t, d.PID); peak > listPeakMiB {
		t.Errorf("the daemon took %d MiB at its peak, want at most %d", peak, listPeakMiB)
	}
	if wal := walMiB(t, d.Data); wal > listWALMiB {
		t.Errorf("the WAL has %d MiB, want at most %d", wal, listWALMiB)
	}
	// Not a measure of speed: a writer that waited for the slow client would
	// wait for hours.
	if writes < 10 || slowest > 20*time.Second {
		t.Errorf("%d writes, the slowest of %v: writers wait for readers", writes, slowest)
	}
	if n := slow(); n < 2 {
		t.Errorf("the slow client has read %d bytes: it was not served", n)
	}
}

// rewriteMuch writes more than the WAL may grow to.
func rewriteMuch(t *testing.T, url string) {
	for from := 0; from < listDocuments; from += 5000 {
		postAssets(t, url, from, from+5000, "again")
	}
}

// postAssets stores assets of about 1.5 KB each.
func postAssets(t *testing.T, url string, from, to int, text string) {
	var body bytes.Buffer
	for i := from; i < to; i++ {
		id := assetID(i)
		fmt.Fprintf(&body, `{"collection":"assets","id":%q,"document":{"id":%q,"name":"asset %d","formats":{"iterable":[{"id":"f-%d","fragment":{"string":{"raw":%q}}}]},"original":{"id":"f-%d"},"preview":{"base":{"id":"f-%d"}}}}`+"\n",
			id, id, i, i, strings.Repeat(text+" ", 1200/(len(text)+1)), i, i)
	}
	resp, err := http.Post(url+"/v1/documents", "application/x-ndjson", &body)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"refused_count":0`)) {
		t.Errorf("POST /v1/documents: %s %s %v", resp.Status, answer, err)
	}
}

func assetID(i int) string { return fmt.Sprintf("a0000000-0000-4000-8000-%012d", i) }

// listAll reads the whole list and counts how often each asset came.
func listAll(t *testing.T, url string) map[string]int {
	resp, err := http.Get(url + "/assets")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	seen := map[string]int{}
	dec := json.NewDecoder(resp.Body)
	for range 3 {
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
	}
	for dec.More() {
		var asset struct {
			ID       string
			Original struct {
				Reference struct {
					Fragment struct{ String struct{ Raw string } }
				}
			}
		}
		if err := dec.Decode(&asset); err != nil {
			t.Fatal(err)
		}
		if asset.Original.Reference.Fragment.String.Raw == "" {
			t.Fatalf("asset %s has no text where clients read it", asset.ID)
		}
		seen[asset.ID]++
	}
	for range 2 {
		if _, err := dec.Token(); err != nil {
			t.Fatalf("the list has no end: %v", err)
		}
	}
	return seen
}

// listSlowly starts a client that reads the list at a byte a second, over a
// connection that buffers little. The result ends it and says how much it got.
func listSlowly(t *testing.T, base string) (stop func() int) {
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /assets HTTP/1.1\r\nHost: %s\r\n\r\n", u.Host)
	end, ended := make(chan struct{}), make(chan int)
	go func() {
		in, n := bufio.NewReaderSize(conn, 16), 0
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if _, err := in.ReadByte(); err != nil {
				break
			}
			n++
			select {
			case <-tick.C:
				continue
			case <-end:
			}
			break
		}
		conn.Close()
		ended <- n
	}()
	return func() int { close(end); return <-ended }
}

// peakMiB returns the most memory that a process had, in MiB. Source: VmHWM of
// proc_pid_status(5).
func peakMiB(t *testing.T, pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		t.Fatal("no VmHWM in the status of the process")
	}
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

// walMiB returns the size of the live generation's WAL in MiB.
func walMiB(t *testing.T, data string) int {
	files, err := filepath.Glob(filepath.Join(data, "generations", "*-wal"))
	if err != nil || len(files) != 1 {
		t.Fatalf("WAL files: %q, %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size() >> 20)
}
