package backup_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/internal/database"
	"cairn/internal/keys"
	"cairn/test/stores"
)

func TestMain(m *testing.M) { os.Exit(stores.Main(m.Run)) }

// A house is one device: a data folder with a database, and an engine that backs
// it up to a bucket.
type house struct {
	t      testing.TB
	dir    string
	bucket bucket.Bucket
	store  bucket.Bucket // below bucket, or the same: it lists what there is
	// step does each local step: those of the database, of the spool and of the
	// device. Nil means that it is simply done.
	step func(name string, do func() error) error
	// littered says that a file of the spool was not removed, which the next
	// start makes up for.
	littered bool
	// edit changes the engine's configuration before it is used.
	edit func(*backup.Config)
	// tune changes the configuration of the cloud before it is opened.
	tune func(*cloud.Config)
	// installation is the id of that of the device; "" means "installation".
	installation string

	db     *database.DB
	device *device
	engine *backup.Engine
	cloud  string // id of the cloud that was seen
}

// newHouse opens a house in an empty folder.
func newHouse(t testing.TB, b bucket.Bucket) *house {
	t.Helper()
	return openHouse(t, t.TempDir(), b, nil)
}

// quickDir returns an empty folder, in memory where the system has such: there is no
// disk to wait for.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cairn-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// openHouse opens a house in a folder.
func openHouse(t testing.TB, dir string, b bucket.Bucket, edit func(*backup.Config)) *house {
	t.Helper()
	h := &house{t: t, dir: dir, bucket: b, store: b, edit: edit}
	h.device = &device{house: h, cache: map[string][]byte{}}
	h.open()
	t.Cleanup(h.close)
	return h
}

// open starts what close has stopped.
func (h *house) open() {
	h.t.Helper()
	db, err := database.Open(h.t.Context(), database.Config{Dir: h.dir, Installation: h.device.Installation(), Log: slog.New(slog.DiscardHandler), Step: h.do})
	if err != nil {
		h.t.Fatal(err)
	}
	h.db = db
	h.engine = h.newEngine()
}

// newEngine returns an engine that has not opened the cloud yet.
func (h *house) newEngine() *backup.Engine {
	cfg := backup.Config{
		Database: h.db,
		Device:   h.device,
		Connect: func(ctx context.Context) (*cloud.Cloud, error) {
			cfg := cloud.Config{
				Bucket: h.bucket, URL: "memory", Keys: &keys.Store{Dir: filepath.Join(h.dir, "keys"), Log: slog.New(slog.DiscardHandler), Step: h.do},
				Known: h.cloud, Cache: h.device, Log: slog.New(slog.DiscardHandler), WorkFactor: 1,
			}
			if h.tune != nil {
				h.tune(&cfg)
			}
			c, err := cloud.Open(ctx, cfg)
			if err == nil {
				h.cloud = c.ID()
			}
			return c, err
		},
		Place:    func() backup.Place { return backup.Place{URL: "memory"} },
		Spool:    filepath.Join(h.dir, "spool"),
		Version:  "0.1.0",
		Platform: "LINUX",
		Log:      slog.New(slog.DiscardHandler),
		Step:     h.do,
	}
	if h.edit != nil {
		h.edit(&cfg)
	}
	return backup.New(cfg)
}

// neighbour opens another house with the same key, in front of the same bucket.
func (h *house) neighbour() *house {
	h.t.Helper()
	dir := h.t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(h.dir, "keys"))); err != nil {
		h.t.Fatal(err)
	}
	return openHouse(h.t, dir, h.bucket, nil)
}

// manifest returns the cloud, and the manifest of a backup in it.
func (h *house) manifest(id string) (*cloud.Cloud, cloud.Manifest) {
	h.t.Helper()
	c, err := h.engine.Connect(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	m, err := c.Manifest(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return c, m
}

func (h *house) close() {
	if h.db == nil {
		return
	}
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
	h.db = nil
}

// restart is a stop and a start.
func (h *house) restart() {
	h.t.Helper()
	h.close()
	h.littered = false
	h.open()
}

// do does a local step.
func (h *house) do(name string, do func() error) error {
	if h.step == nil {
		return do()
	}
	return h.step(name, do)
}

// device is a device whose memory outlasts a restart of the house.
type device struct {
	house *house

	mu    sync.Mutex
	made  int64
	cache map[string][]byte // of manifests, by the name of the object
}

func (d *device) Installation() string { return cmp.Or(d.house.installation, "installation") }
func (d *device) Name() string         { return "dev box" }
func (d *device) CountBackup(context.Context, string) error {
	return d.house.do("device.count", func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.made++
		return nil
	})
}
func (d *device) BackupsMade(context.Context, string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made, nil
}

func (d *device) Cached(context.Context, string) (map[string][]byte, error) {
	return d.cached(), nil
}

func (d *device) cached() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.cache)
}

func (d *device) Store(_ context.Context, _, name string, data []byte) error {
	return d.house.do("cache.store", func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.cache[name] = data
		return nil
	})
}

func (d *device) Forget(_ context.Context, _ string, names []string) error {
	return d.house.do("cache.forget", func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		maps.DeleteFunc(d.cache, func(name string, _ []byte) bool { return slices.Contains(names, name) })
		return nil
	})
}

// doc returns an asset whose text takes about size bytes.
func doc(id, text string, size int) cairn.Document {
	line := fmt.Sprintf(`%s %s\n`, id, text)
	full := strings.Repeat(line, size/len(line)+1)
	return cairn.Document{Collection: "assets", ID: id, JSON: fmt.Appendf(nil, `{"id":"%s","text":"%s"}`, id, full)}
}

// deletion returns the deletion of an asset.
func deletion(id string) cairn.Document { return cairn.Document{Collection: "assets", ID: id} }

// quickPart is where a part ends, in bytes, in tests of several parts that need not be
// as large as they are.
const quickPart = 64 << 10

// quickParts has parts end there.
func quickParts(cfg *backup.Config) { cfg.PartBytes = quickPart }

// fill puts n documents of about so many bytes of noise into the database.
func (h *house) fill(n, size int) {
	h.t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var docs []cairn.Document
	for i := range n {
		var text []byte
		for len(text) < size {
			text = append(strconv.AppendUint(text, random.Uint64(), 16), ' ')
		}
		docs = append(docs, doc(fmt.Sprintf("d%06d", i), string(text), 1))
	}
	for chunk := range slices.Chunk(docs, 1000) {
		h.apply(chunk...)
	}
}

func (h *house) apply(docs ...cairn.Document) {
	h.t.Helper()
	if _, err := h.db.Apply(h.t.Context(), docs); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) create() cairn.Backup {
	h.t.Helper()
	b, err := h.engine.Create(h.t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// unbase has the database know of no backup any more: the next one is a full one.
func (h *house) unbase() {
	h.t.Helper()
	bases, err := h.db.Bases(h.t.Context(), "")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, b := range bases {
		if err := h.db.DropBase(h.t.Context(), b.Cloud, b.Backup); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) restore(id string) {
	h.t.Helper()
	if _, err := h.engine.Restore(h.t.Context(), "job", id, ignore); err != nil {
		h.t.Fatal(err)
	}
}

// undo swaps the databases back.
func (h *house) undo() {
	h.t.Helper()
	if err := h.engine.Undo(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// verify has the database checked, and returns its digest.
func (h *house) verify() cairn.Digest {
	h.t.Helper()
	if err := h.db.Verify(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return h.db.Stats().Digest
}

// list returns the backups, of which none may be there twice or unreadable.
func (h *house) list() []cairn.Backup {
	h.t.Helper()
	list, err := h.engine.List(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, b := range list {
		if seen[b.ID] {
			h.t.Errorf("the backup %s is listed twice", b.ID)
		}
		seen[b.ID] = true
	}
	if st := h.engine.Cloud(h.t.Context()); st.State != cairn.CloudReady || len(st.Unreadable) > 0 {
		h.t.Errorf("the cloud is %s with unreadable backups %v, %v", st.State, st.Unreadable, st.Problem)
	}
	return list
}

// documents returns all documents by collection and id.
func (h *house) documents() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	for doc, err := range h.db.Changes(h.t.Context(), "", 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		if !doc.Deleted() {
			all[doc.Collection+"/"+doc.ID] = fmt.Sprintf("%d %s", doc.Revision, doc.JSON)
		}
	}
	return all
}

// current is the file CURRENT, as docs/format.md has it.
type current struct {
	Live, Undo, Job string
	Drop            []string
}

func (h *house) current() (c current) {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "CURRENT"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// files returns all files of the data folder, but for the logs of SQLite.
func (h *house) files() (names []string) {
	h.t.Helper()
	err := filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".db-wal") || strings.HasSuffix(path, ".db-shm") {
			return err
		}
		name, err := filepath.Rel(h.dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return names
}

// checkTidy has the data folder hold what CURRENT names and the key, and nothing
// else. Generations that are to be dropped may be there before a restart.
func (h *house) checkTidy(restarted bool) {
	h.t.Helper()
	c := h.current()
	names := h.files()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); names = h.files() {
		// What is no longer needed is removed in the background.
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".db.tmp") }) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, name := range names {
		folder, base, _ := strings.Cut(name, "/")
		switch {
		case name == "CURRENT", folder == "keys" && !strings.Contains(base, "."):
		case folder == "generations" && (base == c.Live || base == c.Undo):
		case folder == "spool" && h.littered:
		case folder == "generations" && !restarted && slices.Contains(c.Drop, base):
		default:
			h.t.Errorf("the file %s is left in the data folder", name)
		}
	}
}

// A sample chooses some of many trials that are alike: all with CAIRN_LONG, else
// a share, of which stores that are not in memory, being slow, get a third, and the
// race detector a sixth.
type sample struct{ *rand.Rand }

// newSample returns one that a run with CAIRN_SEED draws again.
func newSample(t *testing.T) sample {
	t.Helper()
	return sample{stores.Random(t)}
}

// has reports whether the next trial belongs to so many percent.
func (s sample) has(percent float64) bool {
	if os.Getenv("CAIRN_LONG") != "" {
		return true
	}
	switch {
	case raced:
		percent /= 6
	case !stores.InMemory():
		percent /= 3
	}
	return s.Float64()*100 < percent
}

// noRoom is what the system says of a full disk.
func noRoom() error {
	if runtime.GOOS == "windows" {
		return syscall.Errno(112)
	}
	return syscall.ENOSPC
}

// ignore is a report that nobody reads.
func ignore(cairn.Backup, cairn.Progress) {}
