// Package keys keeps the keys of clouds on this device: one for each cloud, in a
// file that only its user can read, or in the keychain of the operating system.
//
// Start with a [Store] on the folder keys/ of a data folder:
//
//	s := &keys.Store{Dir: filepath.Join(data, "keys")}
//	identity, err := s.Load(cloudID)
//	if err != nil {
//		return err // a *cairn.Error: there is one, and it cannot be used
//	}
//	if identity == nil {
//		err = s.Save(cloudID, supplied) // there is none
//	}
//
// [Read] reads a key file that a person names. In the folder are
//
//	<cloud id>            the key, as age-keygen writes it
//	<cloud id>.keychain   empty: the key is in the keychain, or may be
//
// Where both are there, as after a crash, the file counts. No key is ever
// overwritten, and none is in an error or in the log.
package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"cairn"
	"cairn/internal/durable"
)

// A Store keeps the keys of clouds. Its fields are set before it is used. One data
// folder has one process that changes what is in it; its methods must not be called
// for the same cloud at the same time.
type Store struct {
	// Dir is the folder, made when a key is saved.
	Dir string
	// Keychain is asked for keys that are not in files; nil means that of the
	// operating system.
	Keychain Keychain
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets warnings about key files; nil means slog.Default.
	Log *slog.Logger
	// Step, for tests, does each step that changes what is stored; nil means that
	// the step is simply done.
	Step func(name string, do func() error) error
}

// A Place is where the key of a cloud is.
type Place = cairn.KeyPlace

// The places.
const (
	None       Place = ""
	File       Place = "file"
	InKeychain Place = "keychain"
)

// markerSuffix follows the id of a cloud in the name of the empty file that says
// that the key is in the keychain.
const markerSuffix = ".keychain"

// Path returns the path of the key file of a cloud, whether it is there or not.
func (s *Store) Path(cloudID string) string { return filepath.Join(s.Dir, cloudID) }

func (s *Store) marker(cloudID string) string { return s.Path(cloudID) + markerSuffix }

// Load returns the key of a cloud, or nil for none.
//
// A file that others than its user may read is made private, and the log warns of
// it. One that holds no key, and whatever is no regular file, is refused with
// cairn.CodeCloudLocked; so is a keychain that cannot be asked, which is
// [ErrKeychain] too. Other errors are those of cairn.FileError.
func (s *Store) Load(cloudID string) (*age.X25519Identity, error) {
	if err := check(cloudID); err != nil {
		return nil, err
	}
	identity, err := s.loadFile(cloudID)
	if identity != nil || err != nil {
		return identity, err
	}
	marked, err := s.exists(s.marker(cloudID))
	if err != nil || !marked {
		return nil, err
	}
	identity, err = s.loadKeychain(cloudID)
	if identity == nil && err == nil {
		s.log().Warn("the keychain has no key of a cloud whose key should be in it", "cloud", cloudID)
	}
	return identity, err
}

// loadFile returns the key in the file of a cloud, or nil where there is none.
func (s *Store) loadFile(cloudID string) (*age.X25519Identity, error) {
	path := s.Path(cloudID)
	text, err := s.readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil && !errors.Is(err, errIrregular) {
		return nil, cairn.FileError("reading", path, err)
	}
	var identity *age.X25519Identity
	if err == nil {
		identity, err = Parse(text)
	}
	if err != nil {
		return nil, &cairn.Error{
			Code:    cairn.CodeCloudLocked,
			Message: fmt.Sprintf("The key file %s cannot be used: %v.", path, err),
			Hint:    "Put the right file there, or move it away and give the key with --key FILE (CAIRN_KEY).",
		}
	}
	return identity, nil
}

// Save stores the key of a cloud in a file of mode 0600. When it returns nil, the
// file survives power loss. A key that is there, in the file or in the keychain,
// stays as it is: fs.ErrExist. After any other error there is no file, as long as
// the disk lets it be taken back. Errors are those of cairn.FileError.
func (s *Store) Save(cloudID string, identity *age.X25519Identity) error {
	if err := check(cloudID); err != nil {
		return err
	}
	path := s.Path(cloudID)
	marked, err := s.exists(s.marker(cloudID))
	if err != nil {
		return err
	}
	if marked {
		there, err := s.Load(cloudID)
		if err != nil {
			return err
		}
		if there != nil {
			return cairn.FileError("writing", path, fs.ErrExist)
		}
	}
	return cairn.FileError("writing", path, s.saveFile(cloudID, identity))
}

// Remove forgets the key of a cloud: its file, what a crash left of it, and its
// entry in the keychain. When it returns nil, the key is gone and stays so after a
// loss of power; that there was none is no error. After an error the key may still
// be there, and Remove can be repeated.
func (s *Store) Remove(cloudID string) error {
	if err := check(cloudID); err != nil {
		return err
	}
	marked, err := s.exists(s.marker(cloudID))
	if err != nil {
		return err
	}
	// The marker goes last: it says where to look as long as something may be there.
	if marked {
		if err := s.forgetEntry(cloudID); err != nil {
			return err
		}
	}
	if err := s.removeFile(cloudID); err != nil {
		return err
	}
	if marked {
		return s.removeMarker(cloudID)
	}
	return nil
}

// Place returns where the key of a cloud is.
func (s *Store) Place(cloudID string) (Place, error) {
	if err := check(cloudID); err != nil {
		return None, err
	}
	for _, at := range []struct {
		path  string
		place Place
	}{{s.Path(cloudID), File}, {s.marker(cloudID), InKeychain}} {
		there, err := s.exists(at.path)
		if err != nil {
			return None, err
		}
		if there {
			return at.place, nil
		}
	}
	return None, nil
}

// Where returns, for messages, where the key of a cloud is: the path of its file, if
// there is none that of the one to be, or that it is in the keychain.
func (s *Store) Where(cloudID string) string {
	if place, err := s.Place(cloudID); err == nil && place == InKeychain {
		return fmt.Sprintf("the keychain, service %s, account %s", service, cloudID)
	}
	return s.Path(cloudID)
}

// IDs returns the ids of the clouds that there are keys of, sorted.
func (s *Store) IDs() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, cairn.FileError("reading", s.Dir, err)
	}
	var ids []string
	for _, entry := range entries {
		if id := strings.TrimSuffix(entry.Name(), markerSuffix); check(id) == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// check makes sure that an id is one of a cloud, so that it can be the name of a
// file beside others.
func check(cloudID string) error {
	if id, err := uuid.Parse(cloudID); err != nil || id.String() != cloudID {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: cairn.Quote(cloudID) + " is not the id of a cloud.",
			Hint:    "It is a UUID in lower case, and stands in the cloud's cairn.json.",
		}
	}
	return nil
}

// exists reports whether something is at a path, whatever it is.
func (s *Store) exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, cairn.FileError("looking for", path, err)
}

func (s *Store) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// step does a step that changes what is stored.
func (s *Store) step(name string, do func() error) error {
	if s.Step == nil {
		return do()
	}
	return s.Step(name, do)
}

// syncDir makes what was done in the folder survive power loss.
func (s *Store) syncDir() error { return durable.SyncDir(s.Dir) }
