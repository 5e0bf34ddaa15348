package jobs

import (
	"errors"
	"fmt"

	"cairn"
)

// shuttingDown is the cause of the end of all work.
func shuttingDown() *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeShuttingDown,
		Message: "The daemon is stopping, so this was not done.",
		Hint:    "Start the daemon again, then try again.",
	}
}

// canceled is the cause of the end of a job that somebody has cancelled, and of an
// undo that nobody waits for any more.
func canceled(kind cairn.JobKind) *cairn.Error {
	e := &cairn.Error{Code: cairn.CodeCanceled, Message: "The creation was cancelled: no backup was made."}
	switch kind {
	case cairn.Restoration:
		e.Message = "The restoration was cancelled: the documents are as they were before it."
	case undoing:
		e.Message = "Who asked for it has gone before its turn: the databases were not swapped."
	}
	return e
}

// notInProgress says that there is nothing to cancel.
func notInProgress(kind cairn.JobKind, backup string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeNotInProgress,
		Message: "No " + string(kind) + " of a backup " + cairn.Quote(backup) + " is in progress.",
		Hint:    "cairn backup status ID says what became of it, GET /v1/jobs what is in progress.",
	}
}

// endedFirst says that a job came to its end before it could be cancelled, with
// the error that it has, or none.
func endedFirst(kind cairn.JobKind, err error) *cairn.Error {
	e := &cairn.Error{Code: cairn.CodeNotInProgress, Message: "The " + string(kind) + " failed before it could be cancelled.", Err: err}
	switch {
	case err != nil:
		e.Hint = "cairn backup status ID says why."
	case kind == cairn.Restoration:
		e.Message = "The restoration was complete before it could be cancelled."
		e.Hint = "cairn backup undo brings back what was there before."
	default:
		e.Message = "The backup was complete before its creation could be cancelled."
		e.Hint = "cairn backup delete ID takes it out of the cloud."
	}
	return e
}

// queueFull says that no more can wait.
func queueFull() *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeQueueFull,
		Message: fmt.Sprintf("%d creations and restorations wait already, so this one was not begun.", mostQueued),
		Hint:    "cairn backup watch (GET /backups/streamed/progress) shows them, and cairn backup cancel ID takes one out.",
	}
}

// tooSlow is the end of a feed.
func tooSlow() *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeTimeout,
		Message: "More jobs have ended than are kept for one who follows them.",
		Hint:    "Connect again; GET /v1/jobs has the newest ones.",
	}
}

// cutOff says why a job has failed whose daemon did not see its end.
func cutOff(kind cairn.JobKind) *cairn.Error {
	e := &cairn.Error{
		Code:    cairn.CodeShuttingDown,
		Message: "The daemon stopped before it was done.",
		Hint:    "Create another backup.",
	}
	if kind == cairn.Restoration {
		e.Hint = "The documents are as they were before it. Restore the backup again."
	}
	return e
}

// jobNotFound says that no such job of a backup is known.
func jobNotFound(backup string) *cairn.Error {
	return &cairn.Error{
		Code:    cairn.CodeJobNotFound,
		Message: "No such job of a backup " + cairn.Quote(backup) + " is known.",
		Hint:    "Check the id: cairn backup list (GET /backups) shows the backups in the cloud, GET /v1/jobs what this daemon did.",
	}
}

// reasonOf returns err as a job shows it.
func reasonOf(err error) *cairn.Error {
	if e, ok := errors.AsType[*cairn.Error](err); ok {
		return e
	}
	return &cairn.Error{
		Code:    cairn.CodeInternal,
		Message: "The daemon failed at this.",
		Hint:    "Its log says why.",
		Err:     err,
	}
}
