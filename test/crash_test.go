package test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/asset"
	"cairn/internal/database"
	"cairn/internal/durable"
	"cairn/test/harness"
)

// restartTime is how long a daemon may take to listen after a crash. It is a
// fraction of a second on an idle machine.
const restartTime = 15 * time.Second

// TestCrash kills the daemon at a random moment, again and again on one data
// folder, while clients write. What was acknowledged must be there, a request
// without an answer was done as a whole or not at all, and the file is sound.
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds := 30
	if os.Getenv("CAIRN_LONG") != "" {
		rounds = 300
	}
	random := seededRandom(t)
	dir := t.TempDir()
	writers := newWriters(random)
	var seen history
	for round := range rounds {
		if random.IntN(2) == 0 {
			verifyFolder(t, dir) // recovers what the daemon would
		}
		if random.IntN(4) == 0 {
			killWhileStarting(t, dir, time.Duration(random.IntN(40))*time.Millisecond)
		}
		d := restartDaemon(t, dir)
		checkContents(t, d, writers, &seen)
		if t.Failed() {
			t.Fatalf("this was after crash %d", round)
		}
		crashUnderLoad(t, d, writers, time.Duration(5+random.IntN(350))*time.Millisecond)
	}
	d := restartDaemon(t, dir)
	checkContents(t, d, writers, &seen)
	checkCounter(t, d, &seen)
	verifyFolder(t, dir)

	requests, doubts := 0, 0
	for _, w := range writers {
		requests, doubts = requests+w.counts().requests, doubts+w.counts().doubts
	}
	t.Logf("%d requests were acknowledged, %d cut off, %d revisions seen", requests, doubts, len(seen.lines))
	if requests < 3*rounds || doubts < rounds {
		t.Errorf("%d requests and %d cut off in %d rounds: the load was too light to prove anything", requests, doubts, rounds)
	}
}

// TestCrashAtFirstStart kills daemons while they lay out an empty data folder.
func TestCrashAtFirstStart(t *testing.T) {
	random := seededRandom(t)
	for range 15 {
		dir := filepath.Join(t.TempDir(), "data")
		for range 1 + random.IntN(3) {
			killWhileStarting(t, dir, time.Duration(random.IntN(30_000))*time.Microsecond)
		}
		d := restartDaemon(t, dir)
		if _, err := client.New(d.URL).CreateAsset(t.Context(), assetSeed("first", "text")); err != nil {
			t.Error(err)
		}
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		verifyFolder(t, dir)
		generations, err := filepath.Glob(filepath.Join(dir, "generations", "*"))
		if err != nil || len(generations) != 1 {
			t.Errorf("there are the generations %v (%v), want one", generations, err)
		}
	}
}

// seededRandom returns random numbers that a run with CAIRN_SEED draws again.
func seededRandom(t *testing.T) *rand.Rand {
	t.Helper()
	n := rand.Uint64()
	if text := os.Getenv("CAIRN_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CAIRN_SEED: %v", err)
		}
	}
	t.Logf("CAIRN_SEED=%d draws the same again", n)
	return rand.New(rand.NewPCG(n, 0))
}

// restartDaemon starts the daemon on what a crash left, and looks for what only an
// unfinished start leaves.
func restartDaemon(t *testing.T, dir string) *harness.Daemon {
	t.Helper()
	begin := time.Now()
	d := harness.Start(t, harness.Options{Data: dir})
	if took := time.Since(begin); took > restartTime {
		t.Errorf("starting after a crash took %s", took)
	}
	for _, path := range allFiles(t, dir) {
		if strings.Contains(path, durable.TempSuffix) {
			t.Errorf("%s was left behind", path)
		}
	}
	return d
}

// killWhileStarting starts a daemon and kills it a little later, ready or not.
func killWhileStarting(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	cmd := harness.Command(t, nil, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Errorf("the daemon ended before it was killed: %v", err)
	}
	_ = cmd.Wait() // it was killed
}

// crashUnderLoad lets the writers write, kills the daemon, and waits for them.
func crashUnderLoad(t *testing.T, d *harness.Daemon, writers []crashWriter, during time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	for _, w := range writers {
		running.Go(func() {
			c := client.New(d.URL)
			for {
				err := w.write(t.Context(), c)
				if cairn.CodeOf(err) == cairn.CodeUnreachable {
					return
				}
				if err != nil {
					t.Errorf("a request was refused: %v", err)
					return
				}
			}
		})
	}
	<-time.After(during)
	d.Kill()
	running.Wait()
}

// checkContents compares what the daemon holds with what the writers know.
func checkContents(t *testing.T, d *harness.Daemon, writers []crashWriter, seen *history) {
	t.Helper()
	c := client.New(d.URL)
	state := contents{documents: map[string]string{}, assets: map[string]string{}}
	for line, err := range c.Documents(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(line.Document) {
			t.Errorf("%s/%s is not whole JSON: %.200s", line.Collection, line.ID, line.Document)
		}
		if line.Collection == crashCollection {
			state.documents[line.ID] = string(line.Document)
		}
	}
	for a, err := range c.Assets(t.Context(), true) {
		if err != nil {
			t.Fatal(err)
		}
		var id struct{ ID string }
		if err := json.Unmarshal(a, &id); err != nil {
			t.Fatal(err)
		}
		state.assets[id.ID] = string(a)
	}
	known := 0
	for _, w := range writers {
		known += w.settle(t, state)
	}
	if got := len(state.documents) + len(state.assets); got != known {
		t.Errorf("there are %d documents, of which the writers know %d", got, known)
	}
	seen.look(t, c)
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Database.Documents != int64(known) {
		t.Errorf("the status counts %d documents, not %d", st.Database.Documents, known)
	}
}

// history is what every revision seen so far was, as a hash.
type history struct {
	lines  map[int64][sha256.Size]byte
	newest int64
}

// look reads all changes: no revision may tell of something else than before,
// and the counter may not be behind.
func (h *history) look(t *testing.T, c *client.Client) {
	t.Helper()
	if h.lines == nil {
		h.lines = map[int64][sha256.Size]byte{}
	}
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Database.Revision < h.newest {
		t.Errorf("the revision went back from %d to %d", h.newest, st.Database.Revision)
	}
	h.newest = max(h.newest, st.Database.Revision)
	last := int64(1)
	for line, err := range c.Documents(t.Context(), "", 1) { // not 0, to get deletions
		if err != nil {
			t.Fatal(err)
		}
		if line.Revision <= last || line.Revision > h.newest {
			t.Errorf("revision %d comes after %d and the newest is %d", line.Revision, last, h.newest)
		}
		last = line.Revision
		h.note(t, line)
	}
}

func (h *history) note(t *testing.T, line api.DocumentLine) {
	t.Helper()
	text := line.Collection + "/" + line.ID + " " + string(line.Document)
	hash := sha256.Sum256([]byte(text))
	if was, ok := h.lines[line.Revision]; ok && was != hash {
		t.Errorf("revision %d is %.300s, but was something else before", line.Revision, text)
	}
	h.lines[line.Revision] = hash
}

// checkCounter deletes the newest document and stops the daemon: the next write
// must not take the revision that came free.
func checkCounter(t *testing.T, d *harness.Daemon, seen *history) {
	t.Helper()
	c := client.New(d.URL)
	text, err := c.CreateAsset(t.Context(), assetSeed("newest", "text"))
	if err != nil {
		t.Fatal(err)
	}
	var a struct{ ID string }
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteAsset(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	seen.look(t, c)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = restartDaemon(t, d.Data)
	c = client.New(d.URL)
	line := api.DocumentLine{Collection: "last", ID: "one", Document: json.RawMessage(`{}`)}
	written, err := c.WriteDocuments(t.Context(), []api.DocumentLine{line})
	if err != nil {
		t.Fatal(err)
	}
	if written.Revision != seen.newest+1 {
		t.Errorf("the write after the newest document was deleted got revision %d, want %d", written.Revision, seen.newest+1)
	}
	seen.look(t, c)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
}

// verifyFolder opens the database of a data folder without a daemon and recomputes
// its digest. A folder that no start has finished yet is not there to verify.
func verifyFolder(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	db, err := database.Open(t.Context(), database.Config{
		Dir: dir,
		References: func(collection string, text []byte) []string {
			if collection != cairn.CollectionAssets {
				return nil
			}
			return asset.FormatIDs(text)
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the database: %v", err)
		}
	}()
	if err := db.Verify(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("verifying the database: %v", err)
	}
}

// allFiles returns the paths of all files below a folder.
func allFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
