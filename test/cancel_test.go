package test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"cairn"
)

const (
	// cancelRounds is how often creations are cancelled, and restorations, on a
	// store of each kind: fifty times amid them on both, and once when all is done.
	cancelRounds = 26
	// cancelTime is how long cancelling may take.
	cancelTime = 5 * time.Second
	// cancelDocuments is how many documents there are at least.
	cancelDocuments = 10_000
)

// newFullHouse returns a house of many documents.
func newFullHouse(t *testing.T, cloud place, random *rand.Rand) *house {
	t.Helper()
	h := newHouseOf(t, cloud, random, houseBytes, 850)
	if st := h.database(t); st.Documents < cancelDocuments {
		t.Fatalf("there are %d documents, want %d", st.Documents, cancelDocuments)
	}
	return h
}

// TestCancelCreate cancels creations at random moments while a client writes. What
// is cancelled was never there, what is not is complete; and the next one works.
func TestCancelCreate(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		cancelCreations(t, cloud)
	})
}

func cancelCreations(t *testing.T, cloud place) {
	random := seededRandom(t)
	h := newFullHouse(t, cloud, random)
	first, _ := h.back(t)
	var length time.Duration
	listed, canceled := []string{first}, 0
	moments := crashMoments(random, cancelRounds, h.committing)
	for round, at := range append([]crashMoment{{part: 100}}, moments...) {
		h.scribe.begin(h.scribe.before, book{})
		job, answer := h.cancelAt(t, cairn.Creation, "", &length, at)
		if job.checkCanceled(t, h, answer) {
			canceled++
		} else {
			listed = append(listed, job.backup)
			slices.Sort(listed)
		}
		h.scribe.before, _ = h.scribe.settle(t, h.database(t))
		if now := listedBackups(t, h.c, h.cloud); !slices.Equal(now, listed) {
			t.Errorf("the backups are %q, want %q", now, listed)
		}
		if t.Failed() {
			t.Fatalf("this was in round %d, %s, of a creation of about %s", round, at, length)
		}
	}
	h.checkRest(t)
	t.Logf("of %d creations of about %s, %d were cancelled; %d requests were acknowledged", len(moments), length, canceled, h.scribe.requests)
	if canceled == 0 || canceled == len(moments) || h.scribe.requests < 3*len(moments) {
		t.Error("that proves nothing: all came too early, or too late, or there was no load")
	}
}

// TestCancelRestore cancels restorations at random moments while a client writes.
// The original database is served, with all that was acknowledged, or the restored
// one is, and an undo brings back the original one.
func TestCancelRestore(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		cancelRestorations(t, cloud)
	})
}

func cancelRestorations(t *testing.T, cloud place) {
	random := seededRandom(t)
	h := newFullHouse(t, cloud, random)
	backup, whole := h.back(t)
	var length time.Duration
	canceled := 0
	moments := crashMoments(random, cancelRounds, h.swapping)
	for round, at := range append([]crashMoment{{part: 100}}, moments...) {
		h.scribe.begin(h.scribe.before, whole)
		if err := h.scribe.write(t.Context(), h.c); err != nil { // so that the original is another one
			t.Fatal(err)
		}
		live, _ := generations(t, h.data)
		job, answer := h.cancelAt(t, cairn.Restoration, backup, &length, at)
		now, swapped := h.scribe.settle(t, h.database(t))
		if job.checkCanceled(t, h, answer) {
			canceled++
			if file, _ := generations(t, h.data); file != live || swapped {
				t.Errorf("cancelled, the database %s is served, want %s; it is the restored one: %t", file, live, swapped)
			}
		} else {
			if !swapped {
				t.Error("the original is served after a restoration")
			}
			now = h.checkUndo(t, now, true)
		}
		h.scribe.before = now
		if t.Failed() {
			t.Fatalf("this was in round %d, %s, of a restoration of about %s", round, at, length)
		}
	}
	h.checkRest(t)
	t.Logf("of %d restorations of about %s, %d were cancelled; %d requests were acknowledged", len(moments), length, canceled, h.scribe.requests)
	if canceled == 0 || canceled == len(moments) || h.scribe.requests < 3*len(moments) {
		t.Error("that proves nothing: all came too early, or too late, or there was no load")
	}
}

// cancelAt begins a job while the scribe writes, cancels it at the moment, or when
// it has ended, looks for what it left the moment that this was answered, and waits
// for its end. length is that of a job that nobody cancels, as in during.
func (h *house) cancelAt(t *testing.T, kind cairn.JobKind, backup string, length *time.Duration, at crashMoment) (*runningJob, error) {
	t.Helper()
	var writing sync.WaitGroup
	stop := make(chan struct{})
	writing.Go(func() { h.scribe.writeUntil(t, h.c, stop) })
	begin := time.Now()
	job, err := beginJob(t, h.d.URL, kind, backup)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-job.ended:
		took := time.Since(begin)
		if *length == 0 {
			*length = took
		}
		*length = (*length + took) / 2
	case <-at.wait(t, *length, job.ended):
	}
	begin = time.Now()
	answer := job.cancelTwice(t, h.d.URL)
	if took := time.Since(begin); took > cancelTime {
		t.Errorf("cancelling took %s", took)
	}
	if answer == nil {
		checkTidy(t, h.data)
		checkNothingHidden(t, h.cloud)
	}
	<-job.ended
	close(stop)
	writing.Wait()
	return job, answer
}

// checkRest has a creation and a restoration be done, and the files be whole.
func (h *house) checkRest(t *testing.T) {
	t.Helper()
	restoresTo(t, h.c, h.createAndCheck(t))
	h.stop(t)
	verifyFolder(t, h.data)
}
