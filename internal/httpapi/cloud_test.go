package httpapi_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"cairn"
	"cairn/internal/httpapi"
)

// fakeCloud holds backups in memory, and does jobs at once. It is a
// httpapi.Backups; its jobs are a httpapi.Jobs.
type fakeCloud struct {
	err       error // of all that can fail
	backups   []cairn.Backup
	status    cairn.CloudStatus
	last      *cairn.Base
	changes   int64
	connected string // guarded by mu
	jobs      []cairn.Job
	// working is called with the name of each piece of work before it is
	// done, if it is not nil.
	working func(ctx context.Context, name string) error
	// verifying does each verification, if it is not nil.
	verifying verifying

	mu    sync.Mutex
	calls []string         // the work that was asked for
	given []cairn.Document // to CreateFrom, by the last call
}

// sample is a backup as the wire contract shows one.
func sample() cairn.Backup {
	return cairn.Backup{
		ID: "0.1.0_20261123T072541.123456789Z", Version: "0.1.0", Timestamp: "20261123T072541.123456789Z",
		Created: time.Date(2026, 11, 23, 8, 25, 41, 123e6, time.FixedZone("", 3600)), Bytes: 359503462,
		DeviceName: "dev box", Platform: "LINUX", Installation: installation, Line: "0b5cf0b9-5bd3-4b0f-8e0f-000000000001",
		Scope: cairn.ScopeAll, Revision: 12, Documents: 7, Deletions: 3, JSONBytes: 480,
		Digest: cairn.DigestOf(document("c", "x", "{}")),
	}
}

// sampleJSON is what every answer shows of it.
const sampleJSON = `{"id":"0.1.0_20261123T072541.123456789Z","version":"0.1.0","timestamp":"20261123T072541.123456789Z",` +
	`"bytes":359503462,"created":{"value":"2026-11-23T07:25:41.123Z"},"device_name":"dev box","platform":"LINUX"}`

// progressJSON is what streams show of work on it that is complete.
const progressJSON = `{"status":"COMPLETED","percentage":100,"backup":` + sampleJSON + `,"done_bytes":0,"total_bytes":0}`

// startCloud is start, and returns the cloud too.
func startCloud(t *testing.T, changes ...func(*httpapi.Config)) (*daemon, *fakeCloud) {
	t.Helper()
	var f *fakeCloud
	d := start(t, append([]func(*httpapi.Config){func(c *httpapi.Config) {
		f, c.Spool = c.Backups.(*fakeCloud), t.TempDir()
	}}, changes...)...)
	return d, f
}

// called returns the work that was asked for since the last call.
func (f *fakeCloud) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *fakeCloud) begin(ctx context.Context, name string) error {
	f.mu.Lock()
	f.calls = append(f.calls, name)
	f.mu.Unlock()
	if f.working != nil {
		return f.working(ctx, name)
	}
	return f.err
}

func (f *fakeCloud) List(ctx context.Context) ([]cairn.Backup, error) {
	return f.backups, f.begin(ctx, "list")
}

func (f *fakeCloud) Backup(ctx context.Context, id string) (cairn.Backup, error) {
	if err := f.begin(ctx, "backup "+id); err != nil {
		return cairn.Backup{}, err
	}
	i := slices.IndexFunc(f.backups, func(b cairn.Backup) bool { return b.ID == id })
	if i < 0 {
		return cairn.Backup{}, &cairn.Error{Code: cairn.CodeBackupNotFound, Message: "There is none.", Hint: "List them."}
	}
	return f.backups[i], nil
}

func (f *fakeCloud) Delete(ctx context.Context, id string) error { return f.begin(ctx, "delete "+id) }

func (f *fakeCloud) Last(context.Context) (cairn.Base, int64, bool, error) {
	if f.last == nil || f.err != nil {
		return cairn.Base{}, 0, false, f.err
	}
	return *f.last, f.changes, true, nil
}

func (f *fakeCloud) Cloud(context.Context) cairn.CloudStatus { return f.status }
func (f *fakeCloud) Ready(ctx context.Context) error         { return f.begin(ctx, "ready") }

func (f *fakeCloud) Connected() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connected, f.connected != ""
}

func (f *fakeCloud) setConnected(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connected = id
}

// fakeJobs are the jobs of a fakeCloud.
type fakeJobs struct{ f *fakeCloud }

// begin returns a watch of a job of the first backup that work does, which has
// the context of the request.
func (j fakeJobs) begin(ctx context.Context, kind cairn.JobKind, work func(context.Context) error) (cairn.Watch, error) {
	job := cairn.Job{ID: "job", Kind: kind, Status: cairn.JobInitialized}
	if len(j.f.backups) > 0 {
		job.Backup = j.f.backups[0]
	}
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	begun := false
	return func(ctx context.Context) (cairn.Job, error) {
		if !begun {
			begun = true
			return job, nil
		}
		if job.Status.Ended() {
			return job, nil
		}
		select {
		case err := <-ended:
			job.Status = cairn.JobCompleted
			if err != nil {
				job.Status = cairn.JobFailed
				if e, ok := errors.AsType[*cairn.Error](err); ok {
					job.Reason = e
				} else {
					job.Reason = &cairn.Error{Code: cairn.CodeInternal, Message: "The daemon failed at this.", Hint: "Its log says why.", Err: err}
				}
			}
			return job, nil
		case <-ctx.Done():
			return cairn.Job{}, context.Cause(ctx)
		}
	}, nil
}

func (j fakeJobs) Create(ctx context.Context) (cairn.Watch, error) {
	return j.begin(ctx, cairn.Creation, func(ctx context.Context) error { return j.f.begin(ctx, "create") })
}

func (j fakeJobs) CreateFrom(ctx context.Context, documents iter.Seq2[cairn.Document, error]) (cairn.Watch, error) {
	return j.begin(ctx, cairn.Creation, func(ctx context.Context) error {
		if err := j.f.begin(ctx, "create from"); err != nil {
			return err
		}
		j.f.given = nil
		for doc, err := range documents {
			if err != nil {
				return err
			}
			j.f.given = append(j.f.given, doc)
		}
		return nil
	})
}

func (j fakeJobs) Restore(ctx context.Context, b cairn.Backup) (cairn.Watch, error) {
	return j.begin(ctx, cairn.Restoration, func(ctx context.Context) error { return j.f.begin(ctx, "restore "+b.ID) })
}

func (j fakeJobs) Undo(ctx context.Context) (cairn.Watch, error) {
	return j.begin(ctx, "undo", func(ctx context.Context) error { return j.f.begin(ctx, "undo") })
}

func (j fakeJobs) Cancel(ctx context.Context, kind cairn.JobKind, id string) error {
	return j.f.begin(ctx, "cancel "+string(kind)+" "+id)
}

func (j fakeJobs) Feed() cairn.Feed {
	return func(context.Context) ([]cairn.Job, error) { return j.f.jobs, nil }
}

func (j fakeJobs) Creation(ctx context.Context, id string) (cairn.Job, error) {
	return j.find(ctx, cairn.Creation, id)
}

func (j fakeJobs) Restoration(ctx context.Context, id string) (cairn.Job, error) {
	return j.find(ctx, cairn.Restoration, id)
}

func (j fakeJobs) List() []cairn.Job { return j.f.jobs }

func (j fakeJobs) find(ctx context.Context, kind cairn.JobKind, id string) (cairn.Job, error) {
	if err := j.f.begin(ctx, string(kind)+" "+id); err != nil {
		return cairn.Job{}, err
	}
	for _, job := range j.f.jobs {
		if job.Kind == kind && job.Backup.ID == id {
			return job, nil
		}
	}
	return cairn.Job{}, &cairn.Error{Code: cairn.CodeJobNotFound, Message: "There is none.", Hint: "List them."}
}
