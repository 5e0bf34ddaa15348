package keys_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/godbus/dbus/v5"

	"cairn"
	"cairn/internal/keys"
)

// sessionFolder names, to a process of this test in a session of its own, the folder
// to use; sessionPlay is what it does there.
const (
	sessionFolder = "CAIRN_TEST_SESSION_FOLDER"
	sessionPlay   = "CAIRN_TEST_SESSION_PLAY"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(sessionFolder)
	if dir == "" {
		os.Exit(m.Run())
	}
	play := map[string]func(*keys.Store) error{"move": playMove, "locked": playLocked, "none": playNone}[os.Getenv(sessionPlay)]
	if err := play(&keys.Store{Dir: filepath.Join(dir, "keys"), Log: slog.New(slog.DiscardHandler)}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("played")
	os.Exit(0)
}

// runSession runs a play by a process in a session of its own, with nothing of the
// session of whoever runs the test.
func runSession(t *testing.T, play string, command ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], self)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "XDG_DATA_HOME=" + dir, "TMPDIR=" + dir,
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "no bus"), sessionFolder + "=" + dir, sessionPlay + "=" + play,
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "played\n") {
		t.Errorf("%s: %v\n%s", play, err, out)
	}
}

// unlocked begins a keychain that is open, for the process that follows.
const unlocked = `printf 'the password of the keychain' | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0"`

// TestSystemKeychain has the Secret Service of gnome-keyring keep a key, on a bus of
// its own.
func TestSystemKeychain(t *testing.T) {
	runSession(t, "move", "dbus-run-session", "--", "sh", "-c", unlocked)
}

// TestSystemKeychainThatIsLocked locks it, where nobody is who could be asked for the
// password.
func TestSystemKeychainThatIsLocked(t *testing.T) {
	runSession(t, "locked", "dbus-run-session", "--", "sh", "-c", unlocked)
}

// TestNoSystemKeychain has none, as on a server: with a bus, and without.
func TestNoSystemKeychain(t *testing.T) {
	runSession(t, "none", "env")
}

// playMove moves a key to the keychain and back.
func playMove(s *keys.Store) error {
	key, err := saved(s)
	if err != nil {
		return err
	}
	for range 2 {
		for _, to := range []keys.Place{keys.InKeychain, keys.File} {
			if err := s.Move(cloudID, to); err != nil {
				return fmt.Errorf("moving to %s: %w", to, err)
			}
			if at, err := s.Place(cloudID); at != to || err != nil {
				return fmt.Errorf("it is at %q, %v", at, err)
			}
			if got, err := s.Load(cloudID); err != nil || got.String() != key.String() {
				return fmt.Errorf("another key is loaded: %v", err)
			}
		}
	}
	if err := s.Move(cloudID, keys.InKeychain); err != nil {
		return err
	}
	if err := s.Remove(cloudID); err != nil {
		return fmt.Errorf("removing: %w", err)
	}
	if got, err := s.Load(cloudID); got != nil || err != nil {
		return fmt.Errorf("a key that was removed is there: %v", err)
	}
	if err := os.WriteFile(s.Path(cloudID)+".keychain", nil, 0o600); err != nil {
		return err
	}
	if got, err := s.Load(cloudID); got != nil || err != nil {
		return fmt.Errorf("the keychain has a key that was removed: %v", err)
	}
	return nil
}

// playLocked locks the keychain and asks it.
func playLocked(s *keys.Store) error {
	if _, err := saved(s); err != nil {
		return err
	}
	if err := s.Move(cloudID, keys.InKeychain); err != nil {
		return err
	}
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	defer bus.Close()
	const login = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	lock := bus.Object("org.freedesktop.secrets", "/org/freedesktop/secrets").Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{login})
	if lock.Err != nil {
		return fmt.Errorf("locking: %w", lock.Err)
	}
	_, err = s.Load(cloudID)
	return unusable(err, s.Move(cloudID, keys.File), s.Remove(cloudID))
}

// playNone asks a keychain that is not there.
func playNone(s *keys.Store) error {
	key, err := saved(s)
	if err != nil {
		return err
	}
	if err := unusable(s.Move(cloudID, keys.InKeychain)); err != nil {
		return err
	}
	if got, err := s.Load(cloudID); err != nil || got.String() != key.String() {
		return fmt.Errorf("the key is not in its file: %v", err)
	}
	return nil
}

// saved draws and saves a key.
func saved(s *keys.Store) (*age.X25519Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return key, s.Save(cloudID, key)
}

// unusable returns nil if each error says that the keychain cannot be used.
func unusable(errs ...error) error {
	for i, err := range errs {
		if !errors.Is(err, keys.ErrKeychain) || cairn.CodeOf(err) != cairn.CodeCloudLocked {
			return fmt.Errorf("call %d returned %v, want that the keychain cannot be used", i, err)
		}
	}
	return nil
}
