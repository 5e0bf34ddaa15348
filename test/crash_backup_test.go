package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/test/harness"
)

// How often the daemon is killed, unless CAIRN_LONG is set: then ten times as
// often. Together they are 25 times amid a restoration, and amid a creation, and once
// behind it on each store. TestCrashJobs does so too.
const (
	crashRounds   = 19
	crashRoundsS3 = 8
)

// TestCrashRestore kills the daemon at a random moment of a restoration, again
// and again on one data folder, while a client writes. The next start serves
// exactly the original with all that was acknowledged, or exactly the restored
// documents; and the status says which.
func TestCrashRestore(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		crashRestorations(t, cloud)
	})
}

func crashRestorations(t *testing.T, cloud place) {
	random := seededRandom(t)
	h := newHouse(t, cloud, random)
	backup, whole := h.back(t)
	length := h.restoreOnce(t, backup, whole)
	moments, restored := h.crashMoments(random, h.swapping), 0
	for round, at := range moments {
		h.scribe.begin(h.scribe.before, whole)
		if err := h.scribe.write(t.Context(), h.c); err != nil { // so that the original is another one
			t.Fatal(err)
		}
		known := jobIDs(t, h)
		err := h.during(t, &length, at, h.d.Kill, func() error {
			_, err := h.c.RestoreBackup(t.Context(), backup)
			return err
		})
		if err != nil && cairn.CodeOf(err) != cairn.CodeUnreachable {
			t.Errorf("restoring: %v", err)
		}
		if random.IntN(4) == 0 {
			verifyFolder(t, h.data) // recovers what the daemon would
		}
		h.restart(t)
		now, swapped := h.scribe.settle(t, h.database(t))
		if err == nil && !swapped {
			t.Error("the restoration was acknowledged, and the original is served")
		}
		h.checkRestoration(t, backup, known, swapped)
		if swapped {
			restored++
			now = h.checkUndo(t, now, random.IntN(3) == 0)
		}
		h.scribe.before = now
		if t.Failed() {
			t.Fatalf("this was after crash %d, %s, of a restoration of about %s", round, at, length)
		}
	}
	h.stop(t)
	verifyFolder(t, h.data)
	t.Logf("of %d restorations of about %s, %d had happened; %d requests were acknowledged", len(moments), length, restored, h.scribe.requests)
	if restored == 0 || restored == len(moments) || h.scribe.requests < 3*len(moments) {
		t.Error("that proves nothing: all crashes came too early, or too late, or there was no load")
	}
}

// TestCrashCreate kills the daemon at a random moment of a creation, again and
// again, while a client writes. No write is lost; what is listed restores, on
// another computer, to one moment of the database; what is not listed has no
// manifest; and the next creation works.
func TestCrashCreate(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		crashCreations(t, cloud)
	})
}

func crashCreations(t *testing.T, cloud place) {
	random := seededRandom(t)
	h := newHouse(t, cloud, random)
	h.back(t)
	length := h.createOnce(t)
	other := elsewhere(t, h.cloud, h.key)
	moments := h.crashMoments(random, h.committing)
	listed, crashed := listedBackups(t, h.c, h.cloud), 0
	for round, at := range moments {
		if round%2 == 0 { // the next one builds on none, and takes longer
			for _, id := range listed {
				if err := h.c.DeleteBackup(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			listed = nil
		}
		h.scribe.begin(h.scribe.before, book{})
		known := jobIDs(t, h)
		var made api.Backup
		err := h.during(t, &length, at, h.d.Kill, func() (err error) {
			made, err = h.c.CreateBackup(t.Context())
			return err
		})
		if err != nil && cairn.CodeOf(err) != cairn.CodeUnreachable {
			t.Errorf("creating: %v", err)
		}
		h.restart(t)
		h.scribe.before, _ = h.scribe.settle(t, h.database(t))
		now := listedBackups(t, h.c, h.cloud)
		added := slices.DeleteFunc(slices.Clone(now), func(id string) bool { return slices.Contains(listed, id) })
		if len(added) > 1 || len(now) != len(listed)+len(added) {
			t.Errorf("the backups were %q and are %q", listed, now)
		}
		if err == nil && !slices.Contains(added, made.ID) {
			t.Errorf("the backup %s was acknowledged, and is not listed", made.ID)
		}
		h.checkCreation(t, known, added)
		for _, id := range added {
			h.checkMoment(t, restoresTo(t, other, id))
		}
		if len(added) == 0 {
			crashed++
		}
		listed = now
		if round%6 == 5 {
			listed = append(listed, h.createAndCheck(t))
			slices.Sort(listed)
		}
		if t.Failed() {
			t.Fatalf("this was after crash %d, %s, of a creation of about %s", round, at, length)
		}
	}
	for _, id := range append(listed, h.createAndCheck(t)) {
		restoresTo(t, other, id)
	}
	h.stop(t)
	verifyFolder(t, h.data)
	t.Logf("of %d creations of about %s, %d came to nothing; %d requests were acknowledged", len(moments), length, crashed, h.scribe.requests)
	if crashed == 0 || crashed == len(moments) || h.scribe.requests < 3*len(moments) {
		t.Error("that proves nothing: all crashes came too early, or too late, or there was no load")
	}
}

// TestStopDuringBackup asks the daemon to stop in the middle of creations and
// restorations. It does so at once, tells who waits, and the next start finds
// nothing unfinished.
func TestStopDuringBackup(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		stopDuringBackups(t, cloud)
	})
}

func stopDuringBackups(t *testing.T, cloud place) {
	const soon = 8 * time.Second // less than requests under way are given
	random := seededRandom(t)
	h := newHouse(t, cloud, random)
	backup, whole := h.back(t)
	creation, restoration := h.createOnce(t), h.restoreOnce(t, backup, whole)
	listed, told := listedBackups(t, h.c, h.cloud), 0
	for round, part := range []float64{0.05, 0.3, 0.5, 0.7, 0.9, 1} {
		for _, kind := range []cairn.JobKind{cairn.Creation, cairn.Restoration} {
			h.scribe.begin(h.scribe.before, whole)
			if err := h.scribe.write(t.Context(), h.c); err != nil {
				t.Fatal(err)
			}
			known := jobIDs(t, h)
			length, work := &creation, func() error { _, err := h.c.CreateBackup(t.Context()); return err }
			if kind == cairn.Restoration {
				length, work = &restoration, func() error { _, err := h.c.RestoreBackup(t.Context(), backup); return err }
			}
			err := h.during(t, length, crashMoment{part: part}, func() {
				begin := time.Now()
				h.stop(t)
				if took := time.Since(begin); took > soon {
					t.Errorf("stopping took %s", took)
				}
			}, work)
			switch cairn.CodeOf(err) {
			case "", cairn.CodeUnreachable:
			case cairn.CodeShuttingDown:
				told++
			default:
				t.Errorf("%s: %v, want that the daemon is stopping", kind, err)
			}
			for _, path := range allFiles(t, h.cloud.dir) {
				if filepath.Base(path)[0] == '.' {
					t.Errorf("%s was left behind", path)
				}
			}
			h.restart(t)
			now, swapped := h.scribe.settle(t, h.database(t))
			h.scribe.before = now
			if kind == cairn.Restoration {
				h.checkRestoration(t, backup, known, swapped)
				if err == nil != swapped {
					t.Errorf("the restoration returned %v, and the restored database is served: %t", err, swapped)
				}
			} else {
				now := listedBackups(t, h.c, h.cloud)
				if len(now) != len(listed) != (err == nil) && cairn.CodeOf(err) != cairn.CodeUnreachable {
					t.Errorf("the creation returned %v, and there are %d more backups", err, len(now)-len(listed))
				}
				h.checkCreation(t, known, now[len(listed):])
				listed = now
			}
			if t.Failed() {
				t.Fatalf("this was in round %d of stopping a %s", round, kind)
			}
		}
	}
	if told == 0 {
		t.Error("nobody was told that the daemon stops: all came too late")
	}
}

// TestCopiedCloud copies a cloud the moment that a creation has
// returned, and restores from the copy, with the key, on another computer.
func TestCopiedCloud(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		copyCloud(t, cloud)
	})
}

func copyCloud(t *testing.T, cloud place) {
	h := newHouse(t, cloud, seededRandom(t))
	h.scribe.begin(h.scribe.before, book{})
	var writing sync.WaitGroup
	writing.Go(func() { h.scribe.keepWriting(t, h.c) })
	made, err := h.c.CreateBackup(t.Context())
	if err != nil {
		t.Error(err)
	}
	copied := folderAt(cloud.download(t))
	h.d.Kill()
	writing.Wait()
	stdout, stderr, code := harness.Cairn(t, []string{"CAIRN_DATA=" + h.data}, "cloud", "key")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(stdout), 0o600); err != nil || code != 0 {
		t.Fatalf("cairn cloud key: %d, %s, %v", code, stderr, err)
	}
	other := elsewhere(t, copied, key)
	if ids := listedBackups(t, other, copied); !slices.Equal(ids, []string{made.ID}) {
		t.Errorf("the copy has the backups %q, want %s", ids, made.ID)
	}
	h.checkMoment(t, restoresTo(t, other, made.ID))
}

// back makes a backup while nobody writes, and returns what is in it.
func (h *house) back(t *testing.T) (id string, whole book) {
	t.Helper()
	h.scribe.begin(h.scribe.before, book{})
	if err := h.scribe.write(t.Context(), h.c); err != nil {
		t.Fatal(err)
	}
	id = h.createAndCheck(t)
	return id, h.scribe.before
}

// createAndCheck makes a backup that holds what is there.
func (h *house) createAndCheck(t *testing.T) string {
	t.Helper()
	made, err := h.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(listedBackups(t, h.c, h.cloud), made.ID) {
		t.Errorf("the new backup %s is not listed", made.ID)
	}
	details, err := h.c.BackupDetails(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if st := h.database(t); details.Digest != st.Digest || details.Documents != st.Documents || details.Revision != st.Revision {
		t.Errorf("the backup %+v is not of the database %+v", details, st)
	}
	return made.ID
}

// createOnce returns how long a creation takes while a client writes.
func (h *house) createOnce(t *testing.T) time.Duration {
	t.Helper()
	var length time.Duration
	h.scribe.begin(h.scribe.before, book{})
	if err := h.during(t, &length, crashMoment{part: 1}, h.d.Kill, func() error { _, err := h.c.CreateBackup(t.Context()); return err }); err != nil {
		t.Fatal(err)
	}
	h.restart(t)
	h.scribe.before, _ = h.scribe.settle(t, h.database(t))
	return length
}

// restoreOnce returns how long a restoration takes while a client writes.
func (h *house) restoreOnce(t *testing.T, backup string, whole book) time.Duration {
	t.Helper()
	var length time.Duration
	h.scribe.begin(h.scribe.before, whole)
	if err := h.scribe.write(t.Context(), h.c); err != nil {
		t.Fatal(err)
	}
	if err := h.during(t, &length, crashMoment{part: 1}, h.d.Kill, func() error { _, err := h.c.RestoreBackup(t.Context(), backup); return err }); err != nil {
		t.Fatal(err)
	}
	h.restart(t)
	now, swapped := h.scribe.settle(t, h.database(t))
	if !swapped {
		t.Fatal("the original is served after a restoration")
	}
	h.scribe.before = h.checkUndo(t, now, true)
	return length
}

// during runs work while the scribe writes, has the daemon end at the moment, or
// when work is done, and waits for both. It returns the outcome of work. length
// is how long that takes, and learns from it; 0 means that this is not known.
func (h *house) during(t *testing.T, length *time.Duration, at crashMoment, end func(), work func() error) error {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() { h.scribe.keepWriting(t, h.c) })
	begin := time.Now()
	done, result := make(chan struct{}), error(nil)
	all.Go(func() {
		defer close(done)
		result = work()
	})
	select {
	case <-done:
		if took := time.Since(begin); result == nil && *length == 0 {
			*length = took
		} else if result == nil {
			*length = (*length + took) / 2
		}
	case <-at.wait(t, *length, done):
	}
	end()
	all.Wait()
	return result
}

// A crashMoment is when a daemon is to end: at a part of the time that the work
// takes, or a little after the work did something that can be seen.
type crashMoment struct {
	part  float64
	seen  func() string // changes when that is done; nil means part
	after time.Duration
}

func (m crashMoment) String() string {
	if m.seen != nil {
		return fmt.Sprintf("%s after its last step began", m.after)
	}
	return fmt.Sprintf("at %.2f", m.part)
}

// wait returns a channel that is closed at the moment, unless done is before.
func (m crashMoment) wait(t *testing.T, length time.Duration, done <-chan struct{}) <-chan struct{} {
	come := make(chan struct{})
	if m.seen == nil {
		if length == 0 {
			return nil
		}
		time.AfterFunc(time.Duration(m.part*float64(length)), func() { close(come) })
		return come
	}
	before := m.seen()
	go func() {
		poll := time.NewTicker(200 * time.Microsecond)
		defer poll.Stop()
		for m.seen() == before {
			select {
			case <-done:
				return
			case <-poll.C:
			}
		}
		time.AfterFunc(m.after, func() { close(come) })
	}()
	return come
}

// crashMoments returns when to kill in a test of a store. See crashMoments.
func (h *house) crashMoments(random *rand.Rand, seen func() string) []crashMoment {
	n := crashRounds
	if h.cloud.server != nil {
		n = crashRoundsS3
	}
	return crashMoments(random, n, seen)
}

// crashMoments returns when to end something, n times or, with CAIRN_LONG, ten times
// as often: at moments spread over all of the time that it takes, just around its
// last step, where it takes effect, and once when it is done.
func crashMoments(random *rand.Rand, n int, seen func() string) []crashMoment {
	if os.Getenv("CAIRN_LONG") != "" {
		n *= 10
	}
	moments := make([]crashMoment, n)
	for i := range moments {
		switch {
		case i == 0:
			moments[i].part = 100
		case i%2 == 0:
			moments[i].part = (float64(i-2) + 2*random.Float64()) / float64(n-2)
		default:
			moments[i].seen = seen
			moments[i].after = time.Duration(random.Float64() * random.Float64() * float64(80*time.Millisecond))
		}
	}
	random.Shuffle(n, func(i, j int) { moments[i], moments[j] = moments[j], moments[i] })
	return moments
}

// swapping changes when a restoration begins to swap.
func (h *house) swapping() string {
	text, err := os.ReadFile(filepath.Join(h.data, "CURRENT"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// committing changes when a creation has written its index, and goes on with
// its manifest.
func (h *house) committing() string {
	indexes, err := filepath.Glob(filepath.Join(h.cloud.dir, "indexes", "*", "*.age"))
	if err != nil {
		return err.Error()
	}
	return strings.Join(indexes, " ")
}

func (h *house) stop(t *testing.T) {
	t.Helper()
	if err := h.d.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// jobIDs returns the ids of all jobs that the daemon knows.
func jobIDs(t *testing.T, h *house) map[string]bool {
	t.Helper()
	jobs, err := h.c.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, job := range jobs {
		ids[job.ID] = true
	}
	return ids
}

// newJob returns the job that came after the known ones; nil when there is
// none.
func (h *house) newJob(t *testing.T, kind cairn.JobKind, known map[string]bool) (found *api.Job) {
	t.Helper()
	jobs, err := h.c.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if known[job.ID] {
			continue
		}
		if found != nil || job.Kind != kind {
			t.Errorf("there is a job that nobody began: %+v", job)
		}
		found = &job
	}
	return found
}

// checkRestoration checks what is said of a restoration that was cut off.
func (h *house) checkRestoration(t *testing.T, backup string, known map[string]bool, swapped bool) {
	t.Helper()
	job := h.newJob(t, cairn.Restoration, known)
	if job == nil {
		if swapped {
			t.Error("the restored database is served, and nothing is known of the restoration")
		}
		return
	}
	checkEnd(t, *job, swapped)
	st, err := h.c.RestorationStatus(t.Context(), backup)
	if err != nil || st.Value != job.Status || st.Percentage != job.Percentage || st.Backup.ID != backup {
		t.Errorf("the status of the restoration is %+v (%v), and its job %+v", st, err, job)
	}
}

// checkCreation checks what is said of a creation that was cut off. listed is
// the backup that it made, if any.
func (h *house) checkCreation(t *testing.T, known map[string]bool, listed []string) {
	t.Helper()
	for _, id := range listed {
		if st, err := h.c.CreationStatus(t.Context(), id); err != nil || st.Value != cairn.JobCompleted || st.Percentage != 100 || st.Backup.Bytes == 0 {
			t.Errorf("the status of the creation of the listed backup %s is %+v, %v", id, st, err)
		}
	}
	st, err := h.c.Status(t.Context())
	if err != nil || st.Cloud.State != cairn.CloudReady || len(st.Cloud.Unreadable) > 0 {
		t.Errorf("the cloud is %+v, %v", st.Cloud, err)
	}
	job := h.newJob(t, cairn.Creation, known)
	if job == nil {
		return // killed before it was noted; one that is listed can be no other's
	}
	checkEnd(t, *job, slices.Contains(listed, job.Backup.ID))
	if job.Backup.ID == "" || job.Status == cairn.JobCompleted {
		return
	}
	if st, err := h.c.CreationStatus(t.Context(), job.Backup.ID); err != nil || st.Value != cairn.JobFailed {
		t.Errorf("the status of the creation that came to nothing is %+v, %v", st, err)
	}
}

// checkEnd checks that a job has ended as it should have, and that one which
// failed says why.
func checkEnd(t *testing.T, job api.Job, completed bool) {
	t.Helper()
	want, problem := cairn.JobFailed, "a reason"
	if completed {
		want, problem = cairn.JobCompleted, "none"
	}
	p := job.Problem
	if job.Status != want || completed != (p == nil) || completed != (job.Percentage == 100) ||
		p != nil && (p.Code != cairn.CodeShuttingDown || p.Detail == "" || p.Hint == "") {
		t.Errorf("the job is %+v with the problem %+v, want %s and %s", job, p, want, problem)
	}
}

// checkUndo brings the original back, with all that was acknowledged before the
// swap, and the restored database too, unless the original is to stay. It
// returns what is there then.
func (h *house) checkUndo(t *testing.T, restored book, stay bool) book {
	t.Helper()
	if err := h.c.UndoRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := h.database(t)
	original, ok := settled(h.scribe.before, h.scribe.doubt, st)
	if !ok {
		t.Errorf("undone, the database is %+v, want %+v", st, h.scribe.before.stats)
	}
	checkTidy(t, h.data)
	if stay {
		return original
	}
	if err := h.c.UndoRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := h.database(t); !restored.is(st) {
		t.Errorf("with the undo undone, the database is %+v, want %+v", st, restored.stats)
	}
	return restored
}

// checkMoment checks that a backup holds what the scribe's database was at one
// moment.
func (h *house) checkMoment(t *testing.T, b api.BackupDetails) {
	t.Helper()
	s, ok := h.scribe.moments[b.Revision]
	if !ok {
		if now := h.scribe.before.with(h.scribe.doubt).stats; now.Revision == b.Revision {
			s, ok = now, true // of a write whose answer was cut off
		}
	}
	if !ok || b.Digest != s.Digest.String() || b.Documents != s.Documents || b.JSONBytes != s.Bytes {
		t.Errorf("the backup is %+v, and at its revision the database was %+v (%t)", b, s, ok)
	}
}
