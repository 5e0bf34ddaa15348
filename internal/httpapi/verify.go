package httpapi

import (
	"context"
	"net/http"

	"cairn"
	"cairn/api"
)

// Verifier looks at what is in the cloud. Damage is in what it returns; an error
// says that it could not look. Each ends soon when ctx does.
type Verifier interface {
	// Verify looks at all that a backup consists of, and reads its data if it is to.
	// tell hears how far it is.
	Verify(ctx context.Context, id string, readData bool, tell func(cairn.Progress)) (cairn.Verification, error)
	// CheckCloud looks at all backups, and reads a subset of their data.
	CheckCloud(ctx context.Context, subset cairn.Subset, tell func(cairn.Progress)) (cairn.Verification, error)
}

// verifyBackup is POST /v1/backups/{backup}/verify.
func (s *Server) verifyBackup(w http.ResponseWriter, r *http.Request) error {
	id, err := s.named(r)
	if err != nil {
		return err
	}
	readData, err := flag(r, "read_data", false)
	if err != nil {
		return err
	}
	return runErrand(s, w, r, func(ctx context.Context, tell func(cairn.Progress)) (api.Verification, error) {
		v, err := s.cfg.Backups.Verify(ctx, id, readData, tell)
		return api.VerificationOf(v), err
	})
}

// checkCloud is POST /v1/cloud/check.
func (s *Server) checkCloud(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	text, err := parameter(r, "read_data_subset")
	if err != nil {
		return err
	}
	var subset cairn.Subset
	if text != "" {
		if subset, err = cairn.ParseSubset(text); err != nil {
			return err
		}
	}
	return runErrand(s, w, r, func(ctx context.Context, tell func(cairn.Progress)) (api.Verification, error) {
		v, err := s.cfg.Backups.CheckCloud(ctx, subset, tell)
		return api.VerificationOf(v), err
	})
}
