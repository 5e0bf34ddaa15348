package cairn

import "errors"

// A Code names a kind of failure for programs. Codes are part of the API: one
// table in package api gives each its HTTP status, for server and client alike.
type Code string

// The codes. Where the wire contract names one, it is that name.
const (
	CodeInvalid      Code = "invalid"                // the request or a value in it is malformed
	CodeNotFound     Code = "not_found"              // there is no such route
	CodeNotAllowed   Code = "method_not_allowed"     // the route is there, for other methods
	CodeForbidden    Code = "forbidden"              // the guard of the local port refused it
	CodeUnauthorized Code = "unauthorized"           // the token of the daemon is missing or wrong
	CodeTooManyTries Code = "too_many_failures"      // too many wrong tokens came from there
	CodeChanged      Code = "changed"                // what the request means to change is not what it was
	CodeGone         Code = "gone"                   // no such document, now or ever
	CodeTooLarge     Code = "too_large"              // a body or a document over its bound
	CodeMediaType    Code = "unsupported_media_type" // a body that is not JSON
	CodeTimeout      Code = "timeout"                // the client stopped sending
	CodeDiskFull     Code = "disk_full"              // the data folder's disk has no room
	CodeReadOnly     Code = "read_only"              // the data folder cannot be written
	CodeNoPermission Code = "no_permission"          // the data folder cannot be read
	CodeDamaged      Code = "damaged"                // stored bytes are not what was written
	CodeSchemaTooNew Code = "schema_too_new"         // the data folder was written by a newer cairn
	CodeInUse        Code = "in_use"                 // another daemon has the data folder, or the port
	CodeUnreachable  Code = "daemon_unreachable"     // no daemon answers (client only)
	CodeShuttingDown Code = "shutting_down"          // the daemon is stopping

	CodeSignedOut       Code = "signed_out"          // the user is not signed in
	CodeNoCloud         Code = "no_cloud"            // no cloud is connected
	CodeCloudLocked     Code = "cloud_locked"        // the cloud's key is not on this device
	CodeKeyWrong        Code = "key_wrong"           // the key that was given is not that of the cloud
	CodeKeyNeeded       Code = "key_needed"          // nothing else may open the cloud than the key that would go
	CodePassphraseWrong Code = "passphrase_wrong"    // no passphrase of the cloud is the one that was given
	CodeCloudNotFound   Code = "cloud_not_found"     // there is no cloud in the place
	CodeNotCloud        Code = "not_a_cloud"         // the place for a cloud holds something else
	CodeNoCredentials   Code = "credentials_missing" // there are none for the store
	CodeKeyUnknown      Code = "access_key_unknown"  // the store does not know it
	CodeRefused         Code = "credentials_refused" // the store does not let us in
	CodeExpired         Code = "session_expired"     // so does the store, after some time
	CodeDenied          Code = "access_denied"       // the store lets us in, but does not allow this
	CodeClock           Code = "clock_skewed"        // the clock of this computer is wrong
	CodeRegion          Code = "region_wrong"        // the bucket is in another region
	CodeHostUnknown     Code = "host_unknown"        // the name of the store's host does not resolve
	CodeTLS             Code = "tls_failed"          // no secure connection to the store can be made
	CodeNotStore        Code = "not_a_store"         // something else answers in its place
	CodeRejected        Code = "cloud_rejected"      // the store does not accept a request
	CodeCloudBusy       Code = "cloud_busy"          // the store cannot take requests now
	CodeCloudLost       Code = "cloud_unreachable"   // the store does not answer
	CodeBucketMissing   Code = "bucket_missing"      // the bucket or folder of the cloud is not there
	CodeFormatTooNew    Code = "format_too_new"      // the cloud or the backup was written by a newer cairn
	CodeBackupNotFound  Code = "backup_not_found"    // the cloud has no such backup
	CodeTooLate         Code = "too_late"            // the backup was deleted too long ago to come back
	CodeStale           Code = "stale"               // what was found in the cloud was found too long ago; try again
	CodeBackupIsPartial Code = "backup_is_partial"   // the backup holds chosen assets, not a database
	CodeNotInBackup     Code = "not_in_backup"       // the backup holds no such document
	CodeJobNotFound     Code = "job_not_found"       // nothing is known of such a creation or restoration
	CodeQueueFull       Code = "queue_full"          // too many creations and restorations wait
	CodeNotInProgress   Code = "not_in_progress"     // there is no such creation or restoration to cancel
	CodeCanceled        Code = "canceled"            // somebody cancelled it
	CodeNothingToUndo   Code = "nothing_to_undo"     // no restoration has replaced a database
	CodeCheckRunning    Code = "check_running"       // a backup or the cloud is being verified already

	CodeInternal Code = "internal" // anything else; its text stays in the process
)

// An Error is a failure as a person and a program see it. Anything that is not
// an *Error counts as [CodeInternal].
type Error struct {
	// Code is for programs.
	Code Code
	// Message is a sentence for a person: it names the cause.
	Message string
	// Hint says what to do next; empty where there is nothing to do.
	Hint string
	// Err is for the log and for errors.Is; it never leaves the process.
	Err error
}

// Error returns the message, followed by the wrapped error's text.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + " (" + e.Err.Error() + ")"
}

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same code that says nothing
// more, so that errors.Is(err, &cairn.Error{Code: cairn.CodeGone}) is the same
// question on both sides of the wire.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == "" && t.Hint == "" && t.Err == nil
}

// CodeOf returns the code of err: that of the first *Error in its tree, else
// [CodeInternal]. It returns "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
