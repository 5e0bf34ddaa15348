package keys

import (
	"errors"
	"fmt"

	"filippo.io/age"

	"cairn"
	"cairn/internal/durable"
)

// Move brings the key of a cloud to another place, File or InKeychain. It is taken
// from the old place only once it is known to be in the new one, and after a crash
// at any moment Load finds it. Move can be repeated; a key that is there already is
// no error, and one that is nowhere is cairn.CodeCloudLocked. A keychain that cannot
// be used is [ErrKeychain], and one that has another key of this cloud is
// cairn.CodeChanged; then nothing is removed.
func (s *Store) Move(cloudID string, to Place) error {
	identity, err := s.Load(cloudID)
	if err != nil {
		return err
	}
	if identity == nil {
		return &cairn.Error{
			Code:    cairn.CodeCloudLocked,
			Message: "The key of the cloud " + cloudID + " is not on this device.",
			Hint:    "Give it with --key FILE (CAIRN_KEY), or unlock the cloud with a passphrase: cairn cloud unlock.",
		}
	}
	switch to {
	case File:
		return s.moveToFile(cloudID, identity)
	case InKeychain:
		return s.moveToKeychain(cloudID, identity)
	}
	return fmt.Errorf("there is no place %q for keys", to)
}

// moveToKeychain stores the key in the keychain, and then removes the file.
//
// The marker comes first: as long as it stands, something may be in the keychain,
// and Remove forgets it there too. Until the file is gone it changes nothing.
func (s *Store) moveToKeychain(cloudID string, identity *age.X25519Identity) error {
	marked, err := s.exists(s.marker(cloudID))
	if err != nil {
		return err
	}
	if err := s.checkEntry(cloudID, identity); err != nil {
		return err
	}
	marker := s.marker(cloudID)
	if err := s.step("marker.write", func() error { return durable.WriteFile(marker, nil) }); err != nil {
		return cairn.FileError("writing", marker, err)
	}
	err = s.step("keychain.set", func() error { return s.keychain().Set(service, cloudID, identity.String()) })
	if err != nil {
		err = unusable(err)
		if !marked {
			// Nothing is there, or what is there is removed by the next Move or Remove.
			if left := s.dropEntry(cloudID); left != nil {
				s.log().Warn("a marker of a key in the keychain is left, which does no harm", "cloud", cloudID, "err", left)
			}
		}
		return err
	}
	stored, err := s.loadKeychain(cloudID)
	if err != nil {
		return err
	}
	if stored == nil || stored.String() != identity.String() {
		return unusable(errors.New("it does not return what was stored in it"))
	}
	return s.removeFile(cloudID)
}

// dropEntry takes back the marker of an entry that could not be stored, if there is
// surely none.
func (s *Store) dropEntry(cloudID string) error {
	if _, err := s.keychain().Get(service, cloudID); errors.Is(err, ErrNoEntry) {
		return s.removeMarker(cloudID)
	}
	return nil
}

// moveToFile stores the key in a file, and then removes it from the keychain. The
// marker goes last.
func (s *Store) moveToFile(cloudID string, identity *age.X25519Identity) error {
	marked, err := s.exists(s.marker(cloudID))
	if err != nil || !marked {
		return err // it is in the file and nowhere else
	}
	there, err := s.exists(s.Path(cloudID))
	if err != nil {
		return err
	}
	if there {
		err = s.checkEntry(cloudID, identity)
		if err == nil { // an earlier run may not have got as far as this
			err = cairn.FileError("writing", s.Path(cloudID), s.step("key.sync", s.syncDir))
		}
	} else {
		err = cairn.FileError("writing", s.Path(cloudID), s.saveFile(cloudID, identity))
	}
	if err != nil {
		return err
	}
	if err := s.forgetEntry(cloudID); err != nil {
		return err
	}
	return s.removeMarker(cloudID)
}

// checkEntry makes sure that the keychain has no other key of a cloud than this one.
func (s *Store) checkEntry(cloudID string, identity *age.X25519Identity) error {
	stored, err := s.loadKeychain(cloudID)
	if err != nil {
		return err
	}
	if stored != nil && stored.String() != identity.String() {
		return &cairn.Error{
			Code:    cairn.CodeChanged,
			Message: fmt.Sprintf("The keychain has another key of the cloud %s than the file %s. Nothing was changed.", cloudID, s.Path(cloudID)),
			Hint:    fmt.Sprintf("Find out which is the right one, by its public key. Then move the file away, or remove the entry %s of the service %s.", cloudID, service),
		}
	}
	return nil
}

// forgetEntry removes the entry of a cloud from the keychain.
func (s *Store) forgetEntry(cloudID string) error {
	err := s.step("keychain.delete", func() error { return s.keychain().Delete(service, cloudID) })
	if err == nil || errors.Is(err, ErrNoEntry) {
		return nil
	}
	return unusable(err)
}

// removeMarker removes the marker of a cloud, durably.
func (s *Store) removeMarker(cloudID string) error {
	marker := s.marker(cloudID)
	err := s.step("marker.remove", func() error { return remove(marker) })
	if err == nil {
		err = s.step("marker.removed", s.syncDir)
	}
	return cairn.FileError("removing", marker, err)
}
