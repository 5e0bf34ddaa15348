package cloud_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/internal/segment"
	"cairn/test/stores"
)

func TestMain(m *testing.M) { os.Exit(stores.Main(m.Run)) }

// testURL is where the clouds of the tests are.
const testURL = "mem://user:hunter2@cloud"

// start is when the clouds of the tests are made.
func start() time.Time { return time.Date(2026, 11, 23, 7, 25, 41, 123_456_789, time.UTC) }

// A device is one data folder with its log, on a bucket.
type device struct {
	cloud.Config
	log *log
}

// newDevice returns a device that has seen nothing.
func newDevice(t *testing.T, b bucket.Bucket) *device {
	t.Helper()
	l := &log{}
	logger := slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &device{
		Config: cloud.Config{
			Bucket: b, URL: testURL, Keys: &keys.Store{Dir: t.TempDir(), Now: start, Log: logger}, Now: start,
			Log: logger, WorkFactor: 1,
		},
		log: l,
	}
}

// open opens the cloud, which must work.
func (d *device) open(t *testing.T) *cloud.Cloud {
	t.Helper()
	c, err := cloud.Open(t.Context(), d.Config)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return c
}

// keyFiles returns the names of the device's key files.
func (d *device) keyFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(d.Keys.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A log keeps what is logged.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newKey draws a key.
func newKey(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// content returns all objects of a bucket.
func content(t *testing.T, b bucket.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	for object, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all[object.Name] = string(get(t, b, object.Name))
	}
	return all
}

// names returns the names of all objects of a bucket.
func names(t *testing.T, b bucket.Bucket) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(content(t, b)))
}

// has reports whether a bucket has the manifest of a backup.
func has(t *testing.T, b bucket.Bucket, id string) bool {
	t.Helper()
	_, err := b.Head(t.Context(), objectOf(id))
	if err != nil && !errors.Is(err, bucket.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func get(t *testing.T, b bucket.Bucket, name string) []byte {
	t.Helper()
	r, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t testing.TB, b bucket.Bucket, name string, data []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

// replace puts other bytes in the place of an object, as no cairn does.
func replace(t *testing.T, b bucket.Bucket, name string, data []byte) {
	t.Helper()
	if err := b.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	put(t, b, name, data)
}

// with returns a bucket with the same objects and one more, or another one.
func with(t *testing.T, b bucket.Bucket, name string, data []byte) bucket.Bucket {
	t.Helper()
	other := stores.New(t)
	for n, text := range content(t, b) {
		if n != name {
			put(t, other, n, []byte(text))
		}
	}
	if data != nil {
		put(t, other, name, data)
	}
	return other
}

// manifest returns the i-th of many plausible manifests, of one part each.
func manifest(c *cloud.Cloud, i int) cloud.Manifest {
	created := start().Add(time.Duration(i) * time.Second).Truncate(time.Millisecond)
	id, timestamp := cairn.NewBackupID("0.1.0", created, uint32(i))
	doc := cairn.Document{Revision: 7, Collection: "assets", ID: "a", JSON: []byte(`{}`)}
	part := segment.Part{
		Object: segment.Object{Name: c.PartName(), Size: 300 + int64(i)},
		From:   0, To: 10, Documents: 1, Deletions: 1, Plain: 150,
	}
	s, err := segment.Join([]segment.Part{part})
	if err != nil {
		panic(err)
	}
	return cloud.Manifest{
		Backup: cairn.Backup{
			ID: id, Version: "0.1.0", Timestamp: timestamp, Created: created,
			DeviceName: `dev <box> "é"`, Platform: "LINUX", Installation: "5b0c6f0e-3f52-4f5e-9d5a-0f2a1c9d7e11", Line: "0d3c8f5e-9a53-4f0e-8c7b-2b1f0e9d8c7a",
			Scope: cairn.ScopeAll, Revision: 10, Documents: 1, Deletions: 1, JSONBytes: 2, Digest: cairn.DigestOf(doc),
		},
		Segments: []segment.Segment{s},
	}
}

// commit commits manifest(c, i).
func commit(t *testing.T, c *cloud.Cloud, i int) cairn.Backup {
	t.Helper()
	b, err := c.Commit(t.Context(), manifest(c, i), c.Fresh())
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return b
}

// objectOf returns the name of the manifest of a backup.
func objectOf(id string) string { return "backups/" + id + ".json.age" }

// wantError checks the code of an error, and that a person is told the parts.
func wantError(t *testing.T, err error, code cairn.Code, parts ...string) {
	t.Helper()
	if fault := faultOf(err, code, parts...); fault != nil {
		t.Error(fault)
	}
}

// faultOf says what is wrong with an error, for tests with many of them.
func faultOf(err error, code cairn.Code, parts ...string) error {
	if cairn.CodeOf(err) != code {
		return fmt.Errorf("got error %v of code %q, want %q", err, cairn.CodeOf(err), code)
	}
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		return fmt.Errorf("%v is no *cairn.Error", err)
	}
	for _, part := range parts {
		if !strings.Contains(e.Message, part) {
			return fmt.Errorf("%q does not say %q", e.Message, part)
		}
	}
	if strings.Contains(e.Message, "decrypted: ") {
		return fmt.Errorf("%q may quote the object", e.Message)
	}
	if e.Hint == "" || strings.Contains(err.Error(), "hunter2") || hasKey(err.Error()+e.Hint) {
		return fmt.Errorf("an error without a hint or with a secret: %v", err)
	}
	return nil
}

// hasKey reports whether there is a secret key in a text.
func hasKey(text string) bool {
	return regexp.MustCompile(`(?i)AGE-SECRET-KEY-1[0-9A-Z]`).MatchString(text)
}

// A cache is a cloud.Cache in memory that can fail.
type cache struct {
	mu      sync.Mutex
	entries map[string][]byte // by cloud and name
	err     error
	stores  int
}

func (c *cache) Cached(_ context.Context, id string) (map[string][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]byte{}
	for key, data := range c.entries {
		if name, ok := strings.CutPrefix(key, id+" "); ok {
			all[name] = data
		}
	}
	return all, c.err
}

func (c *cache) Store(_ context.Context, id, name string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		if c.entries == nil {
			c.entries = map[string][]byte{}
		}
		c.stores++
		c.entries[id+" "+name] = data
	}
	return c.err
}

func (c *cache) Forget(_ context.Context, id string, names []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		delete(c.entries, id+" "+name)
	}
	return c.err
}

// newestFirst sorts as Backups does.
func newestFirst(list []cairn.Backup) {
	slices.SortFunc(list, func(a, b cairn.Backup) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
	})
}
