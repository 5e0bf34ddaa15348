package keys

import (
	"errors"
	"fmt"
	"time"

	"filippo.io/age"
	"github.com/zalando/go-keyring"

	"cairn"
)

// A Keychain keeps secrets of this computer's user: one for each service and
// account. When Set returns nil, the secret is stored. Get and Delete return
// [ErrNoEntry] where there is none. Any other error says that it cannot be asked.
type Keychain interface {
	Set(service, account, secret string) error
	Get(service, account string) (string, error)
	Delete(service, account string) error
}

// ErrNoEntry says that a keychain has no such secret.
var ErrNoEntry = errors.New("the keychain has no such entry")

// ErrKeychain says that the keychain cannot be asked now: it is locked, or there is
// none.
var ErrKeychain = errors.New("the keychain cannot be used")

// service is the service of our entries; the account is the id of the cloud. So all
// data folders of a user share the entry of a cloud.
const service = "cairn"

// patience is how long the keychain of the system is waited for: it may ask the
// person at the computer for a password, and where there is none, wait for ever.
const patience = time.Minute

// system is the keychain of the operating system.
type system struct{}

func (system) Set(service, account, secret string) error {
	return within(patience, func() error { return keyring.Set(service, account, secret) })
}

func (system) Get(service, account string) (secret string, err error) {
	found := make(chan string, 1) // nobody may wait for it any more
	err = within(patience, func() error {
		secret, err := keyring.Get(service, account)
		found <- secret
		return err
	})
	if err != nil {
		return "", err
	}
	return <-found, nil
}

func (system) Delete(service, account string) error {
	return within(patience, func() error { return keyring.Delete(service, account) })
}

// within does something that cannot be cancelled, and leaves it to itself when it
// takes too long.
func within(d time.Duration, do func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-ended:
		if errors.Is(err, keyring.ErrNotFound) {
			return ErrNoEntry
		}
		return err
	case <-timer.C:
		return fmt.Errorf("it has not answered for %v", d)
	}
}

func (s *Store) keychain() Keychain {
	if s.Keychain == nil {
		return system{}
	}
	return s.Keychain
}

// loadKeychain returns the key of a cloud in the keychain, or nil where there is
// none.
func (s *Store) loadKeychain(cloudID string) (*age.X25519Identity, error) {
	secret, err := s.keychain().Get(service, cloudID)
	if errors.Is(err, ErrNoEntry) {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(err)
	}
	identity, err := Parse(secret)
	if err != nil {
		return nil, &cairn.Error{
			Code:    cairn.CodeCloudLocked,
			Message: fmt.Sprintf("The entry %s of the service %s in the keychain cannot be used as a key: %v.", cloudID, service, err),
			Hint:    "Remove that entry, and give the key with --key FILE (CAIRN_KEY).",
		}
	}
	return identity, nil
}

// unusable returns the error for a keychain that cannot be asked.
func unusable(err error) error {
	return &cairn.Error{
		Code:    cairn.CodeCloudLocked,
		Message: "The keychain of this computer's user cannot be used: it is locked, or there is none in this session.",
		Hint: "Unlock the keychain of the session, then try again. Or give the key with --key FILE (CAIRN_KEY). " +
			"Once it is unlocked, cairn cloud key --store file moves the key into a file, which needs none.",
		Err: fmt.Errorf("%w: %w", ErrKeychain, err),
	}
}
