package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"filippo.io/age"

	"cairn"
)

// maxFile is the largest key file that is read, in bytes: 64 KiB. One that
// age-keygen writes has 189.
const maxFile = 64 << 10

// Read reads a key file that a person named, in the form that age-keygen writes.
// Unlike those of a [Store], it may be a link or a pipe, and have any mode.
//
// Its errors are of cairn.CodeInvalid for a file that is not there or is not
// such a file, and those of cairn.FileError. None holds any of the content.
func Read(path string) (*age.X25519Identity, error) {
	text, err := readFile(path)
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
	identity, err := Parse(text)
	if err != nil {
		return nil, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("The key file %s cannot be used: %v.", path, err),
			Hint:    "A key is one line that begins with AGE-SECRET-KEY-1, as cairn cloud key and age-keygen print it.",
		}
	}
	return identity, nil
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readText(f)
}

// readText returns the text of a file, or of its beginning when no key file is
// that long: Parse then refuses it.
func readText(f *os.File) (string, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return string(text), err
}

// errIrregular says that there is something else than a file.
var errIrregular = errors.New("it is not a regular file")

// readPrivate returns the text of a key file of the store, and has nobody but its
// user read it from now on.
func (s *Store) readPrivate(path string) (string, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !named.Mode().IsRegular() {
		return "", errIrregular // and may wait for a writer when it is opened
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !os.SameFile(named, opened) {
		return "", errIrregular
	}
	if mode := opened.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		err := errors.Join(f.Chmod(0o600), f.Sync())
		s.log().Warn("a key file could have been read by other users of this computer; nobody but its user may read it now, unless that failed",
			"path", path, "mode", fmt.Sprintf("%04o", mode), "err", err)
	}
	return readText(f)
}

// Parse reads the text of a key file: comments that begin with #, blank lines, and
// exactly one age X25519 identity; at most 64 KiB. Its errors say why, for "cannot
// be used:". Those of age are left out, since they may quote the key.
func Parse(text string) (*age.X25519Identity, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("it is longer than %d bytes", maxFile)
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

// Text returns the content of a key file, in the form that age-keygen writes, so
// that age -d -i takes it:
//
//	# cloud: <cloud id>
//	# created: 2026-11-23T07:25:41Z
//	# public key: age1...
//	AGE-SECRET-KEY-1...
//
// The first line is left out where cloudID is "". It is a secret.
func Text(cloudID string, identity *age.X25519Identity, created time.Time) []byte {
	var text []byte
	if cloudID != "" {
		text = fmt.Appendf(text, "# cloud: %s\n", cloudID)
	}
	return fmt.Appendf(text, "# created: %s\n# public key: %s\n%s\n",
		created.UTC().Format(time.RFC3339), identity.Recipient(), identity)
}
