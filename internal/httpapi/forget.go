package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"cairn"
	"cairn/api"
)

// A Forgetter deletes the backups that rules do not keep.
type Forgetter interface {
	// Forget applies rules. cairn.CodeInvalid when they are none, or when there
	// is no such device. After any other error the result, unless it is empty,
	// tells what was deleted before.
	Forget(ctx context.Context, policy cairn.Retention, o cairn.ForgetOptions) (cairn.Forgotten, error)
}

// forgetBackups is POST /v1/backups/forget: ForgetRequest -> Forgotten.
func (s *Server) forgetBackups(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	policy, options, err := s.readForget(r)
	if err != nil {
		return err
	}
	result, err := s.cfg.Backups.Forget(r.Context(), policy, options)
	if err != nil && len(result.Decisions) == 0 {
		return err
	}
	if err != nil {
		s.cfg.Log.Error("not all backups were deleted that no rule keeps", "err", err)
	}
	writeJSON(w, api.JSON, http.StatusOK, api.ForgottenOf(result, err))
	return nil
}

// readForget reads a ForgetRequest. What it does not know it refuses, since a rule
// that is overlooked deletes.
func (s *Server) readForget(r *http.Request) (policy cairn.Retention, o cairn.ForgetOptions, err error) {
	body, err := readObject(r)
	if err != nil {
		return policy, o, err
	}
	var request api.ForgetRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		return policy, o, badForget(err)
	}
	policy = *s.retention.Load()
	if request.Policy != nil {
		if policy, err = request.Policy.Policy(); err != nil {
			return policy, o, badForget(err)
		}
	}
	return policy, cairn.ForgetOptions{Device: request.Device, AllDevices: request.AllDevices, DryRun: request.DryRun}, nil
}

func badForget(err error) error {
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The body cannot be used: " + err.Error() + ".",
		Hint:    `Send {"policy":{"keep_daily":7},"dry_run":true}. Nothing was deleted.`,
	}
}
