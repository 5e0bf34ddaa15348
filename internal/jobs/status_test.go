package jobs_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
)

// TestProgress only ever goes up, whatever the engine reports.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.create(t.Context())
		c := f.engine.last(t, "create")
		for _, tt := range []struct{ report, want cairn.Progress }{
			{cairn.Progress{Total: 100}, cairn.Progress{Total: 100}},
			{cairn.Progress{Done: 50, Total: 100}, cairn.Progress{Done: 50, Total: 100}},
			{cairn.Progress{Done: 40, Total: 100}, cairn.Progress{Done: 50, Total: 100}},
			{cairn.Progress{}, cairn.Progress{Done: 50, Total: 100}},
			{cairn.Progress{Done: 60, Total: 1000}, cairn.Progress{Done: 50, Total: 100}},
			{cairn.Progress{Done: 20, Total: 20}, cairn.Progress{Done: 50, Total: 100}},
			{cairn.Progress{Done: -1, Total: -1}, cairn.Progress{Done: 50, Total: 100}},
			{cairn.Progress{Done: 600, Total: 1000}, cairn.Progress{Done: 600, Total: 1000}},
		} {
			c.report(backup("B"), tt.report)
			if got := f.List()[0].Progress; got != tt.want {
				t.Errorf("after the report %+v the progress is %+v, want %+v", tt.report, got, tt.want)
			}
		}
		old := f.List()[0]
		for range 10_000 {
			c.report(backup("B"), cairn.Progress{Done: rand.Int64N(1 << 40), Total: rand.Int64N(1 << 40)})
			job := f.List()[0]
			if job.Percentage() < old.Percentage() || job.Progress.Done < old.Progress.Done {
				t.Fatalf("the progress went from %+v to %+v", old.Progress, job.Progress)
			}
			old = job
		}
		c.end <- ending{backup: backup("B")}
		synctest.Wait()
		c.report(backup("late"), cairn.Progress{Done: 1 << 50, Total: 1 << 50})
		if job := f.List()[0]; job.Backup.ID != "B" || job.Progress != old.Progress || job.Percentage() != 100 {
			t.Errorf("after a late report the job is %+v", job)
		}
		want := []string{"INITIALIZED ", "IN-PROGRESS ", "IN-PROGRESS B", "COMPLETED B"}
		if diff := cmp.Diff(want, f.history.saves("j1")); diff != "" {
			t.Errorf("saved (-want +got):\n%s", diff)
		}
	})
}

// TestBackupChanges follows the backup of a job through its reports.
func TestBackupChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.create(t.Context())
		c := f.engine.last(t, "create")
		c.report(cairn.Backup{}, cairn.Progress{Done: 1, Total: 4})
		if _, err := f.Creation(t.Context(), ""); cairn.CodeOf(err) != cairn.CodeJobNotFound {
			t.Errorf("the creation of no backup: %v", err)
		}
		for _, id := range []string{"taken", "B"} {
			c.report(backup(id), cairn.Progress{Done: 2, Total: 4})
			job, err := f.Creation(t.Context(), id)
			if err != nil || job.Status != cairn.JobInProgress || job.Percentage() != 50 {
				t.Errorf("the creation of %q is %+v, %v", id, job, err)
			}
		}
		c.report(cairn.Backup{}, cairn.Progress{Done: 3, Total: 4})
		if _, err := f.Creation(t.Context(), "taken"); cairn.CodeOf(err) != cairn.CodeJobNotFound {
			t.Errorf("the creation of the name that was taken: %v", err)
		}
		c.end <- ending{err: &cairn.Error{Code: cairn.CodeDiskFull}}
		synctest.Wait()
		want := []string{"INITIALIZED ", "IN-PROGRESS ", "IN-PROGRESS taken", "IN-PROGRESS B", "FAILED B"}
		if diff := cmp.Diff(want, f.history.saves("j1")); diff != "" {
			t.Errorf("saved of the creation (-want +got):\n%s", diff)
		}

		f.restore(t.Context(), "A")
		c = f.engine.last(t, "restore A")
		c.report(backup("other"), cairn.Progress{}) // not what was asked for
		c.report(backup("A"), cairn.Progress{})
		if job, err := f.Restoration(t.Context(), "A"); err != nil || job.Backup != backup("A") {
			t.Errorf("the restoration is %+v, %v", job, err)
		}
		c.end <- ending{err: &cairn.Error{Code: cairn.CodeDiskFull}}
		synctest.Wait()
		want = []string{"INITIALIZED A", "IN-PROGRESS A", "IN-PROGRESS A", "FAILED A"}
		if diff := cmp.Diff(want, f.history.saves("j2")); diff != "" {
			t.Errorf("saved of the restoration (-want +got):\n%s", diff)
		}

		full, _ := cairn.ParseBackupID("0.1.0_20261123T072541.123456789Z") // as the job has it from the start
		f.restore(t.Context(), full.ID)
		c = f.engine.last(t, "restore "+full.ID)
		full.Bytes = 9
		c.report(full, cairn.Progress{})
		c.report(full, cairn.Progress{})
		if saves := f.history.saves("j3"); len(saves) != 3 || f.history.saved[len(f.history.saved)-1].Backup != full {
			t.Errorf("what the manifest says was saved as %+v, in %q", f.history.saved[len(f.history.saved)-1], saves)
		}
	})
}

// TestRestoration is the newest for the backup.
func TestRestoration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		check := func(id, job string, status cairn.JobStatus) {
			t.Helper()
			synctest.Wait()
			if got, err := f.Restoration(t.Context(), id); err != nil || got.ID != job || got.Status != status {
				t.Errorf("the restoration of %s is %+v, %v; want %s %s", id, got, err, job, status)
			}
		}
		f.restore(t.Context(), "A")
		f.engine.last(t, "restore A").end <- ending{err: errors.New("no")}
		check("A", "j1", cairn.JobFailed)
		f.restore(t.Context(), "A")
		check("A", "j2", cairn.JobInProgress)
		f.restore(t.Context(), "B")
		f.restore(t.Context(), "A")
		check("A", "j4", cairn.JobInitialized)
		check("B", "j3", cairn.JobInitialized)
		for _, id := range []string{"A", "B", "A"} {
			f.engine.last(t, "restore "+id).end <- ending{backup: backup(id)}
		}
		check("A", "j4", cairn.JobCompleted)
		f.engine.backups["C"] = backup("C")
		for _, id := range []string{"C", "", "../x", "\x00"} {
			asked := f.engine.asked
			if job, err := f.Restoration(t.Context(), id); cairn.CodeOf(err) != cairn.CodeJobNotFound || f.engine.asked != asked {
				t.Errorf("the restoration of %q is %+v, %v", id, job, err)
			}
		}
	})
}

// TestRestorationBackup has the whole backup in the status of a restoration,
// however little the restoration learned of it.
func TestRestorationBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		ids := []string{"early", "late", "partial", "queued"}
		for _, id := range ids {
			f.restore(t.Context(), id)
		}
		f.engine.last(t, "restore early").end <- ending{err: &cairn.Error{Code: cairn.CodeCloudLost}}
		c := f.engine.last(t, "restore late")
		c.report(backup("late"), cairn.Progress{})
		c.end <- ending{err: &cairn.Error{Code: cairn.CodeDamaged}}
		f.engine.last(t, "restore partial").end <- ending{backup: backup("partial"), err: &cairn.Error{Code: cairn.CodeBackupIsPartial}}
		f.engine.last(t, "restore queued")
		check := func(id string, want cairn.Backup, asked int) {
			t.Helper()
			f.engine.asked = 0
			job, err := f.Restoration(t.Context(), id)
			if err != nil || job.Backup != want || f.engine.asked != asked {
				t.Errorf("the restoration of %s is of %+v (%v), and the cloud was asked %d times; want %+v and %d",
					id, job.Backup, err, f.engine.asked, want, asked)
			}
		}
		check("late", backup("late"), 0)
		check("partial", backup("partial"), 0)

		f.engine.lost = &cairn.Error{Code: cairn.CodeCloudLost}
		check("early", cairn.Backup{ID: "early"}, 1)
		f.engine.lost, f.engine.hangs = nil, true
		begin := time.Now()
		check("queued", cairn.Backup{ID: "queued"}, 1)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("a cloud that does not answer kept the status for %s, want 5s", took)
		}
		f.engine.hangs = false
		for _, id := range ids {
			f.engine.backups[id] = backup(id)
		}
		check("early", backup("early"), 1)
		check("early", backup("early"), 0)
		check("queued", backup("queued"), 1)
		check("queued", backup("queued"), 0)
		f.engine.last(t, "restore queued").end <- ending{err: errors.New("no")}
		synctest.Wait()
		for _, job := range f.List() {
			if job.Backup != backup(job.Backup.ID) {
				t.Errorf("the list has %+v", job)
			}
			i := slices.IndexFunc(f.history.saved, func(saved cairn.Job) bool { return saved == job })
			if i < 0 {
				t.Errorf("%+v was not saved", job)
			}
		}
	})
}

// TestRestoreUnknown restores what is not there: it leaves no job.
func TestRestoreUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		a := f.restore(t.Context(), "A")
		f.engine.last(t, "restore A").end <- ending{err: &cairn.Error{Code: cairn.CodeBackupNotFound}}
		a.check(t, "", cairn.CodeBackupNotFound)
		if job, err := f.Restoration(t.Context(), "A"); cairn.CodeOf(err) != cairn.CodeJobNotFound {
			t.Errorf("the restoration is %+v, %v", job, err)
		}
		saves := f.history.saves("j1")
		if len(f.list()) != 0 || !slices.Equal(f.history.forgot, []string{"j1"}) || saves[len(saves)-1] != "IN-PROGRESS A" {
			t.Errorf("the list is %q; saved %q, forgotten %q", f.list(), saves, f.history.forgot)
		}
	})
}

// TestCreation asks the cloud where the history does not know better.
func TestCreation(t *testing.T) {
	lost := &cairn.Error{Code: cairn.CodeCloudLost}
	for _, tt := range []struct {
		name   string
		status cairn.JobStatus // in the history; "" for no job
		listed bool
		lost   error
		want   cairn.JobStatus // "" for code
		code   cairn.Code
		asked  int
		saved  []string
	}{
		{"unknown", "", false, nil, "", cairn.CodeJobNotFound, 1, nil},
		{"made elsewhere", "", true, nil, cairn.JobCompleted, "", 1, nil},
		{"unknown, cloud away", "", false, lost, "", cairn.CodeCloudLost, 1, nil},
		{"failed", cairn.JobFailed, false, nil, cairn.JobFailed, "", 1, nil},
		{"failed, but listed", cairn.JobFailed, true, nil, cairn.JobCompleted, "", 1, []string{"COMPLETED B"}},
		{"failed, cloud away", cairn.JobFailed, false, lost, cairn.JobFailed, "", 1, nil},
		{"failed, cloud locked", cairn.JobFailed, true, &cairn.Error{Code: cairn.CodeCloudLocked}, cairn.JobFailed, "", 1, nil},
		{"unknown, cloud locked", "", true, &cairn.Error{Code: cairn.CodeCloudLocked}, "", cairn.CodeCloudLocked, 1, nil},
		{"cancelled", cairn.JobCanceled, false, nil, cairn.JobCanceled, "", 1, nil},
		{"complete", cairn.JobCompleted, true, nil, cairn.JobCompleted, "", 0, nil},
		{"complete, deleted since", cairn.JobCompleted, false, nil, cairn.JobCompleted, "", 0, nil},
		{"complete, cloud away", cairn.JobCompleted, false, lost, cairn.JobCompleted, "", 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := setUp()
			defer f.Close()
			if tt.status != "" {
				job := cairn.Job{ID: "h1", Kind: cairn.Creation, Backup: cairn.Backup{ID: "B"}, Status: tt.status}
				if tt.status != cairn.JobCompleted {
					job.Reason = &cairn.Error{Code: cairn.CodeCloudLost}
				}
				f.history.load = []cairn.Job{job}
			}
			if err := f.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if tt.listed {
				f.engine.backups["B"] = backup("B")
			}
			f.engine.lost = tt.lost
			job, err := f.Creation(t.Context(), "B")
			if job.Status != tt.want || cairn.CodeOf(err) != tt.code {
				t.Errorf("the creation is %+v, %v; want %s %s", job, err, tt.want, tt.code)
			}
			if f.engine.asked != tt.asked {
				t.Errorf("the cloud was asked %d times, want %d", f.engine.asked, tt.asked)
			}
			if diff := cmp.Diff(tt.saved, f.history.saves("h1")); diff != "" {
				t.Errorf("saved (-want +got):\n%s", diff)
			}
			if tt.want != cairn.JobCompleted || tt.asked == 0 {
				return
			}
			if job.Reason != nil || job.Backup != backup("B") || job.Percentage() != 100 {
				t.Errorf("the creation is %+v", job)
			}
			if list := f.List(); tt.status != "" && (len(list) != 1 || list[0] != job) {
				t.Errorf("the list is %+v, want %+v", list, job)
			}
		})
	}
}

// TestCreationOfNoID asks for what cannot be the id of a backup.
func TestCreationOfNoID(t *testing.T) {
	f := setUp()
	defer f.Close()
	for _, id := range []string{"", "..", "a/b", "\x00"} {
		if _, err := f.Creation(t.Context(), id); cairn.CodeOf(err) != cairn.CodeJobNotFound || f.engine.asked > 0 {
			t.Errorf("the creation of %q: %v, and the cloud was asked %d times", id, err, f.engine.asked)
		}
	}
}

// TestRecoverListed meets a creation that was cut off behind its commit.
func TestRecoverListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp()
		defer f.Close()
		f.engine.backups["B"] = backup("B")
		f.history.load = []cairn.Job{{ID: "h1", Kind: cairn.Creation, Backup: cairn.Backup{ID: "B"}, Status: cairn.JobInProgress}}
		if err := f.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		list := f.List()
		if len(list) != 1 || list[0].Status != cairn.JobCompleted || list[0].Backup != backup("B") || list[0].Reason != nil {
			t.Errorf("the list is %+v", list)
		}
		if diff := cmp.Diff([]string{"COMPLETED B"}, f.history.saves("h1")); diff != "" {
			t.Errorf("saved (-want +got):\n%s", diff)
		}
	})
}

// TestRecover meets jobs that were cut off.
func TestRecover(t *testing.T) {
	for _, tt := range []struct {
		kind     cairn.JobKind
		status   cairn.JobStatus
		restored string
		want     cairn.JobStatus
	}{
		{cairn.Restoration, cairn.JobInProgress, "h1", cairn.JobCompleted},
		{cairn.Restoration, cairn.JobInitialized, "h1", cairn.JobCompleted},
		{cairn.Restoration, cairn.JobInProgress, "", cairn.JobFailed},
		{cairn.Restoration, cairn.JobInProgress, "h2", cairn.JobFailed},
		{cairn.Restoration, cairn.JobFailed, "", ""},
		{cairn.Restoration, cairn.JobFailed, "h2", ""},
		{cairn.Restoration, cairn.JobFailed, "h1", cairn.JobCompleted}, // CURRENT was written, though that failed
		{cairn.Restoration, cairn.JobCompleted, "h1", ""},
		{cairn.Creation, cairn.JobInProgress, "", cairn.JobFailed},
		{cairn.Creation, cairn.JobInProgress, "h1", cairn.JobFailed},
		{cairn.Creation, cairn.JobInitialized, "", cairn.JobFailed},
		{cairn.Creation, cairn.JobCanceled, "", ""},
		{cairn.Creation, cairn.JobCompleted, "", ""},
	} {
		t.Run(string(tt.kind)+" "+string(tt.status)+" "+tt.restored, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setUp()
				defer f.Close()
				f.engine.restored = tt.restored
				ended := cairn.Job{ID: "h0", Kind: cairn.Creation, Backup: backup("B"), Status: cairn.JobCompleted, Ended: backup("").Created}
				old := cairn.Job{ID: "h1", Kind: tt.kind, Backup: backup("A"), Status: tt.status, Started: backup("").Created}
				f.history.load = []cairn.Job{old, ended}
				time.Sleep(time.Hour)
				if err := f.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				want, saves := old, 0
				if tt.want != "" {
					want.Status, want.Ended, saves = tt.want, time.Now(), 1
				}
				got := f.List()
				if len(got) == 2 && tt.want == cairn.JobFailed {
					if r := got[0].Reason; r == nil || r.Code != cairn.CodeShuttingDown || r.Message != "The daemon stopped before it was done." || r.Hint == "" {
						t.Errorf("the reason is %+v", r)
					}
					want.Reason = got[0].Reason
				}
				if diff := cmp.Diff([]cairn.Job{want, ended}, got, digests); diff != "" {
					t.Errorf("the list (-want +got):\n%s", diff)
				}
				if len(f.history.saved) != saves || saves == 1 && !cmp.Equal(f.history.saved[0], want, digests) {
					t.Errorf("saved: %+v, want %d times %+v", f.history.saved, saves, want)
				}
			})
		})
	}
}
