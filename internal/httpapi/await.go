package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"cairn"
	"cairn/api"
)

// errPulse is the end of a wait after which something is said.
var errPulse = errors.New("nothing has changed for a while")

// until calls fn, which waits for something, and has it return errPulse at the
// given time.
func until[T any](ctx context.Context, pulse time.Time, fn func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, pulse, errPulse)
	defer cancel()
	return fn(ctx)
}

// await waits for the end of a job, of which a JSON document will tell.
func (s *Server) await(w http.ResponseWriter, r *http.Request, watch cairn.Watch) (cairn.Job, error) {
	return awaitEnd(s, w, r, func(ctx context.Context) (cairn.Job, error) {
		for {
			if job, err := watch(ctx); err != nil || job.Status.Ended() {
				return job, err
			}
		}
	})
}

// awaitEnd returns what end does, which waits for something, of which a JSON document
// will tell. When that takes long, the answer begins with status 200 and white space,
// which clients pass over: many of them give up a connection on which nothing comes
// for five minutes.
func awaitEnd[T any](s *Server, w http.ResponseWriter, r *http.Request, end func(context.Context) (T, error)) (T, error) {
	pulse := time.Now().Add(s.cfg.Patience)
	for {
		v, err := until(r.Context(), pulse, end)
		if !errors.Is(err, errPulse) {
			return v, err
		}
		w.Header().Set("Content-Type", api.JSON)
		_, _ = io.WriteString(w, " ") // a client that is gone ends the request
		_ = w.(*response).control.Flush()
		pulse = time.Now().Add(s.cfg.Pulse)
	}
}

// reported is an error that is in the log already, since a job ended with it.
type reported struct{ reason *cairn.Error }

func (e reported) Error() string { return e.reason.Error() }
func (e reported) Unwrap() error { return e.reason }

// writeBackup answers with the backup of a job, when that is complete.
func (s *Server) writeBackup(w http.ResponseWriter, r *http.Request, watch cairn.Watch) error {
	job, err := s.await(w, r, watch)
	switch {
	case err != nil:
		return err
	case job.Status != cairn.JobCompleted:
		return reported{job.Reason}
	}
	writeJSON(w, api.JSON, http.StatusOK, api.BackupOf(job.Backup))
	return nil
}

// writeDone answers without a body, when a job is complete. Such an answer never
// begins before: clients read no more of it than the status, and one that was told
// early of what then fails would be wrong without knowing. One that gives up knows.
func (s *Server) writeDone(w http.ResponseWriter, r *http.Request, watch cairn.Watch) error {
	_, err := watch.Wait(r.Context())
	if reason, ok := errors.AsType[*cairn.Error](err); ok {
		return reported{reason}
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeProgress answers with the last Progress of a job. A failure has its own
// status, unless that was sent already.
func (s *Server) writeProgress(w http.ResponseWriter, r *http.Request, watch cairn.Watch) error {
	job, err := s.await(w, r, watch)
	switch {
	case err != nil:
		return err
	case job.Status == cairn.JobFailed && !w.(*response).begun:
		return reported{job.Reason}
	}
	writeJSON(w, api.JSON, http.StatusOK, api.ProgressOf(job))
	return nil
}
