package httpapi

import (
	"context"
	"iter"
	"net/http"

	"cairn"
	"cairn/api"
	"cairn/internal/rawjson"
)

// Backups reads what is in the cloud. Whatever asks the cloud returns the codes
// of clouds (no_cloud, cloud_locked, cloud_unreachable, ...) besides those that
// are named here.
type Backups interface {
	// List returns the backups of whole databases, newest first.
	List(ctx context.Context) ([]cairn.Backup, error)
	// Backup returns one backup of either scope, or cairn.CodeBackupNotFound.
	Backup(ctx context.Context, id string) (cairn.Backup, error)
	// Delete deletes one of either scope, or returns cairn.CodeBackupNotFound.
	Delete(ctx context.Context, id string) error
	// Undelete brings a deleted one back: cairn.CodeBackupNotFound, or
	// CodeTooLate.
	Undelete(ctx context.Context, id string) (cairn.Backup, error)
	// Deleted returns the backups of either scope that can be brought back, the
	// last deleted first.
	Deleted(ctx context.Context) ([]cairn.DeletedBackup, error)
	// Prune removes what no backup needs, unless the run is dry, until ctx
	// ends. What is returned counts with an error, too.
	Prune(ctx context.Context, dry bool, report func(cairn.PruneProgress)) (cairn.Pruned, error)
	Forgetter
	Verifier
	// Last returns the newest backup that the live database knows of, and how
	// many changes came after it; ok is false when there is none.
	Last(ctx context.Context) (last cairn.Base, changes int64, ok bool, err error)
	// Cloud describes the cloud, which it may ask. It never fails: Problem
	// says why the cloud is not ready.
	Cloud(ctx context.Context) cairn.CloudStatus
	// Ready returns nil when the cloud is connected, which it may have to be
	// first, or why it is not.
	Ready(ctx context.Context) error
	// Connected returns the id of the cloud while it is ready, as far as that
	// is known without asking it: it answers at once.
	Connected() (cloud string, ok bool)
}

// Jobs creates and restores backups. Its work outlives the request: who begins
// it gets a watch. Nothing is begun when the daemon stops
// (cairn.CodeShuttingDown), or when ctx has ended. Work that fails is in the log
// of Jobs.
type Jobs interface {
	// Create begins to back the whole database up.
	Create(ctx context.Context) (cairn.Watch, error)
	// CreateFrom begins to back the given documents up, each of which comes
	// once. They are in use until the job has ended.
	CreateFrom(ctx context.Context, documents iter.Seq2[cairn.Document, error]) (cairn.Watch, error)
	// Restore begins to replace the database by a backup, of which all may be
	// known or the ID only. The job fails with cairn.CodeBackupNotFound or
	// cairn.CodeBackupIsPartial for one that cannot be restored.
	Restore(ctx context.Context, b cairn.Backup) (cairn.Watch, error)
	// Undo begins to bring back what the last restoration replaced, unless ctx
	// has ended when its turn comes. It fails with cairn.CodeNothingToUndo.
	Undo(ctx context.Context) (cairn.Watch, error)
	// Cancel stops the creation or restoration of a backup, and returns when it
	// has ended. cairn.CodeNotInProgress when there is none, or when it came to
	// its end first.
	Cancel(ctx context.Context, kind cairn.JobKind, backup string) error
	// Feed returns a feed of all jobs.
	Feed() cairn.Feed
	// Creation and Restoration return the newest job of that kind for a
	// backup, or cairn.CodeJobNotFound. The id may be any text.
	Creation(ctx context.Context, id string) (cairn.Job, error)
	Restoration(ctx context.Context, id string) (cairn.Job, error)
	// List returns the jobs that run or wait, then those that ended, newest
	// first.
	List() []cairn.Job
}

// signedIn returns an error of cairn.CodeSignedOut unless the user is signed
// in: the cloud is the user's.
func (s *Server) signedIn() error {
	if s.cfg.Device.SignedIn() {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeSignedOut,
		Message: "The user is signed out, and backups are the user's.",
		Hint:    "Sign in with POST /os/sign_in. It takes no password; documents stay as they are.",
	}
}

// backupID returns the id in the path. One that cannot be the id of a backup is
// an error of cairn.CodeBackupNotFound.
func backupID(r *http.Request) (string, error) {
	id := r.PathValue("backup")
	if cairn.ValidateID(id) == nil {
		return id, nil
	}
	return "", &cairn.Error{
		Code:    cairn.CodeBackupNotFound,
		Message: "There is no backup " + cairn.Quote(id) + ".",
		Hint:    "GET /backups, or cairn backup list, shows those that are there.",
	}
}

// bodyOfBackup reads a body that may hold the Backup of the path once more.
func bodyOfBackup(r *http.Request) error {
	body, err := readObject(r)
	if err != nil {
		return err
	}
	return names(r, "body", body)
}

// names returns an error if an object, a body or a frame, is of another backup
// than the path.
func names(r *http.Request, what string, object []byte) error {
	given := rawjson.Get(object, "id")
	if rawjson.IsNull(given) {
		return nil
	}
	if id, ok := rawjson.Text(given); ok && id == r.PathValue("backup") {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The " + what + " is of another backup than the path. Nothing was changed.",
		Hint:    "Send the Backup that has the id in the path, or nothing.",
	}
}

// listBackups is GET /backups.
func (s *Server) listBackups(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	list, err := s.cfg.Backups.List(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.BackupsOf(list))
	return nil
}

// findBackup returns the backup of the path.
func (s *Server) findBackup(r *http.Request) (cairn.Backup, error) {
	if err := s.signedIn(); err != nil {
		return cairn.Backup{}, err
	}
	id, err := backupID(r)
	if err != nil {
		return cairn.Backup{}, err
	}
	return s.cfg.Backups.Backup(r.Context(), id)
}

// getBackup is GET /backup/{backup}.
func (s *Server) getBackup(w http.ResponseWriter, r *http.Request) error {
	b, err := s.findBackup(r)
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.BackupOf(b))
	return nil
}

// backupDetails is GET /v1/backups/{backup}.
func (s *Server) backupDetails(w http.ResponseWriter, r *http.Request) error {
	b, err := s.findBackup(r)
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.BackupDetailsOf(b))
	return nil
}

// createBackup is POST /backups/create: SeededBackup, which says nothing, ->
// Backup.
func (s *Server) createBackup(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	watch, err := s.cfg.Jobs.Create(r.Context())
	if err != nil {
		return err
	}
	return s.writeBackup(w, r, watch)
}

// named returns the id of the backup that a signed-in user wants something done
// to. The body, which may name it too, must name the same.
func (s *Server) named(r *http.Request) (id string, err error) {
	if err := s.signedIn(); err != nil {
		return "", err
	}
	if err := bodyOfBackup(r); err != nil {
		return "", err
	}
	return backupID(r)
}

// restoreBackup is POST /backup/{backup}/restore: Backup -> Backup.
func (s *Server) restoreBackup(w http.ResponseWriter, r *http.Request) error {
	id, err := s.named(r)
	if err != nil {
		return err
	}
	watch, err := s.cfg.Jobs.Restore(r.Context(), cairn.Backup{ID: id})
	if err != nil {
		return err
	}
	return s.writeBackup(w, r, watch)
}

// deleteBackup is POST /backups/{backup}/delete.
func (s *Server) deleteBackup(w http.ResponseWriter, r *http.Request) error {
	id, err := s.named(r)
	if err != nil {
		return err
	}
	if err := s.cfg.Backups.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
