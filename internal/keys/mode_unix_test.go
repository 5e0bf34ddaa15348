//go:build unix

package keys_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"cairn"
)

// TestOpenKeyFile has a key file that others may read.
func TestOpenKeyFile(t *testing.T) {
	s, _, log := newStore(t)
	key := newKey(t)
	if err := s.Save(cloudID, key); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601, 0o777} {
		log.Reset()
		if err := os.Chmod(s.Path(cloudID), mode); err != nil {
			t.Fatal(err)
		}
		wantKey(t, s, key)
		info, err := os.Stat(s.Path(cloudID))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("a file of mode %o has %v, %v", mode, info.Mode(), err)
		}
		if !strings.Contains(log.String(), "could have been read by other users") || !strings.Contains(log.String(), s.Path(cloudID)) {
			t.Errorf("the log has %q", log)
		}
		log.Reset()
		wantKey(t, s, key)
		if log.Len() > 0 {
			t.Errorf("a private file is warned of: %s", log)
		}
	}
}

// TestKeyFileThatIsAPipe has one that nobody writes to: it is not waited for.
func TestKeyFileThatIsAPipe(t *testing.T) {
	s, _, _ := newStore(t)
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(s.Path(cloudID), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load(cloudID)
	wantError(t, err, cairn.CodeCloudLocked, s.Path(cloudID), "not a regular file")
}
