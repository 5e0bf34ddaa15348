package importer

import (
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// AssetID returns the id of the asset of the file at absPath: the UUID of
// version 5 in the URL namespace (RFC 9562) of
//
//	"file://" + the path with slashes
//
// such as file:///home/ada/notes/todo.txt, on Windows file:///C:/notes/todo.txt.
// The bytes of the path are taken as they are: there is no percent-encoding,
// and they need not be valid UTF-8. The same path has the same id everywhere.
func AssetID(absPath string) string {
	path := filepath.ToSlash(absPath)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("file://"+path)).String()
}

// FormatID returns the id of the original format of an asset: the UUID of
// version 5 of the name "original", with the asset's id as the namespace. It
// panics unless assetID is a UUID, as [AssetID] returns.
func FormatID(assetID string) string {
	return uuid.NewSHA1(uuid.MustParse(assetID), []byte("original")).String()
}

// DisplayName returns rel as it can be stored and shown: with slashes, and with
// U+FFFD for each byte that is not part of valid UTF-8. Two files may have the
// same display name; ids come from the raw bytes.
func DisplayName(rel string) string {
	return string([]rune(filepath.ToSlash(rel)))
}
