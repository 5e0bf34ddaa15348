package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// Forget decides as the test wants it: two backups, one of which goes.
func (f *fakeCloud) Forget(ctx context.Context, policy cairn.Retention, o cairn.ForgetOptions) (cairn.Forgotten, error) {
	err := f.begin(ctx, fmt.Sprintf("forget %s, device %q, all %t, dry %t", policy, o.Device, o.AllDevices, o.DryRun))
	result := cairn.Forgotten{Policy: policy, DryRun: o.DryRun}
	if len(f.backups) == 0 {
		return result, err
	}
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for _, keep := range []bool{true, false} {
		d := cairn.Decision{DatedBackup: cairn.DatedBackup{Backup: f.backups[0], Modified: at}, Keep: keep, Removed: !keep && !o.DryRun && err == nil}
		if keep {
			d.Reasons = []string{"daily 1 of 7"}
		}
		result.Decisions = append(result.Decisions, d)
	}
	return result, err
}

// decisionJSON is what the wire shows of a decision of the fake's.
func decisionJSON(rest string) string {
	return `{"id":"` + sampleID + `","created":"2026-11-23T07:25:41.123Z","modified":"2026-11-23T08:00:00.000Z","device_name":"dev box","installation":"` + installation + `",` + rest + `}`
}

func TestForget(t *testing.T) {
	d, f := startCloud(t, func(c *httpapi.Config) { c.Retention = cairn.Retention{Weekly: 4} })
	const path = "/v1/backups/forget"
	kept := decisionJSON(`"keep":true,"reasons":["daily 1 of 7"],"removed":false`)
	removed := decisionJSON(`"keep":false,"reasons":[],"removed":true`)
	left := decisionJSON(`"keep":false,"reasons":[],"removed":false`)
	for _, test := range []struct{ name, body, call, want string }{
		{
			"the rules of the configuration", "", `forget --keep-weekly 4, device "", all false, dry false`,
			`{"policy":{"keep_weekly":4},"dry_run":false,"decisions":[` + kept + `,` + removed + `],"removed":1,"left":0}`,
		},
		{
			"all that can be asked", `{"policy":{"keep_last":-1,"keep_within":"2y3h"},"device":"laptop","all_devices":true,"dry_run":true}`,
			`forget --keep-last unlimited --keep-within 2y3h, device "laptop", all true, dry true`,
			`{"policy":{"keep_last":-1,"keep_within":"2y3h"},"dry_run":true,"decisions":[` + kept + `,` + left + `],"removed":0,"left":1}`,
		},
	} {
		answered(t, test.name, d.post(path, test.body), 200, test.want)
		if got := f.called(); !slices.Equal(got, []string{test.call}) {
			t.Errorf("%s asked for %q, want %q", test.name, got, test.call)
		}
	}

	// An empty policy is one: the engine refuses it.
	d.post(path, `{"policy":{}}`)
	if got, want := f.called(), []string{`forget , device "", all false, dry false`}; !slices.Equal(got, want) {
		t.Errorf("an empty policy asked for %q, want %q", got, want)
	}

	// What is not understood deletes nothing.
	for _, body := range []string{
		`{"dryrun":true}`, `{"policy":{"keep_dayly":7}}`, `{"policy":{"keep_last":"1"}}`, `{"policy":{"keep_last":-2}}`, `{"policy":{"keep_within":"1w"}}`, `{"policy":7}`, `[]`,
	} {
		a := d.post(path, body)
		if a.status != 400 || a.problem.Code != cairn.CodeInvalid || a.problem.Hint == "" {
			t.Errorf("%s: status %d, %+v, want 400 and a hint", body, a.status, a.problem)
		}
	}
	d.device.signedOut.Store(true)
	if a := d.post(path, ""); a.status != 511 {
		t.Errorf("signed out: status %d, want 511", a.status)
	}
	d.device.signedOut.Store(false)
	if got := f.called(); len(got) > 0 {
		t.Errorf("a refused request asked for %q", got)
	}

	// A failure after decisions is told with them, any other one is the answer.
	f.err = &cairn.Error{Code: cairn.CodeDenied, Message: "The store says no.", Hint: "Ask its owner."}
	d.wantErrors++
	answered(t, "a failure in the middle", d.post(path, ""), 200, `{"policy":{"keep_weekly":4},"dry_run":false,"decisions":[`+kept+`,`+left+`],"removed":0,"left":1,`+
		`"problem":{"code":"access_denied","detail":"The store says no.","hint":"Ask its owner."}}`)
	f.err = errors.New("secret")
	d.wantErrors++
	answered(t, "an error of the process", d.post(path, ""), 200, `{"policy":{"keep_weekly":4},"dry_run":false,"decisions":[`+kept+`,`+left+`],"removed":0,"left":1,`+
		`"problem":{"code":"internal","detail":"The daemon failed at this request.","hint":"Its log says why."}}`)
	f.backups = nil
	d.wantErrors++
	if a := d.post(path, ""); a.status != 500 || a.problem.Code != cairn.CodeInternal {
		t.Errorf("a failure before decisions: status %d, %+v", a.status, a.problem)
	}
}

// TestRetentionOnTheWire holds that each rule has a field of its own.
func TestRetentionOnTheWire(t *testing.T) {
	var policy cairn.Retention
	i := 0
	for _, n := range policy.Counts() {
		i++
		*n = i
	}
	for _, span := range policy.Spans() {
		i++
		span.Days = i
	}
	if got, err := api.RetentionOf(policy).Policy(); got != policy || err != nil {
		t.Errorf("%+v came back as %+v, %v", policy, got, err)
	}
}
