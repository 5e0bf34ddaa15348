package test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"cairn/test/harness"
)

// TestKeychain has a daemon keep its key in the keychain of a session, and take it
// back. Where there is no session, the key stays where it is.
func TestKeychain(t *testing.T) {
	t.Parallel()
	session := keychain(t)
	d := harness.Start(t, harness.Options{Env: session})
	run := func(env []string, want int, args ...string) string {
		t.Helper()
		out, errs, code := harness.Cairn(t, append(d.Env(), env...), args...)
		if code != want {
			t.Fatalf("cairn %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
		return out + errs
	}
	keys := func() (names []string) {
		t.Helper()
		for _, path := range allFiles(t, filepath.Join(d.Data, "keys")) {
			names = append(names, filepath.Ext(path))
		}
		return names
	}
	key := secretKey(t, run(nil, 0, "cloud", "key"))
	if out := run(nil, 0, "cloud", "key", "--store", "keychain"); !strings.Contains(out, "in the keychain") {
		t.Errorf("moving the key says %q", out)
	}
	if got := keys(); len(got) != 1 || got[0] != ".keychain" {
		t.Errorf("in the keychain, the key leaves files with the endings %q", got)
	}
	if out := run(nil, 0, "cloud", "status"); !strings.Contains(out, "key in the keychain") {
		t.Errorf("the status says\n%s", out)
	}
	if got := secretKey(t, run(session, 0, "cloud", "key")); got != key {
		t.Error("the keychain has another key")
	}
	// The next start finds it, and one without the session says why not, and loses
	// nothing.
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = harness.Start(t, harness.Options{Data: d.Data, Env: session})
	run(nil, 0, "backup", "create")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = harness.Start(t, harness.Options{Data: d.Data, Env: []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/bus"}})
	if out := run(nil, 6, "backup", "list"); !strings.Contains(out, "keychain") {
		t.Errorf("without the session it says\n%s", out)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = harness.Start(t, harness.Options{Data: d.Data, Env: session})
	run(nil, 0, "cloud", "key", "--store", "file")
	if got := keys(); len(got) != 1 || got[0] != "" {
		t.Errorf("in a file, the key has files with the endings %q", got)
	}
	if got := secretKey(t, run(nil, 0, "cloud", "key")); got != key {
		t.Error("the file has another key")
	}
	run(nil, 0, "backup", "create")
	run(nil, 1, "cloud", "key", "--store", "drawer")
}

// secretKey returns the key in what cairn cloud key prints.
func secretKey(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "AGE-SECRET-KEY-1") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("there is no key in %q", text)
	return ""
}

// keychain starts a session with a keychain that is open, and returns the environment
// of what is in it.
func keychain(t *testing.T) []string {
	t.Helper()
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address=1")
	home := t.TempDir()
	bus.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "XDG_RUNTIME_DIR="+home)
	stdout, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Start(); err != nil {
		t.Fatalf("the test needs dbus-daemon, which scripts/deps.sh installs: %v", err)
	}
	t.Cleanup(func() {
		_ = bus.Process.Kill()
		_ = bus.Wait() // it was killed
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	session := []string{"DBUS_SESSION_BUS_ADDRESS=" + strings.TrimSpace(address)}
	ring := exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	ring.Env = append(bus.Env, session...)
	ring.Stdin = strings.NewReader("the password of the keychain")
	if err := ring.Start(); err != nil {
		t.Fatalf("the test needs gnome-keyring-daemon, which scripts/deps.sh installs: %v", err)
	}
	t.Cleanup(func() {
		_ = ring.Process.Kill()
		_ = ring.Wait() // it was killed
	})
	awaitService(t, strings.TrimSpace(address))
	return session
}

// awaitService waits until the keychain has its name on the bus.
func awaitService(t *testing.T, address string) {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		there := false
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.secrets").Store(&there); err != nil {
			t.Fatal(err)
		}
		if there {
			return
		}
	}
	t.Fatal("the keychain does not come up")
}
