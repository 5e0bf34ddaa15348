package cairn

// A CloudState says whether a cloud can be used.
type CloudState string

// The states of a cloud.
const (
	CloudReady       CloudState = "ready"
	CloudLocked      CloudState = "locked"      // its key is not on this device
	CloudUnavailable CloudState = "unavailable" // Problem says why
)

// A CloudStatus describes the cloud that a daemon backs up to.
type CloudStatus struct {
	URL   string
	ID    string // "" as long as it is not known
	State CloudState
	// Local reports that it is a folder below the data folder: whoever loses
	// the one loses both.
	Local bool
	// Backups counts the backups of whole databases that it holds; 0 as long
	// as that is not known.
	Backups int64
	// Made counts the backups that this installation has made in it.
	Made int64
	// Problem says why the state is not ready; else nil.
	Problem *Error
	// Unreadable are the backups that are there and cannot be used.
	Unreadable []UnreadableBackup
}

// An UnreadableBackup is an object that should be a backup and cannot be used
// as one.
type UnreadableBackup struct {
	Name    string // of the object in the bucket
	Problem *Error
}
