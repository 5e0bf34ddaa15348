package cloud

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/durable"
)

// maxKeyFile is the largest key file that is read, in bytes: 64 KiB. One that
// age-keygen writes has 189.
const maxKeyFile = 64 << 10

// KeyFile returns the path of the file that holds the key of a cloud.
func KeyFile(folder, cloudID string) string { return filepath.Join(folder, cloudID) }

// ReadKey reads the file of a key, in the form that age-keygen writes.
//
// Its errors are of cairn.CodeInvalid for a file that is not there or is not
// such a file, and those of cairn.FileError. None holds any of the content.
func ReadKey(path string) (*age.X25519Identity, error) {
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("There is no key file %s.", path),
			Hint:    "Give the file that holds the key of the cloud: the output of cairn cloud key.",
			Err:     err,
		}
	}
	if err != nil {
		return nil, cairn.FileError("reading", path, err)
	}
	identity, err := parseKey(text)
	if err != nil {
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("The key file %s cannot be used: %v.", path, err),
			Hint:    "A key is one line that begins with AGE-SECRET-KEY-1, as cairn cloud key and age-keygen print it.",
		}
	}
	return identity, nil
}

// readKeyFile returns the text of a file, or of its beginning when no key file
// is that long: parseKey then refuses it.
func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	return string(text), err
}

// parseKey reads the text of a key: comments that begin with #, blank lines, and
// exactly one age X25519 identity. Its errors say why, for "cannot be used:".
// Those of age are left out, since they may quote the key.
func parseKey(text string) (*age.X25519Identity, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("it is longer than %d bytes", maxKeyFile)
	}
	if strings.HasPrefix(text, "age-encryption.org/") || strings.HasPrefix(text, "-----BEGIN AGE") {
		return nil, errors.New("it is encrypted; decrypt it with age first")
	}
	var found *age.X25519Identity
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "age1") {
			return nil, fmt.Errorf("line %d is a public key, not a secret one", number)
		}
		identity, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is not an age X25519 identity", number)
		}
		if found != nil {
			return nil, errors.New("it holds more than one key")
		}
		found = identity
	}
	if found == nil {
		return nil, errors.New("it holds no key")
	}
	return found, nil
}

// keyText returns the content of a key file, in the form that age-keygen
// writes, so that age -d -i takes it.
func keyText(identity *age.X25519Identity, created time.Time) []byte {
	return fmt.Appendf(nil, "# created: %s\n# public key: %s\n%s\n",
		created.UTC().Format(time.RFC3339), identity.Recipient(), identity)
}

// saveKey writes the key file of a cloud, durably and with mode 0600. A file
// that is there stays as it is: fs.ErrExist. After any other error there is
// none, as long as the disk lets it be taken back: one that may not survive a
// loss of power must not pass for stored at the next try.
func (c *Cloud) saveKey(cloudID string, identity *age.X25519Identity) error {
	path := KeyFile(c.cfg.Keys, cloudID)
	if err := durable.MkdirAll(c.cfg.Keys); err != nil {
		return err
	}
	temp := path + "." + c.randomDigits() + durable.TempSuffix
	text := keyText(identity, c.cfg.Now())
	err := c.cfg.Step("key.write", func() error { return durable.WriteFile(temp, text) })
	if err == nil {
		err = c.cfg.Step("key.name", func() error { return moveNew(temp, path) })
	}
	err = errors.Join(err, c.cfg.Step("key.clean", func() error { return remove(temp) }))
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		err = c.cfg.Step("key.sync", func() error { return durable.SyncDir(c.cfg.Keys) })
	}
	if err != nil {
		return errors.Join(err, takeBack(path, text))
	}
	return nil
}

// takeBack removes a key file if it holds this very text.
func takeBack(path string, text []byte) error {
	if stored, err := readKeyFile(path); errors.Is(err, fs.ErrNotExist) {
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

// remove removes a file that may be gone.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// storedKey returns the key that this device keeps for a cloud, or nil for
// none. A file that cannot be used is CodeCloudLocked.
func (c *Cloud) storedKey(cloudID string) (*age.X25519Identity, error) {
	path := KeyFile(c.cfg.Keys, cloudID)
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, cairn.FileError("reading", path, err)
	}
	identity, err := parseKey(text)
	if err != nil {
		return nil, &cairn.Error{
			Code:    cairn.CodeCloudLocked,
			Message: fmt.Sprintf("The key file %s of the cloud %s cannot be used: %v.", path, c.url, err),
			Hint:    "Put the right file there, or move it away and give the key with --key FILE (CAIRN_KEY).",
		}
	}
	return identity, nil
}
