package cairn

import "time"

// A CloudState says whether a cloud can be used.
type CloudState string

// The states of a cloud.
const (
	CloudReady       CloudState = "ready"
	CloudLocked      CloudState = "locked"      // its key is not on this device
	CloudUnavailable CloudState = "unavailable" // Problem says why
	// CloudDisconnected is that of a cloud that the user has disconnected.
	CloudDisconnected CloudState = "disconnected"
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

// A CloudRequest says which cloud to connect to, and what opens it.
type CloudRequest struct {
	// URL is the place; "" means the one that was used last.
	URL string
	// Create has a cloud made where there is none.
	Create bool
	// Key is the text of a key file, and Passphrase one of the cloud's passphrases,
	// where this device lacks the key; zero for none.
	Key, Passphrase Secret
}

// A KeyPlace is where a device keeps the key of a cloud.
type KeyPlace string

// The places of keys.
const (
	KeyNowhere    KeyPlace = ""
	KeyInFile     KeyPlace = "file"     // in the data folder
	KeyInKeychain KeyPlace = "keychain" // of the operating system
)

// A Connection is a cloud that this device knows.
type Connection struct {
	URL string
	ID  string // "" as long as it is not known
	// Local reports that it is in the data folder.
	Local bool
	// Current reports that it is the one that is used; Disconnected, that the user
	// has disconnected it.
	Current, Disconnected bool
	// Key is where this device keeps its key.
	Key KeyPlace
	// Made counts the backups that this installation has made in it.
	Made int64
	// Seen is when it was last opened, and Kit when the user has said to have its
	// recovery kit; zero for never.
	Seen, Kit time.Time
}

// A Slot is a passphrase of a cloud: its key, encrypted with that, in the bucket.
type Slot struct {
	Name    string    // of the object, without its folder and its ending
	Created time.Time // by the clock of the bucket
}

// A KnownCloud is a cloud that this device has used.
type KnownCloud struct {
	// Place is what it is known by: its URL without what only says how to get
	// there, or data: and where it is in the data folder.
	Place string
	// URL leads there; "" where a build wrote it that did not keep it.
	URL string
	// ID is the id of the cloud that was last seen there.
	ID string
	// Made counts the backups that this installation has made in it.
	Made int64
	// Seen is when it was last opened, to the day; zero where that is not known.
	Seen time.Time
	// Kit is when the user has said to have its recovery kit; zero for never.
	Kit time.Time
}

// CurrentCloud is which cloud is used.
type CurrentCloud struct {
	// Place leads to it: its URL, or data: and where it is in the data folder; ""
	// for the default one.
	Place string
	// Disconnected is what the place is known by that the user has disconnected,
	// whether or not it is this one; "" for none.
	Disconnected string
}
