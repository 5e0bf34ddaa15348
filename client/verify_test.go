package client_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

// Verify implements httpapi.Verifier.
func (f *cloud) Verify(_ context.Context, id string, readData bool, tell func(cairn.Progress)) (cairn.Verification, error) {
	return f.look(fmt.Sprintf("verify %s %t", id, readData), tell)
}

// CheckCloud implements httpapi.Verifier.
func (f *cloud) CheckCloud(_ context.Context, subset cairn.Subset, tell func(cairn.Progress)) (cairn.Verification, error) {
	return f.look(fmt.Sprintf("check %+v", subset), tell)
}

func (f *cloud) look(what string, tell func(cairn.Progress)) (cairn.Verification, error) {
	f.ask("%s", what)
	tell(cairn.Progress{Done: 1, Total: 4})
	return cairn.Verification{Backups: 3, Damaged: []cairn.Finding{{Object: "parts/a", Problem: &cairn.Error{Code: cairn.CodeDamaged, Message: "It is."}, Backups: []string{"1_a"}}}}, nil
}

// TestVerify calls each verification in each way.
func TestVerify(t *testing.T) {
	f := &cloud{backup: sample}
	c, ctx := serve(t, f, jobs{f}, httpapi.Config{}), t.Context()
	want := api.Verification{
		Backups: 3, Unchecked: []api.Finding{}, Affected: []api.AffectedBackup{},
		Damaged: []api.Finding{{Object: "parts/a", Cause: api.Cause{Code: cairn.CodeDamaged, Detail: "It is."}, Backups: []string{"1_a"}}},
	}
	for _, test := range []struct {
		asked  string
		whole  func() (api.Verification, error)
		stream func(yield func(api.Step[api.Verification], error) bool)
	}{
		{"verify 1_a false", func() (api.Verification, error) { return c.VerifyBackup(ctx, "1_a", false) }, c.StreamVerify(ctx, "1_a", false)},
		{"verify 1_a true", func() (api.Verification, error) { return c.VerifyBackup(ctx, "1_a", true) }, c.StreamVerify(ctx, "1_a", true)},
		{"check {Percent:0 Turn:0 Turns:0}", func() (api.Verification, error) { return c.CheckCloud(ctx, "") }, c.StreamCheck(ctx, "")},
		{"check {Percent:5 Turn:0 Turns:0}", func() (api.Verification, error) { return c.CheckCloud(ctx, "5%") }, c.StreamCheck(ctx, "5%")},
		{"check {Percent:0 Turn:1 Turns:7}", func() (api.Verification, error) { return c.CheckCloud(ctx, "1/7") }, c.StreamCheck(ctx, "1/7")},
	} {
		f.asked = nil
		got, err := test.whole()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", test.asked, err, diff)
		}
		var last api.Step[api.Verification]
		for step, err := range test.stream {
			if err != nil || last.Ended() {
				t.Errorf("%s: %+v, %v after %+v", test.asked, step, err, last)
			}
			last = step
		}
		if last.Result == nil || last.Percentage != 100 {
			t.Fatalf("%s: the last step is %+v", test.asked, last)
		}
		if diff := cmp.Diff(want, *last.Result); diff != "" {
			t.Errorf("%s, streamed (-want +got)\n%s", test.asked, diff)
		}
		if diff := cmp.Diff([]string{test.asked, test.asked}, f.asked); diff != "" {
			t.Errorf("it asked for other things (-want +got)\n%s", diff)
		}
	}
	_, err := c.CheckCloud(ctx, "some")
	wantCode(t, "an odd subset", err, cairn.CodeInvalid)
}

// TestVerifyStreams has streams end in other ways.
func TestVerifyStreams(t *testing.T) {
	for body, want := range map[string]cairn.Code{
		`{"percentage":1}` + "\n": cairn.CodeUnreachable,
		`{"percentage":1}` + "\n" + `{"problem":{"code":"cloud_unreachable","detail":"It is away.","hint":"Wait."}}` + "\n": cairn.CodeCloudLost,
		"<html>": cairn.CodeInternal,
	} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", api.NDJSON)
			fmt.Fprint(w, body)
		})
		wantCode(t, body, drain(c.StreamCheck(t.Context(), "")), want)
	}
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", api.NDJSON)
		fmt.Fprint(w, `{"result":{}}`+"\nwhat comes then")
	})
	if err := drain(c.StreamCheck(t.Context(), "")); err != nil {
		t.Errorf("what comes behind a result is an error: %v", err)
	}
}
