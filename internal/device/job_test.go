package device_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/device"
)

// digests lets cmp compare backups.
var digests = cmp.AllowUnexported(cairn.Digest{})

// fullJob returns a job with a value in every field but Progress.
func fullJob(t *testing.T) cairn.Job {
	t.Helper()
	digest, err := cairn.ParseDigest([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\xfe\xff"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 7, 25, 41, 123456789, time.FixedZone("", 3600))
	job := cairn.Job{
		ID: "j1", Kind: cairn.Restoration, Status: cairn.JobFailed,
		Backup: cairn.Backup{
			ID: "0.1.0_20261123T072541.123456789Z", Version: "0.1.0", Timestamp: "20261123T072541.123456789Z",
			Created: at.Truncate(time.Millisecond), Bytes: 1 << 62, DeviceName: "dev \"box\" é\x01", Platform: "LINUX",
			Installation: "i", Line: "l", Scope: cairn.ScopeAssets, Revision: 7, Documents: 6, Deletions: 5,
			JSONBytes: 4, Digest: digest,
		},
		Reason:  &cairn.Error{Code: cairn.CodeDamaged, Message: "a message", Hint: "a hint"},
		Started: at, Ended: at.Add(time.Nanosecond),
	}
	for _, v := range []reflect.Value{reflect.ValueOf(job), reflect.ValueOf(job.Backup), reflect.ValueOf(*job.Reason)} {
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Field(i).IsZero() && name != "Progress" && name != "Err" {
				t.Fatalf("the test does not set %s.%s", v.Type(), name)
			}
		}
	}
	return job
}

// history reads the jobs of a device.
func history(t *testing.T, d *device.Device) []cairn.Job {
	t.Helper()
	jobs, err := d.Jobs(t.Context())
	if err != nil {
		t.Fatalf("Jobs: %v", err)
	}
	return jobs
}

// TestJobs saves jobs, changes one, and reads them now, after a crash and after
// a restart.
func TestJobs(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	if got := history(t, d); len(got) != 0 {
		t.Errorf("a fresh device has the jobs %+v", got)
	}
	full := fullJob(t)
	first := cairn.Job{ID: full.ID, Kind: cairn.Creation, Status: cairn.JobInitialized, Started: time.Unix(1, 0).UTC()}
	bare := cairn.Job{ID: "j2", Kind: cairn.Creation, Status: cairn.JobInProgress, Started: time.Unix(0, 0).UTC()}
	full.Progress = cairn.Progress{Done: 1, Total: 2}
	full.Reason.Err = errors.New("stays in the process")
	for _, job := range []cairn.Job{first, bare, full} {
		if err := d.SaveJob(t.Context(), job); err != nil {
			t.Fatalf("SaveJob: %v", err)
		}
	}
	want := []cairn.Job{bare, fullJob(t)} // j1 keeps its place
	if diff := cmp.Diff(want, history(t, d), digests); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
	crashed, _ := open(t, config(copyFiles(t, dir), "m1"))
	if diff := cmp.Diff(want, history(t, crashed), digests); diff != "" {
		t.Errorf("after a crash (-want +got):\n%s", diff)
	}
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if data := readFile(t, filepath.Join(dir, device.FileName)); strings.Contains(string(data), "stays in the process") {
		t.Error("the file holds what wraps the reason")
	}
	again, _ := open(t, config(dir, "m1"))
	if diff := cmp.Diff(want, history(t, again), digests); diff != "" {
		t.Errorf("opened again (-want +got):\n%s", diff)
	}
}

// TestForgetJobs removes jobs, all or none.
func TestForgetJobs(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	for i := range 5 {
		if err := d.SaveJob(t.Context(), cairn.Job{ID: fmt.Sprint("j", i), Kind: cairn.Creation}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.ForgetJobs(t.Context(), "j1", "unknown", "j3"); err != nil {
		t.Errorf("ForgetJobs: %v", err)
	}
	if err := d.ForgetJobs(t.Context()); err != nil {
		t.Errorf("ForgetJobs of none: %v", err)
	}
	for name, d := range map[string]*device.Device{"now": d, "after a crash": reopened(t, dir)} {
		var ids []string
		for _, job := range history(t, d) {
			ids = append(ids, job.ID)
		}
		if diff := cmp.Diff([]string{"j4", "j2", "j0"}, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// reopened returns the device of a copy of its files.
func reopened(t *testing.T, dir string) *device.Device {
	t.Helper()
	d, _ := open(t, config(copyFiles(t, dir), "m1"))
	return d
}

// TestOlderFile opens a file that an earlier build made, without these tables.
func TestOlderFile(t *testing.T) {
	dir := t.TempDir()
	first := visit(t, config(dir, "m1"))
	for _, table := range []string{"jobs", "clouds", "made", "manifests"} {
		query(t, dir, "DROP TABLE "+table)
	}
	d, again := open(t, config(dir, "m1"))
	if again != first {
		t.Errorf("the device is %+v, want %+v", again, first)
	}
	fillAll(t, d, fullJob(t))
	crashed, _ := open(t, config(copyFiles(t, dir), "m1"))
	checkAll(t, crashed, fullJob(t))
}

// fillAll puts one thing into each table.
func fillAll(t *testing.T, d *device.Device, job cairn.Job) {
	t.Helper()
	if err := errors.Join(
		d.SaveJob(t.Context(), job),
		d.SetKnownCloud(t.Context(), "file:///a", "file:///a", "c1"),
		d.CountBackup(t.Context(), "c1"),
		d.Store(t.Context(), "c1", "backups/1", []byte("manifest")),
	); err != nil {
		t.Fatal(err)
	}
}

// checkAll fails the test unless d has what fillAll put there.
func checkAll(t *testing.T, d *device.Device, job cairn.Job) {
	t.Helper()
	if diff := cmp.Diff([]cairn.Job{job}, history(t, d), digests); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
	known, err1 := d.KnownCloud(t.Context(), "file:///a")
	made, err2 := d.BackupsMade(t.Context(), "c1")
	cached, err3 := d.Cached(t.Context(), "c1")
	if err := errors.Join(err1, err2, err3); err != nil || known != "c1" || made != 1 || string(cached["backups/1"]) != "manifest" {
		t.Errorf("the clouds are %q, %d, %q, %v", known, made, cached, err)
	}
}

// TestJobsDamaged names the file and the job that cannot be read; a table that
// is not ours is damage too.
func TestJobsDamaged(t *testing.T) {
	for _, spoil := range []string{
		"UPDATE jobs SET data = 'x'",
		"UPDATE jobs SET data = '{}'",
		`UPDATE jobs SET data = '{"digest":"zz"}'`,
		"UPDATE jobs SET started = 'yesterday'",
		"UPDATE jobs SET ended = '1'",
		"ALTER TABLE jobs RENAME COLUMN data TO other",
	} {
		dir := t.TempDir()
		d, _ := open(t, config(dir, "m1"))
		fillAll(t, d, fullJob(t))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		query(t, dir, spoil)
		d, _ = open(t, config(dir, "m1"))
		_, err := d.Jobs(t.Context())
		e, ok := errors.AsType[*cairn.Error](err)
		if !ok || e.Code != cairn.CodeDamaged || e.Hint == "" || !strings.Contains(e.Message, device.FileName) {
			t.Errorf("%s: Jobs: %v, want damaged", spoil, err)
		}
		if made, err := d.BackupsMade(t.Context(), "c1"); made != 1 || err != nil {
			t.Errorf("%s: the rest is lost: %d, %v", spoil, made, err)
		}
	}
}

// TestRefused is each method under a cancelled context, and after Close.
func TestRefused(t *testing.T) {
	d, _ := open(t, config(t.TempDir(), "m1"))
	fillAll(t, d, fullJob(t))
	methods := []func(context.Context) error{
		func(ctx context.Context) error { return d.SaveJob(ctx, cairn.Job{ID: "j2"}) },
		func(ctx context.Context) error { return d.ForgetJobs(ctx, "j1") },
		func(ctx context.Context) error { _, err := d.Jobs(ctx); return err },
		func(ctx context.Context) error { return d.SetKnownCloud(ctx, "file:///a", "file:///a", "c2") },
		func(ctx context.Context) error { _, err := d.KnownCloud(ctx, "file:///a"); return err },
		func(ctx context.Context) error { _, err := d.KnownClouds(ctx); return err },
		func(ctx context.Context) error { return d.SetCurrentCloud(ctx, cairn.CurrentCloud{Place: "x"}) },
		func(ctx context.Context) error { return d.AcknowledgeKit(ctx, "c1") },
		func(ctx context.Context) error { _, err := d.KitAcknowledged(ctx, "c1"); return err },
		func(ctx context.Context) error { return d.CountBackup(ctx, "c1") },
		func(ctx context.Context) error { _, err := d.BackupsMade(ctx, "c1"); return err },
		func(ctx context.Context) error { return d.Store(ctx, "c1", "backups/1", nil) },
		func(ctx context.Context) error { _, err := d.Cached(ctx, "c1"); return err },
		func(ctx context.Context) error { return d.Forget(ctx, "c1", []string{"backups/1"}) },
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i, method := range methods {
		if err := method(ctx); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
			t.Errorf("method %d under a cancelled context: %v", i, err)
		}
	}
	checkAll(t, d, fullJob(t))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for i, method := range methods {
		if _, ok := errors.AsType[*cairn.Error](method(t.Context())); !ok {
			t.Errorf("method %d after Close returned no *cairn.Error", i)
		}
	}
	if err := d.SaveJob(t.Context(), cairn.Job{Backup: cairn.Backup{Created: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}}); cairn.CodeOf(err) != cairn.CodeInternal {
		t.Errorf("a job that JSON cannot hold: %v", err)
	}
}

// TestConcurrent has writers and readers of all tables at once.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 20 {
				name := fmt.Sprint("backups/", w, "/", i)
				job := cairn.Job{ID: fmt.Sprint(w, " ", i), Kind: cairn.Creation, Status: cairn.JobCompleted, Ended: time.Unix(1, 0)}
				if err := errors.Join(
					d.CountBackup(t.Context(), "c1"),
					d.Store(t.Context(), "c1", name, []byte(name)),
					d.SaveJob(t.Context(), job),
				); err != nil {
					t.Errorf("writing: %v", err)
				}
			}
		})
		all.Go(func() {
			for range 20 {
				jobs, err := d.Jobs(t.Context())
				cached, err2 := d.Cached(t.Context(), "c1")
				if err := errors.Join(err, err2); err != nil || len(jobs) > 160 {
					t.Errorf("reading: %d jobs, %v", len(jobs), err)
				}
				for name, data := range cached {
					if string(data) != name {
						t.Errorf("under %s is %q", name, data)
					}
				}
			}
		})
	}
	all.Wait()
	made, err := d.BackupsMade(t.Context(), "c1")
	cached, err2 := d.Cached(t.Context(), "c1")
	if made != 160 || len(cached) != 160 || len(history(t, d)) != 160 || err != nil || err2 != nil {
		t.Errorf("%d made, %v; %d manifests, %v; %d jobs", made, err, len(cached), err2, len(history(t, d)))
	}
}

// TestReadersDoNotWait reads while another program holds the file for writing.
func TestReadersDoNotWait(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	fillAll(t, d, fullJob(t))
	release := holdForWriting(t, dir)
	checkAll(t, d, fullJob(t)) // would fail as in use after ten seconds
	written := make(chan error, 1)
	go func() { written <- d.CountBackup(context.WithoutCancel(t.Context()), "c1") }()
	checkAll(t, d, fullJob(t))
	release()
	if err := <-written; err != nil {
		t.Errorf("CountBackup: %v", err)
	}
	if made, err := d.BackupsMade(t.Context(), "c1"); made != 2 || err != nil {
		t.Errorf("BackupsMade = %d, %v; want 2", made, err)
	}
	if got := query(t, dir, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("the file is not whole: %s", got)
	}
}
