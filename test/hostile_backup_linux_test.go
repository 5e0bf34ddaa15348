package test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/asset"
	"cairn/test/harness"
)

// TestHostileBackups makes, restores and deletes backups on disks that are full,
// or were taken away, or have become read-only. Like TestHostileDisks it mounts
// them in a namespace of its own.
func TestHostileBackups(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	for name, test := range map[string]func(*testing.T){
		"create with a full data folder":       createOnFullDisk,
		"restore with a full data folder":      restoreOnFullDisk,
		"restore with a read-only data folder": restoreOnReadOnlyDisk,
		"full cloud":                           fullCloud,
		"read-only cloud":                      readOnlyCloud,
		"renamed cloud":                        renamedCloud,
		"unmounted cloud":                      unmountedCloud,
		"replaced cloud":                       replacedCloud,
		"hanging cloud":                        hangingCloud,
		"cloud that falls silent":              silentCloud,
		"stuck restoration":                    stuckRestoration,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// An estate is a daemon with a data folder and a cloud on disks that turn
// hostile, and what must not be changed by that.
type estate struct {
	data     string
	cloud    place
	d        *harness.Daemon
	c        *client.Client
	database api.DatabaseStatus
	backups  []string // ids
	backup   api.BackupDetails
	written  int  // assets
	untidy   bool // unfinished files were where nothing could be removed
}

// newEstate starts a daemon, has fill write documents and makes a backup, after
// which the database is changed.
func newEstate(t *testing.T, data string, cloud place, fill func(*client.Client)) *estate {
	t.Helper()
	e := &estate{data: data, cloud: cloud}
	e.start(t)
	fill(e.c)
	made, err := e.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e.backup, err = e.c.BackupDetails(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	e.backups = listedBackups(t, e.c, cloud)
	e.write(t)
	return e
}

func (e *estate) start(t *testing.T) {
	t.Helper()
	e.d = e.cloud.serve(t, harness.Options{Data: e.data})
	e.c = client.New(e.d.URL)
}

func (e *estate) stop(t *testing.T) {
	t.Helper()
	if err := e.d.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// someParts writes so many MiB of documents: over 8, a backup has several parts.
func someParts(t *testing.T, mib int) func(*client.Client) {
	return func(c *client.Client) { fillDatabase(t, c, rand.New(rand.NewPCG(1, 2)), mib<<20, 8000) }
}

// largeCatalog writes assets of which there is more to say in an index than fits
// into memory at once, since their names are long and full of escapes.
func largeCatalog(t *testing.T) func(*client.Client) {
	return func(c *client.Client) {
		random := rand.New(rand.NewPCG(3, 4))
		for batch := range 19 {
			var lines []api.DocumentLine
			for i := range 500 {
				id, name := fmt.Sprintf("asset-%d-%d", batch, i), make([]byte, 512)
				for i := range name {
					name[i] = byte(1 + random.IntN(31))
				}
				body := asset.New(string(name), "text", "txt", []byte(`{}`), asset.Stamp{ID: id, Format: id + ".format", Now: time.UnixMilli(int64(i))})
				lines = append(lines, api.DocumentLine{Collection: cairn.CollectionAssets, ID: id, Document: body})
			}
			if _, err := c.WriteDocuments(t.Context(), lines); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// write checks that documents can be written and read.
func (e *estate) write(t *testing.T) {
	t.Helper()
	e.written++
	text, err := e.c.CreateAsset(t.Context(), assetSeed(fmt.Sprint("asset ", e.written), "text"))
	if err != nil {
		t.Errorf("writing a document: %v", err)
		return
	}
	e.read(t, text)
	e.database = databaseOf(t, e.c)
}

func (e *estate) read(t *testing.T, want json.RawMessage) {
	t.Helper()
	id, _, _ := assetParts(string(want))
	if got, err := e.c.Asset(t.Context(), id); err != nil || string(got) != string(want) {
		t.Errorf("reading a document: %.100q, %v", got, err)
	}
}

// A way is one of the operations on backups, over the wire.
type way struct{ method, path string }

func (e *estate) creating() way  { return way{http.MethodPost, "/backups/create"} }
func (e *estate) listing() way   { return way{http.MethodGet, "/backups"} }
func (e *estate) restoring() way { return way{http.MethodPost, "/backup/" + e.backup.ID + "/restore"} }
func (e *estate) showing() way   { return way{http.MethodGet, "/backup/" + e.backup.ID} }
func (e *estate) deleting() way  { return way{http.MethodPost, "/backups/" + e.backup.ID + "/delete"} }

// ask does an operation, holds the answer to the OpenAPI document, and returns
// the problem in it, or nil.
func (e *estate) ask(t *testing.T, w way) *api.Problem {
	req, err := http.NewRequestWithContext(t.Context(), w.method, e.d.URL+w.path, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", w.method, w.path, err)
		return nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", w.method, w.path, err)
		return nil
	}
	spec, err := harness.LoadSpec()
	if err == nil {
		err = spec.Check(resp, answer)
	}
	if err != nil {
		t.Errorf("%s %s: %v", w.method, w.path, err)
	}
	if resp.StatusCode < 300 {
		return nil
	}
	var p api.Problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Status != resp.StatusCode {
		t.Errorf("%s %s: %s, %s, %v", w.method, w.path, resp.Status, answer, err)
	}
	return &p
}

// refuses does an operation that must fail with one of the codes, and name the
// place and what to do.
func (e *estate) refuses(t *testing.T, w way, place string, codes ...cairn.Code) {
	t.Helper()
	checkProblem(t, w, e.ask(t, w), place, codes...)
	e.unchanged(t)
}

func checkProblem(t *testing.T, w way, p *api.Problem, place string, codes ...cairn.Code) {
	t.Helper()
	if p == nil {
		t.Errorf("%s succeeded, want %s", w.path, codes)
		return
	}
	for _, code := range codes {
		if p.Code == code && p.Status == http.StatusInternalServerError && strings.Contains(p.Detail, place) && p.Hint != "" {
			return
		}
	}
	t.Errorf("%s: %+v, want %s about %s, and a hint", w.path, *p, codes, place)
}

// unchanged checks that the database is the one it was, and that nothing
// unfinished lies in the data folder.
func (e *estate) unchanged(t *testing.T) {
	t.Helper()
	if st := databaseOf(t, e.c); st != e.database {
		t.Errorf("the database is %+v, and was %+v", st, e.database)
	}
	e.tidy(t)
}

func (e *estate) tidy(t *testing.T) {
	t.Helper()
	if !e.untidy {
		checkTidy(t, e.data)
	}
}

// lists checks that the cloud has the backups that it had, and, after a creation
// that succeeded, one more.
func (e *estate) lists(t *testing.T, more int) {
	t.Helper()
	now := listedBackups(t, e.c, e.cloud)
	if len(now) != len(e.backups)+more {
		t.Errorf("the backups are %q and were %q, want %d more", now, e.backups, more)
	}
	e.backups = now
	for _, path := range allFiles(t, e.cloud.dir) {
		if !e.untidy && strings.HasPrefix(filepath.Base(path), ".") {
			t.Errorf("%s was left behind", path)
		}
	}
}

// works checks that all operations work, now that nothing is hostile any more.
func (e *estate) works(t *testing.T) {
	t.Helper()
	e.write(t)
	if p := e.ask(t, e.creating()); p != nil {
		t.Errorf("creating, with all in order again: %+v", *p)
	}
	e.lists(t, 1)
	e.restores(t)
	for _, id := range e.backups[1:] {
		if err := e.c.DeleteBackup(t.Context(), id); err != nil {
			t.Errorf("deleting, with all in order again: %v", err)
		}
	}
	e.lists(t, 1-len(e.backups))
}

// restores checks that a restoration works, and undoes it.
func (e *estate) restores(t *testing.T) {
	t.Helper()
	if p := e.ask(t, e.restoring()); p != nil {
		t.Errorf("restoring: %+v", *p)
		return
	}
	e.undo(t)
}

// undo checks that the backup was restored, and undoes that.
func (e *estate) undo(t *testing.T) {
	t.Helper()
	if st := databaseOf(t, e.c); st.Digest != e.backup.Digest || st.Documents != e.backup.Documents {
		t.Errorf("restored, the database is %+v, want %+v", st, e.backup)
	}
	e.tidy(t)
	if err := e.c.UndoRestore(t.Context()); err != nil {
		t.Errorf("undoing: %v", err)
	}
	e.unchanged(t)
}

// meanwhile begins an operation, does something as soon as begun is true, and
// returns the problem in the answer.
func (e *estate) meanwhile(t *testing.T, w way, begun func() bool, do func()) *api.Problem {
	t.Helper()
	answer := make(chan *api.Problem, 1)
	go func() { answer <- e.ask(t, w) }()
	poll := time.NewTicker(100 * time.Microsecond)
	defer poll.Stop()
	for {
		select {
		case p := <-answer:
			return p
		case <-poll.C:
		}
		if begun() {
			do()
			return <-answer
		}
	}
}

// building returns a function that tells whether a restoration has written so
// many bytes of its database.
func (e *estate) building(bytes int64) func() bool {
	return func() bool {
		found, err := filepath.Glob(filepath.Join(e.data, "generations", "*.db.tmp"))
		if err != nil || len(found) == 0 {
			return false
		}
		info, err := os.Stat(found[0])
		return err == nil && info.Size() >= bytes
	}
}

// uploading returns a function that tells whether a creation has begun to write
// to the cloud.
func (e *estate) uploading() func() bool {
	count := func() int {
		found, err := filepath.Glob(filepath.Join(e.cloud.dir, "parts", "*", "*")) // hidden ones too
		if err != nil {
			return 0
		}
		return len(found)
	}
	before := count()
	return func() bool { return count() > before }
}

// hideBackups takes all manifests out of the cloud until back is called.
func (e *estate) hideBackups(t *testing.T) (back func()) {
	t.Helper()
	aside := t.TempDir()
	manifests, err := filepath.Glob(filepath.Join(e.cloud.dir, "backups", "*"))
	if err != nil {
		t.Fatal(err)
	}
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range manifests {
		move(path, filepath.Join(aside, filepath.Base(path)))
	}
	return func() {
		for _, path := range manifests {
			move(filepath.Join(aside, filepath.Base(path)), path)
		}
	}
}

// roomy is more than any operation here needs.
const roomy = 100 << 20

// createOnFullDisk makes backups while the data folder takes a few bytes, or a
// few files, more: a creation that needs them fails, and one that does not
// succeeds.
func createOnFullDisk(t *testing.T) {
	disk := newSmallDisk(t, 200, 400)
	e := newEstate(t, filepath.Join(disk.dir, "data"), folderCloud(t), largeCatalog(t))
	failed, succeeded := 0, 0
	try := func(what string) {
		back := e.hideBackups(t) // it shall build on none of them
		p := e.ask(t, e.creating())
		back()
		if p != nil {
			checkProblem(t, e.creating(), p, e.data, cairn.CodeDiskFull)
			e.lists(t, 0)
			failed++
			t.Logf("with %s free: %s", what, p.Detail)
		} else {
			t.Logf("with %s free: created", what)
			e.lists(t, 1)
			succeeded++
		}
		e.unchanged(t)
		if t.Failed() {
			t.Fatalf("this was with %s free", what)
		}
	}
	for _, free := range []int64{0, 12 << 20, 24 << 20, 40 << 20} {
		disk.leave(t, free)
		try(fmt.Sprintf("%d bytes", free))
	}
	disk.leave(t, roomy)
	for names := range 3 {
		disk.leaveNames(t, names)
		try(fmt.Sprintf("%d files", names))
	}
	disk.freeNames(t)
	if failed < 4 || succeeded < 2 {
		t.Errorf("%d creations failed and %d succeeded: not all of the disks were too full, or too empty", failed, succeeded)
	}
	e.works(t)
}

// restoreOnFullDisk restores while the data folder has not the room that it
// needs, and while it fills up in the middle of it.
func restoreOnFullDisk(t *testing.T) {
	disk := newSmallDisk(t, 220, 400)
	e := newEstate(t, filepath.Join(disk.dir, "data"), folderCloud(t), someParts(t, 20))
	e.restores(t) // so that there is an older database to undo to

	generations := filepath.Join(e.data, "generations")
	before := modified(t, generations)
	for _, free := range []int64{0, 1 << 20, e.backup.JSONBytes, e.backup.JSONBytes/10*16 - 4096} {
		disk.leave(t, free)
		e.refuses(t, e.restoring(), generations, cairn.CodeDiskFull)
	}
	if after := modified(t, generations); !after.Equal(before) {
		t.Error("something was written before the disk was found too full")
	}

	failed := 0
	check := func(p *api.Problem, what string) {
		if p != nil {
			checkProblem(t, e.restoring(), p, e.data, cairn.CodeDiskFull)
			e.unchanged(t)
			failed++
			t.Logf("full %s: %s", what, p.Detail)
		} else {
			t.Logf("full %s: restored", what)
			disk.leave(t, roomy) // for undoing
			e.undo(t)
		}
		if t.Failed() {
			t.Fatalf("this was with the disk full %s", what)
		}
	}
	for _, part := range []float64{0, 0.1, 0.3, 0.5, 0.8, 0.95, 1.02, 1.1} {
		disk.leave(t, e.backup.JSONBytes/10*16+2<<20) // as much as is asked for
		size := int64(part * float64(e.backup.JSONBytes))
		check(e.meanwhile(t, e.restoring(), e.building(size), func() { disk.leave(t, 0) }), fmt.Sprintf("behind %d bytes", size))
	}
	if failed < 3 {
		t.Errorf("%d restorations failed: the disks were full too late", failed)
	}
	disk.leave(t, roomy)
	failed = 0
	names := 0
	for n := -1; n != failed; names++ { // up to the first that succeeds
		n = failed
		disk.leaveNames(t, names)
		p := e.ask(t, e.restoring())
		disk.freeNames(t)
		check(p, fmt.Sprintf("behind %d files", names))
	}
	if failed < 4 { // the database, CURRENT, the log, CURRENT again
		t.Errorf("%d restorations failed for want of files", failed)
	}
	e.works(t)
	e.stop(t)
	verifyFolder(t, e.data)
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// fullCloud makes and deletes backups while the cloud takes a few bytes, or a
// few files, more.
func fullCloud(t *testing.T) {
	disk := newSmallDisk(t, 64, 600)
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderAt(filepath.Join(disk.dir, "cloud")), someParts(t, 9))
	kept := map[string]bool{}
	for _, path := range allFiles(t, e.cloud.dir) {
		kept[path] = true
	}
	// What a failed creation has uploaded stays until somebody prunes.
	prune := func() {
		for _, path := range allFiles(t, e.cloud.dir) {
			if !kept[path] {
				removeFile(t, path)
			}
		}
	}
	const page = 4 << 10
	if p := e.ask(t, e.creating()); p != nil {
		t.Fatalf("creating: %+v", *p)
	}
	var needed int64
	for _, path := range allFiles(t, e.cloud.dir) {
		if !kept[path] {
			needed += (fileSize(t, path) + page - 1) / page * page
		}
	}
	e.lists(t, 1)
	e.undoCreate(t)
	prune()
	seen := map[string]int{}
	try := func(what string) (ok bool) {
		p := e.ask(t, e.creating())
		if p == nil {
			disk.freeNames(t) // for deleting
			e.lists(t, 1)
			e.undoCreate(t)
		} else {
			checkProblem(t, e.creating(), p, e.cloud.url, cairn.CodeDiskFull)
			_, object, _ := strings.Cut(p.Detail, "the object ")
			folder, _, _ := strings.Cut(object, "/")
			seen[folder]++
			e.lists(t, 0)
		}
		e.unchanged(t)
		if t.Failed() {
			t.Fatalf("this was with %s free", what)
		}
		prune()
		return p == nil
	}
	// The last page is the manifest's. The index before it is written while the last
	// parts are, so either of them may find no room.
	for _, free := range []int64{0, needed / 3, needed / 2, needed - 2*page, needed - page} {
		disk.leave(t, free)
		try(fmt.Sprintf("%d bytes", free))
	}
	for _, folder := range []string{"parts", "backups"} {
		if seen[folder] == 0 {
			t.Errorf("no creation failed for want of room in %s: %v", folder, seen)
		}
	}
	disk.leave(t, 0)
	e.refuses(t, e.deleting(), e.cloud.url, cairn.CodeDiskFull)
	e.lists(t, 0)
	e.write(t)
	e.restores(t)
	disk.leave(t, 2*e.backup.Backup.Bytes)
	disk.leaveNames(t, 0)
	e.refuses(t, e.deleting(), e.cloud.url, cairn.CodeDiskFull)
	for names, ok := 0, false; !ok; names++ {
		disk.leaveNames(t, names)
		ok = try(fmt.Sprintf("%d files", names))
	}
	disk.freeNames(t)
	e.works(t)
}

// undoCreate deletes the newest backup.
func (e *estate) undoCreate(t *testing.T) {
	t.Helper()
	if len(e.backups) == 0 {
		t.Fatal("no backup is listed that could be deleted")
	}
	newest := e.backups[len(e.backups)-1]
	if err := e.c.DeleteBackup(t.Context(), newest); err != nil {
		t.Errorf("deleting: %v", err)
	}
	e.lists(t, -1)
}
