package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// cloud is a cloud of one backup, for a daemon's API. It notes what it is asked.
type cloud struct {
	backup cairn.Backup
	asked  []string
}

func (f *cloud) ask(format string, a ...any) { f.asked = append(f.asked, fmt.Sprintf(format, a...)) }

func (f *cloud) List(context.Context) ([]cairn.Backup, error) {
	return []cairn.Backup{f.backup}, nil
}

func (f *cloud) Backup(_ context.Context, id string) (cairn.Backup, error) {
	f.ask("backup %s", id)
	return f.backup, nil
}

func (f *cloud) Delete(_ context.Context, id string) error {
	f.ask("delete %s", id)
	return nil
}

func (f *cloud) Forget(_ context.Context, policy cairn.Retention, o cairn.ForgetOptions) (cairn.Forgotten, error) {
	f.ask("forget %s of %s", policy, o.Device)
	decision := cairn.Decision{DatedBackup: cairn.DatedBackup{Backup: f.backup, Modified: f.backup.Created}, Removed: true}
	return cairn.Forgotten{Policy: policy, Decisions: []cairn.Decision{decision}}, nil
}

func (f *cloud) Last(context.Context) (cairn.Base, int64, bool, error) {
	return cairn.Base{Backup: f.backup.ID, Created: f.backup.Created, Revision: 5, Cloud: "c"}, 2, true, nil
}

func (f *cloud) Cloud(context.Context) cairn.CloudStatus {
	return cairn.CloudStatus{URL: "file:///b", ID: "c", State: cairn.CloudReady, Made: 1}
}

func (f *cloud) Ready(context.Context) error { return nil }

func (f *cloud) Connected() (string, bool) { return "c", true }

// jobs are the jobs of a cloud.
type jobs struct{ *cloud }

// watch returns a watch of a job that is complete.
func (j jobs) watch(kind cairn.JobKind) (cairn.Watch, error) {
	job := j.job(kind)
	job.Status = cairn.JobCompleted
	return func(context.Context) (cairn.Job, error) { return job, nil }, nil
}

func (j jobs) Create(context.Context) (cairn.Watch, error) {
	j.ask("create")
	return j.watch(cairn.Creation)
}

func (j jobs) CreateFrom(_ context.Context, documents iter.Seq2[cairn.Document, error]) (cairn.Watch, error) {
	for doc, err := range documents {
		if err != nil {
			return nil, err
		}
		j.ask("create from %s", doc.JSON)
	}
	return j.watch(cairn.Creation)
}

func (j jobs) Restore(_ context.Context, b cairn.Backup) (cairn.Watch, error) {
	j.ask("restore %s", b.ID)
	return j.watch(cairn.Restoration)
}

func (j jobs) Undo(context.Context) (cairn.Watch, error) {
	j.ask("undo")
	return j.watch("undo")
}

func (j jobs) Cancel(_ context.Context, kind cairn.JobKind, id string) error {
	j.ask("cancel %s %s", kind, id)
	return nil
}

func (j jobs) Feed() cairn.Feed {
	return func(context.Context) ([]cairn.Job, error) { return j.List(), nil }
}

func (j jobs) job(kind cairn.JobKind) cairn.Job {
	return cairn.Job{ID: "j", Kind: kind, Backup: j.backup, Status: cairn.JobInProgress, Progress: cairn.Progress{Done: 1, Total: 2}, Started: j.backup.Created}
}

func (j jobs) Creation(_ context.Context, id string) (cairn.Job, error) {
	j.ask("creation %s", id)
	return j.job(cairn.Creation), nil
}

func (j jobs) Restoration(_ context.Context, id string) (cairn.Job, error) {
	j.ask("restoration %s", id)
	return j.job(cairn.Restoration), nil
}

func (j jobs) List() []cairn.Job { return []cairn.Job{j.job(cairn.Restoration)} }

// sample is the backup of a cloud, and shown is what the wire shows of it.
var (
	sample = cairn.Backup{
		ID: "1_a", Version: "1", Timestamp: "a", Created: time.Date(2026, 11, 23, 7, 25, 41, 123e6, time.UTC), Bytes: 10,
		DeviceName: "dev box", Platform: "LINUX", Scope: cairn.ScopeAll, Documents: 3, Line: "l", Installation: "i",
	}
	shown = api.Backup{
		ID: "1_a", Version: "1", Timestamp: "a", Bytes: 10, Created: api.GroupedTimestamp{Value: "2026-11-23T07:25:41.123Z"},
		DeviceName: "dev box", Platform: "LINUX",
	}
)

// TestBackups calls each operation on backups once.
func TestBackups(t *testing.T) {
	f := &cloud{backup: sample}
	c, ctx := serve(t, f, jobs{f}, httpapi.Config{}), t.Context()

	want := shown
	details := api.BackupDetails{
		Backup: want, Scope: cairn.ScopeAll, Documents: 3, Line: "l", Installation: "i", Digest: "00000000000000000000000000000000",
	}
	status := api.BackupStatus{Value: cairn.JobInProgress, Percentage: 50, Backup: want}
	job := api.Job{
		ID: "j", Kind: cairn.Restoration, Backup: want, Status: cairn.JobInProgress, Percentage: 50, DoneBytes: 1, TotalBytes: 2,
		Started: want.Created.Value,
	}
	forget := api.ForgetRequest{Policy: &api.Retention{KeepDaily: 7}, Device: "laptop"}
	forgotten := api.Forgotten{Policy: *forget.Policy, Removed: 1, Decisions: []api.Decision{{
		ID: "1_a", Created: want.Created.Value, Modified: want.Created.Value, DeviceName: "dev box", Installation: "i", Reasons: []string{}, Removed: true,
	}}}
	for name, call := range map[string]struct {
		do    func() (any, error)
		want  any
		asked string
	}{
		"ForgetBackups":     {func() (any, error) { return c.ForgetBackups(ctx, forget) }, forgotten, "forget --keep-daily 7 of laptop"},
		"Backups":           {func() (any, error) { return c.Backups(ctx) }, []api.Backup{want}, ""},
		"Backup":            {func() (any, error) { return c.Backup(ctx, "1_a") }, want, "backup 1_a"},
		"BackupDetails":     {func() (any, error) { return c.BackupDetails(ctx, "1_a") }, details, "backup 1_a"},
		"CreateBackup":      {func() (any, error) { return c.CreateBackup(ctx) }, want, "create"},
		"RestoreBackup":     {func() (any, error) { return c.RestoreBackup(ctx, "1_a") }, want, "restore 1_a"},
		"CancelCreation":    {func() (any, error) { return nil, c.CancelCreation(ctx, "1_a") }, nil, "cancel creation 1_a"},
		"CancelRestoration": {func() (any, error) { return nil, c.CancelRestoration(ctx, "1_a") }, nil, "cancel restoration 1_a"},
		"DeleteBackup":      {func() (any, error) { return nil, c.DeleteBackup(ctx, "1_a") }, nil, "delete 1_a"},
		"UndoRestore":       {func() (any, error) { return nil, c.UndoRestore(ctx) }, nil, "undo"},
		"CreationStatus":    {func() (any, error) { return c.CreationStatus(ctx, "1_a") }, status, "creation 1_a"},
		"RestorationStatus": {func() (any, error) { return c.RestorationStatus(ctx, "1_a") }, status, "restoration 1_a"},
		"Jobs":              {func() (any, error) { return c.Jobs(ctx) }, []api.Job{job}, ""},
	} {
		f.asked = nil
		got, err := call.do()
		if diff := cmp.Diff(call.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
		var asked []string
		if call.asked != "" {
			asked = []string{call.asked}
		}
		if diff := cmp.Diff(asked, f.asked); diff != "" {
			t.Errorf("%s asked for other things (-want +got)\n%s", name, diff)
		}
	}

	f.asked = nil
	asset := func(id string) json.RawMessage {
		return json.RawMessage(`{"id":"` + id + `","n":1.0,"formats":{"iterable":[]}}`)
	}
	if _, err := c.WriteDocuments(ctx, []api.DocumentLine{{Collection: cairn.CollectionAssets, ID: "own", Document: asset("own")}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.BackUpAssets(ctx, asset("a"), asset("b")), c.BackUpAsset(ctx, asset("c")), c.BackUpAllAssets(ctx)); err != nil {
		t.Error(err)
	}
	var from []string
	for _, id := range []string{"a", "b", "c", "own"} {
		from = append(from, fmt.Sprintf("create from %s", asset(id)))
	}
	if diff := cmp.Diff(from, f.asked); diff != "" {
		t.Errorf("other assets are backed up (-want +got)\n%s", diff)
	}
	wantCode(t, "no assets", c.BackUpAssets(ctx), cairn.CodeInvalid)
	wantCode(t, "no asset", c.BackUpAsset(ctx, nil), cairn.CodeInvalid)

	st, err := c.Status(ctx)
	if err != nil || st.Cloud.State != cairn.CloudReady || st.LastBackup == nil || st.LastBackup.ID != "1_a" || *st.ChangesSinceBackup != 2 {
		t.Errorf("the status is %+v, %v", st, err)
	}
	wantCode(t, "an odd id", func() error { _, err := c.Backup(ctx, "../x"); return err }(), cairn.CodeBackupNotFound)
	wantCode(t, "no id", func() error { return c.DeleteBackup(ctx, "") }(), cairn.CodeNotFound)
}
