package main

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

const (
	cloudFolder = "cloud" // in the data folder: the default cloud
	keysFolder  = "keys"  // in the data folder
	spoolFolder = "spool" // in the data folder
)

// ownFolders are where no cloud can be: the data folder and what is in it.
var ownFolders = []string{".", "generations", keysFolder, spoolFolder}

// A place is where a cloud is: a folder, or a bucket of a store.
type place struct {
	path   string       // of the folder, absolute; "" for a bucket
	bucket bucketOpener // nil for a folder
	url    string
	local  bool   // it is in the data folder
	key    string // that device.db knows it by: the url, or where it is in the data folder, which may be moved
	given  bool   // by the user, who may have mistyped it
}

// parsePlace reads what the user gave for --cloud: a path, a file URL, or the URL
// of a bucket. The default is in the data folder.
func parsePlace(given, data string) (place, error) {
	path := given
	switch {
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
			return place{}, badPlace(given)
		}
		path = u.Path
		if runtime.GOOS == "windows" {
			path = filepath.FromSlash(strings.TrimPrefix(path, "/")) // file:///C:/folder
		}
	case strings.Contains(given, "://"):
		return place{}, badPlace(given)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return place{}, cairn.FileError("finding", given, err)
	}
	p := place{path: path, url: folderURL(path), given: given != ""}
	below, err := filepath.Rel(data, path)
	p.local = err == nil && filepath.IsLocal(below)
	p.key = p.url
	if p.local {
		p.key = "data:" + filepath.ToSlash(below)
	}
	if first, _, _ := strings.Cut(filepath.ToSlash(below), "/"); p.local && slices.Contains(ownFolders, first) {
		return place{}, usageError{errors.New("the cloud " + cairn.Quote(given) + " is where the data folder has files of its own: choose another folder")}
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

// transfers is how many objects are sent or fetched at once. A disk is busy with
// a few; a store on a network answers each after a while, and many beside each
// other.
func (p place) transfers() int {
	if p.path == "" {
		return 16
	}
	return 4
}

// shown returns the beginning of what was given, quoted: behind it there may be
// secrets that do not belong there.
func shown(given string) string {
	scheme, rest, isURL := strings.Cut(given, ":")
	if !isURL || !strings.ContainsAny(rest, "@?") {
		return cairn.Quote(given)
	}
	return cairn.Quote(scheme + ":...")
}

func badPlace(given string) error {
	return usageError{errors.New("the cloud " + shown(given) + " is no place for one: it is a path, file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix, or azblob://container/prefix?storage_account=account")}
}
