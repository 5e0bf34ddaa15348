package test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/api"
)

// jobRounds is how often TestCrashJobs ends the daemon, on a store of each kind. Five
// times it is asked to stop, and once all is done before; that leaves more than fifty
// kills amid jobs on both.
const jobRounds = 32

// TestCrashJobs kills the daemon, or stops it, at random moments while a job runs
// and others wait, some of them about to be cancelled. The next start says what
// became of each: a creation is complete exactly if its backup is listed, a
// restoration if its documents are served, and what was said to be cancelled is;
// and the next creation and restoration are done.
func TestCrashJobs(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		crashJobs(t, cloud)
	})
}

func crashJobs(t *testing.T, cloud place) {
	random := seededRandom(t)
	h := newHouse(t, cloud, random)
	backup, whole := h.back(t)
	few := backupOfFew(t, h)
	var length time.Duration
	ends := map[string]int{} // of jobs
	moments := crashMoments(random, jobRounds, func() string { return h.swapping() + h.committing() })
	for round, at := range append([]crashMoment{{part: 100}}, moments...) {
		h.scribe.begin(h.scribe.before, whole)
		if err := h.scribe.write(t.Context(), h.c); err != nil {
			t.Fatal(err)
		}
		known, listed := jobIDs(t, h), listedBackups(t, h.c, h.cloud)
		q := &queue{t: t, h: h, backup: backup, first: round % 2, early: -1}
		end := h.d.Kill
		if round%4 == 3 {
			end = func() { h.stop(t) }
		}
		if round%3 == 1 {
			q.early = 2*random.IntN(2) + (round/3+q.first)%2 // of each kind in turn
		}
		victim, wait := random.IntN(4), time.Duration(random.Int64N(int64(5*time.Millisecond)))
		_ = h.during(t, &length, at, func() {
			if round%3 == 0 {
				q.cancelAmid(victim, wait)
			}
			end()
		}, q.work)
		q.cancelling.Wait()
		if random.IntN(8) == 0 {
			verifyFolder(t, h.data)
		}
		h.restart(t)
		now, swapped := h.scribe.settle(t, h.database(t))
		q.check(known, listed, swapped, ends)
		if swapped {
			now = h.checkUndo(t, now, true)
		}
		h.scribe.before = now
		h.checkNext(t, few, now)
		if t.Failed() {
			t.Fatalf("this was in round %d, %s, of jobs of about %s", round, at, length)
		}
	}
	h.stop(t)
	verifyFolder(t, h.data)
	t.Logf("of %d times three jobs of about %s: %v; %d requests were acknowledged", len(moments), length, ends, h.scribe.requests)
	for _, kind := range []cairn.JobKind{cairn.Creation, cairn.Restoration} {
		for _, end := range []string{"COMPLETED", "FAILED", "CANCELED"} {
			if ends[fmt.Sprint(kind, " ", end)] == 0 {
				t.Errorf("that proves nothing: no %s ended as %s", kind, end)
			}
		}
	}
}

// A queue is what is begun in a round: a creation, a restoration that is joined by
// another one, and a creation; or, if first is 1, the restoration first.
type queue struct {
	t      *testing.T
	h      *house
	backup string // that is restored
	first  int
	early  int // the one that is cancelled as soon as all are begun; -1 for none

	cancelling sync.WaitGroup

	mu       sync.Mutex
	jobs     []*runningJob
	canceled map[string]error // what cancelling was answered, by kind and backup
}

// errNoAnswer stands for the answer to a request that was cut off.
var errNoAnswer = errors.New("no answer")

// work begins the jobs, and waits for their ends.
func (q *queue) work() error {
	for i := range 4 {
		kind := []cairn.JobKind{cairn.Creation, cairn.Restoration}[(i+q.first)%2]
		job, err := beginJob(q.t, q.h.d.URL, kind, q.backup)
		if err != nil {
			return err
		}
		q.mu.Lock()
		q.jobs = append(q.jobs, job)
		q.mu.Unlock()
	}
	if q.early >= 0 {
		q.cancel(q.jobs[q.early])
	}
	for _, job := range q.jobs {
		<-job.ended
		if job.err != nil {
			return job.err
		}
	}
	return nil
}

// name names a job by what is known of it outside.
func name(kind cairn.JobKind, backup string) string { return string(kind) + " " + backup }

// cancel cancels a job, and notes the answer.
func (q *queue) cancel(job *runningJob) {
	q.note(job, errNoAnswer)
	err := job.cancel(q.t, q.h.d.URL)
	if code := cairn.CodeOf(err); err == nil || code == cairn.CodeNotInProgress {
		q.note(job, err)
	}
}

func (q *queue) note(job *runningJob, answer error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.canceled == nil {
		q.canceled = map[string]error{}
	}
	q.canceled[name(job.kind, job.backup)] = answer
}

// cancelAmid begins to cancel one of the jobs that were begun, and returns a moment
// later.
func (q *queue) cancelAmid(n int, moment time.Duration) {
	q.mu.Lock()
	jobs := slices.Clone(q.jobs)
	q.mu.Unlock()
	if len(jobs) == 0 {
		return
	}
	q.cancelling.Go(func() { q.cancel(jobs[n%len(jobs)]) })
	<-time.After(moment)
}

// check compares what is said of the jobs after a restart with what was said before
// and with what is there. It counts their ends.
func (q *queue) check(known map[string]bool, listed []string, swapped bool, ends map[string]int) {
	t := q.t
	t.Helper()
	all, err := q.h.c.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := listedBackups(t, q.h.c, q.h.cloud)
	fresh := func(id string) bool { return slices.Contains(now, id) && !slices.Contains(listed, id) }
	found := map[string]api.Job{}
	for _, job := range all {
		if known[job.ID] {
			continue
		}
		n := name(job.Kind, job.Backup.ID)
		if _, twice := found[n]; twice {
			t.Errorf("there are two jobs %s", n)
		}
		found[n] = job
		ends[fmt.Sprint(job.Kind, " ", job.Status)]++
		done := job.Kind == cairn.Restoration && swapped || job.Kind == cairn.Creation && fresh(job.Backup.ID)
		q.checkEnd(job, done)
	}
	for _, id := range now {
		if _, ok := found[name(cairn.Creation, id)]; !ok && fresh(id) {
			t.Errorf("the backup %s is listed, and no creation of it is known", id)
		}
	}
	if _, ok := found[name(cairn.Restoration, q.backup)]; !ok && swapped {
		t.Error("the restored database is served, and nothing is known of the restoration")
	}
	for _, job := range q.jobs {
		<-job.ended
		switch now, known := found[name(job.kind, job.backup)]; {
		case !known:
			t.Errorf("the %s of %s was begun, and nothing is known of it after the restart", job.kind, job.backup)
		case job.err == nil && now.Status != job.last.Status:
			t.Errorf("the %s ended as %s, and is %+v after the restart", job.kind, job.last.Status, now)
		}
	}
}

// checkEnd checks a job of which something is there, or nothing.
func (q *queue) checkEnd(job api.Job, done bool) {
	t := q.t
	t.Helper()
	answer, asked := q.canceled[name(job.Kind, job.Backup.ID)]
	switch {
	case asked && answer == nil && job.Status != cairn.JobCanceled:
		t.Errorf("it was said to be cancelled: %+v", job)
	case asked && cairn.CodeOf(answer) == cairn.CodeNotInProgress && job.Status == cairn.JobCanceled:
		t.Errorf("it was said that it cannot be cancelled: %+v", job)
	case !asked && job.Status == cairn.JobCanceled:
		t.Errorf("nobody has cancelled it: %+v", job)
	}
	ask := q.h.c.CreationStatus
	if job.Kind == cairn.Restoration {
		ask = q.h.c.RestorationStatus
	}
	if st, err := ask(t.Context(), job.Backup.ID); err != nil || st.Value != job.Status || st.Percentage != job.Percentage {
		t.Errorf("the status of the job %+v is %+v, %v", job, st, err)
	}
	if job.Status != cairn.JobCanceled {
		checkEnd(t, job, done)
		return
	}
	if p := job.Problem; done || p == nil || p.Code != cairn.CodeCanceled || job.Percentage == 100 {
		t.Errorf("the cancelled job is %+v, %+v; what it would do is done: %t", job, p, done)
	}
}

// backupOfFew returns a backup of few documents, which takes little time to restore.
func backupOfFew(t *testing.T, h *house) string {
	t.Helper()
	other := elsewhere(t, h.cloud, h.key)
	fillDatabase(t, other, rand.New(rand.NewPCG(1, 2)), 10_000, 1000)
	made, err := other.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// checkNext has a restoration and a creation be done, and an undo.
func (h *house) checkNext(t *testing.T, backup string, now book) {
	t.Helper()
	restoresTo(t, h.c, backup)
	h.createAndCheck(t)
	if err := h.c.UndoRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := h.database(t); !now.is(st) {
		t.Errorf("restored and undone, the database is %+v, want %+v", st, now.stats)
	}
}
