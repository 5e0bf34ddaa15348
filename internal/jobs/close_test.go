package jobs_test

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"testing"

	"cairn"
	"cairn/internal/jobs"
)

// quick is an Engine whose work is done at once.
type quick struct{}

func (quick) NewBackup(cairn.Scope) cairn.Backup { return cairn.Backup{} }

func (quick) Create(ctx context.Context, _ cairn.Backup, _ func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return cairn.Backup{ID: "B"}, context.Cause(ctx)
}

func (quick) CreateFrom(ctx context.Context, _ cairn.Backup, _ iter.Seq2[cairn.Document, error], _ func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return cairn.Backup{ID: "B"}, context.Cause(ctx)
}

func (quick) Restore(ctx context.Context, _, id string, _ func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return cairn.Backup{ID: id}, context.Cause(ctx)
}

func (quick) Restored() string           { return "" }
func (quick) Undo(context.Context) error { return nil }
func (quick) Backup(_ context.Context, id string) (cairn.Backup, error) {
	return cairn.Backup{}, &cairn.Error{Code: cairn.CodeBackupNotFound}
}

// nothing is a History without memory.
type nothing struct{}

func (nothing) SaveJob(context.Context, cairn.Job) error    { return nil }
func (nothing) ForgetJobs(context.Context, ...string) error { return nil }
func (nothing) Jobs(context.Context) ([]cairn.Job, error)   { return nil, nil }

// TestCloseRace closes while work begins: what never ran has failed, and nobody
// is told that it is done.
func TestCloseRace(t *testing.T) {
	for range 3000 {
		j := jobs.New(jobs.Config{Engine: quick{}, History: nothing{}, Log: slog.New(slog.DiscardHandler)})
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				b, err := outcome(context.Background())(j.Create(context.Background()))
				if (err == nil) != (b.ID == "B") {
					t.Errorf("Create returned %+v, %v", b, err)
				}
			})
		}
		j.Close()
		callers.Wait()
		for _, job := range j.List() {
			if job.Status == cairn.JobCompleted && job.Backup.ID != "B" {
				t.Errorf("a job that did nothing ended as %+v", job)
			}
		}
		if t.Failed() {
			return
		}
	}
}
