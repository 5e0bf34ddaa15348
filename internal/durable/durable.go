// Package durable holds the file operations that survive power loss and give
// the same modes whatever the umask: a file is 0600, a folder 0700.
//
// Start with [MkdirAll] for a folder, [WriteFile] for a small file in it, and
// [RemoveTemps] to clear what a crash left behind:
//
//	if err := durable.MkdirAll(dir); err != nil {
//		return err
//	}
//	if err := durable.WriteFile(filepath.Join(dir, "CURRENT"), data); err != nil {
//		return err
//	}
//
// A larger file is written under a name that ends in [TempSuffix], synced, and
// moved to its place with [Rename]. [Lock] keeps a second process out. Errors
// are those of package os, which name the operation and the path.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// TempSuffix ends the name of every file that is not yet whole. A file with
// this suffix that is there at start-up was cut off by a crash, and is nobody's.
const TempSuffix = ".tmp"

// fileMode and dirMode keep everything of ours from other users.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// WriteFile puts data at path, in one step for every reader and for a crash:
// there is the old file or the new one, whole and with mode 0600. When it
// returns nil, the new one survives power loss.
//
// After an error the old file is as it was and no temporary file is left. Only
// the last step, syncing the folder, can fail with the new file in place.
func WriteFile(path string, data []byte) error {
	temp, err := writeTemp(path, data)
	if err != nil {
		return err
	}
	if err := rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// writeTemp writes data to a new file beside path, and syncs it. It leaves no
// file behind when it fails.
func writeTemp(path string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+TempSuffix)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = f.Chmod(fileMode)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	return f.Name(), errors.Join(err, f.Close())
}

// Rename moves a file or folder, replacing a file at newPath in one step, and
// makes the move survive power loss. The content must have been synced before.
func Rename(oldPath, newPath string) error {
	if err := rename(oldPath, newPath); err != nil {
		return err
	}
	oldDir, newDir := filepath.Dir(oldPath), filepath.Dir(newPath)
	if err := SyncDir(newDir); err != nil {
		return err
	}
	if oldDir == newDir {
		return nil
	}
	return SyncDir(oldDir)
}
