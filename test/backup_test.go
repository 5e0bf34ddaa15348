package test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestBackupGoSources backs the sources of the Go installation up, deletes all
// of them, and gets them back: in the same data folder, in an empty one with
// nothing but the key, and without cairn. On S3 it is a share of them, unless
// CAIRN_LONG is set.
func TestBackupGoSources(t *testing.T) {
	t.Parallel()
	installSDK(t)
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		dir := filepath.Join(goRoot(t), "src")
		if cloud.server != nil && os.Getenv("CAIRN_LONG") == "" {
			dir = filepath.Join(dir, "runtime") // three parts and an index
		}
		backupSources(t, cloud, dir)
	})
}

func backupSources(t *testing.T, cloud place, dir string) {
	t.Helper()
	want := textFiles(t, dir)
	first := cloud.serve(t, harness.Options{})
	if got := importFiles(t, first, dir); got.Added != len(want) {
		t.Fatalf("the import of %d text files reports %+v", len(want), got)
	}
	before := databaseStatus(t, first)
	id := createVerb(t, first)
	deleteAllAssets(t, first)
	if got := databaseStatus(t, first); got.Documents != 0 || got.Deletions != int64(len(want)) {
		t.Fatalf("after deleting all of %d assets there are %+v", len(want), got)
	}
	restoreVerb(t, first, id)
	checkRestored(t, first, before)

	key := saveCloudKey(t, first)
	second := cloud.serve(t, harness.Options{Args: []string{"--key", key}})
	if got := databaseStatus(t, second); got.Revision != 0 {
		t.Fatalf("the second data folder is not empty: %+v", got)
	}
	restoreVerb(t, second, id)
	checkRestored(t, second, before)
	if diff := cmp.Diff(want, readBack(t, second.URL)); diff != "" {
		t.Errorf("restored texts read through the SDK (-file +asset):\n%.4000s", diff)
	}

	target := filepath.Join(t.TempDir(), "recovered")
	recoverDocuments(t, cloud.download(t), key, target)
	checkRecovered(t, storedDocuments(t, second), target)
}

// TestBackupOddDocuments does the same with documents that are out of the
// ordinary: none of them may change in a byte, nor in its revision.
func TestBackupOddDocuments(t *testing.T) {
	t.Parallel()
	installSDK(t)
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		backupOddDocuments(t, cloud)
	})
}

func backupOddDocuments(t *testing.T, cloud place) {
	t.Helper()
	first := cloud.serve(t, harness.Options{})
	storeDocuments(t, first, oddDocuments()...)
	for i := range 5 { // deletions, and what came back
		gone := oddAsset("gone-"+strconv.Itoa(i), `"gone"`, "")
		storeDocuments(t, first, gone)
		if err := client.New(first.URL).DeleteAsset(t.Context(), gone.ID); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			storeDocuments(t, first, gone)
		}
	}
	before, want, texts := databaseStatus(t, first), storedDocuments(t, first), readBack(t, first.URL)
	for _, line := range oddDocuments() {
		if got := want[line.Collection+"/"+line.ID]; got.text != string(line.Document) {
			t.Fatalf("the document %s is not stored as it is", line.ID)
		}
	}
	id := createVerb(t, first)
	deleteAllAssets(t, first)
	storeDocuments(t, first,
		api.DocumentLine{Collection: "odd", ID: "object", Document: json.RawMessage(`{"changed":1}`)},
		api.DocumentLine{Collection: "odd", ID: "new", Document: json.RawMessage(`{}`)})
	changed := databaseStatus(t, first)
	restoreVerb(t, first, id)
	checkRestored(t, first, before)
	checkStored(t, want, storedDocuments(t, first))

	// The revisions of the restored database go on where the backup ended.
	storeDocuments(t, first, api.DocumentLine{Collection: "odd", ID: "later", Document: json.RawMessage(`{}`)})
	if got := databaseStatus(t, first); got.Revision != before.Revision+1 || got.Line == before.Line {
		t.Errorf("the first write after the restoration of revision %d of line %s makes %+v", before.Revision, before.Line, got)
	}
	if _, stderr, code := harness.Cairn(t, first.Env(), "backup", "undo"); code != 0 {
		t.Fatalf("cairn backup undo: exit code %d\n%s", code, stderr)
	}
	if diff := cmp.Diff(changed, databaseStatus(t, first)); diff != "" {
		t.Errorf("the restoration was not undone (-before +after):\n%s", diff)
	}

	key := saveCloudKey(t, first)
	second := cloud.serve(t, harness.Options{Args: []string{"--key", key}})
	restoreVerb(t, second, id)
	checkRestored(t, second, before)
	checkStored(t, want, storedDocuments(t, second))
	if diff := cmp.Diff(texts, readBack(t, second.URL)); diff != "" {
		t.Errorf("texts read through the SDK (-before +restored):\n%.4000s", diff)
	}

	target := filepath.Join(t.TempDir(), "recovered")
	recoverDocuments(t, cloud.download(t), key, target, id)
	checkRecovered(t, want, target)
}

// createVerb makes a backup with the command line, and returns its id.
func createVerb(t *testing.T, d *harness.Daemon) string {
	t.Helper()
	begin := time.Now()
	stdout, stderr, code := harness.Cairn(t, d.Env(), "backup", "create")
	m := regexp.MustCompile(`^created (\S+): \d+ documents, .+ of JSON in .+\n$`).FindStringSubmatch(stdout)
	if code != 0 || m == nil {
		t.Fatalf("cairn backup create: exit code %d\n%s%s", code, stdout, stderr)
	}
	checkProgress(t, "creating", m[1], stderr, time.Since(begin))
	return m[1]
}

// restoreVerb restores a backup with the command line.
func restoreVerb(t *testing.T, d *harness.Daemon, id string) {
	t.Helper()
	begin := time.Now()
	stdout, stderr, code := harness.Cairn(t, d.Env(), "backup", "restore", id)
	if code != 0 || !strings.HasPrefix(stdout, "restored "+id) {
		t.Fatalf("cairn backup restore: exit code %d\n%s%s", code, stdout, stderr)
	}
	checkProgress(t, "restoring", id, stderr, time.Since(begin))
}

// checkProgress checks the progress lines of a verb: one is due each second,
// if it differs from the one before, and percentages grow.
func checkProgress(t *testing.T, word, id, stderr string, took time.Duration) {
	t.Helper()
	last, lines := -1, 0
	for _, m := range regexp.MustCompile(`(?m)^`+word+` (.*): (\d+) %, .+ of .+$`).FindAllStringSubmatch(stderr, -1) {
		lines++
		percentage, err := strconv.Atoi(m[2])
		if err != nil || m[1] != id || percentage <= last || percentage > 99 {
			t.Errorf("after %d %% the progress of %s is told as %q", last, id, m[0])
		}
		last = percentage
	}
	if took > 5*time.Second && lines == 0 {
		t.Errorf("%s %s took %s, and nothing told of its progress", word, id, took)
	}
}

// saveCloudKey writes the output of cairn cloud key to a file.
func saveCloudKey(t *testing.T, d *harness.Daemon) string {
	t.Helper()
	stdout, stderr, code := harness.Cairn(t, d.Env(), "cloud", "key")
	if code != 0 || !strings.Contains(stdout, "\nAGE-SECRET-KEY-1") {
		t.Fatalf("cairn cloud key: exit code %d\n%s", code, stderr)
	}
	path := filepath.Join(t.TempDir(), "key.txt")
	write(t, path, stdout)
	return path
}

// deleteAllAssets deletes each asset, as a client does.
func deleteAllAssets(t *testing.T, d *harness.Daemon) {
	t.Helper()
	c := client.New(d.URL)
	ctx, cancel := context.WithCancelCause(t.Context())
	ids := make(chan string, 64)
	var deleting sync.WaitGroup
	for range 16 {
		deleting.Go(func() {
			for id := range ids {
				if err := c.DeleteAsset(ctx, id); err != nil {
					cancel(err)
				}
			}
		})
	}
	for id, err := range c.AssetIDs(ctx) {
		if err != nil {
			cancel(err)
			break
		}
		ids <- id
	}
	close(ids)
	deleting.Wait()
	if err := context.Cause(ctx); err != nil {
		t.Fatal(err)
	}
	cancel(nil)
}

// checkRestored compares the database with the one that was backed up. Its line
// is a new one, and what was deleted before is not known in it.
func checkRestored(t *testing.T, d *harness.Daemon, before api.DatabaseStatus) {
	t.Helper()
	after := databaseStatus(t, d)
	if after.Line == before.Line {
		t.Errorf("the restored database goes on with the line %s", before.Line)
	}
	if after.Deletions != 0 {
		t.Errorf("the restored database knows of %d deletions", after.Deletions)
	}
	after.Line, after.Deletions = before.Line, before.Deletions
	if diff := cmp.Diff(before, after); diff != "" {
		t.Fatalf("the restored database is another (-before +after):\n%s", diff)
	}
}

// A storedDocument is the text of a document and its revision.
type storedDocument struct {
	text     string
	revision int64
}

// storedDocuments returns the documents of a daemon, by collection and id with a
// slash between them.
func storedDocuments(t *testing.T, d *harness.Daemon) map[string]storedDocument {
	t.Helper()
	all := map[string]storedDocument{}
	for line, err := range client.New(d.URL).Documents(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		all[line.Collection+"/"+line.ID] = storedDocument{string(line.Document), line.Revision}
	}
	return all
}

// storeDocuments stores documents as they are.
func storeDocuments(t *testing.T, d *harness.Daemon, lines ...api.DocumentLine) {
	t.Helper()
	for _, line := range lines { // some are as large as a request may be
		written, err := client.New(d.URL).WriteDocuments(t.Context(), []api.DocumentLine{line})
		if err != nil || written.Added+written.Changed != 1 {
			t.Fatalf("storing %s: %+v %v", line.ID, written, err)
		}
	}
}

// checkStored compares two sets of documents. Texts are too long to show.
func checkStored(t *testing.T, want, got map[string]storedDocument) {
	t.Helper()
	for name, w := range want {
		if g, ok := got[name]; !ok || g != w {
			t.Errorf("%s came back as %t with %d bytes of revision %d, want %d of %d", name, ok, len(g.text), g.revision, len(w.text), w.revision)
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d documents, want %d", len(got), len(want))
	}
}

// checkRecovered compares the files that the recovery wrote with documents.
func checkRecovered(t *testing.T, want map[string]storedDocument, target string) {
	t.Helper()
	files := map[string]bool{}
	for _, path := range allFiles(t, target) {
		rel, err := filepath.Rel(target, path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.ToSlash(rel), ".json")
		files[name] = true
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := want[name]; !ok || string(text) != w.text {
			t.Errorf("the file %s of %d bytes was recovered, want %t with %d bytes", rel, len(text), ok, len(w.text))
		}
	}
	for name := range maps.Keys(want) {
		if !files[name] {
			t.Errorf("%s was not recovered", name)
		}
	}
}
