package keys

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"cairn"
	"cairn/internal/durable"
)

// saveFile writes the key file of a cloud, durably. A file that is there stays as
// it is: fs.ErrExist. After any other error there is none, as long as the disk lets
// it be taken back: one that may not survive a loss of power must not pass for
// stored at the next try.
func (s *Store) saveFile(cloudID string, identity *age.X25519Identity) error {
	path := s.Path(cloudID)
	if err := durable.MkdirAll(s.Dir); err != nil {
		return err
	}
	temp := path + "." + rand.Text() + durable.TempSuffix
	text := Text("", identity, s.now())
	err := s.step("key.write", func() error { return durable.WriteFile(temp, text) })
	if err == nil {
		err = s.step("key.name", func() error { return moveNew(temp, path) })
	}
	err = errors.Join(err, s.step("key.clean", func() error { return remove(temp) }))
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		err = s.step("key.sync", s.syncDir)
	}
	if err != nil {
		return errors.Join(err, takeBack(path, text))
	}
	return nil
}

// takeBack removes a key file if it holds this very text.
func takeBack(path string, text []byte) error {
	if stored, err := readFile(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil || stored != string(text) {
		return err
	}
	return remove(path)
}

// moveNew gives the file temp the name path, which must not be taken. The file
// may keep its name too.
func moveNew(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links. The data folder has one daemon, so nobody
	// takes the name in between.
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "rename", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Rename(temp, path)
}

// removeFile removes the key file of a cloud and what a crash left half written,
// durably.
func (s *Store) removeFile(cloudID string) error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cairn.FileError("reading", s.Dir, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		temp := strings.HasPrefix(name, cloudID+".") && strings.HasSuffix(name, durable.TempSuffix)
		if name != cloudID && !temp {
			continue
		}
		path := filepath.Join(s.Dir, name)
		if err := s.step("key.remove", func() error { return remove(path) }); err != nil {
			return cairn.FileError("removing", path, err)
		}
	}
	// Also where there is none: an earlier removal may not have got this far.
	return cairn.FileError("removing", s.Path(cloudID), s.step("key.removed", s.syncDir))
}

// remove removes a file that may be gone.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
