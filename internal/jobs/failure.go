package jobs

import (
	"errors"

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
