package device_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"cairn/internal/device"
)

// config returns a Config for dir on the machine with this id.
func config(dir, machine string) device.Config {
	return device.Config{
		Dir:       dir,
		MachineID: func() string { return machine },
		Hostname:  func() (string, error) { return "host of " + machine, nil },
	}
}

// facts is all that a device tells.
type facts struct {
	Installation, User, Name string
	Copied, SignedIn         bool
}

// open opens a device, closes it with the test, and returns what it tells.
func open(t *testing.T, cfg device.Config) (*device.Device, facts) {
	t.Helper()
	d, err := device.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	return d, facts{d.Installation(), d.User(), d.Name(), d.Copied(), d.SignedIn()}
}

// visit opens a device, closes it, and returns what it told.
func visit(t *testing.T, cfg device.Config) facts {
	t.Helper()
	d, f := open(t, cfg)
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return f
}

func TestOpenFresh(t *testing.T) {
	dir := t.TempDir()
	first := visit(t, config(dir, "m1"))
	for name, id := range map[string]string{"Installation": first.Installation, "User": first.User} {
		if err := uuid.Validate(id); err != nil || len(id) != 36 {
			t.Errorf("%s() = %q, want a UUID", name, id)
		}
	}
	want := facts{first.Installation, first.User, "host of m1", false, true}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("a fresh device (-want +got):\n%s", diff)
	}
	if first.Installation == first.User {
		t.Error("installation and user have one id")
	}
	if diff := cmp.Diff(want, visit(t, config(dir, "m1"))); diff != "" {
		t.Errorf("the device opened again (-want +got):\n%s", diff)
	}
	if other := visit(t, config(t.TempDir(), "m1")); other.Installation == first.Installation || other.User == first.User {
		t.Errorf("another folder has the ids %+v, those of the first: %+v", other, first)
	}
}

// TestOpenRealMachine runs what a zero Config means.
func TestOpenRealMachine(t *testing.T) {
	dir := t.TempDir()
	first := visit(t, device.Config{Dir: dir})
	if first.Name == "" {
		t.Error("Name() is empty")
	}
	if diff := cmp.Diff(first, visit(t, device.Config{Dir: dir})); diff != "" {
		t.Errorf("the device opened again (-want +got):\n%s", diff)
	}
}

// TestOddPath opens a folder whose name means something else in a URI.
func TestOddPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20#ü&c=d;e'f")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	first := visit(t, config(".", "m1"))
	if diff := cmp.Diff(first, visit(t, config(dir, "m1"))); diff != "" {
		t.Errorf("the device opened again (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, device.FileName)); err != nil {
		t.Error(err)
	}
}

func TestCopied(t *testing.T) {
	dir := t.TempDir()
	first := visit(t, config(dir, "m1"))
	moved := visit(t, config(dir, "m2"))
	if moved.Installation == first.Installation {
		t.Error("a copied folder kept the installation id")
	}
	want := facts{moved.Installation, first.User, "host of m2", true, true}
	if diff := cmp.Diff(want, moved); diff != "" {
		t.Errorf("a copied folder (-want +got):\n%s", diff)
	}
	want.Copied = false
	if diff := cmp.Diff(want, visit(t, config(dir, "m2"))); diff != "" {
		t.Errorf("a copied folder opened again (-want +got):\n%s", diff)
	}
	back := visit(t, config(dir, "m1"))
	if !back.Copied || back.Installation == moved.Installation || back.Installation == first.Installation {
		t.Errorf("back on the first machine: %+v, want a third installation id", back)
	}
}

// TestMachineWithoutID has machines that cannot tell who they are.
func TestMachineWithoutID(t *testing.T) {
	dir := t.TempDir()
	first := visit(t, config(dir, ""))
	steps := []struct {
		machine string
		copied  bool
	}{
		{"", false},
		{"m1", false}, // learnt, since nothing was known
		{"", false},   // not forgotten
		{"m1", false},
		{"m2", true},
	}
	for i, step := range steps {
		got := visit(t, config(dir, step.machine))
		if got.Copied != step.copied || step.copied == (got.Installation == first.Installation) {
			t.Errorf("step %d, machine %q: %+v, want copied %t of %s", i, step.machine, got, step.copied, first.Installation)
		}
	}
}

// TestStored looks at the file: its marks, its safety, and that it does not
// tell the machine id.
func TestStored(t *testing.T) {
	dir := t.TempDir()
	visit(t, config(dir, "the-raw-machine-id"))
	for pragma, want := range map[string]string{
		"application_id": fmt.Sprint(0x63726e64), "user_version": "1", "journal_mode": "wal",
	} {
		if got := query(t, dir, "PRAGMA "+pragma); got != want {
			t.Errorf("PRAGMA %s is %s, want %s", pragma, got, want)
		}
	}
	// printf 'cairn machine\0the-raw-machine-id' | sha256sum
	const hash = "5ea4016349f07a5411e035dc5b4f904daffcdc1717e65ff835d58cce6d482246"
	if got := query(t, dir, "SELECT machine FROM device"); got != hash {
		t.Errorf("the stored machine is %q, want %q", got, hash)
	}
	data, err := os.ReadFile(filepath.Join(dir, device.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(data); strings.Contains(strings.ReplaceAll(got, "host of the-raw-machine-id", ""), "the-raw-machine-id") {
		t.Error("the file holds the raw machine id")
	}
}

func TestHostname(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"laptop.local", nil, "laptop.local"},
		{" laptop\n", nil, "laptop"},
		{"", nil, "unknown"},
		{"\t", nil, "unknown"},
		{"half", errors.New("no name"), "unknown"},
		{"caf\xe9", nil, "caf\uFFFD"},
	} {
		cfg := config(t.TempDir(), "m1")
		cfg.Hostname = func() (string, error) { return tt.name, tt.err }
		if got := visit(t, cfg).Name; got != tt.want {
			t.Errorf("the name of the host %q, %v is %q, want %q", tt.name, tt.err, got, tt.want)
		}
	}
}

func TestSignOut(t *testing.T) {
	dir := t.TempDir()
	d, first := open(t, config(dir, "m1"))
	for _, signedIn := range []bool{false, true, false} {
		if err := d.SetSignedIn(t.Context(), signedIn); err != nil {
			t.Fatalf("SetSignedIn(%t): %v", signedIn, err)
		}
		if got := d.SignedIn(); got != signedIn {
			t.Errorf("after SetSignedIn(%t) SignedIn() = %t", signedIn, got)
		}
		// A copy of the files as they are now is what a crash would leave.
		first.SignedIn = signedIn
		if diff := cmp.Diff(first, visit(t, config(copyFiles(t, dir), "m1"))); diff != "" {
			t.Errorf("after a crash (-want +got):\n%s", diff)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.SetSignedIn(ctx, true); !errors.Is(err, context.Canceled) || d.SignedIn() {
		t.Errorf("under a cancelled context SetSignedIn = %v and SignedIn() = %t", err, d.SignedIn())
	}
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := d.SetSignedIn(t.Context(), true); err == nil || d.SignedIn() {
		t.Errorf("after Close SetSignedIn = %v and SignedIn() = %t", err, d.SignedIn())
	}
	if diff := cmp.Diff(first, visit(t, config(dir, "m1"))); diff != "" {
		t.Errorf("the device opened again (-want +got):\n%s", diff)
	}
}

// TestSignConcurrently leaves the file and the memory with one answer.
func TestSignConcurrently(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := d.SetSignedIn(t.Context(), i%2 == 0); err != nil {
				t.Errorf("SetSignedIn: %v", err)
			}
			d.SignedIn()
		})
	}
	wg.Wait()
	want := d.SignedIn()
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if got := visit(t, config(dir, "m1")).SignedIn; got != want {
		t.Errorf("the file says signed in %t, the memory said %t", got, want)
	}
}

// copyFiles copies the files in dir to a new folder.
func copyFiles(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, entry.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// query runs one statement on the file in dir behind the device's back, and
// returns its first value, or "".
func query(t *testing.T, dir, statement string) string {
	t.Helper()
	path := filepath.ToSlash(filepath.Join(dir, device.FileName))
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(path, "/")}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value string
	if err := db.QueryRowContext(t.Context(), statement).Scan(&value); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}
