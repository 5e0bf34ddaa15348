package jobs_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cairn"
)

// TestEnded holds that the end of a job is told before those who wait for the job
// hear of it.
func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.telling = time.Minute
		watch, err := f.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan int, 1)
		go func() {
			if _, err := watch.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			told <- len(f.ended)
		}()
		f.engine.last(t, "create").end <- ending{backup: backup("B")}
		if n := <-told; n != 1 {
			t.Errorf("who waits hears of the end when %d have been told", n)
		}
		job := <-f.ended
		if job.Status != cairn.JobCompleted || job.Backup.ID != "B" || job.Ended.IsZero() {
			t.Errorf("told is %+v", job)
		}
	})
}
