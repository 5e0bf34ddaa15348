package connection

import (
	"errors"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"cairn"
	"cairn/internal/bucket/azure"
	"cairn/internal/bucket/gcs"
	"cairn/internal/bucket/s3"
)

// cloudFolder is the default cloud in the data folder.
const cloudFolder = "cloud"

// ownFolders are where in the data folder no cloud can be: itself, and where it
// has files of its own.
var ownFolders = []string{".", "generations", "keys", "spool"}

// dataScheme is how a place in the data folder begins that device.db knows.
const dataScheme = "data:"

// A Place is where a cloud is: a folder, or a bucket of a store.
type Place struct {
	path   string       // of the folder, absolute; "" for a bucket
	bucket bucketOpener // nil for a folder
	url    string
	local  bool
	key    string
	given  bool // by the user, who may have mistyped it
}

// URL returns the place in the user's words. It holds no secret.
func (p Place) URL() string { return p.url }

// Local reports that the place is in the data folder: whoever loses the one loses
// both.
func (p Place) Local() bool { return p.local }

// Key returns what device.db knows the place by: its URL without what only says how
// to get there, or data: and where it is in the data folder, which may be moved.
func (p Place) Key() string { return p.key }

// Parse reads where a cloud is: a path, a file URL, the URL of a bucket, or what
// Key returned for a place in the data folder. "" is the default one, which is there.
// Its errors are for a person, and hold none of the secrets that do not belong
// there.
func Parse(given, data string) (Place, error) {
	path := given
	switch {
	case strings.HasPrefix(given, dataScheme):
		below, err := filepath.Localize(strings.TrimPrefix(given, dataScheme))
		if err != nil {
			return Place{}, badPlace(given)
		}
		path = filepath.Join(data, below)
	case strings.HasPrefix(given, "s3:"):
		return bucketPlace(given, s3.ParseURL, s3.Open)
	case strings.HasPrefix(given, "gs:"):
		return bucketPlace(given, gcs.ParseURL, gcs.Open)
	case strings.HasPrefix(given, "azblob:"):
		return bucketPlace(given, azure.ParseURL, azure.Open)
	}
	switch u, err := url.Parse(given); {
	case given == "":
		path = filepath.Join(data, cloudFolder)
	case strings.HasPrefix(given, "file:"):
		if err != nil || u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
			return Place{}, badPlace(given)
		}
		path = u.Path
		if runtime.GOOS == "windows" {
			path = filepath.FromSlash(strings.TrimPrefix(path, "/")) // file:///C:/folder
		}
	case strings.Contains(given, "://"):
		return Place{}, badPlace(given)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return Place{}, cairn.FileError("finding", given, err)
	}
	p := Place{path: path, url: folderURL(path), given: given != ""}
	below, err := filepath.Rel(data, path)
	p.local = err == nil && filepath.IsLocal(below)
	p.key = p.url
	if p.local {
		p.key = dataScheme + filepath.ToSlash(below)
	}
	if first, _, _ := strings.Cut(filepath.ToSlash(below), "/"); p.local && slices.Contains(ownFolders, first) {
		return Place{}, errors.New("the cloud " + cairn.Quote(given) + " is where the data folder has files of its own: choose another folder")
	}
	return p, nil
}

// folderURL returns the URL of a folder, whose path is absolute.
func folderURL(path string) string {
	slash := filepath.ToSlash(path)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash // C:/folder
	}
	return (&url.URL{Scheme: "file", Path: slash}).String()
}

// Transfers returns how many objects are sent or fetched at once. A disk is busy with
// a few; a store on a network answers each after a while, and many beside each
// other.
func (p Place) Transfers() int {
	if p.path == "" {
		return 16
	}
	return 4
}

// shown returns the beginning of what was given, quoted: behind it there may be
// secrets that do not belong there.
func shown(given string) string {
	scheme, rest, isURL := strings.Cut(given, ":")
	secret := "@?:%" // user:password without what should follow is not a URL
	if scheme == "file" {
		secret = "@?"
	}
	if !isURL || !strings.ContainsAny(rest, secret) {
		return cairn.Quote(given)
	}
	return cairn.Quote(scheme + ":...")
}

func badPlace(given string) error {
	return errors.New("the cloud " + shown(given) + " is no place for one: it is a path, file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix, or azblob://container/prefix?storage_account=account")
}
