package httpapi

import (
	"context"
	"errors"
	"net/http"

	"cairn"
	"cairn/api"
)

// creationStatus is GET /backup/{backup}/creation/status.
func (s *Server) creationStatus(w http.ResponseWriter, r *http.Request) error {
	return writeStatus(w, r, s.cfg.Jobs.Creation)
}

// restorationStatus is GET /backup/{backup}/restoration/status.
func (s *Server) restorationStatus(w http.ResponseWriter, r *http.Request) error {
	return writeStatus(w, r, s.cfg.Jobs.Restoration)
}

func writeStatus(w http.ResponseWriter, r *http.Request, find func(context.Context, string) (cairn.Job, error)) error {
	job, err := find(r.Context(), r.PathValue("backup"))
	if err != nil {
		return unasked(err)
	}
	writeJSON(w, api.JSON, http.StatusOK, api.BackupStatusOf(job))
	return nil
}

// unasked returns err as one of the two statuses that the original API has
// for what it says of jobs, 404 and 500: a cloud that is locked
// or too new counts as one that cannot be asked, with its own words.
func unasked(err error) error {
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		return err
	}
	switch api.StatusOf(e.Code) {
	case http.StatusNotFound, http.StatusInternalServerError:
		return err
	}
	return &cairn.Error{Code: cairn.CodeCloudLost, Message: e.Message, Hint: e.Hint, Err: err}
}

// listJobs is GET /v1/jobs.
func (s *Server) listJobs(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, api.JSON, http.StatusOK, api.JobsOf(s.cfg.Jobs.List()))
	return nil
}

// undoRestoration is POST /v1/restoration/undo. What it brings back is on this
// computer, so it needs no user and no cloud.
func (s *Server) undoRestoration(w http.ResponseWriter, r *http.Request) error {
	if err := ignoreObject(r); err != nil {
		return err
	}
	watch, err := s.cfg.Jobs.Undo(r.Context())
	if err != nil {
		return err
	}
	return s.writeDone(w, r, watch)
}

// cancelCreation is POST /backup/{backup}/creation/cancel. It needs no user: what
// is stopped goes on on this computer.
func (s *Server) cancelCreation(w http.ResponseWriter, r *http.Request) error {
	return s.cancel(w, r, cairn.Creation)
}

// cancelRestoration is POST /backup/{backup}/restoration/cancel.
func (s *Server) cancelRestoration(w http.ResponseWriter, r *http.Request) error {
	return s.cancel(w, r, cairn.Restoration)
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request, kind cairn.JobKind) error {
	if err := bodyOfBackup(r); err != nil {
		return err
	}
	if err := s.cfg.Jobs.Cancel(r.Context(), kind, r.PathValue("backup")); err != nil {
		return unasked(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
