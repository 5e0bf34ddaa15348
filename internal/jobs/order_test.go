package jobs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"cairn"
	"cairn/internal/jobs"
)

// A lateEngine loses the cloud in its first creation, which the cloud then has
// all the same.
type lateEngine struct {
	jobs.Engine
	creations int
}

func (e *lateEngine) NewBackup(cairn.Scope) cairn.Backup { return cairn.Backup{} }

func (e *lateEngine) Create(_ context.Context, _ cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	e.creations++
	if e.creations == 1 {
		report(backup("B"), cairn.Progress{})
		return cairn.Backup{}, &cairn.Error{Code: cairn.CodeCloudLost, Message: "The cloud is gone.", Hint: "Wait."}
	}
	return backup("C"), nil
}
func (e *lateEngine) Backup(context.Context, string) (cairn.Backup, error) { return backup("B"), nil }
func (e *lateEngine) Restored() string                                     { return "" }

// A slowLedger is a history whose first write of a failed job fails, and whose
// second one takes its time.
type slowLedger struct {
	hold chan struct{}

	mu     sync.Mutex
	failed int
	saved  map[string][]cairn.JobStatus
}

func (l *slowLedger) SaveJob(_ context.Context, job cairn.Job) error {
	if job.Status == cairn.JobFailed {
		l.mu.Lock()
		l.failed++
		n := l.failed
		l.mu.Unlock()
		if n == 1 {
			return errors.New("the disk failed")
		}
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved[job.ID] = append(l.saved[job.ID], job.Status)
	return nil
}
func (l *slowLedger) ForgetJobs(context.Context, ...string) error { return nil }
func (l *slowLedger) Jobs(context.Context) ([]cairn.Job, error)   { return nil, nil }

// TestNewestIsWrittenLast has a failed job corrected while the history catches up
// with its failure: the correction stands in the end. What was caught up with is
// not written again.
func TestNewestIsWrittenLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slowLedger{hold: make(chan struct{}), saved: map[string][]cairn.JobStatus{}}
		ids := []string{"j1", "j2", "j3"}
		j := jobs.New(jobs.Config{Engine: &lateEngine{}, History: l, NewID: func() string {
			id := ids[0]
			ids = ids[1:]
			return id
		}})
		create := func() {
			if _, err := outcome(t.Context())(j.Create(t.Context())); err != nil {
				t.Error(err)
			}
		}
		if _, err := outcome(t.Context())(j.Create(t.Context())); cairn.CodeOf(err) != cairn.CodeCloudLost {
			t.Fatal(err)
		}
		go create()
		synctest.Wait() // the failure of j1 is about to be written
		go func() {
			if job, err := j.Creation(t.Context(), "B"); err != nil || job.Status != cairn.JobCompleted {
				t.Errorf("the creation is %v, %v", job, err)
			}
		}()
		synctest.Wait()
		close(l.hold)
		synctest.Wait()
		create()
		j.Close()
		saved := l.saved["j1"]
		if n := len(saved); n < 2 || saved[n-1] != cairn.JobCompleted || saved[n-2] == cairn.JobCompleted {
			t.Errorf("written of j1 was %v", saved)
		}
	})
}
