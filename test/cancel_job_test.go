package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
)

// A runningJob is a creation or a restoration that was begun with a stream of its
// progress, which it was followed on to its end.
type runningJob struct {
	kind   cairn.JobKind
	backup string
	ended  chan struct{} // closed when the stream has ended

	// Set before ended is closed.
	last api.Progress // what the stream said last
	err  error        // why that is not the end of the job
}

// beginJob begins a job, and returns when it has an id. A creation needs no
// backup. Where the daemon goes before, or refuses it, that is the error.
func beginJob(t *testing.T, daemon string, kind cairn.JobKind, backup string) (*runningJob, error) {
	t.Helper()
	path := "/backups/create/streamed"
	if kind == cairn.Restoration {
		path = "/backup/" + url.PathEscape(backup) + "/restore/streamed"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, daemon+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", api.NDJSON)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if err := refusal(resp, http.StatusOK); err != nil {
		return nil, err
	}
	j := &runningJob{kind: kind, ended: make(chan struct{})}
	events := json.NewDecoder(resp.Body)
	if err := events.Decode(&j.last); err != nil {
		resp.Body.Close()
		return nil, err
	}
	j.backup = j.last.Backup.ID
	go func() {
		defer close(j.ended)
		defer resp.Body.Close()
		for !j.last.Status.Ended() {
			var next api.Progress
			if j.err = events.Decode(&next); j.err != nil {
				return
			}
			j.last = next
		}
		// The daemon may be killed before it has closed the stream.
		if extra, _ := io.ReadAll(io.MultiReader(events.Buffered(), resp.Body)); len(bytes.TrimSpace(extra)) > 0 {
			t.Errorf("behind the end of the stream comes %q", extra)
		}
	}()
	return j, nil
}

// refusal returns the error that an answer of another status is.
func refusal(resp *http.Response, status int) error {
	if resp.StatusCode == status {
		return nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return api.ReadProblem(resp.StatusCode, resp.Header.Get("Content-Type"), text)
}

// cancelJob cancels a job, and returns when the daemon has answered: nil for 204.
func cancelJob(t *testing.T, daemon string, kind cairn.JobKind, backup string) error {
	t.Helper()
	address := daemon + "/backup/" + url.PathEscape(backup) + "/" + string(kind) + "/cancel"
	resp, err := http.Post(address, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return refusal(resp, http.StatusNoContent)
}

// cancel cancels the job.
func (j *runningJob) cancel(t *testing.T, daemon string) error {
	t.Helper()
	return cancelJob(t, daemon, j.kind, j.backup)
}

// cancelTwice cancels the job by two requests at once, and returns nil if that was
// possible. When the job has ended by the first, the second has nothing to do.
func (j *runningJob) cancelTwice(t *testing.T, daemon string) error {
	t.Helper()
	answers := make(chan error, 2)
	for range 2 {
		go func() { answers <- j.cancel(t, daemon) }()
	}
	first, second := <-answers, <-answers
	for _, answer := range []error{first, second} {
		if answer != nil && cairn.CodeOf(answer) != cairn.CodeNotInProgress {
			return answer
		}
	}
	if first == nil || second == nil {
		return nil
	}
	return first
}

// checkCanceled compares what Cancel was answered with the end of the stream: the
// job is cancelled or complete, as all are told. It reports which.
func (j *runningJob) checkCanceled(t *testing.T, h *house, answer error) (canceled bool) {
	t.Helper()
	<-j.ended
	want, problem := cairn.JobCanceled, cairn.CodeCanceled
	switch cairn.CodeOf(answer) {
	case "":
		canceled = true
	case cairn.CodeNotInProgress:
		want, problem = cairn.JobCompleted, ""
	default:
		t.Errorf("cancelling the %s: %v", j.kind, answer)
	}
	if j.err != nil || j.last.Status != want || cairn.CodeOf(j.last.Err()) != problem || (j.last.Percentage == 100) == canceled {
		t.Errorf("cancelling the %s was answered with %v, and its end is %+v, %v", j.kind, answer, j.last, j.err)
	}
	ask := h.c.CreationStatus
	if j.kind == cairn.Restoration {
		ask = h.c.RestorationStatus
	}
	if st, err := ask(t.Context(), j.backup); err != nil || st.Value != want || st.Percentage != j.last.Percentage {
		t.Errorf("the status of the %s is %+v, %v, want %s", j.kind, st, err, want)
	}
	return canceled
}

// checkNothingHidden has a cloud in a folder have no file that is unfinished.
func checkNothingHidden(t *testing.T, cloud place) {
	t.Helper()
	for _, path := range allFiles(t, cloud.dir) {
		if strings.HasPrefix(filepath.Base(path), ".") && cloud.server == nil {
			t.Errorf("%s was left behind", path)
		}
	}
}
