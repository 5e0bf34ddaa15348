package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/api"
)

// A verifying is what a fakeCloud was asked to verify, and what it is to do.
type verifying func(ctx context.Context, what string, tell func(cairn.Progress)) (cairn.Verification, error)

// Verify implements httpapi.Verifier.
func (f *fakeCloud) Verify(ctx context.Context, id string, readData bool, tell func(cairn.Progress)) (cairn.Verification, error) {
	return f.look(ctx, fmt.Sprintf("verify %s %t", id, readData), tell)
}

// CheckCloud implements httpapi.Verifier.
func (f *fakeCloud) CheckCloud(ctx context.Context, subset cairn.Subset, tell func(cairn.Progress)) (cairn.Verification, error) {
	return f.look(ctx, fmt.Sprintf("check %+v", subset), tell)
}

func (f *fakeCloud) look(ctx context.Context, what string, tell func(cairn.Progress)) (cairn.Verification, error) {
	if f.verifying != nil {
		return f.verifying(ctx, what, tell)
	}
	if err := f.begin(ctx, what); err != nil {
		return cairn.Verification{}, err
	}
	tell(cairn.Progress{Done: 1, Total: 2})
	return found(), nil
}

// found is a verification that has found one of everything.
func found() cairn.Verification {
	problem := &cairn.Error{Code: cairn.CodeDamaged, Message: "It is damaged.", Hint: "Mend it.", Err: errors.New("internal")}
	return cairn.Verification{
		Backups: 4, Objects: 9, Bytes: 1000, Read: 3, ReadBytes: 300, Unreferenced: 2, UnreferencedBytes: 20, Foreign: 1,
		Damaged:   []cairn.Finding{{Object: "parts/aa/a", Problem: problem, Backups: []string{"b", "a"}, MoreBackups: 1}},
		Unchecked: []cairn.Finding{{Object: "parts/bb/b", Problem: problem}},
		Affected:  []cairn.AffectedBackup{{ID: "b", Created: time.Date(2026, 11, 23, 7, 25, 41, 123e6, time.UTC), DeviceName: "dev", Objects: 1}},
	}
}

// verifications are the requests that verify, and what they ask for.
var verifications = map[string]string{
	"/v1/backups/" + sampleID + "/verify":                 "verify " + sampleID + " false",
	"/v1/backups/" + sampleID + "/verify?read_data=true":  "verify " + sampleID + " true",
	"/v1/backups/" + sampleID + "/verify?read_data=false": "verify " + sampleID + " false",
	"/v1/cloud/check":                         "check {Percent:0 Turn:0 Turns:0}",
	"/v1/cloud/check?read_data_subset=2.5%25": "check {Percent:2.5 Turn:0 Turns:0}",
	"/v1/cloud/check?read_data_subset=100%25": "check {Percent:100 Turn:0 Turns:0}",
	"/v1/cloud/check?read_data_subset=2/5":    "check {Percent:0 Turn:2 Turns:5}",
}

// TestVerify asks for each verification, as a document and as a stream.
func TestVerify(t *testing.T) {
	d, f := startCloud(t)
	for path, asked := range verifications {
		a := d.post(path, "")
		if calls := f.called(); len(calls) != 1 || calls[0] != asked {
			t.Errorf("%s asks for %q, want %q", path, calls, asked)
		}
		var v api.Verification
		if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != http.StatusOK || v.Damaged[0].Object != "parts/aa/a" || v.Damaged[0].Detail != "It is damaged." ||
			v.Affected[0].Created != "2026-11-23T07:25:41.123Z" || v.ReadParts != 3 || len(v.Unchecked[0].Backups) != 0 || strings.Contains(a.body, "internal") {
			t.Errorf("%s is answered with %d %s, %v", path, a.status, a.body, err)
		}
		for _, media := range []string{api.NDJSON, api.SSE} {
			steps := stepsOf(t, d.do("POST", path, api.JSON, "", "Accept", media).body)
			if last := steps[len(steps)-1]; last.Result == nil || last.Percentage != 100 || last.Result.MoreDamaged != v.MoreDamaged || last.Result.Damaged[0].Object != v.Damaged[0].Object {
				t.Errorf("%s ends with %+v", path, last)
			}
			f.called()
		}
	}
}

// stepsOf returns the steps of a stream.
func stepsOf(t *testing.T, body string) (steps []api.Step[api.Verification]) {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := strings.TrimPrefix(lines.Text(), "data: ")
		if line == "" {
			continue
		}
		var s api.Step[api.Verification]
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		t.Fatalf("no step is in %q", body)
	}
	return steps
}

// TestVerifyRefused refuses what cannot be meant, and tells of failures with their
// own status, as a stream does that has not begun.
func TestVerifyRefused(t *testing.T) {
	d, f := startCloud(t)
	for _, test := range []struct {
		path   string
		status int
		code   cairn.Code
	}{
		{"/v1/backups/" + sampleID + "/verify?read_data=perhaps", 400, cairn.CodeInvalid},
		{"/v1/cloud/check?read_data_subset=0%25", 400, cairn.CodeInvalid},
		{"/v1/cloud/check?read_data_subset=all", 400, cairn.CodeInvalid},
		{"/v1/backups/..x%20/verify", 500, cairn.CodeBackupNotFound},
	} {
		if a := d.post(test.path, ""); a.status != test.status || a.problem.Code != test.code || len(f.called()) > 0 {
			t.Errorf("%s is answered with %d %s, want %d %s", test.path, a.status, a.body, test.status, test.code)
		}
	}
	for code, status := range map[cairn.Code]int{cairn.CodeCheckRunning: 409, cairn.CodeCloudLost: 500, cairn.CodeFormatTooNew: 505, cairn.CodeCloudLocked: 511} {
		f.err = &cairn.Error{Code: code, Message: "It cannot be.", Hint: "Try again."}
		for path := range verifications {
			for _, accept := range []string{"*/*", api.NDJSON, api.SSE} {
				if a := d.do("POST", path, api.JSON, "", "Accept", accept); a.status != status || a.problem.Code != code {
					t.Errorf("%s as %s fails with %d %s, want %d %s", path, accept, a.status, a.body, status, code)
				}
			}
		}
	}
	f.err = nil
	f.called()
	d.wantErrors = d.log.count(slog.LevelError, "")
	d.device.signedOut.Store(true)
	for path := range verifications {
		if a := d.post(path, ""); a.problem.Code != cairn.CodeSignedOut || len(f.called()) > 0 {
			t.Errorf("signed out, %s is answered with %d %s", path, a.status, a.body)
		}
	}
}

// unhurried is work of a hundred steps of 100 ms each, that ends with its context.
func unhurried(err error) verifying {
	return func(ctx context.Context, _ string, tell func(cairn.Progress)) (cairn.Verification, error) {
		for i := range 101 {
			tell(cairn.Progress{Done: int64(i), Total: 100 + int64(i/50)*100}) // more than it seemed
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return cairn.Verification{}, context.Cause(ctx)
			}
		}
		return found(), err
	}
}

// take has the log tell of so many failures, and forgets them.
func (l *logbook) take(t *testing.T, failures int) {
	t.Helper()
	if n := l.count(slog.LevelError, "request failed"); n != failures {
		t.Errorf("the log tells of %d failures, want %d: %s", n, failures, l)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// TestVerifySteps tells of progress at most four times a second, and of one end.
func TestVerifySteps(t *testing.T) {
	for _, failure := range []error{nil, errDamaged, errors.New("internal")} {
		perform(t, func(t *testing.T, s *stage) {
			s.cloud.verifying = unhurried(failure)
			a := s.document("POST", "/v1/cloud/check", "Accept", api.NDJSON)
			steps := stepsOf(t, a.body)
			if n := len(steps); n < 30 || n > 42 {
				t.Errorf("ten seconds make %d steps", n)
			}
			for i, step := range steps {
				if i > 0 && (step.DoneBytes < steps[i-1].DoneBytes || step.Percentage < steps[i-1].Percentage && !step.Ended()) || (i == len(steps)-1) != step.Ended() {
					t.Errorf("step %d is %+v", i, step)
				}
			}
			last := steps[len(steps)-1]
			if (last.Result == nil) != (failure != nil) || failure != nil && (last.Err() == nil || strings.Contains(last.Problem.Detail, "internal")) {
				t.Errorf("after %v the last step is %+v", failure, last)
			}
			if failure != nil {
				s.log.take(t, 1)
			}
		})
	}
}

// TestVerifyHeartbeat has a document that takes long say so by white space.
func TestVerifyHeartbeat(t *testing.T) {
	perform(t, func(t *testing.T, s *stage) {
		s.cloud.verifying = func(ctx context.Context, _ string, tell func(cairn.Progress)) (cairn.Verification, error) {
			time.Sleep(295 * time.Second)
			return found(), nil
		}
		began := time.Now()
		a := s.document("POST", "/v1/cloud/check")
		if spaces := len(a.body) - len(strings.TrimLeft(a.body, " ")); a.status != 200 || spaces != 16 || time.Since(began) != 295*time.Second {
			t.Errorf("after %s the answer is %d with %d spaces: %.100s", time.Since(began), a.status, spaces, a.body)
		}
	})
}

// TestVerifyEnds has work end with its client, and with the daemon.
func TestVerifyEnds(t *testing.T) {
	for _, accept := range []string{"*/*", api.NDJSON} {
		for _, daemon := range []bool{false, true} {
			perform(t, func(t *testing.T, s *stage) {
				ended := make(chan error, 1)
				s.cloud.verifying = func(ctx context.Context, what string, tell func(cairn.Progress)) (cairn.Verification, error) {
					v, err := unhurried(nil)(ctx, what, tell)
					ended <- err
					return v, err
				}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				req, err := http.NewRequestWithContext(ctx, "POST", "http://localhost/v1/cloud/check", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Accept", accept)
				go func() {
					if resp, err := s.client.Do(req); err == nil {
						defer resp.Body.Close()
						for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
						}
					}
				}()
				time.Sleep(time.Second)
				if daemon {
					s.jobs.Close()
					s.server.Close()
					s.stopped = true
				} else {
					leave()
				}
				synctest.Wait()
				select {
				case err := <-ended:
					if daemon && cairn.CodeOf(err) != cairn.CodeShuttingDown || !daemon && !errors.Is(err, context.Canceled) {
						t.Errorf("as %s, daemon %t: it ended with %v", accept, daemon, err)
					}
				default:
					t.Errorf("as %s, daemon %t: it goes on", accept, daemon)
				}
				if daemon {
					s.log.take(t, 1)
				}
			})
		}
	}
}
