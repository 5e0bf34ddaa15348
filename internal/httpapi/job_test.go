package httpapi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
)

// TestJobs shows jobs in each state, in the list and by their backups.
func TestJobs(t *testing.T) {
	d, f := startCloud(t)
	answered(t, "no jobs", d.get("/v1/jobs"), 200, `{"iterable":[]}`)
	began := sample().Created
	unknown := cairn.Backup{ID: "unread"}
	const unread = `{"id":"unread","version":"","timestamp":"","bytes":0,"created":{"value":"0001-01-01T00:00:00.000Z"},"device_name":"","platform":"UNKNOWN"}`
	for _, test := range []struct {
		job          cairn.Job
		list, status string
	}{
		{
			cairn.Job{ID: "a", Kind: cairn.Creation, Status: cairn.JobInitialized},
			`{"id":"a","kind":"creation","backup":{"id":"","version":"","timestamp":"","bytes":0,"created":{"value":"0001-01-01T00:00:00.000Z"},"device_name":"","platform":"UNKNOWN"},` +
				`"status":"INITIALIZED","percentage":0,"done_bytes":0,"total_bytes":0}`,
			"",
		},
		{
			cairn.Job{ID: "b", Kind: cairn.Creation, Backup: sample(), Status: cairn.JobInProgress, Progress: cairn.Progress{Done: 10, Total: 10}, Started: began},
			`{"id":"b","kind":"creation","backup":` + sampleJSON + `,"status":"IN-PROGRESS","percentage":99,"done_bytes":10,"total_bytes":10,"started":"2026-11-23T07:25:41.123Z"}`,
			`{"value":"IN-PROGRESS","percentage":99,"backup":` + sampleJSON + `}`,
		},
		{
			cairn.Job{ID: "c", Kind: cairn.Restoration, Backup: unknown, Status: cairn.JobFailed, Progress: cairn.Progress{Done: 1, Total: 4}, Started: began, Ended: began.Add(time.Second),
				Reason: &cairn.Error{Code: cairn.CodeDamaged, Message: "It is <damaged>.", Hint: "Try another.", Err: errSecret}},
			`{"id":"c","kind":"restoration","backup":` + unread + `,"status":"FAILED","percentage":25,"done_bytes":1,"total_bytes":4,` +
				`"started":"2026-11-23T07:25:41.123Z","ended":"2026-11-23T07:25:42.123Z","problem":{"code":"damaged","detail":"It is <damaged>.","hint":"Try another."}}`,
			`{"value":"FAILED","percentage":25,"backup":` + unread + `}`,
		},
		{
			cairn.Job{ID: "d", Kind: cairn.Restoration, Backup: sample(), Status: cairn.JobCanceled, Started: began, Ended: began,
				Reason: &cairn.Error{Code: cairn.CodeShuttingDown, Message: "It stops."}},
			`{"id":"d","kind":"restoration","backup":` + sampleJSON + `,"status":"CANCELED","percentage":0,"done_bytes":0,"total_bytes":0,` +
				`"started":"2026-11-23T07:25:41.123Z","ended":"2026-11-23T07:25:41.123Z","problem":{"code":"shutting_down","detail":"It stops."}}`,
			`{"value":"CANCELED","percentage":0,"backup":` + sampleJSON + `}`,
		},
	} {
		f.jobs = []cairn.Job{test.job}
		answered(t, "the list", d.get("/v1/jobs"), 200, `{"iterable":[`+test.list+`]}`)
		if test.status == "" {
			continue
		}
		answered(t, test.job.ID, d.get("/backup/"+test.job.Backup.ID+"/"+string(test.job.Kind)+"/status"), 200, test.status)
		other := map[cairn.JobKind]string{cairn.Creation: "restoration", cairn.Restoration: "creation"}[test.job.Kind]
		d.refused("the other kind", d.get("/backup/"+test.job.Backup.ID+"/"+other+"/status"), cairn.CodeJobNotFound, "")
	}
	f.jobs = []cairn.Job{{ID: "2", Kind: cairn.Creation, Status: cairn.JobInitialized}, {ID: "1", Kind: cairn.Creation, Status: cairn.JobInitialized}}
	list := parsed(t, d.ok(d.get("/v1/jobs")))
	if at(list, "iterable", 0, "id") != "2" || at(list, "iterable", 1, "id") != "1" {
		t.Errorf("the order has changed: %v", list)
	}
}

// TestCloudStatus shows what is known of the cloud.
func TestCloudStatus(t *testing.T) {
	d, f := startCloud(t)
	f.status = cairn.CloudStatus{
		URL: "file:///backups", ID: "cloud-1", State: cairn.CloudLocked, Local: true, Made: 3,
		Problem: &cairn.Error{Code: cairn.CodeCloudLocked, Message: "No key.", Hint: "Give it.", Err: errSecret},
		Unreadable: []cairn.UnreadableBackup{
			{Name: "backups/x.json.age", Problem: &cairn.Error{Code: cairn.CodeDamaged, Message: "It is damaged.", Err: errSecret}},
			{Name: "backups/y.json.age", Problem: &cairn.Error{Code: cairn.CodeFormatTooNew, Message: "It is newer.", Hint: "Update."}},
		},
	}
	f.last, f.changes = &cairn.Base{Cloud: "cloud-1", Backup: sampleID, Created: sample().Created, Revision: 12}, 0
	st := parsed(t, d.ok(d.get("/v1/status")))
	want := map[string]any{
		"url": "file:///backups", "id": "cloud-1", "state": "locked", "local": true, "backups": 0.0, "backups_made": 3.0,
		"problem": map[string]any{"code": "cloud_locked", "detail": "No key.", "hint": "Give it."},
		"unreadable": []any{
			map[string]any{"name": "backups/x.json.age", "code": "damaged", "detail": "It is damaged."},
			map[string]any{"name": "backups/y.json.age", "code": "format_too_new", "detail": "It is newer.", "hint": "Update."},
		},
	}
	if diff := cmp.Diff(want, st["cloud"]); diff != "" {
		t.Errorf("the cloud: (-want +got)\n%s", diff)
	}
	last := map[string]any{"id": sampleID, "created": "2026-11-23T07:25:41.123Z", "revision": 12.0, "cloud": "cloud-1"}
	if diff := cmp.Diff(last, st["last_backup"]); diff != "" || st["changes_since_backup"] != 0.0 {
		t.Errorf("the last backup: %v changes since (-want +got)\n%s", st["changes_since_backup"], diff)
	}
	f.last = nil
	st = parsed(t, d.ok(d.get("/v1/status")))
	if st["last_backup"] != nil || st["changes_since_backup"] != nil {
		t.Errorf("without a backup: %v", st)
	}
}

// TestAllocation connects the user while the cloud is ready.
func TestAllocation(t *testing.T) {
	d, f := startCloud(t)
	const cloud = "5d5d3d70-5d0c-4b6c-9b2c-0f1e2d3c4b5a"
	running := map[string]any{"status": "RUNNING", "url": "urn:uuid:" + cloud}
	allocation := map[string]any{
		"id": cloud, "user": userID, "project": "cairn",
		"urls": map[string]any{"base": running, "id": running}, "status": map[string]any{"cloud": "RUNNING"},
	}
	for _, test := range []struct {
		connected         string
		signedOut         bool
		user, allocations any
	}{
		{"", false, profile(), []any{}},
		{cloud, false, profile("allocation", allocation), []any{allocation}},
		{"", true, nil, []any{}},
		{cloud, true, nil, []any{}},
	} {
		f.setConnected(test.connected)
		d.device.signedOut.Store(test.signedOut)
		for name, got := range map[string]any{
			"/user":    parsed(t, d.ok(d.get("/user")))["user"],
			"/connect": parsed(t, d.ok(d.post("/connect", "")))["user"],
		} {
			if diff := cmp.Diff(test.user, got); diff != "" {
				t.Errorf("%+v: %s (-want +got)\n%s", test, name, diff)
			}
		}
		if diff := cmp.Diff(test.allocations, parsed(t, d.ok(d.get("/allocations")))["iterable"]); diff != "" {
			t.Errorf("%+v: the allocations (-want +got)\n%s", test, diff)
		}
	}
	in := parsed(t, d.ok(d.post("/os/sign_in", "")))
	if diff := cmp.Diff(profile("allocation", allocation), in); diff != "" {
		t.Errorf("signing in: (-want +got)\n%s", diff)
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("the cloud was asked for %q", calls)
	}
}
