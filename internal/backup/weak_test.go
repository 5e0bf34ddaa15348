package backup_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/jobs"
	"cairn/test/stores"
)

// TestLastLag has a store whose listing lacks what was just made: it is the last
// backup all the same, also when the cache knows nothing of it and the process is
// a new one. One that another device has deleted is not, and is asked for once.
func TestLastLag(t *testing.T) {
	for _, cached := range []bool{true, false} {
		for _, restart := range []bool{true, false} {
			heads := 0
			store := fault.Lag(stores.New(t), time.Hour)
			h := newHouse(t, fault.New(store, func(c fault.Call) fault.Outcome {
				if c.Op == fault.Head {
					heads++
				}
				return fault.Outcome{}
			}))
			h.step = func(name string, do func() error) error {
				if name == "cache.store" && !cached {
					return errMade
				}
				return do()
			}
			h.apply(doc("a", "", 10))
			first := h.create()
			h.apply(doc("b", "", 10))
			second := h.create()
			if restart {
				h.restart()
			}
			check := func(last cairn.Backup, backups, asked int) {
				t.Helper()
				heads = 0
				st := h.engine.Cloud(t.Context())
				b, _, ok, err := h.engine.Last(t.Context())
				if st.State != cairn.CloudReady || st.Backups != int64(backups) || err != nil || !ok || b.Backup != last.ID {
					t.Errorf("cached %t, restart %t: %s with %d backups, the last one %q, %v, want %q", cached, restart, st.State, st.Backups, b.Backup, err, last.ID)
				}
				if heads != asked {
					t.Errorf("cached %t, restart %t: it took %d heads, want %d", cached, restart, heads, asked)
				}
			}
			check(second, 2, 2)
			if err := h.neighbour().engine.Delete(t.Context(), second.ID); err != nil {
				t.Fatal(err)
			}
			check(first, 1, 2)
			check(first, 1, 1)
		}
	}
}

// A history begins with the jobs that it has, and keeps none.
type history []cairn.Job

func (history) SaveJob(context.Context, cairn.Job) error    { return nil }
func (history) ForgetJobs(context.Context, ...string) error { return nil }
func (h history) Jobs(context.Context) ([]cairn.Job, error) { return h, nil }

// jobs returns jobs of the house, after a crash that cut these off.
func (h *house) jobs(cutOff ...cairn.Job) *jobs.Jobs {
	h.t.Helper()
	j := jobs.New(jobs.Config{Engine: h.engine, History: history(cutOff), Log: slog.New(slog.DiscardHandler)})
	h.t.Cleanup(j.Close)
	if err := j.Recover(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return j
}

// TestRecoverLag has a crash right behind the commit, and a listing that does not
// know of it: the job is complete, and what it made is listed.
func TestRecoverLag(t *testing.T) {
	h := newHouse(t, fault.Lag(stores.New(t), time.Hour))
	h.apply(doc("a", "", 10))
	h.step = func(name string, do func() error) error {
		if name == "cache.store" || name == "base.add" {
			return errMade // the crash was before it
		}
		return do()
	}
	b := h.create()
	h.step = nil
	h.restart()
	if list := h.list(); len(list) != 0 {
		t.Fatalf("the listing has %v, so that nothing is tested", list)
	}
	j := h.jobs(cairn.Job{ID: "job", Kind: cairn.Creation, Backup: b, Status: cairn.JobInProgress})
	if job, err := j.Creation(t.Context(), b.ID); err != nil || job.Status != cairn.JobCompleted || job.Backup != b {
		t.Errorf("the job is %+v, %v", job, err)
	}
	if list := h.list(); len(list) != 1 || list[0] != b {
		t.Errorf("listed are %v, want %v", list, b)
	}
}

// TestCreateLate has the manifest stored when the creation has given up: it has
// failed, and says that this may happen; when it has happened, it is complete.
func TestCreateLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := fault.New(stores.New(t), func(c fault.Call) fault.Outcome {
			if c.Op == fault.Put && strings.HasPrefix(c.Name, "backups/") {
				return fault.Outcome{Effect: fault.Late}
			}
			return fault.Outcome{}
		})
		h := newHouse(t, bucket.Retry(faulty, bucket.Policy{}))
		h.apply(doc("a", "", 10))
		j := h.jobs()
		watch, err := j.Create(t.Context())
		if err == nil {
			_, err = watch.Wait(t.Context())
		}
		if !errors.Is(err, bucket.ErrUnknown) || cairn.CodeOf(err) != cairn.CodeCloudLost {
			t.Errorf("Create: %v", err)
		}
		id := j.List()[0].Backup.ID
		job, err := j.Creation(t.Context(), id)
		if err != nil || job.Status != cairn.JobFailed || job.Reason == nil || !strings.Contains(job.Reason.Message, "is not known") {
			t.Errorf("the job is %+v, %v", job, err)
		}
		if list := h.list(); len(list) != 0 {
			t.Errorf("listed are %v", list)
		}
		faulty.Land(t.Context())
		list := h.list()
		if len(list) != 1 || list[0].ID != id {
			t.Fatalf("later, listed are %v", list)
		}
		if job, err := j.Creation(t.Context(), id); err != nil || job.Status != cairn.JobCompleted || job.Reason != nil || job.Backup != list[0] {
			t.Errorf("later, the job is %+v, %v", job, err)
		}
		h.restore(id)
		h.verify()
	})
}
