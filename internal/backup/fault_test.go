package backup_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// A scene is a data folder and a bucket before an operation: a database that a
// restoration made and that was changed since, one that it replaced, and the
// backup that it came from.
type scene struct {
	dir     string
	objects map[string]string
	cache   map[string][]byte // of manifests, on the device
	backup  cairn.Backup
	live    cairn.Stats
	undo    cairn.Digest
	dead    []string // objects of a backup that was deleted
}

// A shape is a database of a scene.
type shape struct {
	name      string
	documents []cairn.Document
	forget    bool // the backups to build on
	delete    bool // one more backup, so that something is dead a day later
}

// small is one whose backups have a single part for each segment, and of which the
// next one adds one to those that are there.
func small() shape {
	s := shape{name: "part"}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		s.documents = append(s.documents, doc(id, "text", 3000))
	}
	return s
}

// large is one whose backups have several parts and an index, and hold nothing of
// those before.
func large() shape {
	return shape{
		name:      "index",
		documents: []cairn.Document{doc("a", "first", 3000), doc("big", "in a part of its own", segment.PartBytes), doc("b", "second", 3000)},
		forget:    true,
	}
}

// newScene makes the scene of a shape.
func newScene(t *testing.T, shape shape) scene {
	t.Helper()
	store := stores.New(t)
	h := newHouse(t, store)
	h.apply(doc("gone", "soon", 10))
	h.apply(shape.documents...)
	h.apply(deletion("gone"))
	s := scene{dir: h.dir, backup: h.create()}
	h.apply(doc("a", "before the restoration", 100))
	s.undo = h.verify()
	if _, err := h.engine.Restore(t.Context(), "job 1", s.backup.ID, ignore); err != nil {
		t.Fatal(err)
	}
	h.apply(doc("a", "after the restoration", 100), deletion("b"))
	s.live = h.db.Stats()
	if shape.forget {
		h.unbase()
	}
	if shape.delete {
		s.dead = h.createDead()
	}
	h.close()
	s.objects, s.cache = objects(t, store), h.device.cached()
	if s.live.Digest == s.undo || s.live.Digest == s.backup.Digest || s.undo == s.backup.Digest {
		t.Fatal("two states of the scene are the same")
	}
	return s
}

// createDead makes a backup and deletes it, and returns the objects of it alone.
func (h *house) createDead() (dead []string) {
	h.t.Helper()
	before := objects(h.t, h.store)
	if err := h.engine.Delete(h.t.Context(), h.create().ID); err != nil {
		h.t.Fatal(err)
	}
	for name := range objects(h.t, h.store) {
		if _, ok := before[name]; !ok {
			dead = append(dead, name)
		}
	}
	return dead
}

// checkDead has all be gone that is dead, after a prune. Elsewhere than in memory
// nothing is old enough.
func (s scene) checkDead(h *house) {
	h.t.Helper()
	for name := range objects(h.t, h.store) {
		if stores.InMemory() && slices.Contains(s.dead, name) {
			h.t.Errorf("after a prune, %s is left", name)
		}
	}
}

// enter opens a house on copies of the scene. The bucket is the copy's.
func (s scene) enter(t testing.TB, through func(bucket.Bucket) bucket.Bucket) (h *house, store bucket.Bucket) {
	t.Helper()
	store = bucketOf(t, s.objects)
	h = openHouse(t, copyOf(t, s.dir), through(store), sequential)
	h.store, h.device.cache = store, maps.Clone(s.cache)
	return h, store
}

// sequential has the engine make its calls one after the other, so that they can
// be counted. It keeps no parts in memory, and one row of a catalog, all of
// which are the longest that there can be.
func sequential(cfg *backup.Config) {
	cfg.Workers, cfg.Transfers, cfg.Memory, cfg.Catalog = 1, 1, 2, 1
	text := strings.Repeat("\x01", segment.MaxTextBytes)
	cfg.Browse = func(string, []byte) (name, language, created string) { return text, text, text }
}

// copyOf returns a copy of a folder.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for {
		to := filepath.Join(to, "copy")
		err := os.CopyFS(to, os.DirFS(dir))
		if err == nil {
			return to
		}
		// What is no longer needed vanishes in the background.
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), ".tmp") {
			t.Fatal(err)
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}

// An operation is what is tried in a scene.
type operation string

// The operations.
const (
	create  operation = "create"
	restore operation = "restore"
	remove  operation = "delete"
	undoing operation = "undo"
	pruning operation = "prune"
)

// isJob reports whether the operation can be a job.
func (o operation) isJob() bool { return o == create || o == restore }

// secondJob is the job of the operation restore.
const secondJob = "job 2"

// run does the operation.
func (o operation) run(ctx context.Context, h *house, s scene) (b cairn.Backup, err error) {
	switch o {
	case create:
		return h.engine.Create(ctx, h.engine.NewBackup(cairn.ScopeAll), ignore)
	case restore:
		return h.engine.Restore(ctx, secondJob, s.backup.ID, ignore)
	case remove:
		return b, h.engine.Delete(ctx, s.backup.ID)
	case pruning:
		time.Sleep(25 * time.Hour) // in a bubble
		_, err := h.engine.Prune(ctx, false, func(cairn.PruneProgress) {})
		return b, err
	}
	return b, h.engine.Undo(ctx)
}

// An outcome is what an operation led to.
type outcome struct {
	done  bool
	maybe bool         // it may have been done in the bucket all the same
	made  cairn.Backup // by create, when done
	job   string       // of restore; "" means secondJob
}

// check looks at everything that is stored after an operation.
func (s scene) check(h *house, o operation, got outcome, restarted bool) {
	h.t.Helper()
	digest, job := s.live.Digest, "job 1"
	switch {
	case got.done && o == restore:
		digest, job = s.backup.Digest, cmp.Or(got.job, secondJob)
	case got.done && o == undoing:
		digest, job = s.undo, ""
	}
	if live := h.verify(); live != digest {
		h.t.Errorf("the live database has the digest %s, want %s", live, digest)
	}
	if r := h.engine.Restored(); r != job {
		h.t.Errorf("the live database is of the job %q, want %q", r, job)
	}
	h.checkTidy(restarted || !got.done)
	s.checkList(h, o, got)
}

// checkList looks at what is in the bucket. What may have been made may not be
// listed yet.
func (s scene) checkList(h *house, o operation, got outcome) {
	h.t.Helper()
	list := h.list()
	listed := map[string]cairn.Backup{}
	for _, b := range list {
		listed[b.ID] = b
	}
	if _, there := listed[s.backup.ID]; there == (o == remove && got.done) && !got.maybe {
		h.t.Errorf("whether the first backup is listed: %t", there)
	}
	delete(listed, s.backup.ID)
	switch {
	case got.done && o == create:
		if listed[got.made.ID] != got.made || len(listed) != 1 {
			h.t.Errorf("listed are %v, want %v", listed, got.made)
		}
	case got.maybe && o == create && len(listed) == 1:
	case len(listed) > 0:
		h.t.Errorf("listed without having been made: %v", listed)
	}
	all := objects(h.t, h.store)
	if n := len(named(all, "backups/")); n != len(list) && !(got.maybe && o == create && n == len(list)+1) {
		h.t.Errorf("%d manifests for %d listed backups", n, len(list))
	}
	kept := all[manifestOf(s.backup.ID)]
	for _, name := range named(all, "trash/") {
		kept += all[name] // a deletion that was repeated leaves several
	}
	if !strings.Contains(kept, s.objects[manifestOf(s.backup.ID)]) {
		h.t.Error("the manifest of the first backup is neither there nor in the trash")
	}
	if all["cairn.json"] != s.objects["cairn.json"] {
		h.t.Error("cairn.json is another one")
	}
}

// checkRestores has every backup that is listed restored.
func (s scene) checkRestores(h *house) {
	h.t.Helper()
	for _, b := range h.list() {
		h.restore(b.ID)
		if digest := h.verify(); digest != b.Digest {
			h.t.Errorf("%s restores to %s, not to %s", b.ID, digest, b.Digest)
		}
	}
}

// A sabotage is what happens to one call of the bucket, or to one local step.
type sabotage string

// The sabotages. Those of steps are apart.
const (
	fails    sabotage = "fails"             // once
	refused  sabotage = "is refused"        // with an error that is not worth another try
	loses    sabotage = "is done but fails" // once
	lingers  sabotage = "fails, and is done when all is over"
	cuts     sabotage = "is cut off"          // half way
	leaves   sabotage = "fails with the rest" // the store is away from here on
	losesAll sabotage = "is done but fails with the rest"
	cancels  sabotage = "is cancelled"
	sleeps   sabotage = "is made 13 hours later" // more than half the grace

	stepFails sabotage = "is skipped and fails"
	stepLoses sabotage = "is done and fails"
	stepFills sabotage = "finds the disk full"
)

var errMade = errors.New("made to fail")

// A saboteur does a sabotage to the call of a number, or to the step of a name.
type saboteur struct {
	sabotage sabotage
	at       int
	step     string
	cancel   context.CancelFunc

	mu     sync.Mutex // guards what follows; not held while a step is done
	calls  []fault.Call
	steps  []string       // each with how many of its name there have been
	times  map[string]int // of each name
	off    bool
	struck bool
}

// call decides about a call of the bucket.
func (s *saboteur) call(c fault.Call) fault.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return fault.Outcome{}
	}
	s.calls = append(s.calls, c)
	n := len(s.calls)
	away := n > s.at && (s.sabotage == leaves || s.sabotage == losesAll)
	if s.sabotage == "" || n < s.at || n > s.at && !away {
		return fault.Outcome{}
	}
	s.struck = true
	switch {
	case away || s.sabotage == fails || s.sabotage == leaves:
		return fault.Outcome{Effect: fault.Fail}
	case s.sabotage == refused:
		return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
	case s.sabotage == loses || s.sabotage == losesAll:
		return fault.Outcome{Effect: fault.Lost}
	case s.sabotage == lingers:
		return fault.Outcome{Effect: fault.Late}
	case s.sabotage == cuts:
		return fault.Outcome{Effect: fault.Cut}
	case s.sabotage == sleeps:
		return fault.Outcome{Delay: 13 * time.Hour}
	case s.sabotage == cancels:
		s.cancel()
	}
	return fault.Outcome{}
}

// do does a local step. Those of several goroutines come in any order, so they
// are known by name.
func (s *saboteur) do(name string, do func() error) error {
	if !s.strikes(name) {
		return do()
	}
	switch s.sabotage {
	case stepFails:
		return &fs.PathError{Op: "write", Path: name, Err: errMade}
	case stepFills:
		return &fs.PathError{Op: "write", Path: name, Err: noRoom()}
	case stepLoses:
		return errors.Join(do(), &fs.PathError{Op: "write", Path: name, Err: errMade})
	case cancels:
		s.cancel()
	}
	return do()
}

// strikes notes a step, and reports whether it is the one to sabotage.
func (s *saboteur) strikes(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return false
	}
	if s.times == nil {
		s.times = map[string]int{}
	}
	s.times[name]++
	step := fmt.Sprint(name, " ", s.times[name])
	s.steps = append(s.steps, step)
	if s.sabotage == "" || step != s.step {
		return false
	}
	s.struck = true
	return true
}

// rest ends the sabotage, and reports whether there was one.
func (s *saboteur) rest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = true
	return s.struck
}

// A trial is one line of the fault table.
type trial struct {
	scene    scene
	op       operation
	sabotage sabotage
	step     string // the local step; "" for a call
	at       int    // the call
	restart  bool
	retry    bool // through bucket.Retry, of a store whose listings lag behind
}

// of reports whether the trial is of a step with a name that begins so.
func (tr trial) of(prefix string) bool { return strings.HasPrefix(tr.step, prefix) }

// run tries the operation while it is sabotaged, looks at everything, and has it
// done again.
func (tr trial) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sab := &saboteur{sabotage: tr.sabotage, at: tr.at, step: tr.step, cancel: cancel}
	var faulty *fault.Bucket
	h, _ := tr.scene.enter(t, func(b bucket.Bucket) bucket.Bucket {
		if tr.retry && tr.op != pruning { // which does nothing where listings lag so far behind
			b = fault.Lag(b, time.Hour)
		}
		faulty = fault.New(b, func(c fault.Call) fault.Outcome {
			if tr.step != "" {
				return fault.Outcome{}
			}
			return sab.call(c)
		})
		if tr.retry {
			return bucket.Retry(faulty, bucket.Policy{Tries: 3})
		}
		return faulty
	})
	h.step = sab.do
	b, err := tr.op.run(ctx, h, tr.scene)
	synctest.Wait() // a deletion goes on by itself when it is cancelled
	if !sab.rest() {
		t.Fatal("nothing was sabotaged")
	}
	faulty.Land(t.Context())
	h.littered = tr.of("spool.remove") && tr.sabotage != stepLoses
	tr.judge(h, err)
	if err == nil && tr.op == create && tr.step == "" {
		last, changes, ok, err := h.engine.Last(t.Context())
		if made, countErr := h.device.BackupsMade(t.Context(), ""); !ok || last.Backup != b.ID || changes != 0 || made != 1 || errors.Join(err, countErr) != nil {
			t.Errorf("noted is %v, with %d changes, as one of %d, %v", last.Backup, changes, made, err)
		}
	}
	got := outcome{done: err == nil, maybe: errors.Is(err, bucket.ErrUnknown) || tr.op == remove && errors.Is(err, context.Canceled), made: b}
	if tr.restart {
		h.restart()
	}
	tr.scene.check(h, tr.op, got, tr.restart)
	if err != nil {
		again, err := tr.op.run(t.Context(), h, tr.scene)
		switch {
		case tr.op == remove && got.maybe && cairn.CodeOf(err) == cairn.CodeBackupNotFound:
		case err != nil:
			t.Fatalf("again: %v", err)
		}
		got = outcome{done: true, made: again, maybe: got.maybe && tr.op == create}
		if !got.maybe {
			tr.scene.check(h, tr.op, got, tr.restart)
		}
	}
	if tr.op == pruning {
		tr.scene.checkDead(h)
	}
	if tr.op != restore && tr.op != undoing { // which write nothing there
		checkElsewhere(h)
	}
	tr.scene.checkRestores(h)
}

// judge looks at the error itself.
func (tr trial) judge(h *house, err error) {
	h.t.Helper()
	switch {
	case tr.sabotage == cancels:
		if err != nil && !errors.Is(err, context.Canceled) {
			h.t.Errorf("cancelled, it returned %v", err)
		}
	case tr.of("spool.catalog"), tr.of("spool.index"), tr.of("spool.part") && tr.sabotage != stepFills:
		code := cairn.CodeInternal
		if tr.sabotage == stepFills {
			code = cairn.CodeDiskFull
		}
		if e, ok := errors.AsType[*cairn.Error](err); !ok || e.Code != code || !strings.Contains(e.Message, filepath.Join(h.dir, "spool")) || e.Hint == "" {
			h.t.Errorf("without a file that it needs, it returned %v, want one of code %q that names the folder", err, code)
		}
	case tr.step != "" && (tr.op == create || tr.op == remove) && err != nil:
		h.t.Errorf("what it can do without fails the operation: %v", err)
	case tr.retry && (tr.sabotage == fails || tr.sabotage == loses || tr.sabotage == lingers || tr.sabotage == cuts) && err != nil:
		h.t.Errorf("one fault was not survived: %v", err)
	case tr.sabotage == sleeps && err != nil && cairn.CodeOf(err) != cairn.CodeStale:
		h.t.Errorf("a sleep was not survived: %v", err)
	case tr.sabotage == refused && err != nil && cairn.CodeOf(err) != cairn.CodeDenied:
		h.t.Errorf("got code %q: %v", cairn.CodeOf(err), err)
	case (tr.sabotage == leaves || tr.sabotage == losesAll) && err != nil && cairn.CodeOf(err) != cairn.CodeCloudLost:
		h.t.Errorf("got code %q: %v", cairn.CodeOf(err), err)
	}
}

// TestFaults has each call of the bucket and each local step of each operation
// fail, with and without having been done, and looks at all that is stored
// afterwards, in the same process and after a restart. With CAIRN_LONG all of
// it is done, else a share.
func TestFaults(t *testing.T) {
	chosen := newSample(t)
	for _, shape := range []shape{small(), large()} {
		live := newScene(t, shape)
		shape.delete = true
		dead := newScene(t, shape)
		for _, op := range []operation{create, restore, remove, undoing, pruning} {
			s := live
			if op == pruning {
				s = dead
			}
			var clean *saboteur
			synctest.Test(t, func(t *testing.T) { clean = count(t, s, op) })
			t.Logf("%s of %s: %d trials, steps %v, calls %v", op, shape.name, len(trials(s, op, clean)), clean.steps, clean.calls)
			for _, tr := range trials(s, op, clean) {
				percent := 25.0
				switch {
				case op == pruning:
					percent = 6
				case tr.of("spool.catalog"), tr.of("spool.index"):
					percent = 40 // there is no other shape with them
				case shape.name == "index":
					percent = 4
				case tr.step != "":
					percent = 100
				}
				if !chosen.has(percent) {
					continue
				}
				what := tr.step
				if what == "" {
					c := clean.calls[tr.at-1]
					what = fmt.Sprint(tr.at, " ", c.Op, " ", c.Name)
				}
				name := fmt.Sprintf("%s/%s/%s %s restart=%t retry=%t", shape.name, op, what, tr.sabotage, tr.restart, tr.retry)
				t.Run(name, func(t *testing.T) { synctest.Test(t, tr.run) })
			}
		}
	}
}

// count runs an operation undisturbed.
func count(t *testing.T, s scene, op operation) *saboteur {
	t.Helper()
	sab := new(saboteur)
	h, _ := s.enter(t, func(b bucket.Bucket) bucket.Bucket { return fault.New(b, sab.call) })
	h.step = sab.do
	if _, err := op.run(t.Context(), h, s); err != nil {
		t.Fatal(err)
	}
	h.close()
	slices.Sort(sab.steps)
	return sab
}

// trials is the fault table of an operation. TestCancelSteps cancels jobs.
func trials(s scene, op operation, clean *saboteur) (all []trial) {
	for _, restart := range []bool{false, true} {
		for _, step := range clean.steps {
			kinds := []sabotage{stepFails, stepLoses}
			if !op.isJob() {
				kinds = append(kinds, cancels)
			}
			if strings.HasPrefix(step, "spool.") && !strings.HasPrefix(step, "spool.remove") {
				kinds = append(kinds, stepFills)
			}
			for _, sabotage := range kinds {
				all = append(all, trial{s, op, sabotage, step, 0, restart, false})
			}
		}
		for at := 1; at <= len(clean.calls); at++ {
			kinds := []sabotage{fails, refused, leaves, sleeps}
			if !op.isJob() {
				kinds = append(kinds, cancels)
			}
			switch clean.calls[at-1].Op {
			case fault.Get, fault.List:
				kinds = append(kinds, cuts)
			case fault.Put, fault.Delete:
				kinds = append(kinds, loses, losesAll, lingers)
			}
			for _, sabotage := range kinds {
				all = append(all, trial{s, op, sabotage, "", at, restart, false}, trial{s, op, sabotage, "", at, restart, true})
			}
		}
	}
	return all
}
